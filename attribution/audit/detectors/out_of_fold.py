"""Detectors by linear classifiers that did not see the image: each fold of the training images is judged by the head
that was refitted to the others. Seconds for each feature set, and no network is trained."""

from collections.abc import Callable

import numpy as np

from attribution.audit.detectors.base import ComputedDetector, part_digest
from attribution.audit.detectors.out_of_sample import FAMILY as FAMILY  # the same kind of evidence
from attribution.errors import UserError
from attribution.training.head import Head
from attribution.training.probabilities import probabilities_of
from attribution.workspace import heads
from attribution.workspace.parts import Progress, cached_npz, scratch_folder
from attribution.workspace.workspace import Workspace

PREFIX = "fold-"
FOLDS, FOLD_SEED = 5, 31


def names(workspace: Workspace) -> list[str]:
    """One for each head whose features have not seen the labels: of others nothing is held out."""
    features = [name.removeprefix(heads.PREFIX) for name in heads.names(workspace)]
    return [f"{PREFIX}{name}" for name in features if not name.startswith("supervised")]


def missing_requirement(workspace: Workspace, name: str) -> str:
    """An image a fold."""
    return "" if workspace.n_train >= FOLDS else f"it needs at least {FOLDS} training images"


def source_digests(workspace: Workspace, name: str) -> dict:
    """The features."""
    part = f"features/{name.removeprefix(PREFIX)}"
    return {part: part_digest(workspace, part)}


def compute(workspace: Workspace, names: list[str], progress: Progress) -> dict[str, ComputedDetector]:
    """Suspicion: 1 - the probability of the given label, by the head that was fitted without the image's fold.
    Suggestion: the likeliest class. Raises UserError as `Workspace.head`."""
    computed, labels = {}, np.asarray(workspace.train_labels)
    for name in names:
        features = name.removeprefix(PREFIX)
        probabilities = load_probabilities(workspace, name, lambda *at, name=name: progress(f"{name}: folds", *at))
        computed[name] = ComputedDetector(
            1 - probabilities[np.arange(len(labels)), labels],
            probabilities.argmax(1),
            f"a linear classifier on {features}, fitted without the image's fold of {FOLDS}",
            extra={"folds": FOLDS, "agreement": round(float((probabilities.argmax(1) == labels).mean()), 4)},
        )
    return computed


def load_probabilities(
    workspace: Workspace, name: str, progress: Callable[[int, int], None] = lambda *at: None
) -> np.ndarray:
    """`out_of_fold` of the detector `name`, kept in the scratch folder. Raises UserError as `Workspace.head`."""
    features = name.removeprefix(PREFIX)

    def compute_them() -> dict[str, np.ndarray]:
        progress(0, FOLDS)
        train = np.asarray(workspace.feature(features).train)
        return {"probabilities": out_of_fold(workspace.head(features).head, train, progress)}

    digest = part_digest(workspace, f"features/{features}")
    file = scratch_folder(workspace, f"fold-{features}") / f"{digest}.npz"
    return cached_npz(file, compute_them)["probabilities"]


def out_of_fold(
    head: Head, features: np.ndarray, progress: Callable[[int, int], None] = lambda *at: None
) -> np.ndarray:
    """Probabilities float32 [n_train, classes] of a head's training images, each by the refit without its fold.

    features: of the training images, float [n_train, d]. Folds have the same share of every class, up to one image; who
    is in which is drawn. The penalty is that of the whole fit.
    """
    fold = draw_folds(head.labels)
    probabilities = np.zeros((head.n_train, head.n_classes), np.float32)
    for number in range(FOLDS):
        inside = fold == number
        if inside.any() and not inside.all():
            weights = head.refit(np.flatnonzero(~inside))
            probabilities[inside] = probabilities_of(head.logits(weights, features[inside]))
        progress(number + 1, FOLDS)
    if not np.isfinite(probabilities).all():
        raise UserError("the probabilities of a fold are not finite; train or import these features again")
    return probabilities


def draw_folds(labels: np.ndarray) -> np.ndarray:
    """The fold of each image, int64 [n], from 0. labels: int [n]."""
    drawn = np.random.default_rng(FOLD_SEED).permutation(len(labels))
    order = drawn[np.argsort(labels[drawn], kind="stable")]  # class by class, in a random order within each
    fold = np.empty(len(labels), np.int64)
    fold[order] = np.arange(len(labels)) % FOLDS
    return fold
