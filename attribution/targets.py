"""Which validation images to look at: by class, by what the base models predict, by how sure they are."""

from collections.abc import Iterable

import numpy as np

from attribution.errors import UserError
from attribution.workspace import Workspace

#: Kinds of target. "right" and "wrong" go by the majority of the base models; "unstable" by how many agree; "tested"
#: are those whose support was searched.
KINDS = ("all", "right", "wrong", "unstable", "tested")


def choose(ws: Workspace, kind: str = "all", label: int | None = None, predicted: int | None = None,
           confidence: tuple[float, float] = (0.0, 1.0), tested: Iterable[int] = ()) -> np.ndarray:
    """The validation images that fit, int64 [m], ascending. Raises UserError for an unknown kind.

    label and predicted are class numbers or None for any; confidence bounds the mean probability of the predicted
    class, both ends included. tested: the targets of that kind.
    """
    base = ws.base
    right = base.prediction == ws.val_labels
    if kind not in KINDS:
        raise UserError(f"no kind of target {kind!r}; choose one of {', '.join(KINDS)}")
    if kind == "unstable":
        fits = np.array([base.status(target) == "unstable" for target in range(ws.n_val)])
    else:
        fits = {"all": np.ones(ws.n_val, bool), "right": right, "wrong": ~right,
                "tested": np.isin(np.arange(ws.n_val), list(tested))}[kind]
    if label is not None:
        fits = fits & (ws.val_labels == label)
    if predicted is not None:
        fits = fits & (base.prediction == predicted)
    # float32 probabilities of a sure model round past 1
    low, high = confidence
    fits = fits & (base.confidence >= low - 1e-6) & (base.confidence <= high + 1e-6)
    return np.flatnonzero(fits)


def neighbours(targets: np.ndarray, target: int) -> tuple[int | None, int | None]:
    """The targets before and after `target` in the ascending `targets`, which need not hold it; None at an end."""
    before, after = targets[targets < target], targets[targets > target]
    return (int(before[-1]) if len(before) else None), (int(after[0]) if len(after) else None)
