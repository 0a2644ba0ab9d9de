"""The target a first visitor sees, and its sentence: something measured that is worth telling."""

from dataclasses import dataclass

from attribution import supports


@dataclass(frozen=True)
class Opening:
    """A stable target, the ranking and k whose removal flipped it, and the votes.

    other: the class most of the flipped models predict, and how many of `seeds` did; prediction and right: what `right`
    of `models` base models say of the unedited training set.
    """

    target: int
    ranking: str
    k: int
    prediction: int
    right: int
    models: int
    other: int
    votes: int
    seeds: int


def opening(workspace) -> Opening | None:
    """The removal support to open with: the smallest one of a stable target.

    Supports whose verdicts held with fresh seeds come first; an unstable one serves where at least half of all seeds
    tried at its support, the fresh ones included, said the same wrong class. None where there is no such support.
    """
    found = supports.table(workspace)
    found = found[(found.kind == "remove") & found.status.isin(["flipped", "unstable"]) & (found.ranking != "random")]
    told = []
    for row in found.sort_values(["support", "target"]).itertuples():
        one = verdict(workspace, row)
        if workspace.base.status(one.target) == "stable" and 2 * one.votes >= one.seeds:
            told.append((row.status != "flipped", len(told), one))
    return min(told)[2] if told else None


def verdict(workspace, row) -> Opening:
    """The opening that a row of `supports.table` gives; every probe at its support counts, confirmation included."""
    target, label = int(row.target), int(workspace.val_labels[row.target])
    predictions = [p for probe in row.trace if probe["k"] == row.support for p in probe["predictions"]]
    wrong = [p for p in predictions if p != label]
    other = max(sorted(set(wrong)), key=wrong.count, default=label)
    base = workspace.base
    return Opening(target, row.ranking, int(row.support), label, int(base.right[target]), base.models, other,
                   wrong.count(other), len(predictions))
