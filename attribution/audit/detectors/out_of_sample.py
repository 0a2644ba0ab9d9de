"""Detectors by models that did not see the image: which class do they predict?

These are models on random halves of the training set. Their probabilities for the images they did not see come with the
workspace (part `out_of_subset`), or from the result store, where every such training adds its own.
"""

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from attribution.audit.detectors.base import ComputedDetector
from attribution.errors import UserError
from attribution.files import read_array
from attribution.files.libraries import install_command
from attribution.metrics.error_count import guess_by_class
from attribution.store.results import ResultStore
from attribution.workspace.parts import Progress
from attribution.workspace.workspace import Workspace

FAMILY = "held-out"
CONFIDENT_NAME, OUT_OF_SUBSET_NAME = "confident", "out-of-subset"
#: Trained where too few models are known: pairs of a random half and its complement, so that of each pair one model did
#: not see the image.
FALLBACK_SEQUENCE = {"draw": 3, "count": 4, "seeds": [0]}


@dataclass(frozen=True)
class OutOfSamplePredictions:
    """What models predict for training images that they did not see. probabilities: float32 [n_train, classes], their
    mean, NaN where every model saw the image. models: how many did not see it, int64 [n_train]. description: in
    words."""

    probabilities: np.ndarray
    models: np.ndarray
    description: str


def names(workspace: Workspace) -> list[str]:
    """The same two for every workspace."""
    return [CONFIDENT_NAME, OUT_OF_SUBSET_NAME]


def missing_requirement(workspace: Workspace, name: str) -> str:
    """cleanlab, for "confident"; the models are trained where they are missing and can be."""
    if name == CONFIDENT_NAME and find_spec("cleanlab") is None:
        return f"it needs cleanlab: {install_command('train')}"
    return workspace.get_recipe().problem if trainings_needed(workspace) else ""


def source_digests(workspace: Workspace, name: str) -> dict:
    """How many predictions are known."""
    sums = _load_sums(workspace)
    return {"out_of_subset": None if sums is None else int(sums[1].sum())}


def compute(workspace: Workspace, names: list[str], progress: Progress) -> dict[str, ComputedDetector]:
    """ "out-of-subset": 1 - the mean probability of the given label. "confident": 1 - cleanlab's label quality score of
    the same probabilities, self-confidence adjusted by the classes' confident thresholds (Northcutt et al., 2021).
    Suggestion of both: the most likely class. An image that every model saw is as suspicious as the median of the
    others and keeps its label. Raises UserError where that is every image."""
    from attribution.builds import halves

    if trainings_needed(workspace):
        halves.train_halves(workspace, FALLBACK_SEQUENCE, progress, both=True)
    predictions, labels = out_of_sample_predictions(workspace), workspace.train_labels
    known = np.flatnonzero(predictions.models)
    if not len(known):
        raise UserError("of every training image all models that are known saw it; train some that did not")
    probabilities, given = predictions.probabilities[known], labels[known]
    suggestion = labels.copy()
    suggestion[known] = probabilities.argmax(1)
    computed = {}
    for name in names:
        description = predictions.description
        if name == CONFIDENT_NAME:
            description, suspicion = f"cleanlab on {description}", 1 - label_quality(given, probabilities)
        else:
            suspicion = 1 - probabilities[np.arange(len(known)), given]
        scores = np.full(len(labels), np.median(suspicion), np.float32)
        scores[known] = suspicion
        extra: dict = {"unknown": int(len(labels) - len(known))}
        if name == CONFIDENT_NAME:
            extra["guessed_errors"] = round(float(guess_by_class(given, probabilities).sum()), 1)
        computed[name] = ComputedDetector(scores, suggestion, description, extra=extra)
    return computed


def out_of_sample_predictions(workspace: Workspace) -> OutOfSamplePredictions | None:
    """The predictions of models that did not see the image: those that came with the workspace, else those of all
    trainings kept under its recipe; None where there are neither."""
    loaded = _load_sums(workspace)
    if loaded is None:
        return None
    sums, counts = loaded
    total = sums.sum(1, keepdims=True)  # close to the counts: probabilities come in half precision
    probabilities = np.divide(sums, total, out=np.full(sums.shape, np.nan, np.float32), where=total > 0)
    description = f"{int(np.median(counts)):,} models that did not see the image"
    return OutOfSamplePredictions(probabilities, counts, description)


def trainings_needed(workspace: Workspace) -> int:
    """How many trainings the detectors need first; some of them may be known. 0 where the workspace brings predictions,
    or where of every image at least as many models are known as FALLBACK_SEQUENCE has pairs."""
    if "out_of_subset" in workspace.manifest["parts"]:
        return 0
    sums = _load_sums(workspace)
    enough = sums is not None and sums[1].min() >= FALLBACK_SEQUENCE["count"]
    return 0 if enough else 2 * FALLBACK_SEQUENCE["count"] * len(FALLBACK_SEQUENCE["seeds"])


def label_quality(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """cleanlab's quality of each label, float [n], 0 to 1: high where it is likely right. labels: int [n];
    probabilities: float [n, classes]."""
    from cleanlab.rank import get_label_quality_scores

    return get_label_quality_scores(labels, probabilities, method="self_confidence", adjust_pred_probs=True)


def _load_sums(workspace: Workspace) -> tuple[np.ndarray, np.ndarray] | None:
    """Sums of probabilities float32 [n_train, classes] and how many models they are of, int64 [n_train]."""
    shape = (workspace.n_train, len(workspace.classes))
    if "out_of_subset" in workspace.manifest["parts"]:
        folder = workspace.folder("out_of_subset")
        return (
            np.asarray(read_array(folder / "sums.npy", *shape), np.float32),
            np.asarray(read_array(folder / "counts.npy", workspace.n_train), np.int64),
        )
    with ResultStore.for_workspace(workspace) as store:
        stored = store.out_of_subset(workspace.get_recipe().hash)
    if stored is None:
        return None
    sums, counts = np.zeros(shape, np.float32), np.zeros(shape[0], np.int64)
    reach = len(stored[1])  # they reach to the last image left out so far
    sums[:reach], counts[:reach] = stored
    return sums, counts
