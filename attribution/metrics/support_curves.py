"""Statistics of many supports: the support CDF, its area, and how two rankings compare on the same targets.

Conventions, used by every function here:
- A target counts as flipped at k when its support is <= k. Censored targets never do, nor do supports beyond K.
- `already_wrong` targets have no support, and `already_right` ones no repair: they are left out of every figure, and
  counted. In a repair "flipped" below reads "repaired".
- `unstable` supports (a verdict changed on fresh seeds) are counted at their measured support. Leaving them out would
  leave out other targets for each ranking, and mostly those near a threshold; `stable_only` shows what that does.
- Unfinished targets (None) are left out, except in `cdf_band`.

Source: the brittleness figures of Singla et al. (arXiv 2311.03386), with intervals. A study has few targets, often 20.
Percentile intervals and bootstrap p-values are then optimistic, see `bootstrap_interval` and `compare_pair`.
"""

from collections.abc import Iterable
from itertools import combinations

import numpy as np

from attribution.metrics.statistics import RESAMPLES, holm_correction, middle_share, resampled_means

DEFAULT_K_MAX = 128  # 25.6 % of a class of 500, the paper's share (1,280 of 5,000)
#: statuses of targets that had nothing to flip, or nothing to repair
NO_SUPPORT_STATUSES = ("already_wrong", "already_right")


def support_sizes(supports: Iterable, *, stable_only: bool = False) -> np.ndarray:
    """Support sizes, float64 [n]: one for each target that has a support, inf where censored.

    supports     iterable of `support_search.Support`, or None where unfinished
    stable_only  leave out unstable supports, too
    """
    left_out = (*NO_SUPPORT_STATUSES, "unstable") if stable_only else NO_SUPPORT_STATUSES
    counted = [support.support for support in supports if support is not None and support.status not in left_out]
    return np.array([np.inf if size is None else size for size in counted], dtype=float)


def support_cdf(supports: Iterable, k_max: int = DEFAULT_K_MAX, *, stable_only: bool = False) -> np.ndarray:
    """The fraction of targets flipped at k = 0 .. k_max: float64 [k_max + 1] in [0, 1], NaN where there are no targets.

    supports  as in `support_sizes`

    >>> from attribution.experiments.support_search import Support
    >>> support_cdf([Support("flipped", 1, 0, 1), Support("censored", None, 4, None)], k_max=4).tolist()
    [0.0, 0.5, 0.5, 0.5, 0.5]
    """
    return _cdf(support_sizes(supports, stable_only=stable_only), k_max)


def support_auc(supports: Iterable, k_max: int = DEFAULT_K_MAX, *, stable_only: bool = False) -> float | None:
    """Area under the support CDF over K, in [0, 1]: higher means smaller supports; None where there are no targets.

    supports  as in `support_sizes`

    The CDF is a step function of a continuous k, so that a target with support s adds the area (K - s) / K: nearly 1
    for s = 1, and 0 both for s = K and when censored.

    >>> from attribution.experiments.support_search import Support
    >>> support_auc([Support("flipped", 1, 0, 1), Support("censored", None, 4, None)], k_max=4)
    0.375
    """
    area = _target_areas(support_sizes(supports, stable_only=stable_only), k_max)
    return float(area.mean()) if len(area) else None


def median_support(supports: Iterable, k_max: int = DEFAULT_K_MAX) -> float | None:
    """Median support, in images, where censored ones count as infinite: None where the median is one of these.

    supports  as in `support_sizes`
    """
    sizes = support_sizes(supports)
    sizes[sizes > k_max] = np.inf
    median = np.median(sizes) if len(sizes) else np.inf
    return float(median) if np.isfinite(median) else None


def cdf_band(
    supports: Iterable, pending: Iterable[tuple[int, int | None]], k_max: int = DEFAULT_K_MAX
) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest CDF that the finished study can still show: two float64 [k_max + 1].

    supports  the finished targets, as in `support_sizes`
    pending   (lo, hi) of each unfinished target: its bracket so far, (0, None) where nothing was tested. Its support is
              at least lo + 1 and at most hi, or censored where nothing has flipped yet (hi None)
    """
    done = support_sizes(supports)
    pending = list(pending)
    worst = [np.inf if hi is None else hi for _, hi in pending]
    best = [lo + 1 for lo, _ in pending]
    return _cdf(np.append(done, worst), k_max), _cdf(np.append(done, best), k_max)


def summarise_supports(
    supports: Iterable, k_max: int = DEFAULT_K_MAX, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> dict:
    """The table row of one ranking, JSON. supports: as in `support_sizes`.

    auc, auc_ci     see `support_auc` and `bootstrap_interval`
    auc_stable      the AUC without unstable supports
    median          None where it is censored
    censored        share of the n targets, in [0, 1] (None if n = 0)
    unstable        number among the n; already_wrong, already_right and unfinished: numbers beside the n
    n               number of targets counted
    trainings_mean  mean trainings asked for per counted target, cached ones included
    """
    return summarise_rankings({"": supports}, k_max, level=level, resamples=resamples, seed=seed)[""]


def summarise_rankings(
    rankings: dict, k_max: int = DEFAULT_K_MAX, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, dict]:
    """{name: `summarise_supports`} of several, which takes little longer than one. rankings: {name: supports}."""
    rankings = {name: list(supports) for name, supports in rankings.items()}
    areas = [_target_areas(support_sizes(supports), k_max) for supports in rankings.values()]
    means = _means_in_resamples(areas, resamples, seed)
    return {name: _summary(row, k_max, level, own) for (name, row), own in zip(rankings.items(), means)}


def _summary(supports: list, k_max: int, level: float, means: np.ndarray | None) -> dict:
    """`summarise_supports`; means: of the targets' areas in each resample, or None."""
    sizes = support_sizes(supports)
    finished = [support for support in supports if support is not None]
    counted = [support for support in finished if support.status not in NO_SUPPORT_STATUSES]
    return {
        "auc": support_auc(supports, k_max),
        "auc_ci": None if means is None else middle_share(means, level),
        "auc_stable": support_auc(supports, k_max, stable_only=True),
        "median": median_support(supports, k_max),
        "censored": float(np.mean(sizes > k_max)) if len(sizes) else None,
        "unstable": sum(support.status == "unstable" for support in counted),
        **{status: sum(support.status == status for support in finished) for status in NO_SUPPORT_STATUSES},
        "unfinished": len(supports) - len(finished),
        "n": len(counted),
        "trainings_mean": float(np.mean([support.trainings for support in counted])) if counted else None,
    }


def compare_pair(
    a: dict, b: dict, k_max: int = DEFAULT_K_MAX, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> dict:
    """Compare two rankings on the targets that both have finished.

    a, b  {target: Support or None}

    win, tie, loss  targets whose support is smaller, equal, larger under a; two censored ones tie
    p               exact two-sided sign test of wins against losses, ties dropped (1 where all tie)
    n               targets compared
    auc_difference  mean of a's areas minus b's over these n targets, with its paired bootstrap interval and p: twice
                    the smaller share of resamples on one side of 0, but never below 2 / (resamples + 1), nor below
                    2 / 2**m, the least that m differing targets can show
    The sign test is exact. The bootstrap p is not: between equal rankings (simulated as at `bootstrap_interval`) it
    fell below 0.05 in 11 % of studies of 10 targets, 8 % of 20 and 6 % of 50. Neither is corrected for the number of
    pairs; `compare_rankings` adds that.
    """
    left, right = _sizes_of_both(a, b, k_max)
    means = _means_in_resamples([_fewer_images(left, right, k_max)], resamples, seed)
    return _comparison(left, right, k_max, level, means[0])


def _sizes_of_both(a: dict, b: dict, k_max: int) -> tuple[np.ndarray, np.ndarray]:
    """Support sizes under two rankings of the targets that both have finished: float64 [n] each, inf beyond K."""
    both = [
        target
        for target in a
        if target in b
        and all(support is not None and support.status not in NO_SUPPORT_STATUSES for support in (a[target], b[target]))
    ]
    left, right = (support_sizes(side[target] for target in both) for side in (a, b))
    left[left > k_max] = right[right > k_max] = np.inf
    return left, right


def _fewer_images(left: np.ndarray, right: np.ndarray, k_max: int) -> np.ndarray:
    """By how many images less the left ranking flips each target, float64 [n]."""
    # Compared in whole images: as fractions, resamples that balance exactly would miss 0 by a rounding error.
    return np.maximum(k_max - left, 0) - np.maximum(k_max - right, 0)


def _comparison(left: np.ndarray, right: np.ndarray, k_max: int, level: float, means: np.ndarray | None) -> dict:
    """`compare_pair` of two sides' sizes; means: of `_fewer_images` in each resample, or None."""
    from scipy.stats import binomtest  # a third of a second that the first page need not wait for

    win, loss = int((left < right).sum()), int((left > right).sum())
    images = _fewer_images(left, right, k_max)
    return {
        "win": win,
        "tie": len(left) - win - loss,
        "loss": loss,
        "p": float(binomtest(win, win + loss).pvalue) if win + loss else 1.0,
        "n": len(left),
        "auc_difference": float((images / k_max).mean()) if len(left) else None,
        "auc_difference_ci": None if means is None else tuple(end / k_max for end in middle_share(means, level)),
        "auc_difference_p": _bootstrap_p_value(images, means),
    }


def _means_in_resamples(samples: list[np.ndarray], resamples: int, seed: int) -> list[np.ndarray | None]:
    """The means of each sample, float [n], in its bootstrap resamples, float64 [B]; None for fewer than two values.

    Samples of one length are resampled together: drawing takes most of the time."""
    means: list[np.ndarray | None] = [None] * len(samples)
    for n in {len(sample) for sample in samples if len(sample) > 1}:
        alike = [at for at, sample in enumerate(samples) if len(sample) == n]
        for at, row in zip(alike, resampled_means(np.stack([samples[at] for at in alike]), resamples, seed)):
            means[at] = row
    return means


def compare_rankings(
    rankings: dict, k_max: int = DEFAULT_K_MAX, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> dict:
    """The comparison of one kind of support, JSON: {"rankings": {name: `summarise_supports`}, "wins": {A: {B:
    `compare_pair` of A and B, and "auc_difference_p_holm"}}}.

    rankings  {name: {target: Support or None}}. Each row counts the targets its own ranking has finished; wins and
              AUC differences only those that both have.

    The Holm correction runs over all pairs of rankings, for the p of the AUC difference.
    """
    return compare_kinds({"": rankings}, k_max, level=level, resamples=resamples, seed=seed)[""]


def compare_kinds(
    kinds: dict, k_max: int = DEFAULT_K_MAX, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, dict]:
    """{kind: `compare_rankings`} of several, which takes little longer than one. kinds: {kind: rankings}."""
    sizes = {
        kind: {(a, b): _sizes_of_both(rankings[a], rankings[b], k_max) for a, b in combinations(rankings, 2)}
        for kind, rankings in kinds.items()
    }
    samples = []
    for kind, rankings in kinds.items():
        samples += [_target_areas(support_sizes(supports.values()), k_max) for supports in rankings.values()]
        samples += [_fewer_images(*pair, k_max) for pair in sizes[kind].values()]
    means = iter(_means_in_resamples(samples, resamples, seed))
    answer = {}
    for kind, rankings in kinds.items():
        rows = {
            name: _summary(list(supports.values()), k_max, level, next(means)) for name, supports in rankings.items()
        }
        pairs = {names: _comparison(*pair, k_max, level, next(means)) for names, pair in sizes[kind].items()}
        answer[kind] = {"rankings": rows, "wins": _with_both_sides(list(rankings), pairs)}
    return answer


def _with_both_sides(names: list[str], pairs: dict[tuple[str, str], dict]) -> dict:
    """{A: {B: comparison}} of {(A, B): comparison}, both ways round, with the corrected p."""
    corrected = holm_correction([comparison["auc_difference_p"] for comparison in pairs.values()])
    against: dict[str, dict] = {name: {} for name in names}
    for ((a, b), comparison), p in zip(pairs.items(), corrected, strict=True):
        against[a][b] = comparison | {"auc_difference_p_holm": p}
        against[b][a] = _swap_sides(against[a][b])
    return against


def _cdf(supports, k_max):
    if not len(supports):
        return np.full(k_max + 1, np.nan)
    return np.searchsorted(np.sort(supports), np.arange(k_max + 1), side="right") / len(supports)


def _target_areas(supports, k_max):
    return np.maximum(k_max - supports, 0) / k_max


def _bootstrap_p_value(sample, means):
    """Two-sided bootstrap p of "the mean of `sample` [n] is 0"; 1 for fewer than two values. means: those of its
    resamples, None for fewer than two values."""
    if means is None:
        return 1.0
    smaller_side = min((means <= 0).sum(), (means >= 0).sum())
    p = 2 * (smaller_side + 1) / (len(means) + 1)
    return float(min(1.0, max(p, 2.0 ** (1 - np.count_nonzero(sample)))))


def _swap_sides(comparison):
    interval = comparison["auc_difference_ci"]
    difference = comparison["auc_difference"]
    return comparison | {
        "win": comparison["loss"],
        "loss": comparison["win"],
        "auc_difference": None if difference is None else -difference,
        "auc_difference_ci": None if interval is None else (-interval[1], -interval[0]),
    }
