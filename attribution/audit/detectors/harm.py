"""Detectors by harm: which training images does a signed ranking hold against the validation images?

Only the first half of the validation images is read (`validation_split.validation_halves`): the other one stays to
measure accuracy on.
"""

import numpy as np

from attribution.audit.detectors.base import ComputedDetector, part_digest
from attribution.rankings.base import Ranking
from attribution.workspace.parts import Progress
from attribution.workspace.validation_split import validation_halves
from attribution.workspace.workspace import Workspace

FAMILY = "harm"
HARMED_PER_IMAGE = 6  # validation images that are kept for each training image: those it harms most


def names(workspace: Workspace) -> list[str]:
    """One for each stored ranking with a sign; a similarity knows no harm."""
    stored = [name for name in workspace.rankings() if f"rankings/{name}" in workspace.manifest["parts"]]
    return [f"harm-{name}" for name in stored if workspace.ranking(name).signed]


def missing_requirement(workspace: Workspace, name: str) -> str:
    """A complete ranking of some of the validation images that harm is read from."""
    ranking = workspace.ranking(_ranking_name(name))
    if not ranking.complete:
        return f"{ranking.name} keeps the ends of its lists only; import it again with --dense"
    if not len(_harm_targets(workspace, ranking)):
        return f"{ranking.name} ranks for none of the validation images that harm is read from"
    return ""


def source_digests(workspace: Workspace, name: str) -> dict:
    """The ranking."""
    part = f"rankings/{_ranking_name(name)}"
    return {part: part_digest(workspace, part)}


def compute(workspace: Workspace, names: list[str], progress: Progress) -> dict[str, ComputedDetector]:
    """Suspicion: the sum of an image's scores below zero, without their sign, over the targets. Suggestion: the true
    class of the targets that it harms most in sum, of those that are not its own; the given label where it harms none
    of these."""
    computed = {}
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
        computed[name] = ComputedDetector(
            scores,
            suggestion,
            f"harm to {len(targets):,} validation images by {ranking.name}",
            uses_val=True,
            extra={"targets": len(targets)},
            arrays={"harmed": harmed},
        )
    return computed


def compute_harm(
    ranking: Ranking, targets: np.ndarray, labels: np.ndarray, val_labels: np.ndarray, progress=lambda *at: None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores float64 [n_train] and suggestions int64 [n_train], see `compute`; and the targets that each image harms
    most, worst first, int32 [n_train, HARMED_PER_IMAGE], -1 after the last. labels: int [n_train]; val_labels: int
    [n_val]. Class by class, so that no more than a few rows of [n_train] are held."""
    total, most_harm, suggestion, done = np.zeros(len(labels)), np.zeros(len(labels)), labels.copy(), 0
    harmed = np.full((len(labels), HARMED_PER_IMAGE), -1, np.int32)
    worst = np.zeros(harmed.shape, np.float32)
    for label in np.unique(val_labels[targets]):
        class_harm = np.zeros(len(labels))
        for target in targets[val_labels[targets] == label]:
            harm = np.maximum(-np.nan_to_num(ranking.scores(int(target))), 0)
            class_harm += harm
            _update_harmed(harmed, worst, target, harm)
            done += 1
            progress(done, len(targets))
        total += class_harm
        larger = (class_harm > most_harm) & (labels != label)
        suggestion[larger], most_harm[larger] = label, class_harm[larger]
    return total, suggestion, harmed


def _update_harmed(harmed: np.ndarray, worst: np.ndarray, target: int, harm: np.ndarray) -> None:
    """Puts a target in its place among those that each image harms most."""
    rows = np.flatnonzero(harm > worst[:, -1])
    harmed[rows, -1], worst[rows, -1] = target, harm[rows]
    order = np.argsort(-worst[rows], axis=1, kind="stable")
    harmed[rows], worst[rows] = (np.take_along_axis(part[rows], order, 1) for part in (harmed, worst))


def _harm_targets(workspace: Workspace, ranking: Ranking) -> np.ndarray:
    return np.intersect1d(validation_halves(workspace)[0], ranking.targets)


def _ranking_name(name: str) -> str:
    return name.removeprefix("harm-")
