"""Features whose images share a large part beside which little tells the classes apart."""

import numpy as np


def far_from_zero(dtype: type = np.float32, n: int = 60, n_val: int = 12) -> tuple[np.ndarray, ...]:
    """Training features [n, 16] and validation features [n_val, 16] of three classes in turn, and the labels of each:
    10,000 in each coordinate, beside which classes lie five apart and the images of one within a half."""
    rng = np.random.default_rng(0)
    centres = 5 * np.eye(3, 16)
    labels, val_labels = np.arange(n) % 3, np.arange(n_val) % 3
    train, val = (10_000 + centres[of] + rng.normal(0, 0.1, (len(of), 16)) for of in (labels, val_labels))
    return train.astype(dtype), val.astype(dtype), labels, val_labels
