"""Was auditing the labels worth it? The recipe trained on the images as they are, on the audit's corrections, and with
as many random images re-inspected instead.

The random arm spends the audit's effort without its ranking: each seed re-inspects as many training images, drawn at
random, and puts right those whose label is wrong. Which these are the workspace knows where it records planted errors;
this stands for an inspector who never errs on these, and is generous to the random arm; errors that nobody planted
stay unfound by it. Elsewhere nobody knows but the audit itself: then those are put right that it has corrected, and
errors it has not found stay unfound.

The recorded errors are read here, when a spec is made, and nowhere on the way to a training: the spec has the edits.
"""

import numpy as np

from attribution.errors import UserError
from attribution.experiments.paired_arms import PairedArmsSpec, judging_targets
from attribution.experiments.spec import common_fields
from attribution.training.edits import Edit, correct, no_edit

DEFAULT_SEEDS = 20
REINSPECT_SEED = 29  # draws the images that are re-inspected
#: who told the random arm which labels are wrong, and what that means
ERROR_SOURCES = {
    "planted": "of these the recorded planted errors are put right, all of them: an inspector who never errs",
    "audit": "of their errors those are put right that the audit has corrected: it knows of no other",
}


def audit_edit(workspace, standing: dict) -> Edit:
    """The one edit that an audit comes to: its standing relabellings and removals. standing: training image -> decision
    with `action`, `label` and `conflict`; those in conflict and those that give the label already there change nothing.
    """
    settled = {item: one for item, one in standing.items() if not one.conflict}
    relabelled = {
        item: one.label
        for item, one in settled.items()
        if one.action == "relabel" and one.label != workspace.train_labels[item]
    }
    return correct(relabelled, [item for item, one in settled.items() if one.action == "remove"])


def gain_spec(
    workspace, standing: dict, seeds: int = DEFAULT_SEEDS, uses_val: bool = False, recipe: str | None = None, without=()
) -> PairedArmsSpec:
    """Train three arms under seeds 0 .. seeds - 1 each, for `attribution.experiments.jobs.submit`.

    standing: as `audit_edit` takes it; uses_val: what the audit looked at was chosen with the first half of the
    validation images (`validation_split.validation_halves`), and the second alone may judge it; without: validation images that
    may not (`attribution.audit.review_queue.starting_targets`).
    Raises UserError where nothing is corrected, where no training or no validation image is left, and for fewer than
    two seeds.
    """
    shared = common_fields(workspace, recipe)
    if seeds < 2:
        raise UserError(f"{seeds} seeds have no spread to judge by; give at least 2")
    if not len(judging_targets(workspace, uses_val, without)):
        raise UserError("there are too few validation images to measure accuracy on; bring more")
    corrected = audit_edit(workspace, standing)
    if not corrected.k:
        raise UserError("no label has been corrected yet: nothing is relabelled or removed; correct one first")
    kept, _ = corrected.apply(workspace.train_labels)
    if not len(kept):
        raise UserError("the audit removes every training image; keep some")
    known, wrong = _known_errors(workspace, corrected)
    random = [_random_reinspection(workspace, len(standing), seed, wrong) for seed in range(seeds)]
    settled = [one.action for one in standing.values() if not one.conflict]
    removed = workspace.n_train - len(kept)
    return PairedArmsSpec(
        **shared,
        seeds=list(range(seeds)),
        uses_val=bool(uses_val),
        errors=known,
        decided=len(standing),
        relabelled=corrected.k - removed,
        removed=removed,
        kept=settled.count("keep"),
        unsure=settled.count("unsure"),
        conflicts=len(standing) - len(settled),
        correction=corrected.hash,
        without=[int(target) for target in without] or None,
        arms={
            "none": [no_edit().to_json()],
            "corrected": [corrected.to_json()],
            "random": [edit.to_json() for edit in random],
        },
    )


def _known_errors(workspace, corrected: Edit) -> tuple[str, Edit]:
    """("planted" or "audit", the edit that puts right every label known to be wrong)."""
    truth = workspace.truth() if workspace.planted else None
    if truth is None:
        return "audit", corrected
    planted = np.flatnonzero(truth["planted"])
    return "planted", correct(dict(zip(planted.tolist(), truth["original"].to_numpy()[planted].tolist())), [])


def _random_reinspection(workspace, count: int, seed: int, wrong: Edit) -> Edit:
    """The part of `wrong` that a look at `count` random images comes upon. Each seed has a draw of its own, and a
    larger one holds a smaller one."""
    drawn = np.random.default_rng([REINSPECT_SEED, seed]).permutation(workspace.n_train)[:count]
    return wrong.restricted_to(drawn)
