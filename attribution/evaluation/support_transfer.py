"""Do the images that decide a prediction under one model decide it under another? Between a head and the workspace's
own recipe, in both directions.

A support is the shortest tested prefix of a ranking whose removal flips a target under one model. Here exactly these
images are removed under the other model, of targets that it gets right: does it flip, too, and by how much does its
margin fall? Beside each stand random images, as many of each class. A head is refitted, which is exact; under the own
recipe each set is trained without under a few seeds, and has flipped where at least half of them are wrong.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from attribution.errors import UserError
from attribution.evaluation.adaptive_supports import right_targets
from attribution.experiments import jobs, support_table
from attribution.experiments.prefixes import random_control
from attribution.experiments.removals import removals_spec
from attribution.experiments.study import STUDY_SEED
from attribution.explore.targets import draw_stable_targets, stable_targets
from attribution.metrics.statistics import mean_with_interval, share_with_interval
from attribution.rankings.influence import PREFIX as INFLUENCE
from attribution.store.results import ResultStore
from attribution.training.edits import remove
from attribution.training.head.recipe import PREFIX
from attribution.workspace import heads
from attribution.workspace.base_models import mean_base_margins
from attribution.workspace.parts import Part, Progress, ranking_versions
from attribution.workspace.workspace import Workspace

STORED = Part("support_transfer", "support_transfer.json")
PART = STORED.name
N_TARGETS, SEEDS = 40, (0, 1, 2)
#: random sets beside each: a refit costs nothing, a training seconds
HEAD_DRAWS, DRAWS = 20, 1


@dataclass(frozen=True)
class _Support:
    """The images that flip a target under one model: the first of `ranking`."""

    target: int
    ranking: str
    ids: np.ndarray


def compute(
    workspace: Workspace,
    n_targets: int = N_TARGETS,
    seeds: tuple[int, ...] = SEEDS,
    progress: Progress = lambda *at: None,
) -> dict:
    """Supports of the workspace's own recipe judged under the head that the workspace is seen by, and the head's under
    the own recipe, by its influence ranking: the first `n_targets` stable targets, in the order of a study, that the
    head flips. Trainings are made by the runner and kept, so that a broken-off run goes on.

    {"models": [own, head], "hashes", "seeds", "draws": {model: random sets beside each}, "rows": [{"of": whose support,
    "under": who is asked, "ranking", "target", "k", "before", "after": margins, "flipped", "control": share of the
    random sets that flip it, "control_after": mean margin}]}. Raises UserError where the model is no head, and where
    either has no supports.
    """
    right = set(right_targets(workspace))
    own = workspace.with_model(None)
    under_head = [support for support in _own_supports(own) if support.target in right]
    under_own = _head_supports(workspace, own, n_targets)
    names = [own.recipe, workspace.recipe]
    return {
        "models": names,
        "hashes": [model.get_recipe().hash for model in (own, workspace)],
        "seeds": list(seeds),
        "draws": {workspace.recipe: HEAD_DRAWS, own.recipe: DRAWS},
        "rows": [
            *({"of": names[0], "under": names[1], **row} for row in _judge_by_head(workspace, under_head, progress)),
            *({"of": names[1], "under": names[0], **row} for row in _judge_by_own(own, under_own, seeds, progress)),
        ],
    }


def save(workspace: Workspace, answer: dict, provenance: dict, record: Callable | None = None) -> None:
    """Stores an answer of `compute` as the head's part; provenance, record: as `Part.save`."""
    rankings = dict.fromkeys(row["ranking"] for row in answer["rows"])
    made = {"recipe": answer["models"][1], "hash": answer["hashes"][1], "of": ranking_versions(workspace, rankings)}
    STORED.save(workspace, answer, {**provenance, **made}, record)


def load(workspace: Workspace) -> dict | None:
    """The stored answer of `compute`, of the head that the workspace is seen by; None where there is none, or one of
    the two models or a ranking has changed. Raises UserError where it cannot be read."""
    answer = STORED.load(workspace)
    if answer is None:
        return None
    now = [view.get_recipe().hash for view in (workspace.with_model(None), workspace)]
    return answer if answer["hashes"] == now else None


def report(answer: dict) -> list[dict]:
    """A row for each direction and ranking of an answer of `compute`: {"of", "under", "ranking", "n": targets, "k":
    median size, "flipped": `share_with_interval`, "control": mean share of random sets that flip, "fall" and
    "control_fall": by how much the margin falls, in logits}, the last three of `mean_with_interval`, over targets."""
    groups: dict[tuple, list[dict]] = {}
    for row in answer["rows"]:
        groups.setdefault((row["of"], row["under"], row["ranking"]), []).append(row)
    return [
        {
            "of": of,
            "under": under,
            "ranking": ranking,
            "n": len(rows),
            "k": float(np.median([row["k"] for row in rows])),
            "flipped": share_with_interval(sum(row["flipped"] for row in rows), len(rows)),
            "control": mean_with_interval(np.array([row["control"] for row in rows])),
            "fall": mean_with_interval(np.array([row["before"] - row["after"] for row in rows])),
            "control_fall": mean_with_interval(np.array([row["before"] - row["control_after"] for row in rows])),
        }
        for (of, under, ranking), rows in groups.items()
    ]


# -- whose supports


def _own_supports(own: Workspace) -> list[_Support]:
    """Those that the own recipe's study found by removal."""
    with ResultStore.for_workspace(own) as store:
        table = support_table.load_support_table(own, store, traces=False)
    table = table[table.ranking.isin(own.rankings()) & (table.protocol == support_table.default_protocol(own))]
    return _check(own, list(_supports(own, table)))


def _head_supports(workspace: Workspace, own: Workspace, n_targets: int) -> list[_Support]:
    """Those that the head's study found by its own influence, of the first stable targets."""
    name = f"{INFLUENCE}-{workspace.recipe.removeprefix(PREFIX)}"
    with ResultStore.for_workspace(workspace) as store:
        table = support_table.load_support_table(workspace, store, traces=False)
    found = {support.target: support for support in _supports(workspace, table[table.ranking == name])}
    order = draw_stable_targets(own, len(stable_targets(own)), STUDY_SEED)
    return _check(workspace, [found[target] for target in order if target in found][:n_targets])


def _supports(workspace: Workspace, table) -> Iterator[_Support]:
    table = table[(table.kind == "remove") & table.support.notna()]
    for row in table.itertuples():
        ids = workspace.ranking(row.ranking).top(int(row.target), int(row.support)).ids
        yield _Support(int(row.target), row.ranking, ids)


def _check(workspace: Workspace, supports: list[_Support]) -> list[_Support]:
    if not supports:
        raise UserError(
            f"{workspace.recipe} has no supports by removal here yet; find some with: python -m attribution study "
            f"--recipe {workspace.recipe} --kinds remove{workspace.options()}"
        )
    return supports


# -- who is asked


def _judge_by_head(workspace: Workspace, supports: list[_Support], progress: Progress) -> Iterator[dict]:
    trainer = heads.make_trainer(workspace, workspace.recipe)
    head, labels = trainer.head, workspace.val_labels
    before = head.margins(head.weights, trainer.val, labels)
    with threadpool_limits(1):
        for done, support in enumerate(supports, 1):
            edit, target = remove(support.ids), [support.target]
            controls = [random_control(workspace, edit, draw) for draw in range(HEAD_DRAWS)]
            after, *random = (
                float(head.margins(head.refit(one.apply(head.labels)[0]), trainer.val[target], labels[target])[0])
                for one in (edit, *controls)
            )
            yield _row(support, before[support.target], after, after < 0, random, [margin < 0 for margin in random])
            progress("transfer: refits", done, len(supports))


def _judge_by_own(own: Workspace, supports: list[_Support], seeds, progress: Progress) -> Iterator[dict]:
    before = mean_base_margins(own)
    spec = removals_spec(own, [support.ids for support in supports], seeds, DRAWS)
    with ResultStore.for_workspace(own) as store:
        missing = spec.missing(own, store)
    if missing:
        jobs.run_job(own, spec, progress)
    with ResultStore.for_workspace(own) as store:
        for support, (edit, controls) in zip(supports, spec.edits(own)):
            said = [_said(own, store, spec, one, support.target) for one in (edit, *controls)]
            (after, flipped), *random = said
            yield _row(support, before[support.target], after, flipped, *zip(*random))


def _said(own: Workspace, store: ResultStore, spec, edit, target: int) -> tuple[float, bool]:
    """The mean margin over the seeds, and whether at least half of them are wrong."""
    found = [store.get(store.key(spec.recipe_hash, edit, seed)) for seed in spec.seeds]
    wrong = sum(int(retraining.predicted[target]) != int(own.val_labels[target]) for retraining in found)
    return float(np.mean([float(retraining.margins[target]) for retraining in found])), 2 * wrong >= len(found)


def _row(support: _Support, before, after, flipped, random_margins, random_flipped) -> dict:
    return {
        "ranking": support.ranking,
        "target": support.target,
        "k": len(support.ids),
        "before": round(float(before), 4),
        "after": round(float(after), 4),
        "flipped": bool(flipped),
        "control": round(float(np.mean(random_flipped)), 4),
        "control_after": round(float(np.mean(random_margins)), 4),
    }
