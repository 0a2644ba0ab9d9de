"""In which precision features are computed with, so that what tells images apart is not rounded away."""

import numpy as np

#: rows that are looked at, evenly spaced
SAMPLE = 4096
#: how many times larger than what rows differ by their size may be, for float32 to keep the difference
MOST_SHARED = 30.0
#: between which sizes float32 holds products of two rows, and of their differences
LEAST, MOST = 1e-12, 1e12


def precision_of(features: np.ndarray) -> type:
    """float64 for features [n, d] whose rows share a large part, or are very large or small; else float32.

    Coordinates of four million metres that lie within two kilometres have, in float32, one cosine.

    >>> precision_of(np.eye(3)), precision_of(np.eye(3) + 1e6)
    (<class 'numpy.float32'>, <class 'numpy.float64'>)
    """
    rows = sample_rows(features)
    if not rows.size:
        return np.float32
    size, spread = (float(np.sqrt(np.square(part).sum(1).mean())) for part in (rows, rows - rows.mean(0)))
    if size == 0 or (LEAST < size < MOST and (size <= MOST_SHARED * spread or spread <= 1e-12 * size)):
        return np.float32
    return np.float64


def sample_rows(features: np.ndarray, n: int = SAMPLE) -> np.ndarray:
    """At most `n` rows of features [n_train, d], evenly spaced: float64."""
    places = np.linspace(0, len(features) - 1, min(len(features), n)).astype(np.int64)
    return np.asarray(features[places], np.float64)
