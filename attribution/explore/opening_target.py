"""The target that a first visitor sees, and its sentence: a small removal, measured, that flips the prediction."""

from dataclasses import dataclass

from attribution.errors import UserError
from attribution.experiments import bundled_retrainings, support_table
from attribution.experiments.retrain import retrain_spec
from attribution.experiments.spec import SEEDS
from attribution.rankings.influence import Influence
from attribution.store.results import ResultStore
from attribution.training.head.recipe import is_head
from attribution.workspace.workspace import DEMO, Workspace

#: the head that the bundled demo opens with, so that the first minute is live: its features have not seen the labels,
#: and nine of ten of its predictions flip within 128 images, so that moving the cut shows something
OPENING_HEAD = "head-moco"


@dataclass(frozen=True)
class OpeningTarget:
    """A target, the ranking and k whose edit flipped it, and the votes.

    prediction: the class that `n_right` of `n_models` base models predict of the unedited training set. support: the
    search's answer. k: the same where it held with fresh seeds; an unstable support is near the threshold, and there k
    is the smallest one from it on at which every seed tried was wrong, if there was any. n_wrong: how many of `seeds`
    do not predict the true class at k; wrong_class: what most of these predict, in `votes`. is_close: the votes at k
    are no more than a close call.
    """

    target: int
    ranking: str
    k: int
    prediction: int
    n_right: int
    n_models: int
    wrong_class: int
    votes: int
    n_wrong: int
    seeds: int
    support: int
    is_close: bool


def opening_model(workspace: Workspace) -> str | None:
    """The model that a visitor of the bare address sees first; None for the workspace's own recipe, which every other
    workspace opens with.

    >>> from attribution import Workspace
    >>> opening_model(Workspace.open())
    'head-moco'
    """
    is_demo = workspace.path.resolve() == DEMO.resolve()
    return OPENING_HEAD if is_demo and OPENING_HEAD in workspace.models() else None


def opening_target(workspace: Workspace) -> OpeningTarget | None:
    """The removal to open with: of those that flip a stable target the smallest one, first where the workspace brings
    the whole answer with controls that hold, then where every seed tried was wrong without it and every base model
    right with it.

    A close call serves only where there is no clear one, and where at least half of all seeds predicted the same wrong
    class. The ranking is one that the workspace lists, which Debug can show. None where there is no such removal, or
    where there are no base models.

    >>> from attribution import Workspace
    >>> first = opening_target(Workspace.open())
    >>> first.target, first.ranking, first.k
    (88, 'datamodels-2k', 16)
    """
    told = [one for target in bundled_retrainings.targets(workspace) for one in opening_targets(workspace, target)]
    holding = (one for one in sorted(told, key=_rank) if _is_soon_told(workspace, one) and _holds(workspace, one))
    return next(holding, None) or next(iter(opening_targets(workspace)), None)


def opening_targets(workspace: Workspace, target: int | None = None) -> list[OpeningTarget]:
    """The removals that `opening_target` chooses from, the best one to tell first; none without base models. target: of
    this one alone."""
    if not workspace.has_base:
        return []
    of = {} if target is None else {"target": target}
    protocol = support_table.default_protocol(workspace)  # of the supports that Debug shows
    table = support_table.load_support_table(workspace, kind="remove", protocol=protocol, traces="text", **of)
    listed = [name for name in workspace.rankings() if name != "random"]
    table = table[table.status.isin(["flipped", "unstable"]) & table.ranking.isin(listed)]
    removals = [
        support_votes(workspace, row)
        for row in table.itertuples()
        if workspace.base.target_status(row.target) == "stable"
    ]
    return sorted(
        (removal for removal in removals if not removal.is_close or 2 * removal.votes >= removal.seeds), key=_rank
    )


def _rank(removal: OpeningTarget) -> tuple:
    return (
        removal.is_close,
        removal.n_wrong < removal.seeds,
        removal.n_right < removal.n_models,
        removal.k,
        removal.target,
    )


def _is_soon_told(workspace: Workspace, removal: OpeningTarget) -> bool:
    """Whether the images that are removed are known without a wait: an influence takes seconds to be had at first,
    unless by the head that the predictions are of."""
    return is_head(workspace.recipe) or workspace.ranking(removal.ranking).method != Influence.method


def _holds(workspace: Workspace, removal: OpeningTarget) -> bool:
    """Whether the answer that the workspace brings says that the removal flips the target, and that chance does not.
    True where this machine cannot tell: it has no torch to name the recipe, or no place for a store."""
    try:
        spec = retrain_spec(workspace, removal.target, removal.ranking, "remove", removal.k, SEEDS)
        with ResultStore.for_workspace(workspace) as store:
            answer = spec.answer(workspace, store)
    except UserError:
        return True
    controls = [control["flipped"] for control in answer["controls"].values()]
    return bool(answer["complete"] and answer["flipped"] and not any(controls))


def support_votes(workspace: Workspace, row) -> OpeningTarget:
    """The opening target that a row (a named tuple) of `support_table.load_support_table` gives; every probe at its k
    counts, confirmation included."""
    target, label = int(row.target), int(workspace.val_labels[row.target])
    predictions: dict[int, list[int]] = {}
    for probe in support_table.read_trace(row.trace):
        predictions.setdefault(probe["k"], []).extend(probe["predictions"])
    k, is_close = int(row.support), row.status == "unstable"
    if is_close:
        clear = [size for size, classes in predictions.items() if size >= k and label not in classes]
        k, is_close = min(clear, default=k), not clear
    predicted = predictions.get(k, [])
    wrong = [c for c in predicted if c != label]
    wrong_class = max(sorted(set(wrong)), key=wrong.count, default=label)
    return OpeningTarget(
        target=target,
        ranking=row.ranking,
        k=k,
        prediction=label,
        n_right=int(workspace.base.n_right[target]),
        n_models=workspace.base.n_models,
        wrong_class=wrong_class,
        votes=wrong.count(wrong_class),
        n_wrong=len(wrong),
        seeds=len(predicted),
        support=int(row.support),
        is_close=is_close,
    )
