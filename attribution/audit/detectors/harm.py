"""Detectors by harm: which training images does a signed ranking hold against the validation images?

Only the first half of the validation images is read (`validation_split.validation_halves`), so that accuracy can be measured on the other.
"""

import numpy as np

from attribution.audit.detectors.base import ComputedDetector, part_digest
from attribution.workspace import validation_split

FAMILY = "harm"
HARMED_PER_IMAGE = 6  # validation images that are kept for each training image: those it harms most


def names(workspace) -> list[str]:
    """One for each stored ranking with a sign; a similarity knows no harm."""
    stored = [name for name in workspace.rankings() if f"rankings/{name}" in workspace.manifest["parts"]]
    return [f"harm-{name}" for name in stored if workspace.ranking(name).signed]


def missing_requirement(workspace, name: str) -> str:
    ranking = workspace.ranking(_ranking_name(name))
    if not ranking.complete:
        return f"{ranking.name} keeps the ends of its lists only; import it again with --dense"
    if not len(_harm_targets(workspace, ranking)):
        return f"{ranking.name} ranks for none of the validation images that harm is read from"
    return ""


def source_digests(workspace, name: str) -> dict:
    part = f"rankings/{_ranking_name(name)}"
    return {part: part_digest(workspace, part)}


def compute(workspace, names: list[str], progress) -> dict[str, ComputedDetector]:
    """Suspicion: the sum of an image's scores below zero, without their sign, over the targets. Suggestion: the true
    class of the targets that it harms most in sum, of those that are not its own; the given label where it harms none
    of these."""
    found = {}
    for name in names:
        ranking = workspace.ranking(_ranking_name(name))
        targets = _harm_targets(workspace, ranking)
        scores, suggestion, harmed = compute_harm(
            ranking,
            targets,
            workspace.train_labels,
            workspace.val_labels,
            lambda *at, name=name: progress(f"{name}: targets", *at),
        )
        about = f"harm to {len(targets):,} validation images by {ranking.name}"
        found[name] = ComputedDetector(
            scores, suggestion, about, uses_val=True, more={"targets": len(targets)}, arrays={"harmed": harmed}
        )
    return found


def compute_harm(
    ranking,
    targets: np.ndarray,
    labels: np.ndarray,
    val_labels: np.ndarray,
    progress=lambda *at: None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores float64 [n_train] and suggestions int64 [n_train], see `compute`; and the targets that each image harms
    most, worst first, int32 [n_train, HARMED], -1 after the last. Class by class, so that no more than a few rows of
    [n_train] are held."""
    total, most, suggestion, done = np.zeros(len(labels)), np.zeros(len(labels)), labels.copy(), 0
    harmed, worst = (
        np.full((len(labels), HARMED_PER_IMAGE), -1, np.int32),
        np.zeros((len(labels), HARMED_PER_IMAGE), np.float32),
    )
    for label in np.unique(val_labels[targets]):
        of_class = np.zeros(len(labels))
        for target in targets[val_labels[targets] == label]:
            harms = np.maximum(-np.nan_to_num(ranking.scores(int(target))), 0)
            of_class += harms
            _update_harmed(harmed, worst, target, harms)
            done += 1
            progress(done, len(targets))
        total += of_class
        better = (of_class > most) & (labels != label)
        suggestion[better], most[better] = label, of_class[better]
    return total, suggestion, harmed


def _update_harmed(harmed, worst, target, harms) -> None:
    """Puts a target in its place among those that each image harms most."""
    rows = np.flatnonzero(harms > worst[:, -1])
    harmed[rows, -1], worst[rows, -1] = target, harms[rows]
    order = np.argsort(-worst[rows], axis=1, kind="stable")
    harmed[rows], worst[rows] = (np.take_along_axis(part[rows], order, 1) for part in (harmed, worst))


def _harm_targets(workspace, ranking) -> np.ndarray:
    return np.intersect1d(validation_split.validation_halves(workspace)[0], ranking.targets)


def _ranking_name(name: str) -> str:
    return name.removeprefix("harm-")
