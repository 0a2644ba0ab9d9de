"""The detector that listens to all others. Its rule was fixed before any of them was judged, and nothing is tuned."""

import numpy as np

from attribution.audit.detectors.base import ComputedDetector, Detector, part_digest
from attribution.errors import UserError

FAMILY = NAME = "combined"
BLOCK = 5000


def names(workspace) -> list[str]:
    return [NAME]


def source_digests(workspace, name: str) -> dict:
    return {
        part: part_digest(workspace, part)
        for part in sorted(workspace.manifest["parts"])
        if part.startswith("detectors/") and part != f"detectors/{NAME}"
    }


def compute(workspace, names: list[str], progress) -> dict[str, ComputedDetector]:
    """`combine` of all stored detectors. Raises UserError where there are less than two."""
    from attribution.audit.detectors import load

    members = [load(workspace, part.split("/")[1]) for part in source_digests(workspace, NAME)]
    if len(members) < 2:
        raise UserError("combined needs at least two other detectors; build these first, or all at once")
    families = sorted({one.family for one in members})
    scores, suggestion = combine(members, workspace.train_labels, len(workspace.classes))
    return {
        NAME: ComputedDetector(
            scores,
            suggestion,
            f"mean rank in {len(families)} families of {len(members)} detectors",
            any(one.uses_val for one in members),
            {
                "rule": "mean over families of the mean rank over their detectors",
                "members": [one.name for one in members],
            },
        )
    }


def combine(members: list[Detector], labels: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores float64 [n] in (0, 1] and suggestions int64 [n].

    Scores: each detector's ranks as shares of n (1 is the most suspicious; ties share their mean rank), the mean over
    the detectors of a family, and the mean over families: detectors of one family weigh the same evidence, which
    counts once. Suggestion: the class with the most votes, a vote a family, shared among those of its detectors that
    suggest; of classes with equal votes what "out-of-subset" says, else the given label, else the first.
    """
    from scipy.stats import rankdata

    families: dict[str, list[Detector]] = {}
    for one in members:
        families.setdefault(one.family, []).append(one)
    scores = np.mean(
        [np.mean([rankdata(one.scores) for one in family], axis=0) for family in families.values()], axis=0
    ) / len(labels)
    voters = [
        (one, 1 / len(suggesting))
        for family in families.values()
        for suggesting in [[one for one in family if one.suggestion is not None]]
        for one in suggesting
    ]
    tie = next((one.suggestion for one, _ in voters if one.name == "out-of-subset"), labels)
    suggestion = np.asarray(labels, np.int64).copy()
    for start in range(0, len(labels) if voters else 0, BLOCK):
        rows = slice(start, start + BLOCK)
        at = np.arange(len(labels[rows]))
        votes = np.zeros((len(at), classes))
        for one, weight in voters:
            votes[at, one.suggestion[rows]] += weight
        most = votes.max(1)
        choice = votes.argmax(1)
        for preferred in (labels[rows], tie[rows]):
            equal = votes[at, preferred] > most - 1e-9
            choice[equal] = preferred[equal]
        suggestion[rows] = choice
    return scores, suggestion
