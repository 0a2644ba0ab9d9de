"""How far can one row be trusted? For one target and one ranking, from what is stored and nothing else:

1. between seeds: how many of the first 20 images two halves of the ranking's models share (`builds.firsts`);
2. other rankings: how many of them each shares;
3. a control by norm: as many images of each class as the row has, those with the largest self-influence, which knows
   nothing of the target; and chance, as many random images of each class;
4. whether the change of the margin that the scores predict came true, where images were removed (`calibration`).

A verdict follows from the thresholds below; docs/protocol.md, section 6, says why they are what they are. What was not
tested has a reason in place of a number.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import combinations

import numpy as np

from attribution.audit.detectors import stored as detectors
from attribution.builds import firsts
from attribution.builds.firsts import FIRST, count_shared
from attribution.errors import UserError
from attribution.evaluation import calibration
from attribution.evaluation.calibration import Removals
from attribution.explore.lineup import LineupRow
from attribution.metrics.rank_agreement import shared_by_chance
from attribution.metrics.statistics import mean_with_interval, share_with_interval
from attribution.rankings.base import Ranking
from attribution.rankings.candidates import CANDIDATES_MARK
from attribution.rankings.random import Random
from attribution.store.results import ResultStore
from attribution.workspace.parts import Progress
from attribution.workspace.workspace import Workspace

#: of the first images: from this share on that halves of the models have in common a row is stable
STABLE_SHARE = 0.5
#: below this share, or no more than by chance, it is the seeds' doing
UNSTABLE_SHARE = 0.25
#: from this share on that the control by norm has in common with a row, and above chance, the row is its doing
NORM_SHARE = 0.5
#: a predicted change held where the measured one is between it divided by this and it times this ...
CHANGE_FACTOR = 2.0
#: ... or differs from it by no more than so many standard errors
STANDARD_ERRORS = 2.0
#: targets that a scale is fitted on, besides the one it is used for
MIN_SCALE_TARGETS = 4
NORMS = "self-influence"  # the detector whose scores are the norms
VERDICTS = {
    "stable": "stable",
    "partly": "rely on it in part",
    "do_not_rely": "do not rely on this row",
    "not_tested": "not tested here",
}


@dataclass(frozen=True)
class Overlap:
    """How many of `of` images two lists share, a mean where there are several pairs; and how many by chance, where each
    list draws as many images of each class at random: mean, and the range of the middle 95 %."""

    shared: float
    of: int
    chance: float
    chance_range: tuple[int, int]

    @property
    def is_above_chance(self) -> bool:
        """Whether they share more than the range of chance has."""
        return self.shared > self.chance_range[1]

    @property
    def share(self) -> float:
        """In [0, 1]."""
        return self.shared / self.of

    @property
    def text(self) -> str:
        """Such as "17 of 20"."""
        return f"{self.shared:.0f} of {self.of}"

    @property
    def chance_text(self) -> str:
        """Such as "0.8 (0 to 3)"."""
        return f"{self.chance:.1f} ({self.chance_range[0]} to {self.chance_range[1]})"


@dataclass(frozen=True)
class SeedAgreement:
    """How far a ranking's models agree on a target. models: how many; half: how many each half has; splits: in how many
    ways they were cut; halves: between halves; single: between two single models, mean over all pairs. fits: whether
    these are two fits of one regression, each on half of what the ranking was fitted on."""

    models: int
    half: int
    splits: int
    halves: Overlap
    single: Overlap
    fits: bool = False

    @property
    def who(self) -> str:
        """Whose first images they are."""
        return "two fits" if self.fits else "seeds"

    @property
    def text(self) -> str:
        """Such as "11 of 20 between halves of its 10 models"."""
        if self.fits:
            return f"{self.halves.text} between two fits, each on half of its models"
        between = "two of its models" if self.half == 1 else f"halves of its {self.models} models"
        return f"{self.halves.text} between {between}"


@dataclass(frozen=True)
class Change:
    """A removal that was tested.

    removed    the ranking whose top k it was; "random" or "chosen" else
    seeds      models trained
    predicted  in units of margin, on the scale that fits the same kind of sets of other targets best
    measured   the same; error is its standard error
    outcome    "held"; "less", where the images do less than half of what was predicted, or the opposite; "more", where
               they do more than twice that; "too small", where neither is STANDARD_ERRORS from 0
    """

    removed: str
    k: int
    seeds: int
    predicted: float
    measured: float
    error: float
    outcome: str

    @property
    def text(self) -> str:
        """Such as "predicted −1.9, measured −2.1"."""
        return f"predicted {signed(self.predicted)}, measured {signed(self.measured)}"


@dataclass(frozen=True)
class RowTrust:
    """What is known of one row; each is None or empty where it is not known.

    ids      its first images, int64 [n]
    others   ranking -> overlap with its first images
    changes  the removals that were tested: of this ranking's own top k where there are any and they have a scale, else
             of other rankings' top k
    unknown  what was not tested ("seeds", "norm", "change") -> why, in words
    """

    target: int
    ranking: str
    end: str
    candidates: str | None
    ids: np.ndarray
    seeds: SeedAgreement | None
    norm: Overlap | None
    others: dict[str, Overlap]
    changes: tuple[Change, ...]
    unknown: dict[str, str] = field(default_factory=dict)

    @property
    def shown(self) -> Change | None:
        """The tested removal nearest to FIRST images, of those with the outcome that most have."""
        told = [change for change in self.changes if change.outcome != "too small"]
        outcomes = [change.outcome for change in told]
        usual = max(outcomes, key=outcomes.count, default="")
        return min(
            (change for change in told if change.outcome == usual),
            key=lambda change: (abs(change.k - FIRST), -change.seeds, change.k),
            default=None,
        )

    @property
    def held(self) -> tuple[int, int]:
        """(tests in which the predicted change held, tests that can tell)."""
        outcomes = [change.outcome for change in self.changes]
        return outcomes.count("held"), len(outcomes) - outcomes.count("too small")

    @property
    def change_text(self) -> str:
        """Such as "predicted −1.9, measured −2.1 without its top 32 (held in 6 of 8 tests)"; "" where nothing can
        tell."""
        if not self.shown:
            return ""
        held, told = self.held
        what = f"its top {self.shown.k}" if self.shown.removed == self.ranking else f"{self.shown.k} images"
        whose = "" if self.shown.removed == self.ranking else f", {self.shown.removed}"
        size = {"more": ", more than predicted", "less": ", less than predicted"}.get(self.shown.outcome, "")
        return f"{self.shown.text} without {what}{whose}{size} (held in {held} of {told} tests)"

    @property
    def faults(self) -> dict[str, str]:
        """What speaks against the row, worst first: of "norm", "seeds" and "change" -> in words."""
        faults = {}
        if self.norm and self.norm.share >= NORM_SHARE and self.norm.is_above_chance:
            faults["norm"] = f"its first {self.norm.of} are those of a norm-only control ({self.norm.text})"
        held, told = self.held
        # of its own images: what came true is no accident, whoever is named
        came_true = bool(told) and 2 * held >= told and self.shown.removed == self.ranking
        if self.is_the_seeds_doing and not came_true:
            faults["seeds"] = f"only {self.seeds.text}"
        if 2 * [change.outcome for change in self.changes].count("less") > told:
            faults["change"] = self.change_text
        return faults

    @property
    def is_the_seeds_doing(self) -> bool:
        """Whether halves of the models share too little, or no more than by chance; False where that is not known."""
        seeds = self.seeds and self.seeds.halves
        return bool(seeds) and (seeds.share < UNSTABLE_SHARE or not seeds.is_above_chance)

    @property
    def verdict(self) -> str:
        """A key of VERDICTS."""
        if self.faults:
            return "do_not_rely"
        held, told = self.held
        if self.seeds and self.seeds.halves.share >= STABLE_SHARE and 2 * held >= told:
            return "stable"
        return "partly" if self.seeds or self.shown else "not_tested"

    @property
    def short(self) -> str:
        """The verdict in so few words that they stand in a row's header."""
        if self.faults:
            return (
                "do not rely: "
                + {
                    "norm": f"norm alone has {self.norm.text}" if self.norm else "",
                    "seeds": f"{self.seeds.who} share {self.seeds.halves.text}" if self.seeds else "",
                    "change": f"{signed(self.shown.predicted)} was {signed(self.shown.measured)}" if self.shown else "",
                }[next(iter(self.faults))]
            )
        between = f"{self.seeds.halves.text} between {self.seeds.who}" if self.seeds else ""
        if self.verdict == "stable":
            return f"stable: {between}"
        return between or (self.shown.text if self.shown else VERDICTS["not_tested"])

    @property
    def sentence(self) -> str:
        """The verdict in words, with what it rests on and what was not tested; no full stop."""
        faults = self.faults
        said = list(faults.values())
        if self.seeds and "seeds" not in faults:
            said.append(self.seeds.text)
        if self.shown and "change" not in faults:
            said.append(self.change_text)
        if self.norm and "norm" not in faults:
            said.append(f"a norm-only control has {self.norm.text}")
        names = {"seeds": "between seeds", "norm": "against norms", "change": "by removal"}
        missing = [names[what] for what in names if what in self.unknown]
        if self.verdict == "not_tested":
            return "; ".join([VERDICTS["not_tested"], *said])
        if missing:
            said.append(f"not tested {' nor '.join(missing)}")
        return f"{VERDICTS[self.verdict]}: {'; '.join(said)}"

    def to_json(self) -> dict:
        """What `evaluate trust --json` prints of a row."""
        return {
            "target": self.target,
            "ranking": self.ranking,
            "end": self.end,
            "candidates": self.candidates,
            "verdict": self.verdict,
            "sentence": self.sentence,
            "train": self.ids.tolist(),
            "seeds": self.seeds and asdict(self.seeds),
            "norm": self.norm and asdict(self.norm),
            "others": {name: asdict(overlap) for name, overlap in self.others.items()},
            "changes": [asdict(change) for change in self.changes],
            "held": self.held[0],
            "told": self.held[1],
            "unknown": self.unknown,
        }


class TrustMeter:
    """Says of rows of a workspace how far they can be trusted. What is stored for that is read once."""

    def __init__(self, workspace: Workspace):
        self.workspace = workspace
        self._labels, self._n_classes = workspace.train_labels, len(workspace.classes)
        self._firsts: dict[str, firsts.Firsts | None] = {}
        self._sums: dict[tuple[str, str], dict[int, tuple[float, float]]] = {}

    def row(
        self,
        target: int,
        ranking: str,
        end: str = "helpful",
        candidates: str | None = None,
        removals: Removals | None = None,
        ids: np.ndarray | None = None,
    ) -> RowTrust:
        """What is known of a ranking's first images at an end, without the overlap with others (`rows` adds it).
        candidates: as `Ranking.top`. removals: those of the target that were tested, the workspace's own if not given.
        ids: the ranking's first images, int [n], where they are known; at least FIRST of them. Raises UserError as
        `Ranking.top`."""
        loaded = self.workspace.ranking(ranking)
        ids = loaded.top(target, FIRST, candidates, end).ids if ids is None else np.asarray(ids[:FIRST])
        unknown: dict[str, str] = {}
        classes = self._count_classes(loaded, target, candidates)
        seeds = self._seeds(loaded, target, end, candidates, ids, classes, unknown)
        norm = self._norm(loaded, target, candidates, ids, classes, unknown)
        changes = self._changes(loaded, target, removals or self._removals, unknown)
        return RowTrust(int(target), ranking, end, candidates, ids, seeds, norm, {}, changes, unknown)

    def rows(
        self,
        target: int,
        asked: Iterable[tuple[str, str, str | None]],
        removals: Removals | None = None,
        known: Mapping[tuple, np.ndarray] | None = None,
    ) -> list[RowTrust]:
        """What is known of several rows of a target, each (ranking, end, candidates), and how many images they share
        with each other; without the random order, which is a control itself. known: of such rows, `ids` of `row`."""
        rows = [
            self.row(target, *row, removals, (known or {}).get(row))
            for row in map(tuple, asked)
            if not _is_random(row[0])
        ]
        counts = [self._count_classes(self.workspace.ranking(row.ranking), target, row.candidates) for row in rows]

        def shared_with(mine: RowTrust, n_mine: np.ndarray) -> dict[str, Overlap]:
            return {
                row.ranking: self._overlap(
                    count_shared(mine.ids, row.ids), mine.ids, row.ids, np.minimum(n_mine, n_its)
                )
                for row, n_its in zip(rows, counts)
                if row is not mine and row.end == mine.end and len(row.ids) and len(mine.ids)
            }

        return [replace(row, others=shared_with(row, n_mine)) for row, n_mine in zip(rows, counts)]

    def _count_classes(self, ranking: Ranking, target: int, candidates: str | None) -> np.ndarray:
        """How many candidates each class has, int [classes]."""
        pool = ranking.candidates(target, candidates)
        return np.bincount(self._labels[pool], minlength=self._n_classes)

    def _overlap(self, shared: float, a: np.ndarray, b: np.ndarray, counts: np.ndarray) -> Overlap:
        drawn = [counts, *(np.bincount(self._labels[ids], minlength=self._n_classes) for ids in (a, b))]
        chance, *ends = shared_by_chance(tuple(zip(*(of_class.tolist() for of_class in drawn))))
        return Overlap(float(shared), min(len(a), len(b)), float(chance), tuple(ends))

    # -- between seeds

    def _seeds(self, ranking, target, end, candidates, ids, counts, unknown) -> SeedAgreement | None:
        if ranking.name not in self._firsts:
            self._firsts[ranking.name] = firsts.load(self.workspace, ranking.name)
        kept = self._firsts[ranking.name]
        if hasattr(ranking, "scores_by_seed"):  # computed when asked: it has each seed's scores
            scores = list(ranking.scores_by_seed(target).values())
            readers = [lambda start, stop, of_seed=of_seed: of_seed[None] for of_seed in scores]
            kept = firsts.compute(ranking.name, len(self._labels), np.array([target]), readers) if readers else None
        if kept is None or not len(ids):
            unknown["seeds"] = _why_no_seeds(self.workspace, ranking)
            return None
        if candidates not in (None, "true" if ranking.conditioned else "all"):
            unknown["seeds"] = "each model's first images are kept among the candidates as published alone"
            return None
        known = kept.of_target(target, end)
        if known is None or np.isnan(known[1]):
            unknown["seeds"] = "it is of one model alone" if known else "this target was not kept"
            return None
        each, halves = known
        lists = [{*ids_of_model.tolist()} - {-1} for ids_of_model in each]
        shared = [len(a & b) for a, b in combinations(lists, 2)]
        return SeedAgreement(
            kept.models,
            kept.half,
            kept.splits,
            self._overlap(halves, ids, ids, counts),
            self._overlap(float(np.mean(shared)), ids, ids, counts),
            kept.fits,
        )

    # -- the control by norm

    @cached_property
    def _by_norm(self) -> dict[int, np.ndarray] | None:
        """class -> its training images, largest norm first; None where no norms are stored."""
        if NORMS not in detectors.names(self.workspace):
            return None
        norms, labels = detectors.load(self.workspace, NORMS).scores, self._labels
        order = np.argsort(-norms, kind="stable")
        return {label: order[labels[order] == label] for label in range(self._n_classes)}

    def _norm(self, ranking, target, candidates, ids, counts, unknown) -> Overlap | None:
        if self._by_norm is None or not len(ids):
            unknown["norm"] = f"no norms are stored; python -m attribution detectors build {NORMS} computes them"
            return None
        labels, pool = self._labels, None
        control: list[int] = []
        for label, n in enumerate(np.bincount(labels[ids], minlength=len(counts)).tolist()):
            of_class = self._by_norm[label]
            if n and counts[label] < len(of_class):  # some of the class are no candidates
                pool = ranking.candidates(target, candidates) if pool is None else pool
                of_class = of_class[np.isin(of_class, pool)]
            control += of_class[:n].tolist()
        return self._overlap(len({*control} & {*ids.tolist()}), ids, ids, counts)

    # -- predicted and measured changes

    @cached_property
    def _removals(self) -> Removals | None:
        try:
            return calibration.load(self.workspace, of_all=False)
        except UserError:  # said on Compare, where it is shown
            return None

    def _scale(self, ranking: str, origin: str, target: int) -> float | None:
        """Measured change for each unit that a ranking predicts, by least squares through the origin on the sets of an
        origin (`calibration.ORIGINS`) that were removed for the other targets; None where these are too few."""
        removals = self._removals
        if removals is None or ranking not in removals.names:
            return None
        if (ranking, origin) not in self._sums:
            x, sums = removals.predicted[removals.names.index(ranking)], {}
            for at in np.flatnonzero(calibration.rows_of_origin(removals, ranking, origin)):
                xy, xx = sums.get(int(removals.target[at]), (0.0, 0.0))
                sums[int(removals.target[at])] = (xy + x[at] * removals.measured[at], xx + x[at] ** 2)
            self._sums[ranking, origin] = sums
        others = [pair for of, pair in self._sums[ranking, origin].items() if of != target]
        squares = sum(xx for _, xx in others)
        return sum(xy for xy, _ in others) / squares if len(others) >= MIN_SCALE_TARGETS and squares else None

    def _changes(self, ranking, target, removals, unknown) -> tuple[Change, ...]:
        if not ranking.signed or ranking.live:
            unknown["change"] = "its scores predict no change of this model's margin"
            return ()
        if removals is None or ranking.name not in removals.names:
            unknown["change"] = (
                "no removal is measured against it; python -m attribution evaluate calibration does that"
            )
            return ()
        of_target = removals.target == target
        unknown["change"] = "nothing was removed for this target yet"
        for origin in ("own", "others"):
            chosen = np.flatnonzero(of_target & calibration.rows_of_origin(removals, ranking.name, origin))
            scale = self._scale(ranking.name, origin, target)
            if len(chosen) and scale is not None:
                del unknown["change"]
                return tuple(self._change(removals, ranking.name, at, scale) for at in chosen.tolist())
            if len(chosen):
                unknown["change"] = "its scores have no scale yet: too few other targets were tested"
        return ()

    def _change(self, removals: Removals, ranking: str, at: int, scale: float) -> Change:
        base, seeds = self.workspace.base, int(removals.seeds[at])
        error = base.noise * np.sqrt(1 / seeds + 1 / (seeds if removals.paired[at] else base.n_models))
        predicted = scale * float(removals.predicted[removals.names.index(ranking), at])
        numbers = predicted, float(removals.measured[at]), float(error)
        source = removals.sources[removals.source[at]]
        return Change(source, int(removals.k[at]), seeds, *numbers, judge_change(*numbers))


def judge_change(predicted: float, measured: float, error: float) -> str:
    """The outcome of a test, see `Change`. error: standard error of `measured`.

    >>> judge_change(-1.9, -2.1, 0.3), judge_change(-1.9, -0.3, 0.3), judge_change(-0.1, 0.2, 0.3)
    ('held', 'less', 'too small')
    """
    doubt = STANDARD_ERRORS * error
    if abs(predicted) <= doubt and abs(measured) <= doubt:
        return "too small"
    ratio = measured / predicted if predicted else np.inf
    if abs(measured - predicted) <= doubt or 1 / CHANGE_FACTOR <= ratio <= CHANGE_FACTOR:
        return "held"
    return "more" if ratio > CHANGE_FACTOR else "less"


def removals_of_target(workspace: Workspace, store: ResultStore | None, target: int) -> Removals | None:
    """What was removed for a target, the store's retrainings included; None where nothing was."""
    try:
        return calibration.compute(workspace, store, target=target)
    except UserError:
        return None


def rows_of_target(
    workspace: Workspace,
    store: ResultStore | None,
    target: int,
    names: Iterable[str],
    end: str = "helpful",
    candidates: str | None = None,
) -> list[RowTrust]:
    """What is known of a target's rows under these rankings, the store's retrainings included; those alone that rank
    for the target and have that end. Raises UserError for an unknown target, ranking or end."""
    target = workspace.check_target(target)
    if end not in ("helpful", "harmful"):
        raise UserError(f"end {end!r} is not known; say helpful or harmful")
    rankings = [workspace.ranking(name) for name in dict.fromkeys(names)]
    asked = [
        (ranking.name, end, candidates)
        for ranking in rankings
        if target in ranking.targets and (ranking.signed or end == "helpful")
    ]
    removals = removals_of_target(workspace, store, target) if workspace.has_base else None
    return TrustMeter(workspace).rows(target, asked, removals)


def of_lineup(meter: TrustMeter, target: int, rows: Iterable[LineupRow], removals: Removals | None = None) -> dict:
    """Row id -> `RowTrust` of a lineup's rows, but for controls and empty rows. removals: as of `TrustMeter.row`."""
    shown = [row for row in rows if not row.undefined and not row.is_control]
    asked = [(row.ranking, row.end, row.candidates) for row in shown]
    known = {row: line.ids for row, line in zip(asked, shown) if len(line.ids) >= FIRST}
    return dict(zip([row.id for row in shown], meter.rows(target, asked, removals, known)))


def target_report(target: int, rows: list[RowTrust]) -> dict:
    """What `evaluate trust --target` prints: {"target", "thresholds", "rows": [`RowTrust.to_json`]}."""
    return {"target": int(target), "thresholds": thresholds(), "rows": [row.to_json() for row in rows]}


def report(
    workspace: Workspace,
    names: Iterable[str],
    targets: np.ndarray,
    end: str = "helpful",
    progress: Progress = lambda *at: None,
) -> dict:
    """What `evaluate trust` prints of many targets, int [T]: {"targets", "end", "thresholds", "rankings": {NAME:
    {"seeds", "single", "norm": mean shared images over targets (`mean_with_interval`), "chance", "verdicts": {VERDICT:
    `share_with_interval`}, "changes": of the tests that can tell, in what share of targets most held}}}."""
    if end not in ("helpful", "harmful"):
        raise UserError(f"end {end!r} is not known; say helpful or harmful")
    meter, rankings = TrustMeter(workspace), {}
    names = [name for name in dict.fromkeys(names) if not _is_random(name)]
    names = [name for name in names if end == "helpful" or workspace.ranking(name).signed]
    for at, name in enumerate(names):
        ranked = np.intersect1d(targets, workspace.ranking(name).targets).tolist()
        rows = []
        for n, target in enumerate(ranked, 1):
            rows.append(meter.row(target, name, end))
            progress(f"trust: {name}, ranking {at + 1} of {len(names)}: targets", n, len(ranked))
        told = [row.held for row in rows if row.held[1]]
        rankings[name] = {
            "seeds": _mean(row.seeds and row.seeds.halves.shared for row in rows),
            "single": _mean(row.seeds and row.seeds.single.shared for row in rows),
            "norm": _mean(row.norm and row.norm.shared for row in rows),
            "chance": _mean(row.norm and row.norm.chance for row in rows),
            "changes": share_with_interval(sum(2 * held >= all_told for held, all_told in told), len(told)),
            "verdicts": {
                verdict: share_with_interval(sum(row.verdict == verdict for row in rows), len(rows))
                for verdict in VERDICTS
            },
            "unknown": rows[0].unknown if rows else {},
        }
    return {"targets": len(targets), "end": end, "thresholds": thresholds(), "rankings": rankings}


def thresholds() -> dict[str, float]:
    """The thresholds of the verdict, by name."""
    return {
        "first": FIRST,
        "stable_share": STABLE_SHARE,
        "unstable_share": UNSTABLE_SHARE,
        "norm_share": NORM_SHARE,
        "change_factor": CHANGE_FACTOR,
        "standard_errors": STANDARD_ERRORS,
    }


def _mean(values) -> dict:
    return mean_with_interval(np.array([np.nan if value is None else value for value in values], float))


def _why_no_seeds(workspace: Workspace, ranking: Ranking) -> str:
    if ranking.live:
        return "it has no seeds of its own: the same features give the same order"
    made = workspace.manifest["parts"].get(f"rankings/{ranking.name}", {})
    if made.get("models") == 1:
        return "it is of one model alone"
    return "the first images of each of its models were not kept"


def _is_random(name: str) -> bool:
    return name.partition(CANDIDATES_MARK)[0] == Random.name


def signed(value: float) -> str:
    """A change of a margin, such as "−1.9".

    >>> signed(-1.93), signed(0.31), signed(-0.01)
    ('−1.9', '+0.3', '0.0')
    """
    return f"{round(value, 1) + 0:+.1f}".replace("-", "−").replace("+0.0", "0.0")
