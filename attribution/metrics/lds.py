"""The linear datamodeling score (LDS): do a ranking's scores predict what models trained on random subsets do?

M random subsets of the training set, R models (seeds) on each. For one target, a subset's prediction is the sum of the
scores of its images, and its measurement the target's margin averaged over the R seeds. LDS is Spearman's correlation
of the two over the M subsets; a ranking's LDS is the mean over targets.

Models differ between seeds as well as between subsets, which caps what any scores can reach: print `noise_ceiling`
beside every LDS. These models must not be among those that a ranking was fitted on.

Shapes used throughout: M subsets, R seeds, T targets, B resamples.
Source: Park et al., TRAK (arXiv 2303.14186), section 2; the ceiling is classical test theory (Spearman 1910, Brown
1910).
"""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations, islice
from types import ModuleType

import numpy as np
import scipy

from attribution.errors import UserError

MIN_SUBSETS = 3
Scores = Callable[[int], np.ndarray] | Iterable[np.ndarray]
TARGETS_PER_CHUNK = 32  # targets whose comparison matrices [M, M] and resampled ranks [M, B] are held at once


@dataclass(frozen=True)
class LDS:
    """One ranking's score.

    mean        mean over targets
    ci          (low, high), resampling subsets and targets; None without resamples
    per_target  float64 [T], in the order of the targets given
    n_constant  targets whose predictions (or margins) are the same for every subset: their correlation counts as 0
    """

    mean: float
    ci: tuple[float, float] | None
    per_target: np.ndarray
    n_constant: int


@dataclass(frozen=True)
class NoiseCeiling:
    """What the noise of R seeds leaves for any scores to predict; both None when R = 1.

    mean    estimated correlation of the R-seed mean margin with the expected margin, averaged over targets
    signal  mean Spearman correlation over subsets between the margins of two single seeds
    """

    mean: float | None
    signal: float | None


def lds(
    masks: np.ndarray,
    margins: np.ndarray,
    scores: Scores,
    targets: np.ndarray | None = None,
    *,
    level: float = 0.95,
    resamples: int = 500,
    seed: int = 0,
) -> LDS:
    """LDS of one ranking, with a value for each target.

    masks    bool [M, n_train], True where a training image is in the subset
    margins  float [M, R, n_val], correct logit minus best other; may be a memory map. [M, n_val] is one seed
    scores   callable, target -> float [n_train]; or an iterable of such rows in the order of `targets`, so that
             not all of them need exist at once
    targets  int [T], the validation images to score; all by default

    The interval draws subsets and targets independently, both with replacement, and reads percentiles of the mean. A
    subset drawn twice ties with itself, which pulls every resample towards 0, so these are shifted to have the LDS for
    their mean. In simulations with 30 and 100 subsets it held the true value in 94 to 100 % of cases where 95 % was
    asked for: resampling two ways errs on the wide side. Its time grows with T * B * M**2; 1,000 targets, 500
    resamples and 100 subsets take a few seconds.

    Raises UserError on shapes that do not fit, fewer than 3 subsets, and margins or scores that are not finite.

    >>> masks = np.array([[1, 1, 0], [1, 0, 1], [0, 1, 1]], bool)
    >>> margins = np.array([3.0, 2.0, 1.0]).reshape(3, 1, 1)  # of one seed and one target
    >>> lds(masks, margins, [[2.0, 1.0, 0.0]], resamples=0).mean
    1.0
    """
    masks, margins, targets = _check_inputs(masks, margins, targets)
    measured = _target_margins(margins, targets).mean(axis=1)
    predicted = _predictions(masks, scores, targets)
    per_target = _rank_correlation(predicted, measured)
    constant = (np.ptp(predicted, axis=0) == 0) | (np.ptp(measured, axis=0) == 0)
    ci = None
    if resamples:
        means = _resampled_means(predicted, measured, resamples, np.random.default_rng(seed))
        tail = (1 - level) / 2
        low, high = np.quantile(means - means.mean() + per_target.mean(), [tail, 1 - tail])
        ci = (float(low), float(high))
    return LDS(float(per_target.mean()), ci, per_target, int(constant.sum()))


def noise_ceiling(margins: np.ndarray, targets: np.ndarray | None = None) -> NoiseCeiling:
    """The noise ceiling of LDS, in [0, 1]; see `NoiseCeiling`.

    margins, targets  as in `lds`

    The R seeds are split in halves of R // 2. The correlation over subsets of the halves' mean margins, averaged over
    splits, is the reliability of half the seeds; Spearman-Brown steps it up to R seeds, and its square root is the
    correlation with the expected margin, per target, then averaged. A negative estimate counts as 0.

    In simulations with 100 subsets and R = 5 it came within 0.01 of the true correlation at a signal of 0.1 and of
    0.36, and 0.03 below it at 0.05, where single targets hardly rise above the noise.
    """
    seeds = np.shape(margins)[1]
    if seeds < 2:
        return NoiseCeiling(None, None)
    margins = _target_margins(margins, targets)
    half = np.mean(
        [_rank_correlation(margins[:, a].mean(1), margins[:, b].mean(1)) for a, b in _seed_halves(seeds)], axis=0
    )
    half = np.maximum(half, 0)
    longer = seeds / (seeds // 2)
    reliability = longer * half / (1 + (longer - 1) * half)
    pairs = [_rank_correlation(margins[:, a], margins[:, b]) for a, b in combinations(range(seeds), 2)]
    return NoiseCeiling(float(np.sqrt(reliability).mean()), float(np.mean(pairs)))


def evaluate_rankings(
    masks: np.ndarray, margins: np.ndarray, rankings: dict[str, Scores], targets: np.ndarray | None = None, **options
) -> dict:
    """LDS of several rankings, JSON. rankings: {name: scores}; scores and the other arguments as in `lds`.

    {"alpha": mean share of the training set in a subset, "masks": M, "seeds": R, "ceiling", "signal",
     "rankings": {name: {"lds", "ci", "n_targets", "n_constant"}}}
    """
    masks, margins, targets = _check_inputs(masks, margins, targets)
    noise = noise_ceiling(margins, targets)
    rows = {}
    for name, scores in rankings.items():
        score = lds(masks, margins, scores, targets, **options)
        rows[name] = {"lds": score.mean, "ci": score.ci, "n_targets": len(targets), "n_constant": score.n_constant}
    return {
        "alpha": float(masks.mean()),
        "masks": len(masks),
        "seeds": margins.shape[1],
        "ceiling": noise.mean,
        "signal": noise.signal,
        "rankings": rows,
    }


def _check_inputs(masks, margins, targets):
    masks, margins = np.asarray(masks, dtype=bool), np.asarray(margins)
    margins = margins[:, None] if margins.ndim == 2 else margins
    if masks.ndim != 2 or margins.ndim != 3 or len(masks) != len(margins):
        raise UserError(
            f"LDS needs masks [subsets, train] and margins [subsets, seeds, val] of the same subsets, "
            f"not {masks.shape} and {margins.shape}."
        )
    if len(masks) < MIN_SUBSETS:
        raise UserError(
            f"LDS needs models on at least {MIN_SUBSETS} random subsets, and there are {len(masks)}: train more."
        )
    targets = np.arange(margins.shape[2]) if targets is None else np.asarray(targets, dtype=int)
    if not len(targets):
        raise UserError("LDS needs at least one target: choose some.")
    return masks, margins, targets


def _target_margins(margins, targets):
    """The targets' margins, finite: float64 [M, R, T]."""
    chosen = np.asarray(margins)[:, :, slice(None) if targets is None else targets].astype(float)
    finite = np.isfinite(chosen).all(axis=(1, 2))
    if not finite.all():
        bad = np.flatnonzero(~finite)[:5].tolist()
        raise UserError(f"Subsets {bad} have margins that are not finite: retrain them or leave them out.")
    return chosen


def _predictions(masks, scores, targets):
    """Sums of scores over each subset, up to a scale per target: float64 [M, T]."""
    rows = (scores(target) for target in targets.tolist()) if callable(scores) else iter(scores)
    weights = masks.astype(float)
    sizes = weights.sum(1)
    predicted = np.zeros((len(masks), len(targets)))
    for at in range(0, len(targets), TARGETS_PER_CHUNK):
        chunk = targets[at : at + TARGETS_PER_CHUNK]
        block = np.array(list(islice(rows, len(chunk))), dtype=float)
        if block.shape != (len(chunk), masks.shape[1]):
            raise UserError(f"Scores must be one row of {masks.shape[1]} a target; got {block.shape} for {len(chunk)}.")
        if not np.isfinite(block).all():
            bad = chunk[~np.isfinite(block).all(axis=1)].tolist()
            raise UserError(f"The scores of targets {bad[:5]} are not finite: build this ranking again.")
        # What all images of a row share predicts by the subsets' sizes alone. Taken apart it rounds no differences
        # away; and a row that prefers no image predicts nothing, whatever the sizes.
        low, high = block.min(axis=1), block.max(axis=1)
        shared = np.clip(0, low, high)
        block -= shared[:, None]
        shared[low == high] = 0
        total = weights @ block.T + (sizes - sizes.mean())[:, None] * shared
        scale = np.abs(block).sum(axis=1) + np.ptp(sizes) * np.abs(shared)
        scale[scale == 0] = 1
        # Sums that are equal but for the order of additions must tie, as they often do for sparse scores.
        predicted[:, at : at + TARGETS_PER_CHUNK] = np.round(total / scale, 12)
    return predicted


def _rank_correlation(x, y):
    """Spearman's correlation of each column of x and y [M, T]: float64 [T], 0 where either is constant."""
    x, y = (scipy.stats.rankdata(side, axis=0) - (len(side) + 1) / 2 for side in (x, y))
    return _safe_ratio((x * y).sum(0), (x * x).sum(0) * (y * y).sum(0))


def _resampled_means(predicted, measured, resamples, rng):
    """Mean LDS of each of B resamples of subsets (rows) and of targets (columns): float64 [B]."""
    subsets, targets = predicted.shape
    drawn = rng.multinomial(subsets, np.full(subsets, 1 / subsets), size=resamples).T.astype(np.float32)  # [M, B]
    chosen = rng.multinomial(targets, np.full(targets, 1 / targets), size=resamples).T  # [T, B]
    total = np.zeros(resamples)
    for at in range(0, targets, TARGETS_PER_CHUNK):
        columns = slice(at, at + TARGETS_PER_CHUNK)
        x, y = _resampled_ranks(predicted[:, columns], drawn), _resampled_ranks(measured[:, columns], drawn)
        weighted = drawn * x
        xy, xx = (weighted * y).sum(1), (weighted * x).sum(1)
        yy = (drawn * y * y).sum(1)
        total += (_safe_ratio(xy, xx.astype(float) * yy) * chosen[columns]).sum(0)
    return total / targets


def _resampled_ranks(values, drawn):
    """Twice the centred mid-rank of each row's value within each resample: float32 [T, M, B].

    values [M, T]; drawn [M, B], how often a row was drawn. A row's rank is the number of draws below it, and half of
    those equal to it; so the comparisons, made once, times `drawn` are the ranks in all resamples.
    """
    columns = values.T.astype(float)
    return np.sign(columns[:, :, None] - columns[:, None, :]).astype(np.float32) @ drawn


def _safe_ratio(covariance, variances):
    """covariance / sqrt(variances), and 0 where there is no variance."""
    return np.divide(covariance, np.sqrt(variances), out=np.zeros(covariance.shape), where=variances > 0)


def _seed_halves(seeds):
    """Ways to choose two disjoint halves, seeds // 2 each: all of them up to 6 seeds, then 50 at random."""
    half = seeds // 2
    if seeds <= 6:
        return [(list(a), list(b)) for a, b in combinations(combinations(range(seeds), half), 2) if not set(a) & set(b)]
    orders = [np.random.default_rng(at).permutation(seeds) for at in range(50)]
    return [(order[:half], order[half : 2 * half]) for order in orders]


class _Callable(ModuleType):
    def __call__(self, *arguments, **options) -> LDS:
        return lds(*arguments, **options)


# Module and function have one name: called as `attribution.metrics.lds(masks, margins, scores)`, this is the function.
sys.modules[__name__].__class__ = _Callable
