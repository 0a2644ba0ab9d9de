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
    """The removal support to open with: the smallest of a stable target that its votes were clear about.

    Clear: all five seeds of the probe at the support were trained or decided, and none of its confirmations changed the
    verdict. None where the workspace has no supports yet.
    """
    found = supports.table(workspace)
    found = found[(found.kind == "remove") & (found.status == "flipped") & (found.ranking != "random")]
    found = found[[workspace.base.right[t] == workspace.base.models for t in found.target]]
    if found.empty:
        return None
    best = found.sort_values(["support", "target"]).iloc[0]
    return verdict(workspace, best)


def verdict(workspace, row) -> Opening:
    """The opening that a row of `supports.table` gives; every probe at its support counts, confirmation included."""
    target, label = int(row.target), int(workspace.val_labels[row.target])
    predictions = [p for probe in row.trace if probe["k"] == row.support for p in probe["predictions"]]
    wrong = [p for p in predictions if p != label]
    other = max(set(wrong), key=wrong.count)
    base = workspace.base
    return Opening(target, row.ranking, int(row.support), label, int(base.right[target]), base.models, other,
                   wrong.count(other), len(predictions))
