"""One order from all evidence, weighed by what can be measured without knowing which labels are wrong.

Predictions of models that did not see the image are pooled by how likely they make the given labels, and kinds of
evidence are weighed by how far they agree: see `attribution.metrics.pooling`. docs/protocol.md, section 5, has what the
rule was developed on, and that it was fixed before it was tried on anything that it is judged by.
"""

from dataclasses import dataclass

import numpy as np

from attribution.audit.detectors import dynamics, imported, in_sample, knn, out_of_fold, out_of_sample, own, stored
from attribution.audit.detectors.base import ComputedDetector, Detector, part_digest
from attribution.audit.detectors.families import family_by_name
from attribution.errors import UserError
from attribution.metrics.pooling import agreement_weights, log_linear_pool, normal_scores
from attribution.workspace.parts import Progress
from attribution.workspace.workspace import Workspace

FAMILY = stored.COMBINED
HELD_OUT = out_of_sample.FAMILY
#: not evidence: neighbours in pixels; and what says again what another detector of its family says
LEFT_OUT = (f"{knn.PREFIX}pixels", out_of_sample.CONFIDENT_NAME)
#: of a training the first of these that is there: the losses of several models at the end know what the others do
TRAINING = (in_sample.LOSS_NAME, dynamics.AUM_NAME, in_sample.MARGIN_NAME, dynamics.FORGETTING_NAME)


def names(workspace: Workspace) -> list[str]:
    """The one detector of this family."""
    return [stored.COMBINED]


def missing_requirement(workspace: Workspace, name: str) -> str:
    """Two other detectors that are stored or can be built."""
    buildable = {
        other for other, family in family_by_name(workspace).items() if not family.missing_requirement(workspace, other)
    }
    members = buildable | set(stored.names(workspace)) - {name}
    return "" if len(members) > 1 else "it combines at least two other detectors, and there are not so many"


def source_digests(workspace: Workspace, name: str) -> dict:
    """All other stored detectors."""
    parts = sorted(f"detectors/{other}" for other in stored.names(workspace) if other != name)
    return {part: part_digest(workspace, part) for part in parts}


def compute(workspace: Workspace, names: list[str], progress: Progress) -> dict[str, ComputedDetector]:
    """`combine` of all stored detectors. Raises UserError where there are less than two, and as `Workspace.head`."""
    members = [stored.load(workspace, name) for name in sorted(stored.names(workspace)) if name != stored.COMBINED]
    if len(members) < 2:
        raise UserError("combined needs at least two other detectors; build these first, or all at once")
    held_out = {}
    for number, member in enumerate(members):
        progress("predictions for images that were held out", number, len(members))
        if (probabilities := _held_out_probabilities(workspace, member)) is not None:
            held_out[member.name] = probabilities
    combination = combine(members, held_out, np.asarray(workspace.train_labels))
    heaviest_first = sorted(combination.weights.items(), key=lambda item: -item[1])
    kinds = ", ".join(f"{kind} {100 * weight:.0f} %" for kind, weight in heaviest_first)
    return {
        stored.COMBINED: ComputedDetector(
            combination.scores,
            combination.suggestion,
            f"evidence weighed by how far its kinds agree: {kinds}",
            any(member.uses_val for member in members),
            {
                "rule": "normal scores of each kind of evidence, weighed by agreement; held-out predictions pooled",
                "weights": {kind: round(weight, 4) for kind, weight in combination.weights.items()},
                "pool": {name: round(power, 4) for name, power in combination.pool.items()},
                "members": [member.name for member in members],
            },
        )
    }


def _held_out_probabilities(workspace: Workspace, member: Detector) -> np.ndarray | None:
    """What models say of the images that they did not see, float [n, classes]; None of a detector that is something
    else."""
    if member.family != HELD_OUT or member.name in LEFT_OUT:
        return None
    if member.name == out_of_sample.OUT_OF_SUBSET_NAME:
        predictions = out_of_sample.out_of_sample_predictions(workspace)
        return None if predictions is None else predictions.probabilities
    if member.name in out_of_fold.names(workspace):
        return out_of_fold.load_probabilities(workspace, member.name)
    return imported.load_probabilities(workspace, member.name)


@dataclass(frozen=True)
class Combination:
    """What `combine` makes. scores: float64 [n]; suggestion: int64 [n]; weights: kind of evidence -> its weight; pool:
    detector -> the power of its predictions in the pool."""

    scores: np.ndarray
    suggestion: np.ndarray
    weights: dict[str, float]
    pool: dict[str, float]


def combine(members: list[Detector], held_out: dict[str, np.ndarray], labels: np.ndarray) -> Combination:
    """One order from several detectors.

    held_out: detector -> what models say of images that they did not see, float [n, classes]. labels: int [n].

    Each kind of evidence gives normal scores: the held-out pool those of how unlikely it finds the label, trainings
    those of the first of `TRAINING`, any other kind those of the mean over its detectors. A detector from a
    file or of the user's own is a kind of its own. Suggestion: the pool's likeliest class; without a pool, that of the
    heaviest kind that suggests one, and the given label where none does.
    """
    rows, pool, suggestions = np.arange(len(labels)), {}, {}
    kinds: dict[str, list[Detector]] = {}
    for member in members:
        if member.name not in LEFT_OUT:
            kinds.setdefault(_kind(member), []).append(member)
    evidence = {}
    for kind, detectors in kinds.items():
        if kind == HELD_OUT and held_out:
            log_probabilities, powers = log_linear_pool(list(held_out.values()), labels)
            pool = dict(zip(held_out, powers.tolist()))
            evidence[kind] = normal_scores(-log_probabilities[rows, labels])
            suggestions[kind] = log_probabilities.argmax(1)
            continue
        if kind == in_sample.FAMILY:
            detectors = [min(detectors, key=lambda one: (*TRAINING, one.name).index(one.name))]
        evidence[kind] = normal_scores(np.mean([normal_scores(one.scores) for one in detectors], axis=0))
        if (suggestion := detectors[0].suggestion) is not None:
            suggestions[kind] = suggestion
    if not evidence:  # of members that are all left out
        evidence = {member.name: normal_scores(member.scores) for member in members}
        suggestions = {member.name: member.suggestion for member in members if member.suggestion is not None}
    weights = dict(zip(evidence, agreement_weights(np.stack(list(evidence.values()))).tolist()))
    scores = sum(weight * evidence[kind] for kind, weight in weights.items())
    heaviest = HELD_OUT if pool else max(suggestions, key=weights.__getitem__, default=None)
    suggestion = labels if heaviest is None else suggestions[heaviest]
    return Combination(scores, np.asarray(suggestion, np.int64), weights, pool)


def _kind(member: Detector) -> str:
    return member.name if member.family in (own.FAMILY, imported.FAMILY) else member.family
