"""How well a detector finds mislabeled images, where it is known which these are."""

import numpy as np

#: of all training images, how many are looked at
INSPECTED_SHARES = (0.02, 0.05, 0.10)


def detection_metrics(wrong: np.ndarray, scores: np.ndarray) -> dict:
    """What a detector's scores are worth, JSON; wrong: bool [n], the images whose label is wrong, at least one and not
    all; scores: float [n], higher is more suspicious.

    "auc": the chance that a wrong image is more suspicious than a right one, ties by half (Mann and Whitney);
    "average_precision": see `average_precision`; "found_at": share looked at -> share of the wrong images among the
    most suspicious so many, ties in the fixed order of `detectors.order`. Each in [0, 1].
    """
    from scipy.stats import mannwhitneyu

    scores = np.asarray(scores, np.float64)
    auc = mannwhitneyu(scores[wrong], scores[~wrong], method="asymptotic").statistic / (wrong.sum() * (~wrong).sum())
    first = np.cumsum(wrong[suspicion_order(scores)])
    found = {
        f"{share:.2f}": float(first[max(1, round(share * len(wrong))) - 1] / wrong.sum()) for share in INSPECTED_SHARES
    }
    return {"auc": float(auc), "average_precision": average_precision(wrong, scores), "found_at": found}


def average_precision(wrong: np.ndarray, scores: np.ndarray) -> float:
    """The precision at each threshold, weighted by the recall it adds, as scikit-learn defines it: images with equal
    scores are found together."""
    descending = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.diff(scores[descending], append=np.nan) != 0)  # of each run of equal scores
    hits = np.cumsum(wrong[descending])[last]
    return float((np.diff(hits, prepend=0) / wrong.sum() * hits / (last + 1)).sum())


#: draws the order of images that are equally suspicious
TIE_SEED = 13


def suspicion_order(scores: np.ndarray) -> np.ndarray:
    """Training images, the most suspicious first, int64; equally suspicious ones in an order that is drawn once, for
    their numbers may tell of their classes."""
    return np.lexsort((np.random.default_rng(TIE_SEED).permutation(len(scores)), -np.asarray(scores, np.float64)))
