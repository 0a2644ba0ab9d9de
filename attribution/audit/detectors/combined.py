"""Mean rank over families. The rule was fixed before any detector was judged, and nothing is tuned."""

import numpy as np

from attribution.audit.detectors import stored
from attribution.audit.detectors.base import ComputedDetector, Detector, part_digest
from attribution.audit.detectors.families import family_by_name
from attribution.audit.detectors.out_of_sample import OUT_OF_SUBSET_NAME
from attribution.errors import UserError
from attribution.workspace.parts import Progress
from attribution.workspace.workspace import Workspace

FAMILY = stored.COMBINED
BLOCK = 5000  # images whose votes are counted at a time


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
    """`combine` of all stored detectors. Raises UserError where there are less than two."""
    members = [stored.load(workspace, name) for name in sorted(stored.names(workspace)) if name != stored.COMBINED]
    if len(members) < 2:
        raise UserError("combined needs at least two other detectors; build these first, or all at once")
    families = {member.family for member in members}
    scores, suggestion = combine(members, workspace.train_labels, len(workspace.classes))
    return {
        stored.COMBINED: ComputedDetector(
            scores,
            suggestion,
            f"mean rank in {len(families)} families of {len(members)} detectors",
            any(member.uses_val for member in members),
            {
                "rule": "mean over families of the mean rank over their detectors",
                "members": [member.name for member in members],
            },
        )
    }


def combine(members: list[Detector], labels: np.ndarray, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores float64 [n] in (0, 1] and suggestions int64 [n]; labels: int [n].

    Scores: each detector's ranks as shares of n (1 is the most suspicious; ties share their mean rank), the mean over
    the detectors of a family, and the mean over families: detectors of one family weigh the same evidence, which
    counts once. Suggestion: the class with the most votes, a vote a family, shared among those of its detectors that
    suggest; of classes with equal votes what "out-of-subset" says, else the given label, else the first.
    """
    from scipy.stats import rankdata

    families: dict[str, list[Detector]] = {}
    for member in members:
        families.setdefault(member.family, []).append(member)
    scores = np.mean(
        [np.mean([rankdata(member.scores) for member in family], axis=0) for family in families.values()], axis=0
    ) / len(labels)
    voters: list[tuple[Detector, float]] = []
    for family in families.values():
        suggesting = [member for member in family if member.suggestion is not None]
        voters += [(member, 1 / len(suggesting)) for member in suggesting]
    tie_break = next((voter.suggestion for voter, _ in voters if voter.name == OUT_OF_SUBSET_NAME), labels)
    suggestion = np.asarray(labels, np.int64).copy()
    for start in range(0, len(labels) if voters else 0, BLOCK):
        block = slice(start, start + BLOCK)
        rows = np.arange(len(labels[block]))
        votes = np.zeros((len(rows), n_classes))
        for voter, weight in voters:
            votes[rows, voter.suggestion[block]] += weight
        most = votes.max(1)
        choice = votes.argmax(1)
        for preferred in (labels[block], tie_break[block]):
            equal = votes[rows, preferred] > most - 1e-9
            choice[equal] = preferred[equal]
        suggestion[block] = choice
    return scores, suggestion
