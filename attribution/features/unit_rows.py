"""Features at length 1, whose inner products are cosines: float64 where float32 has the same cosine for all images."""

import numpy as np

from attribution.metrics.precision import precision_of

#: by how much rounding may move the cosine of twins below 1
ROUNDING = {np.float32: 1e-6, np.float64: 1e-12}
#: the shortest row that is still made longer
SHORTEST = {np.float32: 1e-12, np.float64: 1e-150}


def unit_rows(features: np.ndarray, precision: type = np.float32) -> np.ndarray:
    """Rows [n, d] scaled to length 1, a copy of type `precision`; a row of zeros stays."""
    features = np.array(features, precision)
    features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), SHORTEST[precision])
    return features


def centred_unit_rows(train: np.ndarray, val: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`unit_rows` of both, float32, for what goes by their distances alone: where training images share a large part,
    it is taken off, and what is left is made larger, which changes no distance but for a common factor."""
    precision = precision_of(train)
    train, val = unit_rows(train, precision), unit_rows(val, precision)
    if precision is np.float32:
        return train, val
    centre = train.mean(0)
    spread = np.abs(train - centre).max()
    if spread <= ROUNDING[precision]:  # nothing but rounding tells them apart
        spread = np.inf
    return ((train - centre) / spread).astype(np.float32), ((val - centre) / spread).astype(np.float32)
