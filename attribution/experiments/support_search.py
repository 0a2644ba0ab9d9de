"""The support search: how short a prefix of a ranking still flips the target, or repairs it.

The search is a generator. It yields the trainings it needs, `ProbeRequest(k, seeds)`, and is sent their results, a list
of `TargetOutcome` in the order of those seeds. It does not know what "k" edits (removing and relabelling look alike
from here), who trains, or what is cached, so that a runner can drive hundreds of searches side by side, and a test can
drive one with a function.

Source: the brittleness protocol of Singla et al. (arXiv 2311.03386), and its tightening described at `search`.
"""

from dataclasses import dataclass, field
from math import isfinite
from statistics import fmean

from attribution.errors import UserError
from attribution.metrics.support_curves import DEFAULT_K_MAX

MAX_BISECTIONS = 7  # 128 / 2**7 = 1: at K = 128 the last bracket is one image wide
SEEDS = (0, 1, 2, 3, 4)
CONFIRM_SEEDS = (5, 6, 7, 8, 9)


@dataclass(frozen=True)
class ProbeRequest:
    """Train once per seed without (or with relabelled) the first k images."""

    k: int
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class TargetOutcome:
    """What one retraining says of the target: its predicted class and its margin (correct logit minus best other)."""

    seed: int
    predicted: int
    margin: float


@dataclass(frozen=True)
class Support:
    """The search's answer; `dataclasses.asdict` of it is JSON, and `Support(**that)` gives it back.

    status   "flipped", "censored" (survived at the largest k: lo is that k, hi None), "unstable" (found, but a verdict
             at its bracket's ends changed with fresh seeds), or "already_wrong" (there was nothing to flip). A repair
             is "repaired" instead of flipped, and "already_right" where there was nothing to repair
    support  the upper end of the last bracket, hi; None where there is none. An unstable one keeps it
    lo, hi   the last bracket (lo, hi]: survived at lo (lo = 0 is the unedited training set), flipped at hi; of a
             repair: still wrong at lo, right at hi
    trace    one row a probe in the order tried: {"k", "seeds", "predictions", "wrong", "flipped", "margin"}, where
             `wrong` counts the seeds, `margin` is their mean (None if not finite); confirmations add {"confirm": True}.
             In a repair, too, `flipped` says that at most half predict the label
    trainings  number of (k, seed) asked for, whether or not they had to be trained anew
    others   of an adaptive search [low, high], where 90 % of the supports lie that as many other seeds would give
             (None: beyond the largest k); else None
    """

    status: str
    support: int | None
    lo: int | None
    hi: int | None
    trace: list[dict] = field(default_factory=list)
    trainings: int = 0
    others: list | None = None


def search(
    label,
    k_max=DEFAULT_K_MAX,
    *,
    protocol="default",
    already_wrong=False,
    repair=False,
    seeds=SEEDS,
    confirm_seeds=CONFIRM_SEEDS,
):
    """The generator that searches one target's support; it ends with a `Support`.

    label          the target's true class
    k_max          largest k: fewer than K where fewer images can be removed or relabelled
    already_wrong  what the base models say of the target
    repair         search for the smallest k that makes a target right which is wrong: the paper's verdict mirrored. A
                   probe that has flipped at most half right has not repaired; more than half are needed, and a tie is
                   none. A target that is not already wrong has nothing to repair, and costs nothing

    Both protocols test k_max first, end censored if the target survives, and otherwise bisect 7 times between 0 and
    k_max (fewer once the bracket is one image wide). A probe has flipped when at most half of its models predict the
    true label. "paper" trains every seed of every probe, and treats a target that was wrong all along like any other.
    "default" differs in three ways:
    a target that is already wrong has no support, and costs nothing;
    a probe stops as soon as its remaining seeds cannot change the verdict;
    both ends of the last bracket are probed again with `confirm_seeds` (not lo = 0, which the base models settled),
    and where a verdict changes the support is unstable.

    Bisection assumes that what flips at k flips at every larger k. Where that fails it still ends at some k that
    flipped above one that survived: an upper bound of the smallest support, never a value that was not tested.

    Raises UserError when k_max < 1, ValueError on an unknown protocol or overlapping seeds.
    """
    seeds, confirm_seeds = tuple(seeds), tuple(confirm_seeds)
    if protocol not in ("default", "paper"):
        raise ValueError(f"protocol is 'default' or 'paper', not {protocol!r}")
    if k_max < 1:
        raise UserError("No training image can be edited for this target: choose other candidates or another ranking.")
    if not seeds or len(set(seeds + confirm_seeds)) < len(seeds + confirm_seeds):
        raise ValueError("seeds and confirm_seeds must be distinct, and a probe needs at least one seed")
    return _search(int(label), int(k_max), protocol, already_wrong, repair, seeds, confirm_seeds)


def seeds_text(protocol: str, deterministic: bool) -> str:
    """Which seeds a search trains, in words; deterministic: of a recipe whose seed changes nothing."""
    if deterministic:
        return "one training a probe, which has no seed"
    fresh = f", confirmed with {CONFIRM_SEEDS[0]} to {CONFIRM_SEEDS[-1]}" if protocol == "default" else ""
    return f"seeds {SEEDS[0]} to {SEEDS[-1]}{fresh}"


def run_search(search, train):
    """Drives a search with `train(k, seeds) -> list[TargetOutcome]` to its end and returns its `Support`."""
    outcomes = None
    while True:
        try:
            request = search.send(outcomes)
        except StopIteration as stop:
            return stop.value
        outcomes = train(request.k, request.seeds)


def probe_verdict(predictions, label, n=5):
    """The verdict of a probe of n seeds; predictions: the predicted classes that have come in, some or all.

    True: flipped, at most half of the n predict the label. False: survived. None: the rest can still decide either.
    """
    wrong = _count_wrong(predictions, label)
    if 2 * wrong >= n:
        return True
    if 2 * (len(predictions) - wrong) > n:
        return False
    return None


def _search(label, k_max, protocol, already_wrong, repair, seeds, confirm_seeds):
    early = protocol == "default"
    trace = []

    def end(status, lo, hi):
        return Support(status, hi, lo, hi, trace, sum(len(row["seeds"]) for row in trace))

    def succeeds(k, seeds, confirm=False):
        flipped = yield from _probe(k, label, seeds, early, trace, confirm)
        return flipped != repair

    if repair and not already_wrong:
        return end("already_right", None, None)
    if already_wrong and not repair and protocol == "default":
        return end("already_wrong", None, None)

    if not (yield from succeeds(k_max, seeds)):
        return end("censored", k_max, None)
    lo, hi = 0, k_max
    for _ in range(MAX_BISECTIONS):
        if hi - lo == 1:
            break
        middle = (lo + hi) // 2
        if (yield from succeeds(middle, seeds)):
            hi = middle
        else:
            lo = middle

    status = "repaired" if repair else "flipped"
    if protocol == "default" and confirm_seeds:
        for k, before in ((hi, True), (lo, False)):
            if k > 0 and (yield from succeeds(k, confirm_seeds, confirm=True)) != before:
                status = "unstable"
    return end(status, lo, hi)


def _probe(k, label, seeds, early, trace, confirm=False):
    """Asks for seeds until the majority is decided, adds the row to `trace`; returns whether the target flipped."""
    outcomes = []
    predictions = []
    while (flipped := probe_verdict(predictions, label, len(seeds))) is None:
        count = _fewest_to_decide(predictions, label, len(seeds)) if early else len(seeds)
        request = ProbeRequest(k, seeds[len(outcomes) : len(outcomes) + count])
        new_outcomes = yield request
        if tuple(outcome.seed for outcome in new_outcomes) != request.seeds:
            raise ValueError(f"the outcomes sent are not those of {request}")
        outcomes.extend(new_outcomes)
        predictions.extend(int(outcome.predicted) for outcome in new_outcomes)
    margin = fmean(float(outcome.margin) for outcome in outcomes)
    row = {
        "k": k,
        "seeds": [int(outcome.seed) for outcome in outcomes],
        "predictions": predictions,
        "wrong": _count_wrong(predictions, label),
        "flipped": flipped,
        "margin": margin if isfinite(margin) else None,  # JSON has no NaN, which a diverged training gives
    }
    trace.append(row | {"confirm": True} if confirm else row)
    return flipped


def _fewest_to_decide(predictions, label, n):
    """The least number of further predictions that could settle the majority: with n = 5 first 3, then 1 or 2."""
    wrong = _count_wrong(predictions, label)
    right = len(predictions) - wrong
    return min((n + 1) // 2 - wrong, n // 2 + 1 - right)


def _count_wrong(predictions, label):
    return sum(predicted != label for predicted in predictions)
