"""The validation images in two halves: one to choose with, the other to judge by."""

import numpy as np

from attribution.workspace.workspace import Workspace

SPLIT_SEED = 11


def validation_halves(workspace: Workspace) -> tuple[np.ndarray, np.ndarray]:
    """Validation images that influence is read from, and those that accuracy is measured on, int64, ascending."""
    order = np.random.default_rng(SPLIT_SEED).permutation(workspace.n_val)
    return np.sort(order[: workspace.n_val // 2]), np.sort(order[workspace.n_val // 2 :])
