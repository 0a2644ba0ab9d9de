"""What speaks for and against the label of a training image: the models' opinion, its neighbours, and what it harms."""

from dataclasses import dataclass

import numpy as np

from attribution.audit import detectors
from attribution.audit.detectors import out_of_sample
from attribution.features import knn
from attribution.workspace.workspace import Workspace

N_NEIGHBOURS = 20  # training images whose labels are counted
N_SHOWN = 8  # of these, the nearest ones that are shown
N_HARMED = 6  # validation images
N_BARS = 4  # classes of the opinion
BLOCK = 50_000  # training images that are compared at a time


@dataclass(frozen=True)
class Evidence:
    """About one training image. class_probabilities: (class, probability) of the likeliest classes, the given one among
    them, likeliest first; empty where every model saw the image. neighbours: training images, nearest first, int64 [n].
    neighbour_labels: (class, how many of the neighbours are given it), largest first. harmed: validation images, most
    harmed first, int64 [n]."""

    image: int
    class_probabilities: tuple[tuple[int, float], ...]
    neighbours: np.ndarray
    neighbour_labels: tuple[tuple[int, int], ...]
    harmed: np.ndarray


@dataclass(frozen=True)
class EvidenceSources:
    """Where the evidence comes from, in words; None where there is none of a kind."""

    opinion: str | None
    neighbours: str | None
    harmed: str | None


def evidence_sources(workspace: Workspace) -> EvidenceSources:
    """What evidence this workspace has."""
    opinion = out_of_sample.out_of_sample_predictions(workspace)
    harm = default_harm_detector(workspace)
    return EvidenceSources(
        opinion and opinion.description, default_feature(workspace), harm and harm.removeprefix("harm-")
    )


def gather_evidence(workspace: Workspace, images: np.ndarray | list[int]) -> list[Evidence]:
    """The evidence about some training images, in their order."""
    images = np.asarray(images, np.int64)
    labels = workspace.train_labels
    opinion = out_of_sample.out_of_sample_predictions(workspace)
    feature, harm = default_feature(workspace), default_harm_detector(workspace)
    near = nearest_images(workspace, feature, images) if feature else np.zeros((len(images), 0), np.int64)
    harmed = detectors.load_harmed(workspace, harm)[images, :N_HARMED] if harm else np.full((len(images), 0), -1)
    evidence = []
    for image, neighbours, targets in zip(images, near, harmed):
        probabilities = ()
        if opinion:
            probabilities = _likeliest_classes(np.asarray(opinion.probabilities[image], np.float32), labels[image])
        classes, counts = np.unique(labels[neighbours], return_counts=True)
        order = np.lexsort((classes, -counts))
        neighbour_labels = tuple((int(classes[i]), int(counts[i])) for i in order)
        evidence.append(
            Evidence(int(image), probabilities, neighbours[:N_SHOWN], neighbour_labels, targets[targets >= 0])
        )
    return evidence


def default_feature(workspace: Workspace) -> str | None:
    """The feature set that neighbours are looked for in: the workspace's first, None without any."""
    return next(iter(workspace.features()), None)


def default_harm_detector(workspace: Workspace) -> str | None:
    """The detector whose ranking says which validation images an image harms: the first of its kind, or None."""
    return next((name for name in detectors.names(workspace) if name.startswith("harm-")), None)


def nearest_images(workspace: Workspace, feature: str, images: np.ndarray, k: int = N_NEIGHBOURS) -> np.ndarray:
    """The k nearest other training images by cosine, int64 [n, k'], k' <= k, nearest first. The features are searched
    block by block: no copy of them is kept."""
    return knn.neighbours(workspace.feature(feature).train, images, k, BLOCK)


def _likeliest_classes(probabilities: np.ndarray, given: int) -> tuple[tuple[int, float], ...]:
    if np.isnan(probabilities).any():
        return ()
    top = list(np.argsort(-probabilities, kind="stable")[:N_BARS])
    if given not in top:
        top[-1] = given
    return tuple((int(c), float(probabilities[c])) for c in top)
