"""How well a detector finds mislabelled images, where it is known which these are."""

import numpy as np

#: shares of the training images that are inspected
INSPECTED_SHARES = (0.02, 0.05, 0.10)
#: draws the order of images that are equally suspicious
TIE_SEED = 13


def detection_metrics(wrong: np.ndarray, scores: np.ndarray) -> dict:
    """How well scores find the images whose label is wrong.

    wrong   bool [n], True where the label is wrong: at least one and not all
    scores  float [n], higher is more suspicious
    Returns numbers in [0, 1], JSON:
    "auc"                the chance that a wrong image is more suspicious than a right one, ties by half (Mann, Whitney)
    "average_precision"  see `average_precision`
    "found_at"           share inspected -> share of the wrong images among them, in the order of `suspicion_order`

    >>> detection_metrics(np.array([True, False, False]), np.array([0.9, 0.2, 0.1]))["auc"]
    1.0
    """
    from scipy.stats import mannwhitneyu  # slow to import, and most callers need the order alone

    scores = np.asarray(scores, np.float64)
    auc = mannwhitneyu(scores[wrong], scores[~wrong], method="asymptotic").statistic / (wrong.sum() * (~wrong).sum())
    hits = np.cumsum(wrong[suspicion_order(scores)])
    found_at = {
        f"{share:.2f}": float(hits[max(1, round(share * len(wrong))) - 1] / wrong.sum()) for share in INSPECTED_SHARES
    }
    return {"auc": float(auc), "average_precision": average_precision(wrong, scores), "found_at": found_at}


def average_precision(wrong: np.ndarray, scores: np.ndarray) -> float:
    """The precision at each threshold, weighted by the recall it adds, in [0, 1], as scikit-learn defines it: images
    with equal scores are found together. Arguments as `detection_metrics`.

    >>> average_precision(np.array([True, False, True, False]), np.array([4, 3, 2, 1]))
    0.8333333333333333
    """
    descending = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.diff(scores[descending], append=np.nan) != 0)  # of each run of equal scores
    hits = np.cumsum(wrong[descending])[last]
    return float((np.diff(hits, prepend=0) / wrong.sum() * hits / (last + 1)).sum())


def suspicion_order(scores: np.ndarray) -> np.ndarray:
    """Training images by `scores`, float [n], most suspicious first: int64 [n]. Equally suspicious images are in a
    fixed random order, because their numbers may reveal their classes.

    >>> suspicion_order(np.array([0.1, 0.9, 0.5])).tolist()
    [1, 2, 0]
    """
    return np.lexsort((tie_order(len(scores)), -np.asarray(scores, np.float64)))


def tie_order(n: int) -> np.ndarray:
    """The place of each of n equally suspicious images among them, int64 [n]: the lowest comes first."""
    return np.random.default_rng(TIE_SEED).permutation(n)
