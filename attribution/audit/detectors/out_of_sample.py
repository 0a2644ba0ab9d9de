"""Detectors by models that did not see the image: what do they say it is?

These are models on random halves of the training set. Their probabilities for the images they did not see come with the
workspace (part `out_of_subset`), or from the result store, where every such training adds its own.
"""

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from attribution.audit.detectors.base import ComputedDetector
from attribution.errors import UserError
from attribution.files import read_array
from attribution.store.results import ResultStore
from attribution.training import recipes

FAMILY = "held-out"
CONFIDENT_NAME, OUT_OF_SUBSET_NAME = "confident", "out-of-subset"
#: Trained where too few models are known: pairs of a random half and its complement, so that of each pair one model did
#: not see the image.
FALLBACK_SEQUENCE = {"draw": 3, "count": 4, "seeds": [0]}


@dataclass(frozen=True)
class OutOfSamplePredictions:
    """What models say of training images that they did not see. probabilities: float32 [n_train, classes], their mean,
    NaN where every model saw the image. models: how many did not see it, int64 [n_train]. about: in words."""

    probabilities: np.ndarray
    models: np.ndarray
    about: str


def out_of_sample_predictions(workspace) -> OutOfSamplePredictions | None:
    """The opinion of models that did not see the image: the one that came with the workspace, else the one of all
    trainings kept under its recipe; None where there is neither."""
    found = _load_sums(workspace)
    if found is None:
        return None
    sums, counts = found
    total = sums.sum(1, keepdims=True)  # about the counts: probabilities come in half precision
    probabilities = np.divide(sums, total, out=np.full(sums.shape, np.nan, np.float32), where=total > 0)
    return OutOfSamplePredictions(
        probabilities, counts, f"{int(np.median(counts)):,} models that did not see the image"
    )


def _load_sums(workspace) -> tuple[np.ndarray, np.ndarray] | None:
    """Sums of probabilities float32 [n_train, classes] and how many models they are of, int64 [n_train]."""
    shape = (workspace.n_train, len(workspace.classes))
    if "out_of_subset" in workspace.manifest["parts"]:
        folder = workspace.folder("out_of_subset")
        return (
            np.asarray(read_array(folder / "sums.npy", *shape), np.float32),
            np.asarray(read_array(folder / "counts.npy", workspace.n_train), np.int64),
        )
    with ResultStore.for_workspace(workspace) as store:
        found = store.out_of_subset(recipes.get_recipe(workspace.recipe).hash)
    if found is None:
        return None
    sums, counts = found
    whole = np.zeros(shape, np.float32), np.zeros(shape[0], np.int64)
    whole[0][: len(counts)], whole[1][: len(counts)] = sums, counts  # they reach to the last image left out so far
    return whole


def trainings_needed(workspace) -> int:
    """How many trainings the detectors need first; some of them may be known. None where the workspace brings what
    models said, or where of every image at least as many models are known as SPLITS has pairs."""
    if "out_of_subset" in workspace.manifest["parts"]:
        return 0
    found = _load_sums(workspace)
    enough = found is not None and found[1].min() >= FALLBACK_SEQUENCE["count"]
    return 0 if enough else 2 * FALLBACK_SEQUENCE["count"] * len(FALLBACK_SEQUENCE["seeds"])


def names(workspace) -> list[str]:
    return [CONFIDENT_NAME, OUT_OF_SUBSET_NAME]


def missing_requirement(workspace, name: str) -> str:
    if name == CONFIDENT_NAME and find_spec("cleanlab") is None:
        return "it needs cleanlab: pip install -r requirements-build.txt"
    return ""


def source_digests(workspace, name: str) -> dict:
    found = _load_sums(workspace)
    return {"out_of_subset": None if found is None else int(found[1].sum())}


def compute(workspace, names: list[str], progress) -> dict[str, ComputedDetector]:
    """ "out-of-subset": 1 - the mean probability of the given label. "confident": 1 - cleanlab's label quality score of
    the same probabilities, self-confidence adjusted by the classes' confident thresholds (Northcutt et al., 2021).
    Suggestion of both: the most likely class. An image that every model saw is as suspicious as the median of the
    others and keeps its label."""
    from attribution.builds import halves

    if trainings_needed(workspace):
        halves.train_halves(workspace, FALLBACK_SEQUENCE, progress, both=True)
    said, labels = out_of_sample_predictions(workspace), workspace.train_labels
    known = np.flatnonzero(said.models)
    if not len(known):
        raise UserError("of every training image all models that are known saw it; train some that did not")
    probabilities, given = said.probabilities[known], labels[known]
    suggestion = labels.copy()
    suggestion[known] = probabilities.argmax(1)
    found = {}
    for name in names:
        if name == CONFIDENT_NAME:
            about, doubt = f"cleanlab on {said.about}", 1 - label_quality(given, probabilities)
        else:
            about, doubt = said.about, 1 - probabilities[np.arange(len(known)), given]
        scores = np.full(len(labels), np.median(doubt), np.float32)
        scores[known] = doubt
        found[name] = ComputedDetector(scores, suggestion, about, more={"unknown": int(len(labels) - len(known))})
    return found


def label_quality(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """cleanlab's quality of each label, float [n], 0 to 1: high where it is likely right."""
    from cleanlab.rank import get_label_quality_scores

    return get_label_quality_scores(labels, probabilities, method="self_confidence", adjust_pred_probs=True)
