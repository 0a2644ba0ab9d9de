"""Detectors by nearest neighbours: do the images that look most alike carry the same label?"""

import numpy as np

from attribution.audit.detectors.base import ComputedDetector, part_digest
from attribution.errors import UserError
from attribution.workspace.parts import Progress
from attribution.workspace.workspace import Workspace

FAMILY = "knn"
PREFIX = "knn-"
#: the number that kNN accuracies are measured with, so that none is chosen here
N_NEIGHBOURS = 20
BLOCK = 2000  # images that are compared at a time


def names(workspace: Workspace) -> list[str]:
    """One for each feature set."""
    return [f"{PREFIX}{features}" for features in workspace.features()]


def missing_requirement(workspace: Workspace, name: str) -> str:
    """Features that can be compared with each other, of two images or more."""
    from attribution.features.knn import MAX_VALUES  # faiss, which not everybody needs

    features = _feature_name(name)
    dim = workspace.manifest["parts"][f"features/{features}"].get("dim")
    if (dim or 0) * workspace.n_train > MAX_VALUES:
        return f"{features} holds more than {MAX_VALUES:,} numbers, too many to compare each image with each"
    return "" if workspace.n_train > 1 else "a single training image has no neighbours"


def source_digests(workspace: Workspace, name: str) -> dict:
    """The features."""
    part = f"features/{_feature_name(name)}"
    return {part: part_digest(workspace, part)}


def compute(workspace: Workspace, names: list[str], progress: Progress) -> dict[str, ComputedDetector]:
    """Suspicion: the K nearest other training images by cosine (faiss), each with a weight of (1 + cosine) / 2, counted
    +1 where its label differs from the given one and -1 where it is the same; the mean, from -1 to 1. Suggestion: the
    class with the most weight. Raises UserError for features that are not finite."""
    computed = {}
    for name in names:
        features = _feature_name(name)
        train = np.asarray(workspace.feature(features).train)
        if not np.isfinite(train).all():  # the search would find nothing, and say so with numbers
            raise UserError(
                f"{name} cannot be built: {features} holds values that are not finite; make that again, or "
                "name other detectors"
            )
        caveat = ", which has seen the labels" if features.startswith("supervised") else ""
        scores, suggestion = label_disagreement(
            train,
            workspace.train_labels,
            len(workspace.classes),
            lambda *at, name=name: progress(f"{name}: images", *at),
        )
        description = f"{N_NEIGHBOURS} nearest in {features}{caveat}"
        computed[name] = ComputedDetector(scores, suggestion, description, extra={"k": N_NEIGHBOURS})
    return computed


def label_disagreement(
    features: np.ndarray, labels: np.ndarray, n_classes: int, progress=lambda *at: None, k: int = N_NEIGHBOURS
) -> tuple[np.ndarray, np.ndarray]:
    """Scores float32 [n] and suggestions int64 [n], see `compute`. features: float [n, d]; labels: int [n]; at most
    n - 1 neighbours are taken. A block of images at a time: never n x n or n x classes."""
    from attribution.features.knn import nearest_neighbours

    scores, suggestion = np.zeros(len(labels), np.float32), np.zeros(len(labels), np.int64)
    for start, ids, cosine in nearest_neighbours(features, k, BLOCK):
        rows = slice(start, start + len(ids))
        weight = (1 + cosine) / 2
        scores[rows] = (weight * np.where(labels[ids] == labels[rows, None], -1, 1)).mean(1)
        votes = np.zeros((len(ids), n_classes))
        np.add.at(votes, (np.arange(len(ids))[:, None], labels[ids]), weight)
        suggestion[rows] = votes.argmax(1)
        progress(start + len(ids), len(labels))
    return scores, suggestion


def _feature_name(name: str) -> str:
    return name.removeprefix(PREFIX)
