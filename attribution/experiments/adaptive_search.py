"""The adaptive support search: one training at a time, margins as evidence, a posterior over where the target flips.

A vote says only that a margin is above or below zero. The margin itself says by how much, and as all edits are
trained under the same seeds, the margin of one seed changes smoothly with k: a few trainings tell what their
neighbours would say. So, as in adaptive psychophysics (QUEST: Watson & Pelli, 1983; psi: Kontsevich & Tyler, 1999),
every training goes where the posterior is least certain, and the search ends when both ends of a bracket are sure.

The question is that of `support_search`: the smallest k at which at least half of the seeds are wrong. Only its
resolution differs: k is one of `tested_sizes`, four to an octave, for the verdict of five seeds is itself no finer
(searched again with five other seeds, the protocol's answer moves by more in half of all cases).
"""

from math import isfinite
from statistics import fmean

import numpy as np

from attribution.errors import UserError
from attribution.experiments.support_search import DEFAULT_K_MAX, SEEDS, ProbeRequest, Support, TargetOutcome

MAX_VERDICT_ERROR = 0.05  # a verdict is sure when the posterior gives it 1 - MAX_VERDICT_ERROR
MAX_ERROR_AT_K_MAX = 0.02  # at the largest k, where being wrong costs most
MAX_TRAININGS = 24  # a bracket that is not sure by then is unstable
SIZES_PER_OCTAVE = 4
FIRST_TRAININGS = 2  # trainings at the largest k before anything is believed
POSTERIOR_DRAWS = 400

# The prior, a Gaussian process over x = log2(1 + k), in units of `noise`. Fitted by maximum likelihood to the margins
# of every second target of the demo's study (160 searches, 20 targets), and judged on the others.
DRIFT_MEAN, DRIFT_STD = -1.1, 0.55  # per octave
COMMON_STD = 1.2  # standard deviation per square root of an octave, of all seeds together
SEED_STD = 1.15  # of each seed's own deviation, which loses its memory over
SEED_MEMORY_OCTAVES = 4.8  # octaves
JITTER_STD = 0.25  # of what no neighbour tells
START_STD = 5.0  # of the margin with nothing removed


def search(label, k_max=DEFAULT_K_MAX, *, noise, already_wrong=False, seeds=SEEDS, repair=False):
    """The generator that searches one target's support; driven like that of `support_search.search`.

    label    the target's true class
    noise    standard deviation of a margin over seeds, with nothing removed: the unit that all evidence is weighed in

    First it asks for every seed at k = 0: one probe that all searches of a recipe share, and that `trainings` leaves
    out. Then two at k_max, and more while they leave a doubt; a target that survives there is censored. Then where the
    posterior puts the support, and at the next smaller size, until P(flipped) is at least 1 - MAX_VERDICT_ERROR at the
    one, at most MAX_VERDICT_ERROR at the other, and half of all seeds have been wrong at the support itself: it is
    tested, not inferred. Rows of the trace, one a size in the order first tried, also have "p", the posterior
    probability of a flip. Ends as "unstable" where MAX_TRAININGS trainings did not settle both ends: the bracket is
    then what they say. Its `others` is where the support would lie, by the posterior, with as many other seeds.

    repair  the same for turning a wrong prediction right: see `support_search.search`

    Raises UserError when k_max < 1, ValueError where noise is not above 0.
    """
    if k_max < 1:
        raise UserError("No training image can be edited for this target: choose other candidates or another ranking.")
    if not (isfinite(noise) and noise > 0):
        raise ValueError(f"noise is a standard deviation above 0, not {noise}")
    return _search(int(label), int(k_max), float(noise), already_wrong, tuple(seeds), repair)


def tested_sizes(k_max: int) -> np.ndarray:
    """The k that are tried, int64, ascending: k_max and a quarter of an octave less each time, down to 1."""
    steps = np.arange(SIZES_PER_OCTAVE * (int(k_max).bit_length() + 1))
    return np.unique(np.rint(k_max * 2.0 ** (-steps / SIZES_PER_OCTAVE)).astype(int).clip(1))


def _search(label, k_max, noise, already_wrong, seeds, repair):
    if already_wrong != repair:
        return Support("already_right" if repair else "already_wrong", None, None, None)
    posterior = MarginPosterior(label, tested_sizes(k_max), seeds, noise, repair)
    last = len(posterior.sizes) - 1
    posterior.observe(0, (yield ProbeRequest(0, seeds)))
    posterior.observe(k_max, (yield ProbeRequest(k_max, seeds[:FIRST_TRAININGS])))
    while MAX_ERROR_AT_K_MAX < posterior.flip_probabilities()[last] < 1 - MAX_ERROR_AT_K_MAX:
        posterior.observe(k_max, (yield ProbeRequest(k_max, (posterior.least_certain_seed(last),))))
    if posterior.flip_probabilities()[last] <= MAX_ERROR_AT_K_MAX:
        return Support("censored", None, k_max, None, posterior.trace(), posterior.trainings)
    while posterior.trainings < MAX_TRAININGS and (request := posterior.next_request()):
        posterior.observe(request.k, (yield request))
    status, lo, hi = posterior.bracket()
    status = "repaired" if repair and status == "flipped" else status
    return Support(status, hi, lo, hi, posterior.trace(), posterior.trainings, posterior.support_range())


class MarginPosterior:
    """The margins of one search so far, and what they say of every size.

    A margin under seed s at x = log2(1 + k) is f(x) + g_s(x) + jitter: f is common to all seeds, Brownian with a drift
    of uncertain slope, g_s is an Ornstein-Uhlenbeck process of each seed's own.
    """

    def __init__(self, label, sizes, seeds, noise, repair=False):
        self.label, self.sizes, self.seeds, self.noise = label, sizes, seeds, noise
        self.sign = -1 if repair else 1
        self.outcomes: dict[int, list[TargetOutcome]] = {}  # by k, in the order they came
        self.observed: list[tuple[float, int, float]] = []  # x, number of the seed, margin in units of noise
        self.flips = np.full((len(sizes), len(seeds)), np.nan)  # 1 wrong, 0 right, NaN not trained
        self._normal = np.random.default_rng(0).standard_normal((self.flips.size, POSTERIOR_DRAWS))
        self._flip_draws: np.ndarray | None = None

    @property
    def trainings(self) -> int:
        """Trainings so far, those at k = 0 left out."""
        return sum(len(outcomes) for k, outcomes in self.outcomes.items() if k)

    def observe(self, k: int, outcomes: list[TargetOutcome]) -> None:
        """Takes in the outcomes of trainings at k. Raises ValueError where they are not of this search's seeds."""
        for outcome in outcomes:
            number = self.seeds.index(outcome.seed)
            flipped = (outcome.predicted != self.label) == (self.sign > 0)
            margin = self.sign * float(outcome.margin)
            # a training that diverged has no margin; its prediction counts
            margin = margin if isfinite(margin) else self.noise * (-3 if flipped else 3)
            self.observed.append((np.log2(1 + k), number, margin / self.noise))
            self.outcomes.setdefault(k, []).append(outcome)
            if k:
                self.flips[np.searchsorted(self.sizes, k), number] = flipped
        self._flip_draws = None

    def flip_draws(self) -> np.ndarray:
        """bool [sizes, seeds, POSTERIOR_DRAWS]: whether a training flips, drawn from the posterior; known ones as they
        were."""
        if self._flip_draws is None:
            known = ~np.isnan(self.flips)
            self._flip_draws = self._draw_margins() < 0
            self._flip_draws[known] = self.flips[known, None] == 1
        return self._flip_draws

    def _draw_margins(self, first_seed=0):
        """Margins in units of noise, [sizes, seeds, POSTERIOR_DRAWS]; of other seeds where first_seed is beyond those
        observed."""
        x = np.repeat(np.log2(1 + self.sizes), len(self.seeds))
        seed = first_seed + np.tile(np.arange(len(self.seeds)), len(self.sizes))
        known_x, known_seed, margin = (np.array(column) for column in zip(*self.observed))
        across = _covariance(x, seed, known_x, known_seed)
        within = _covariance(known_x, known_seed, known_x, known_seed) + JITTER_STD**2 * np.eye(len(known_x))
        weights = np.linalg.solve(within, across.T).T
        mean = DRIFT_MEAN * x + weights @ (margin - DRIFT_MEAN * known_x)
        covariance = _covariance(x, seed, x, seed) - weights @ across.T + JITTER_STD**2 * np.eye(len(x))
        return (mean[:, None] + np.linalg.cholesky(covariance) @ self._normal).reshape(
            *self.flips.shape, POSTERIOR_DRAWS
        )

    def flipped(self) -> np.ndarray:
        """bool [sizes, POSTERIOR_DRAWS]: whether at least half of the seeds flip (for a repair: more than half)."""
        return self._majority(self.flip_draws().sum(1))

    def _majority(self, votes):
        return 2 * votes >= len(self.seeds) if self.sign > 0 else 2 * votes > len(self.seeds)

    def flip_probabilities(self) -> np.ndarray:
        """float [sizes], the posterior probability that a probe of all seeds flips."""
        return self.flipped().mean(1)

    def least_certain_seed(self, size: int) -> int | None:
        """Of the seeds not trained at size number `size` the least certain one; None where all are trained."""
        certainty = np.abs(self.flip_draws()[size].mean(1) - 0.5)
        certainty[~np.isnan(self.flips[size])] = np.inf
        return None if np.isinf(certainty).all() else self.seeds[int(certainty.argmin())]

    def next_request(self) -> ProbeRequest | None:
        """What to train next; None when the bracket is settled."""
        hi, probabilities = self._likeliest_size(), self.flip_probabilities()
        hi_is_sure = probabilities[hi] >= 1 - MAX_VERDICT_ERROR and self._tested(hi)
        lo_is_sure = hi == 0 or probabilities[hi - 1] <= MAX_VERDICT_ERROR
        for size, is_sure in ((hi, hi_is_sure), (hi - 1, lo_is_sure)):
            if not is_sure and (seed := self.least_certain_seed(size)) is not None:
                return ProbeRequest(int(self.sizes[size]), (seed,))
        return None

    def _likeliest_size(self) -> int:
        """Number of the size at which the posterior puts the support: the median of how many sizes survive, and from
        there to where a verdict changes."""
        flipped = self.flipped()
        flipped[-1] = True  # found before
        probabilities = flipped.mean(1)
        size = int(np.median((~flipped).sum(0)))
        while probabilities[size] <= MAX_VERDICT_ERROR:
            size += 1
        while size and min(probabilities[size - 1 : size + 1]) >= 1 - MAX_VERDICT_ERROR:
            size -= 1
        return size

    def _tested(self, size) -> bool:
        """Whether trainings alone settle that size number `size` flips."""
        return bool(self._majority(np.nansum(self.flips[size])))

    def support_range(self) -> list[int | None]:
        """[low, high], the central 1 - 2 * MAX_VERDICT_ERROR of the supports that as many other seeds would give; None:
        beyond the largest size."""
        n_surviving = (~self._majority((self._draw_margins(len(self.seeds)) < 0).sum(1))).sum(0)
        ends = np.quantile(n_surviving, [MAX_VERDICT_ERROR, 1 - MAX_VERDICT_ERROR], method="nearest").astype(int)
        return [int(self.sizes[end]) if end < len(self.sizes) else None for end in ends]

    def bracket(self) -> tuple[str, int, int]:
        """(status, lo, hi): the settled bracket; else the smallest size whose trainings flipped, and the largest below
        it that more likely survives."""
        hi, probabilities = self._likeliest_size(), self.flip_probabilities()
        if self._tested(hi) and (hi == 0 or probabilities[hi - 1] <= MAX_VERDICT_ERROR):
            return "flipped", int(self.sizes[hi - 1]) if hi else 0, int(self.sizes[hi])
        hi = next(size for size in range(len(self.sizes)) if self._tested(size) or size == len(self.sizes) - 1)
        lo = max((int(self.sizes[size]) for size in range(hi) if probabilities[size] < 0.5), default=0)
        return "unstable", lo, int(self.sizes[hi])

    def trace(self) -> list[dict]:
        """Rows as in `support_search.Support`."""
        probabilities, rows = self.flip_probabilities(), []
        for k, outcomes in self.outcomes.items():
            if k:
                margin = fmean(float(outcome.margin) for outcome in outcomes)
                p = float(probabilities[np.searchsorted(self.sizes, k)])
                p = p if self.sign > 0 else 1 - p
                rows.append(
                    {
                        "k": k,
                        "seeds": [int(outcome.seed) for outcome in outcomes],
                        "predictions": [int(outcome.predicted) for outcome in outcomes],
                        "wrong": sum(outcome.predicted != self.label for outcome in outcomes),
                        "flipped": p >= 0.5,
                        "margin": margin if isfinite(margin) else None,
                        "p": round(p, 3),
                    }
                )
        return rows


def _covariance(x, seed, other_x, other_seed):
    shared = COMMON_STD**2 * np.minimum(x[:, None], other_x) + DRIFT_STD**2 * x[:, None] * other_x + START_STD**2
    own = SEED_STD**2 * np.exp(-np.abs(x[:, None] - other_x) / SEED_MEMORY_OCTAVES)
    return shared + np.where(seed[:, None] == other_seed, own, 0)
