"""The target a first visitor sees, and its sentence: something measured that is worth telling."""

from dataclasses import dataclass

from attribution.experiments import support_table


@dataclass(frozen=True)
class OpeningTarget:
    """A target, the ranking and k whose edit flipped it, and the votes.

    support: the search's answer. k: the same where it held with fresh seeds. An unstable support is near the threshold,
    and there k is the smallest one from it on at which every seed tried was wrong, if there was any.
    wrong: how many of `seeds` do not predict the true class; other: what most of these predict, in `votes`; prediction
    and right: what `right` of `models` base models say of the unedited training set. close: the votes at k are no more
    than a close call.
    """

    target: int
    ranking: str
    k: int
    prediction: int
    right: int
    models: int
    other: int
    votes: int
    wrong: int
    seeds: int
    support: int
    close: bool


def opening_target(workspace) -> OpeningTarget | None:
    """The removal to open with: of those that flip a stable target the smallest one, first where every seed tried was
    wrong without it and every base model right with it.

    A close call serves only where there is no clear one, and where at least half of all seeds said the same wrong
    class. The ranking is one that the workspace lists, which Explore can show. None where there is no such removal, or
    where there are no base models.
    """
    if not workspace.has_base:
        return None
    found = support_table.load_support_table(workspace)
    listed = [name for name in workspace.rankings() if name != "random"]
    found = found[(found.kind == "remove") & found.status.isin(["flipped", "unstable"]) & found.ranking.isin(listed)]
    told = [
        support_votes(workspace, row)
        for row in found.itertuples()
        if workspace.base.target_status(row.target) == "stable"
    ]
    told = [one for one in told if not one.close or 2 * one.votes >= one.seeds]
    return min(
        told,
        default=None,
        key=lambda one: (one.close, one.wrong < one.seeds, one.right < one.models, one.k, one.target),
    )


def support_votes(workspace, row) -> OpeningTarget:
    """The opening that a row of `support_table.load_support_table` gives; every probe at its k counts, confirmation included."""
    target, label = int(row.target), int(workspace.val_labels[row.target])
    predictions: dict[int, list[int]] = {}
    for probe in row.trace:
        predictions.setdefault(probe["k"], []).extend(probe["predictions"])
    k, close = int(row.support), row.status == "unstable"
    if close:
        clear = [size for size, said in predictions.items() if size >= k and label not in said]
        k, close = min(clear, default=k), not clear
    said = predictions.get(k, [])
    wrong = [p for p in said if p != label]
    other = max(sorted(set(wrong)), key=wrong.count, default=label)
    base = workspace.base
    return OpeningTarget(
        target,
        row.ranking,
        k,
        label,
        int(base.n_right[target]),
        base.n_models,
        other,
        wrong.count(other),
        len(wrong),
        len(said),
        int(row.support),
        close,
    )
