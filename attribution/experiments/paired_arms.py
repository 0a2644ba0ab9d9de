"""Paired arms: edits of the training set trained under the same seeds, and what they change, seed by seed.

A spec carries the edits whole, so that what is trained is what was asked for: "none", the images as they are;
"corrected", an audit's edit; "random", one edit for each seed. `attribution.audit.gain` makes it.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from attribution.experiments.spec import MeasuredSpec, Training
from attribution.metrics.statistics import mean_with_t_interval
from attribution.store.results import ResultStore, Retraining
from attribution.training.edits import Edit
from attribution.workspace.validation_split import validation_halves
from attribution.workspace.workspace import Workspace

ARMS = ("none", "corrected", "random")
#: the differences that are measured, each of the first arm less the second
COMPARISONS = {
    "corrected-none": ("corrected", "none"),
    "random-none": ("random", "none"),
    "corrected-random": ("corrected", "random"),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class PairedArmsSpec(MeasuredSpec):
    """Train three arms under the same seeds and compare them seed by seed.

    uses_val: the first half of the validation images chose what the audit looked at, and the second alone may judge it;
    errors: "planted", "imported" or "audit", who told the random arm which labels are wrong; decided, relabelled,
    removed, kept, unsure, conflicts: how many decisions the audit holds, and of which kind; correction: hash of the
    audit's edit; without: validation images that may not judge; arms: arm -> its edits as JSON, one, or one for each
    seed.
    """

    verb = "worth"
    long = True

    seeds: list[int]
    uses_val: bool
    errors: str
    decided: int
    relabelled: int
    removed: int
    kept: int
    unsure: int
    conflicts: int
    correction: str
    without: list[int] | None = None
    arms: dict[str, list[dict]]

    def describe(self) -> str:
        """As `Spec.describe`."""
        return (
            f"audit: {self.relabelled} relabelled and {self.removed} removed, beside none and "
            f"{self.decided} random images, {len(self.seeds)} seeds each"
        )

    @property
    def total(self) -> int:
        """As `Spec.total`."""
        return 1 + len(self.seeds) * len(self.arms)

    def edits(self) -> dict[str, list[Edit]]:
        """The edits of each arm, one for each seed."""
        edits = {arm: [Edit.from_json(edit) for edit in self.arms[arm]] for arm in ARMS}
        return {arm: each * len(self.seeds) if len(each) == 1 else each for arm, each in edits.items()}

    def trainings(self, workspace: Workspace) -> Iterator[Training]:
        """Seed by seed and in it arm by arm: a job that is cut short has whole comparisons."""
        edits = self.edits()
        for at, seed in enumerate(self.seeds):
            yield from ((edits[arm][at], seed) for arm in ARMS)

    def question(self) -> dict:
        """The key of the stored answer. Of the edits, which may be long, it has a digest."""
        digest = hashlib.sha256("".join(edit.hash for edits in self.edits().values() for edit in edits).encode())
        question = {name: value for name, value in super().question().items() if name != "arms"}
        return question | {"edits": digest.hexdigest()}

    def measure(self, workspace: Workspace, trainings: list[Training], results: list[Retraining]) -> dict:
        """As `MeasuredSpec.measure`."""
        targets = judging_targets(workspace, self.uses_val, self.without or ())
        predicted = np.stack([result.predicted[targets] for result in results]).reshape(-1, len(ARMS), len(targets))
        return {
            **compare_arms(predicted.swapaxes(0, 1), workspace.val_labels[targets], targets, len(workspace.classes)),
            "edited": {arm: [edit.k for edit in edits] for arm, edits in self.edits().items()},
            "made_on": sorted({f"{result.device}, {result.library}, threads {result.threads}" for result in results}),
        }

    def answer(self, workspace: Workspace, store: ResultStore) -> dict | None:
        """What came of it, or None where it is not done.

        What was asked: "seeds", "decided", "relabelled", "removed", "kept", "unsure", "conflicts", "uses_val",
        "without" (where there are any), "correction" and "errors"; the "recipe" and its "recipe_hash"; what
        `compare_arms` measured; "edited" (arm -> how many images each seed's edit changes) and "made_on" (device,
        library, threads)."""
        measured = self.load_answer(store)
        return measured and _answer_json(self.recipe, self.recipe_hash, self.question(), measured)


def load_latest_answer(workspace: Workspace, store: ResultStore) -> dict | None:
    """The newest `PairedArmsSpec.answer` to any state of the audit under the workspace's recipe, or None."""
    recipe = workspace.get_recipe()
    answers = store.answers(recipe.hash, PairedArmsSpec.verb)
    return _answer_json(recipe.name, recipe.hash, *answers[-1]) if answers else None


def _answer_json(recipe: str, recipe_hash: str, question: dict, measured: dict) -> dict:
    public = {name: value for name, value in question.items() if name not in ("verb", "edits")}
    return {"recipe": recipe, "recipe_hash": recipe_hash, **public, **measured}


def judging_targets(workspace: Workspace, uses_val: bool, without=()) -> np.ndarray:
    """The validation images that arms are judged by, int64, ascending: all, or the second half where the first has
    been used to choose what to look at; none of `without`."""
    return np.setdiff1d(
        validation_halves(workspace)[1] if uses_val else np.arange(workspace.n_val), np.asarray(without, int)
    )


def compare_arms(predicted: np.ndarray, labels: np.ndarray, targets: np.ndarray, classes: int) -> dict:
    """What the arms' models say of the validation images `targets`, JSON.

    predicted: int [arms, seeds, targets], in the order of ARMS; labels: the true ones, int [targets].
    "n"; "accuracy": arm -> {"values" (a seed each), "mean", "ci"}; "differences": a name of COMPARISONS -> the same of
    the paired differences, with "p" of a paired t-test; "classes": a row a class with "n", each arm's {"mean", "ci"}
    and the differences' {"mean", "ci", "p"}, None where the class has no image here; "targets": "corrected" and
    "random" -> "repaired" and "broken", [{"target", "before", "after"}], how many seeds are right with "none" and with
    the arm: less than half before and more than half after, or the reverse.
    ci: the 95 % t-interval over seeds, of other seeds (and draws), not of other validation images.
    """
    right = predicted == labels
    n, votes = len(targets), right.sum(1)
    rows = []
    for number in range(classes):
        members = right[:, :, labels == number]
        row = {"class": number, "n": members.shape[2]}
        row |= _differences(members) if row["n"] else dict.fromkeys((*ARMS, *COMPARISONS))
        rows.append(row)
    whole = _differences(right, values=True)
    return {
        "n": n,
        "accuracy": {arm: whole[arm] for arm in ARMS},
        "differences": {name: whole[name] for name in COMPARISONS},
        "classes": rows,
        "targets": {
            arm: _changed_targets(votes[0], votes[ARMS.index(arm)], right.shape[1], targets)
            for arm in ("corrected", "random")
        },
    }


def _differences(right: np.ndarray, values: bool = False) -> dict:
    """The accuracy of each arm and the difference of each pair; right: bool [arms, seeds, targets]."""
    counts, n = dict(zip(ARMS, right.sum(2))), right.shape[2]
    rows = {arm: mean_with_t_interval(count / n) for arm, count in counts.items()}
    for name, (arm, other) in COMPARISONS.items():
        rows[name] = mean_with_t_interval((counts[arm] - counts[other]) / n) | {
            "p": _paired_p_value(counts[arm], counts[other])
        }
    return rows if values else {name: {key: row[key] for key in row if key != "values"} for name, row in rows.items()}


def _paired_p_value(counts: np.ndarray, others: np.ndarray) -> float | None:
    """Two-sided p of the paired t-test; None where all differences are the same: they have no spread to judge by."""
    from scipy import stats

    return float(stats.ttest_rel(counts, others).pvalue) if np.ptp(counts - others) else None


def _changed_targets(before: np.ndarray, after: np.ndarray, seeds: int, targets: np.ndarray) -> dict:
    """The targets that the majority of seeds changes its mind about, the largest change first."""
    rows = {}
    for name, (low, high) in {"repaired": (before, after), "broken": (after, before)}.items():
        numbers = np.flatnonzero((2 * low < seeds) & (2 * high > seeds))
        numbers = numbers[np.argsort((low - high)[numbers], kind="stable")]
        rows[name] = [{"target": int(targets[i]), "before": int(before[i]), "after": int(after[i])} for i in numbers]
    return rows
