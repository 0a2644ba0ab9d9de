"""Class probabilities of logits: one place for recipes of the user's own and for heads."""

import numpy as np
from scipy.special import softmax


def probabilities_of(logits: np.ndarray) -> np.ndarray:
    """Softmax of each row, computed in float64, float32 [n, classes]. logits: [n, classes]."""
    return softmax(np.asarray(logits, np.float64), axis=1).astype(np.float32)
