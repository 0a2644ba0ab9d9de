"""How far rankings agree: Jaccard index of the top k, images shared, rank-biased overlap, Spearman correlation over the
union."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from math import comb

import numpy as np
import scipy

#: persistence of rank-biased overlap: on average it reads 1 / (1 - p) = 10 ranks (Webber et al., 2010)
RBO_PERSISTENCE = 0.9


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """Size of the intersection of two sets over the size of their union, in [0, 1].

    a, b  int [n], [m], without repetitions

    >>> jaccard(np.array([1, 2, 3]), np.array([3, 4, 5]))
    0.2
    """
    shared = len(np.intersect1d(a, b))
    return shared / (len(a) + len(b) - shared)


def rank_biased_overlap(a: np.ndarray, b: np.ndarray, p: float = RBO_PERSISTENCE, depth: int = 200) -> float:
    """Rank-biased overlap of two orders, in [0, 1]: the mean over depths d of the overlap of their first d images, with
    weights (1 - p) p^(d - 1).

    a, b   int [n], [m], best first, without repetitions
    p      persistence, in (0, 1): the smaller, the more the top counts
    depth  ranks that are read; beyond them, or the shorter order, the last overlap is extrapolated

    Source: Webber et al., A similarity measure for indefinite rankings (2010), RBO_ext for lists of one length.

    >>> rank_biased_overlap(np.arange(3), np.arange(3)), rank_biased_overlap(np.arange(3), np.arange(3, 6))
    (1.0, 0.0)
    """
    n = min(len(a), len(b), depth)
    a, b = np.asarray(a[:n]), np.asarray(b[:n])
    # an image is in both of the first d once d has reached its later rank
    _, rank_in_a, rank_in_b = np.intersect1d(a, b, assume_unique=True, return_indices=True)
    overlap = np.cumsum(np.bincount(np.maximum(rank_in_a, rank_in_b), minlength=n)[:n])
    d = np.arange(1, n + 1)
    share = overlap / d
    return float(share[-1] * p**n + (1 - p) / p * (share * p**d).sum())


def spearman_over_union(a: np.ndarray, b: np.ndarray, ranks_a: np.ndarray, ranks_b: np.ndarray) -> float:
    """Spearman's correlation of two rankings' ranks over the union of two sets of images, in [-1, 1]; NaN where one of
    them ranks all of these alike.

    a, b              int [k], the sets, such as the top k of either
    ranks_a, ranks_b  int [n_train], the rank of every training image, see `image_ranks`

    >>> a, b = np.array([0, 1, 2]), np.array([2, 1, 0])
    >>> round(spearman_over_union(a, b, image_ranks(a, 5), image_ranks(b, 5)), 6)
    -1.0
    """
    union = np.union1d(a, b)
    x, y = scipy.stats.rankdata(ranks_a[union]), scipy.stats.rankdata(ranks_b[union])
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def image_ranks(ids: np.ndarray, n_train: int) -> np.ndarray:
    """The rank of every training image in the order `ids`, from 0: int [n_train]; n_train for images that are not in
    it, which tie at its end.

    >>> image_ranks(np.array([2, 0]), 4).tolist()
    [1, 4, 0, 4]
    """
    ranks = np.full(n_train, n_train)
    ranks[ids] = np.arange(len(ids))
    return ranks


def mean_shared(orders: Sequence[np.ndarray]) -> float | None:
    """How many images two of several lists share, the mean over their pairs; None for fewer than two lists.

    orders  int [k], without repetitions, such as the first 20 by each of several seeds

    >>> mean_shared([np.array([1, 2, 3]), np.array([3, 2, 9]), np.array([3, 8, 9])])
    1.6666666666666667
    """
    shared = [len(np.intersect1d(a, b, assume_unique=True)) for a, b in combinations(orders, 2)]
    return float(np.mean(shared)) if shared else None


def shared_by_chance(classes: tuple[tuple[int, int, int], ...]) -> tuple[float, int, int]:
    """How many images two lists share by chance, where each draws so many of every class at random: (mean, and the ends
    of the range that holds the middle 95 %).

    classes  (n, a, b) of each class: of its n candidates the lists hold a and b

    The number shared of a class is hypergeometric, and of all classes their sum.

    >>> shared_by_chance(((500, 20, 20),))
    (0.8, 0, 3)
    """
    return _shared_by_chance(tuple(sorted((n, min(a, b), max(a, b)) for n, a, b in classes if a and b)))


@lru_cache(maxsize=4096)
def _shared_by_chance(classes) -> tuple[float, int, int]:
    chance = np.ones(1)
    for n, a, b in classes:
        of_class = [comb(a, x) * comb(n - a, b - x) / comb(n, b) for x in range(a + 1)]
        chance = np.convolve(chance, of_class)
    below = np.cumsum(chance)
    low, high = (int(np.searchsorted(below, tail)) for tail in (0.025, 0.975))
    return sum(a * b / n for n, a, b in classes), low, high
