"""Means with intervals, rank correlation, and Holm's correction: the statistics that several metrics share."""

import numpy as np
from scipy.stats import rankdata

MEAN_RESAMPLES = 1000


def mean_with_interval(values: np.ndarray, resamples: int = MEAN_RESAMPLES) -> dict:
    """{"mean", "ci", "n"} of one value a target, without those that are NaN; ci: the 95 % bootstrap interval over
    targets, None for a single one."""
    from scipy.stats import bootstrap

    kept = values[~np.isnan(values)].astype(float)
    if not len(kept):
        return {"mean": None, "ci": None, "n": 0}
    ci = None
    if len(kept) > 1 and np.ptp(kept) > 0:
        found = bootstrap(
            (kept,),
            np.mean,
            n_resamples=resamples,
            method="percentile",
            batch=100,
            random_state=np.random.default_rng(0),
        ).confidence_interval
        ci = [float(found.low), float(found.high)]
    elif len(kept) > 1:
        ci = [float(kept[0]), float(kept[0])]
    return {"mean": float(kept.mean()), "ci": ci, "n": len(kept)}


def mean_with_t_interval(values) -> dict:
    """{"values", "mean", "ci"} of one number a seed: its mean, and the 95 % t-interval of it, None for one seed."""
    from scipy import stats

    values = [float(value) for value in values]
    centre, ci = float(np.mean(values)), None
    if len(values) > 1:
        half = float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
        ci = [centre - half, centre + half]
    return {"values": values, "mean": centre, "ci": ci}


RESAMPLES = 10_000


def bootstrap_interval(sample, *, level=0.95, resamples=RESAMPLES, seed=0):
    """Percentile bootstrap interval of the mean of `sample` [n], one number a target: (low, high), or None if n < 2.

    It resamples targets, and so speaks of other targets drawn like these; the seeds' noise in each support is part of
    what varies. With few targets it is a little too narrow: in simulated studies (30 % censored, the rest spread
    evenly over 1 .. K) the 95 % interval held the true AUC in 91 % of studies of 10 targets and in 94 % of 20 or 50.
    It cannot see beyond the sample: where all targets agree its width is 0.
    """
    sample = np.asarray(sample, dtype=float)
    if len(sample) < 2:
        return None
    tail = (1 - level) / 2
    low, high = np.quantile(resampled_means(sample, resamples, seed), [tail, 1 - tail])
    return float(low), float(high)


def holm_correction(p_values):
    """Holm's step-down correction (1979) of a list of p-values, in the order given."""
    corrected, running = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(np.argsort(p_values, kind="stable")):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[at]))
        corrected[at] = running
    return corrected


def resampled_means(sample, resamples, seed):
    # One seed for all: rankings over the same targets are resampled alike, and their intervals differ for cause.
    drawn = np.random.default_rng(seed).integers(len(sample), size=(resamples, len(sample)))
    return sample[drawn].mean(axis=1)


def spearman_correlation(x, y, axis: int = -1):
    """Spearman's correlation along an axis, ties at their middle ranks; NaN where a side is constant."""
    x, y = (rankdata(side, axis=axis) for side in (x, y))
    x, y = (side - side.mean(axis=axis, keepdims=True) for side in (x, y))
    both = np.sqrt((x * x).sum(axis) * (y * y).sum(axis))
    return np.divide((x * y).sum(axis), both, out=np.full(np.shape(both), np.nan), where=both > 0)
