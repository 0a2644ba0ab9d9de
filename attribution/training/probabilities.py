"""Class probabilities of logits, and whether these are numbers: one place for all kinds of recipes."""

import numpy as np
from scipy.special import softmax

from attribution.errors import UserError


def probabilities_of(logits: np.ndarray) -> np.ndarray:
    """Softmax of each row, computed in float64, float32 [n, classes]. logits: [n, classes]."""
    return softmax(np.asarray(logits, np.float64), axis=1).astype(np.float32)


def check_finite(logits: np.ndarray, recipe: str) -> None:
    """Raises UserError where logits [n, classes] of a training of `recipe` hold NaN or infinity, so that nothing rests
    on them."""
    wrong = int((~np.isfinite(logits).all(1)).sum())
    if wrong:
        raise UserError(
            f"a training of {recipe} came to nothing: its predictions for {wrong:,} of {len(logits):,} images are no "
            "numbers (NaN or infinity); look whether the images are as they should be (not all of one colour), or "
            "choose another recipe with --recipe"
        )
