"""What an audit of the labels gained: the recipe trained on the images as they are, on the audit's corrections, and
with as many random images re-inspected instead.

The random arm spends the audit's effort without its ranking: each seed re-inspects as many training images, drawn at
random, and puts right those whose label is wrong. A workspace with recorded planted errors knows which these are, and
so does one with imported true labels: the arm then stands for an inspector who never misses one of them, which is
generous to it, and finds no other error. Elsewhere only the audit knows: the arm puts right what the audit has
corrected, and finds no other error.

The recorded errors are read here, when a spec is made, and nowhere on the way to a training: the spec has the edits.
"""

from collections.abc import Sequence

import numpy as np

from attribution.audit.decisions import CurrentDecision
from attribution.errors import UserError
from attribution.experiments.paired_arms import PairedArmsSpec, judging_targets
from attribution.experiments.spec import common_fields
from attribution.training.edits import Edit, correct, no_edit
from attribution.workspace.workspace import Workspace

DEFAULT_SEEDS = 20
REINSPECT_SEED = 29  # draws the images that are re-inspected
#: how the random arm knows which labels are wrong, and what that means
ERROR_SOURCES = {
    "planted": "of these the recorded planted errors are put right, all of them: an inspector who never errs",
    "imported": "of these those are put right that the imported true labels know of: an inspector who never errs",
    "audit": "of their errors those are put right that the audit has corrected: it knows of no other",
}


def audit_edit(workspace: Workspace, current: dict[int, CurrentDecision]) -> Edit:
    """The one edit that an audit comes to: its current relabellings and removals, by training image. Decisions in
    conflict and those for the label already given change nothing."""
    settled = {image: decision for image, decision in current.items() if not decision.conflict}
    relabelled = {
        image: decision.label
        for image, decision in settled.items()
        if decision.action == "relabel" and decision.label != workspace.train_labels[image]
    }
    return correct(relabelled, [image for image, decision in settled.items() if decision.action == "remove"])


def gain_spec(
    workspace: Workspace,
    current: dict[int, CurrentDecision],
    seeds: int = DEFAULT_SEEDS,
    uses_val: bool = False,
    recipe: str | None = None,
    without: Sequence[int] = (),
) -> PairedArmsSpec:
    """Train three arms under seeds 0 .. seeds - 1 each, for `experiments.jobs.submit`.

    current: image -> decision; uses_val: what the audit looked at was chosen with the first half of the validation
    images (`validation_split.validation_halves`), and the second alone may judge it; without: validation images that
    may not (`review_queue.starting_targets`).

    Raises UserError where nothing is corrected, where no training or no validation image is left, and for fewer than
    two seeds.
    """
    shared = common_fields(workspace, recipe)
    if seeds < 2:
        raise UserError(f"{seeds} seeds have no spread to judge by; give at least 2")
    if not len(judging_targets(workspace, uses_val, without)):
        raise UserError("there are too few validation images to measure accuracy on; bring more")
    corrected = audit_edit(workspace, current)
    if not corrected.k:
        raise UserError("no label has been corrected yet: nothing is relabelled or removed; correct one first")
    kept, _ = corrected.apply(workspace.train_labels)
    if not len(kept):
        raise UserError("the audit removes every training image; keep some")
    source, wrong = known_errors(workspace, corrected)
    random = [random_reinspection(workspace, len(current), seed, wrong) for seed in range(seeds)]
    settled = [decision.action for decision in current.values() if not decision.conflict]
    removed = workspace.n_train - len(kept)
    return PairedArmsSpec(
        **shared,
        seeds=list(range(seeds)),
        uses_val=bool(uses_val),
        errors=source,
        decided=len(current),
        relabelled=corrected.k - removed,
        removed=removed,
        kept=settled.count("keep"),
        unsure=settled.count("unsure"),
        conflicts=len(current) - len(settled),
        correction=corrected.hash,
        without=[int(target) for target in without] or None,
        arms={
            "none": [no_edit().to_json()],
            "corrected": [corrected.to_json()],
            "random": [edit.to_json() for edit in random],
        },
    )


def known_errors(workspace: Workspace, corrected: Edit) -> tuple[str, Edit]:
    """(one of ERROR_SOURCES, the edit that puts right every label known to be wrong)."""
    truth = workspace.truth()
    if truth is None:
        return "audit", corrected
    wrong = np.flatnonzero(truth["planted"])
    source = "planted" if workspace.planted else "imported"
    return source, correct(dict(zip(wrong.tolist(), truth["original"].to_numpy()[wrong].tolist())), [])


def random_reinspection(workspace: Workspace, count: int, seed: int, wrong: Edit) -> Edit:
    """The part of `wrong` that lies in `count` random images. Each seed has a draw of its own, and a larger draw
    contains the smaller one."""
    drawn = np.random.default_rng([REINSPECT_SEED, seed]).permutation(workspace.n_train)[:count]
    return wrong.restricted_to(drawn)
