"""What two rankings' first images have in common."""

import numpy as np


def mean_shared_images(workspace, one: str, other: str, k: int, targets) -> float:
    """Mean over targets of how many of the first k training images are the same, in [0, k], each as published."""
    a, b = workspace.ranking(one), workspace.ranking(other)
    return float(np.mean([len(np.intersect1d(a.top(t, k).ids, b.top(t, k).ids)) for t in targets]))


def mean_same_class_share(workspace, name: str, k: int, targets) -> float:
    """Mean over targets of the share of the first k training images that have the target's label."""
    ranking, labels = workspace.ranking(name), workspace.train_labels
    shares = []
    for target in targets:
        ids = ranking.top(target, k).ids
        shares.append((labels[ids] == workspace.val_labels[target]).mean() if len(ids) else 0.0)
    return float(np.mean(shares))
