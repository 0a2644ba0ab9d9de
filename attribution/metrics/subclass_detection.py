"""Subclass detection: where classes are merged and a model learns only the merged ones, do a target's first images
still come from its own class?"""

import numpy as np


def subclass_share(listed: np.ndarray, subclasses: np.ndarray) -> np.ndarray:
    """The share of each target's first images that are of its subclass: float64 [T], in [0, 1], NaN where there is no
    image.

    listed      int [T, k], the subclasses of the first k images, best first; -1 where there are fewer
    subclasses  int [T], of the targets

    Source: the identical subclass test of Hanawa et al., Evaluation of similarity-based explanations (ICLR 2021, arXiv
    2006.04528), with k = 1, and so `SubclassDetectionMetric` of quanda (Bareeva et al., arXiv 2410.07158).

    >>> subclass_share(np.array([[2, 2, 5, 2], [2, -1, -1, -1]]), np.array([2, 5])).tolist()
    [0.75, 0.0]
    """
    counted = (listed >= 0).sum(1)
    shared = (listed == subclasses[:, None]).sum(1)
    return np.divide(shared, counted, out=np.full(len(listed), np.nan), where=counted > 0)


def subclass_chance(train_labels: np.ndarray, superclass: np.ndarray, subclasses: np.ndarray) -> np.ndarray:
    """The share that images drawn at random from each target's superclass have: float64 [T], in (0, 1], NaN where the
    superclass has no training image.

    train_labels  int [n_train], subclasses
    superclass    int [classes], subclass -> its superclass
    subclasses    int [T], of the targets

    >>> subclass_chance(np.array([0, 0, 0, 1, 2]), np.array([0, 0, 1]), np.array([0, 1, 2])).tolist()
    [0.75, 0.25, 1.0]
    """
    counts = np.bincount(train_labels, minlength=len(superclass))
    of_superclass = np.bincount(superclass, weights=counts)[superclass]
    shares = np.divide(counts, of_superclass, out=np.full(len(counts), np.nan), where=of_superclass > 0)
    return shares[subclasses]
