"""How many labels are wrong: a first guess by held-out probabilities, and an estimate by what a person found."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # which loads its parts where they are first used

TAIL = 0.025  # on each side of a 95 % interval
AHEAD = 100  # the next images that are spoken of
#: judged images that a trend is fitted to, at most and at least; how much a logit falls in 100 places, as a prior
TREND_IMAGES, TREND_FEWEST, TREND_SLOPE = 200, 20, 1.0
TREND_DRAWS, TREND_BLOCK = 1000, 10
GUESS_RESAMPLES, GUESS_SEED = 200, 41
LONGEST_PAUSE = 60  # seconds between two decisions of a person who is at it
FEWEST_TIMES = 10  # decisions, for a speed


@dataclass(frozen=True)
class Counts:
    """Images that were looked at. unknown: without an answer, such as unsure ones."""

    wrong: int
    right: int
    unknown: int = 0

    @property
    def images(self) -> int:
        """All of them."""
        return self.wrong + self.right + self.unknown


def total_errors(certain: Counts, drawn: Counts, n: int) -> dict | None:
    """How many of n images are wrong: {"errors", "ci": [low, high]}, in images; None before any drawn one is judged.

    certain: those that were looked at whatever was drawn; drawn: a random sample of the others. What was found among
    the certain ones is known, and counts as found. The rest has the sample's rate, with its 95 % `mid_p_interval`: two
    strata, of which one is counted (Cochran 1977, chapter 5). Images without an answer
    count as right for the lower end, and as wrong for the upper one.

    >>> total_errors(Counts(5, 5), Counts(1, 9), 20)["errors"]
    6.0
    """
    judged = drawn.wrong + drawn.right
    rest = n - certain.images
    if rest == 0:
        rate, low, high = 0.0, 0.0, 0.0
    elif not judged:
        return None
    else:
        rate = drawn.wrong / judged
        low = max(drawn.wrong, rest * mid_p_interval(drawn.wrong, drawn.images)[0])
        high = min(rest - drawn.right, rest * mid_p_interval(drawn.wrong + drawn.unknown, drawn.images)[1])
    known = certain.wrong + certain.right
    open_errors = certain.unknown * certain.wrong / known if known else certain.unknown * rate
    return {
        "errors": certain.wrong + open_errors + rest * rate,
        "ci": [certain.wrong + low, certain.wrong + certain.unknown + high],
    }


def mid_p_interval(count: int, n: int) -> tuple[float, float]:
    """The mid-P 95 % interval of the share count / n (Lancaster 1961; Berry and Armitage 1995), n at least 1.

    It is Clopper and Pearson's with half of the chance of what was seen, so that it holds 95 % on average and not at
    the least. Of 10 to 100 images and shares up to 0.15 it holds 92 to 99 %.

    >>> mid_p_interval(0, 10)[0], round(mid_p_interval(0, 10)[1], 4) == round(1 - 0.05**0.1, 4)
    (0.0, True)
    """

    def below(share: float) -> float:  # falls as the share grows
        return (scipy.special.bdtr(count, n, share) + (scipy.special.bdtr(count - 1, n, share) if count else 0.0)) / 2

    low = scipy.optimize.bisect(lambda share: below(share) - 1 + TAIL, 0, 1) if count else 0.0
    high = scipy.optimize.bisect(lambda share: below(share) - TAIL, 0, 1) if count < n else 1.0
    return float(low), float(high)


def errors_ahead(wrong: np.ndarray, ahead: int = AHEAD) -> dict | None:
    """How many errors the next `ahead` images of an order hold, by the trend of the last ones.

    Returns {"errors", "ci": [low, high]}; None for fewer than TREND_FEWEST images.

    wrong  bool [n], in the order in which they were judged, the newest last

    The trend is a logistic regression of the last TREND_IMAGES by their place, on a grid of its two coefficients
    (Gelman et al., Bayesian Data Analysis, 3.7), that only falls: errors are taken to get no more frequent down the
    order. Prior: Jeffreys' on the share in the middle, a half-normal of TREND_SLOPE on the fall in 100 places. The
    interval is the 95 % predictive one, of the count.

    >>> errors_ahead(np.zeros(100, bool))["ci"]
    [0, 2]
    """
    y = np.asarray(wrong, float)[-TREND_IMAGES:]
    if len(y) < TREND_FEWEST:
        return None
    places = (np.arange(len(y) + ahead) - (len(y) - 1) / 2) / 100
    firsts = np.arange(0, len(y), TREND_BLOCK)  # of images that are taken to have one chance, as a short cut
    sizes = np.diff(firsts, append=len(y))
    errors, middles = np.add.reduceat(y, firsts), np.add.reduceat(places[: len(y)], firsts) / sizes
    level, slope = np.linspace(-9, 9, 61), np.linspace(-5, 0, 31)
    logit = level[:, None, None] + slope[:, None] * middles
    prior = (level / 2 - np.logaddexp(0, level))[:, None] - (slope / TREND_SLOPE) ** 2 / 2
    likelihood = (errors * logit - sizes * np.logaddexp(0, logit)).sum(2) + prior
    weight = np.exp(likelihood - likelihood.max()).ravel()
    rng = np.random.default_rng(0)
    i, j = np.divmod(rng.choice(len(weight), TREND_DRAWS, p=weight / weight.sum()), len(slope))
    chance = scipy.special.expit(level[i][:, None] + slope[j][:, None] * places[len(y) :])
    counts = (rng.random(chance.shape) < chance).sum(1)
    low, high = np.quantile(counts, (TAIL, 1 - TAIL), method="closest_observation")
    return {"errors": float(chance.sum(1).mean()), "ci": [int(low), int(high)]}


def seconds_each(times: Sequence[float]) -> float | None:
    """Seconds that a decision takes: the mean time between one and the next, without pauses of more than a minute; None
    for fewer than ten. times: when each was made, in seconds.

    >>> seconds_each([*range(0, 40, 4), 1000])
    4.0
    """
    gaps = np.diff(np.sort(np.asarray(times, float)))
    gaps = gaps[gaps <= LONGEST_PAUSE]
    return float(gaps.mean()) if len(times) >= FEWEST_TIMES and len(gaps) else None


def guess_errors(labels: np.ndarray, probabilities: np.ndarray) -> dict:
    """A first guess at how many labels are wrong, by confident learning (Northcutt et al., 2021): what lies beside the
    diagonal of cleanlab's joint of given and true labels.

    labels         given labels, int [n]
    probabilities  of models that did not see the image, float [n, classes], finite
    Returns {"errors", "range": [low, high], "classes": [{"class", "images", "errors", "range"}]}, by given label.

    range: the middle 95 % over resampled images. It is no interval of the truth: a model that errs does so in every
    resample, and hard images that are labelled right count as wrong.
    """
    classes = probabilities.shape[1]
    counts = np.bincount(labels, minlength=classes)
    by_class = guess_by_class(labels, probabilities)
    rng = np.random.default_rng(GUESS_SEED)
    resampled = [
        guess_by_class(labels[drawn], probabilities[drawn])
        for drawn in rng.integers(0, len(labels), (GUESS_RESAMPLES, len(labels)))
    ]
    low, high = np.quantile(resampled, (TAIL, 1 - TAIL), axis=0)
    total = np.quantile(np.sum(resampled, axis=1), (TAIL, 1 - TAIL))
    rows = [
        {"class": c, "images": int(counts[c]), "errors": float(by_class[c]), "range": [float(low[c]), float(high[c])]}
        for c in range(classes)
    ]
    return {"errors": float(by_class.sum()), "range": [float(end) for end in total], "classes": rows}


def guess_by_class(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """`guess_errors` of each given label, without a range: float [classes], 0 for a label that no image has."""
    from cleanlab.count import estimate_joint

    classes, dense = np.unique(labels, return_inverse=True)  # cleanlab wants every class to have an image
    joint = estimate_joint(dense, probabilities[:, classes])
    errors = np.zeros(probabilities.shape[1])
    errors[classes] = len(labels) * (joint.sum(1) - np.diag(joint))
    return errors
