"""How many of their top k two rankings share, and how many of these have the target's class."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from attribution.workspace.workspace import Workspace


def mean_shared_images(workspace: "Workspace", first_name: str, second_name: str, k: int, targets) -> float:
    """Mean over targets of how many of the top k training images are the same, in [0, k], each as published."""
    a, b = workspace.ranking(first_name), workspace.ranking(second_name)
    return float(np.mean([len(np.intersect1d(a.top(t, k).ids, b.top(t, k).ids)) for t in targets]))


def mean_same_class_share(workspace: "Workspace", name: str, k: int, targets) -> float:
    """Mean over targets of the share of the top k training images that have the target's label."""
    ranking, labels = workspace.ranking(name), workspace.train_labels
    shares = []
    for target in targets:
        ids = ranking.top(target, k).ids
        shares.append((labels[ids] == workspace.val_labels[target]).mean() if len(ids) else 0.0)
    return float(np.mean(shares))
