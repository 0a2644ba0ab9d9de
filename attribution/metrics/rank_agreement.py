"""How far two rankings agree: Jaccard index of the first k, rank-biased overlap, Spearman correlation."""

import numpy as np
from scipy.stats import rankdata

#: how much rank-biased overlap looks ahead: it expects to read 1 / (1 - p) = 10 ranks (Webber et al., 2010)
RBO_PERSISTENCE = 0.9


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """Size of the intersection of two sets over the size of their union, in [0, 1]."""
    shared = len(np.intersect1d(a, b))
    return shared / (len(a) + len(b) - shared)


def rank_biased_overlap(a: np.ndarray, b: np.ndarray, p: float = RBO_PERSISTENCE, depth: int = 200) -> float:
    """Rank-biased overlap of two orders, best first, in [0, 1]: the mean overlap of their first d images over all d, of
    which depth d weighs (1 - p) p^(d - 1). What lies beyond the shorter of the two, or beyond `depth`, is taken to
    overlap as much as what was read (Webber et al., A similarity measure for indefinite rankings, 2010, RBO_ext for
    lists of one length)."""
    n = min(len(a), len(b), depth)
    a, b = np.asarray(a[:n]), np.asarray(b[:n])
    # an image is in both of the first d once d has reached its later place
    _, at, bt = np.intersect1d(a, b, assume_unique=True, return_indices=True)
    overlap = np.cumsum(np.bincount(np.maximum(at, bt), minlength=n)[:n])
    d = np.arange(1, n + 1)
    share = overlap / d
    return float(share[-1] * p**n + (1 - p) / p * (share * p**d).sum())


def spearman_over_union(a: np.ndarray, b: np.ndarray, places_a: np.ndarray, places_b: np.ndarray) -> float:
    """Spearman's correlation of two rankings' places over the union of two sets of images, in [-1, 1]; NaN where one of
    the two ranks them all alike. places: of all training images, as `_ranks`; those a ranking has not, tie at its
    end."""
    union = np.union1d(a, b)
    x, y = rankdata(places_a[union]), rankdata(places_b[union])
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def _ranks(ids: np.ndarray, n: int) -> np.ndarray:
    """The place of each training image in an order, n for those that are not in it."""
    places = np.full(n, n)
    places[ids] = np.arange(len(ids))
    return places
