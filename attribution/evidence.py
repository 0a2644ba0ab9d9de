"""What speaks for and against the label of a training image: the models' opinion, its neighbours, and what it harms."""

from dataclasses import dataclass

import numpy as np

from attribution import detectors
from attribution.features import knn

NEIGHBOURS = 20  # training images whose labels are counted
SHOWN = 8  # of these, the nearest ones that are shown
HARMED = 6  # validation images
BARS = 4  # classes of the opinion
BLOCK = 50_000  # training images that are compared at a time


@dataclass(frozen=True)
class Evidence:
    """bars: (class, probability) of the likeliest classes, the given one among them, likeliest first; none where no
    model has an opinion. neighbours: training images, nearest first, int64 [n]. mix: (class, how many of the
    neighbours are given it), largest first. harmed: validation images, most harmed first, int64 [n]."""

    image: int
    bars: tuple[tuple[int, float], ...]
    neighbours: np.ndarray
    mix: tuple[tuple[int, int], ...]
    harmed: np.ndarray


@dataclass(frozen=True)
class Sources:
    """Where the evidence comes from, in words; None where there is none of a kind."""

    opinion: str | None
    neighbours: str | None
    harmed: str | None


def sources(workspace) -> Sources:
    """What evidence this workspace has."""
    opinion = detectors.opinion(workspace)
    harm = harm_name(workspace)
    return Sources(opinion and opinion.about, feature_name(workspace), harm and harm.removeprefix("harm-"))


def of(workspace, images) -> list[Evidence]:
    """The evidence about some training images, in their order."""
    images = np.asarray(images, np.int64)
    labels = workspace.train_labels
    opinion = detectors.opinion(workspace)
    name, harm = feature_name(workspace), harm_name(workspace)
    near = neighbours(workspace, name, images) if name else np.zeros((len(images), 0), np.int64)
    harmed = detectors.harmed(workspace, harm)[images, :HARMED] if harm else np.full((len(images), 0), -1)
    found = []
    for image, close, hurt in zip(images, near, harmed):
        bars = _bars(np.asarray(opinion.probabilities[image], np.float32), labels[image]) if opinion else ()
        classes, counts = np.unique(labels[close], return_counts=True)
        order = np.lexsort((classes, -counts))
        mix = tuple((int(classes[i]), int(counts[i])) for i in order)
        found.append(Evidence(int(image), bars, close[:SHOWN], mix, hurt[hurt >= 0]))
    return found


def _bars(probabilities, given):
    if np.isnan(probabilities).any():
        return ()
    top = list(np.argsort(-probabilities, kind="stable")[:BARS])
    if given not in top:
        top[-1] = given
    return tuple((int(c), float(probabilities[c])) for c in top)


def feature_name(workspace) -> str | None:
    """The feature set that neighbours are looked for in: the workspace's first, None without any."""
    return next(iter(workspace.features()), None)


def harm_name(workspace) -> str | None:
    """The detector whose ranking says which validation images an image harms: the first of its kind, or None."""
    return next((name for name in detectors.names(workspace) if name.startswith("harm-")), None)


def neighbours(workspace, feature: str, images: np.ndarray, k: int = NEIGHBOURS) -> np.ndarray:
    """The k nearest other training images by cosine, int64 [n, k'], k' <= k, nearest first. The features are searched
    block by block: no copy of them is kept."""
    return knn.neighbours(workspace.feature(feature).train, images, k, BLOCK)
