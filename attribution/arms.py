"""Arms: edits of the training set trained under the same seeds, and what they change, compared seed by seed.

A worth spec (see `attribution.worth`) carries them whole, so that what is trained is what was asked for: "none", the
images as they are; "corrected", an audit's edit; "random", one edit for each seed.
"""

import hashlib

import numpy as np

from attribution import recipes
from attribution.edits import Edit
from attribution.prune import halves, mean

ARMS = ("none", "corrected", "random")
#: the differences that are told, each of the first arm less the second
PAIRS = {
    "corrected-none": ("corrected", "none"),
    "random-none": ("random", "none"),
    "corrected-random": ("corrected", "random"),
}


def edits(spec: dict) -> dict[str, list[Edit]]:
    """The edits of each arm, one for each of the spec's seeds."""
    found = {arm: [Edit.from_json(one) for one in spec["arms"][arm]] for arm in ARMS}
    return {arm: some * len(spec["seeds"]) if len(some) == 1 else some for arm, some in found.items()}


def wanted(workspace, spec: dict) -> list[tuple[Edit, int]]:
    """(edit, seed) of all trainings, seed by seed and in it arm by arm: one that is cut short has whole comparisons."""
    found = edits(spec)
    return [(found[arm][at], seed) for at, seed in enumerate(spec["seeds"]) for arm in ARMS]


def question(spec: dict) -> dict:
    """What a worth spec asks: the key of its answer. Of the edits, which may be long, a digest."""
    digest = hashlib.sha256("".join(edit.hash for some in edits(spec).values() for edit in some).encode())
    about = {name: value for name, value in spec.items() if name not in ("workspace", "recipe", "arms")}
    return about | {"edits": digest.hexdigest()}


def judged(workspace, uses_val: bool, without=()) -> np.ndarray:
    """The validation images that arms are judged by, int64, ascending: all, or the second half where the first has
    been used to choose what to look at; none of `without`."""
    return np.setdiff1d(halves(workspace)[1] if uses_val else np.arange(workspace.n_val), np.asarray(without, int))


def measure(workspace, store, spec: dict, asked: list[tuple[Edit, int]]):
    """A search (see `attribution.jobs`) that takes in the trainings `wanted` and keeps what came of them."""
    done = yield asked
    targets = judged(workspace, spec["uses_val"], spec.get("without", ()))
    predicted = np.stack([one.predicted[targets] for one in done]).reshape(-1, len(ARMS), len(targets))
    body = compare(predicted.swapaxes(0, 1), workspace.val_labels[targets], targets, len(workspace.classes))
    body["edited"] = {arm: [edit.k for edit in some] for arm, some in edits(spec).items()}
    body["made_on"] = sorted({f"{one.device}, {one.library}, threads {one.threads}" for one in done})
    store.put_answer(recipes.get(spec["recipe"]).hash, question(spec), body)


def compare(predicted: np.ndarray, labels: np.ndarray, targets: np.ndarray, classes: int) -> dict:
    """What the arms' models say of the validation images `targets`, JSON.

    predicted: int [arms, seeds, targets], in the order of ARMS; labels: the true ones, int [targets].
    "n"; "accuracy": arm -> {"values" (a seed each), "mean", "ci"}; "differences": a name of PAIRS -> the same of the
    paired differences, with "p" of a paired t-test; "classes": a row a class with "n", each arm's {"mean", "ci"} and
    the differences' {"mean", "ci", "p"}, None where the class has no image here; "targets": "corrected" and "random" ->
    "repaired" and "broken", [{"target", "before", "after"}], how many seeds are right with "none" and with the arm:
    less than half before and more than half after, or the reverse.
    ci: the 95 % t-interval over seeds, of other seeds (and draws), not of other validation images.
    """
    right = predicted == labels
    n, votes = len(targets), right.sum(1)
    rows = []
    for number in range(classes):
        members = right[:, :, labels == number]
        row = {"class": number, "n": members.shape[2]}
        row |= _told(members) if row["n"] else dict.fromkeys((*ARMS, *PAIRS))
        rows.append(row)
    whole = _told(right, values=True)
    return {
        "n": n,
        "accuracy": {arm: whole[arm] for arm in ARMS},
        "differences": {name: whole[name] for name in PAIRS},
        "classes": rows,
        "targets": {
            arm: _changed(votes[0], votes[ARMS.index(arm)], right.shape[1], targets) for arm in ("corrected", "random")
        },
    }


def _told(right: np.ndarray, values: bool = False) -> dict:
    """The accuracy of each arm and the difference of each pair; right: bool [arms, seeds, targets]."""
    counts, n = dict(zip(ARMS, right.sum(2))), right.shape[2]
    found = {arm: mean(count / n) for arm, count in counts.items()}
    for name, (one, other) in PAIRS.items():
        found[name] = mean((counts[one] - counts[other]) / n) | {"p": _p(counts[one], counts[other])}
    return found if values else {name: {key: one[key] for key in one if key != "values"} for name, one in found.items()}


def _p(one: np.ndarray, other: np.ndarray) -> float | None:
    """Two-sided p of the paired t-test; None where all differences are the same: they have no spread to judge by."""
    from scipy import stats

    return float(stats.ttest_rel(one, other).pvalue) if np.ptp(one - other) else None


def _changed(before: np.ndarray, after: np.ndarray, seeds: int, targets: np.ndarray) -> dict:
    """The targets that the majority of seeds changes its mind about, the largest change first."""
    found = {}
    for name, (low, high) in {"repaired": (before, after), "broken": (after, before)}.items():
        at = np.flatnonzero((2 * low < seeds) & (2 * high > seeds))
        at = at[np.argsort((low - high)[at], kind="stable")]
        found[name] = [{"target": int(targets[i]), "before": int(before[i]), "after": int(after[i])} for i in at]
    return found
