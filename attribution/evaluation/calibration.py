"""Do scores predict by how much a target's margin changes when training images are removed?

A signed ranking is additive: it predicts that removing a set changes the margin (correct logit minus best other) by
minus the sum of the set's scores, times a scale of the method's own. Measured is the mean margin of retrainings without
the set, minus the margin of the unedited images. The sets are prefixes that support searches tested, of this ranking
and of others, and what single retrainings removed. Every signed ranking predicts every set.

The scale is one number, the slope of a line through the origin (removing nothing changes nothing). It is fitted on half
of the targets and judged on the other half, in N_SPLITS random splits, because with a few dozen targets one split alone
would decide the answer. Searches test ks near the flip, and a probe ends once its majority is decided: the sets are not
a random sample, and their number differs between targets.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from attribution.errors import UserError
from attribution.experiments import support_table
from attribution.experiments.prefixes import editable_prefix
from attribution.experiments.retrain import RetrainSpec
from attribution.experiments.spec import UNEDITED_SEEDS
from attribution.metrics.statistics import percentile_interval, spearman_correlation
from attribution.store.results import ResultStore
from attribution.training.edits import no_edit
from attribution.workspace.base_models import mean_base_margins
from attribution.workspace.kept import once
from attribution.workspace.parts import Part, Progress, base_digest, ranking_versions
from attribution.workspace.workspace import Workspace

#: which ranking's images were removed, in the words of the tables
ORIGINS = {"own": "its own top k", "others": "top k of others", "random": "random, same class"}
#: ranges of k, both ends included
K_RANGES = ((1, 8), (9, 32), (33, 128), (129, None))
STORED = Part("calibration", versions="versions")
PART = STORED.name
RESAMPLES = 500
MIN_TARGETS = 4  # targets in a half
N_SPLITS = 50  # of the targets in halves
BLOCK_ROWS = 512  # rows that are compared with all others at once
MAX_RETRAIN_JOBS = 200  # the newest jobs of single retrainings, which are read
RANDOM_SOURCE, CHOSEN_SOURCE = "random", "chosen"


@dataclass(frozen=True)
class Removals:
    """Measured and predicted changes of a margin, n removals.

    names      the signed rankings
    sources    the rankings whose images were removed, and "chosen" for images that a person picked
    target     int64 [n]
    k          int64 [n], images removed
    source     int64 [n], index into `sources`
    seeds      int64 [n], how many models
    paired     bool [n], True where the unedited margin is of the same seeds, False where it is the base models'
    measured   float64 [n], change of the margin
    predicted  float64 [names, n], minus the sum of scores; NaN where a ranking does not rank for the target
    """

    names: tuple[str, ...]
    sources: tuple[str, ...]
    target: np.ndarray
    k: np.ndarray
    source: np.ndarray
    seeds: np.ndarray
    paired: np.ndarray
    measured: np.ndarray
    predicted: np.ndarray


STORED_ARRAYS = [field.name for field in fields(Removals)][2:]  # all but names and sources


def signed_rankings(workspace: Workspace) -> list[str]:
    """The rankings that predict a change: stored ones with a sign and a score for every image. The sign of a live
    ranking is a heuristic of similarity, or of another model."""
    rankings = [workspace.ranking(name) for name in workspace.rankings()]
    return [ranking.name for ranking in rankings if ranking.signed and ranking.complete and not ranking.live]


def compute(
    workspace: Workspace,
    store: ResultStore | None = None,
    progress: Progress = lambda *at: None,
    target: int | None = None,
) -> Removals:
    """Every measured removal under the workspace's recipe: the traces of removal supports and, where there is a store,
    single retrainings with their random controls. target: of this one alone.

    Raises UserError where no ranking has a sign, there are no base models, or nothing was removed yet.
    """
    workspace.check_base()
    names = signed_rankings(workspace)
    if not names:
        raise UserError(
            f"no ranking of {workspace.name} has a sign and all its scores, so none predicts a change; "
            "build or import one, such as TRAK"
        )
    unedited = _UneditedMargins(workspace, store)
    removals = [*_support_removals(workspace, store, progress, target), *_retrain_removals(workspace, store, target)]
    if not removals:
        raise UserError(f"nothing was removed in {workspace.name} yet; ask for a removal study, or retrain once")
    sources = tuple(dict.fromkeys(source for source, *_ in removals))
    scores: dict = {}
    rows = []
    for source, target, ids, seeds, margin in removals:
        unedited_margin, paired = unedited.margin(target, seeds)
        predicted = []
        for name in names:
            if (name, target) not in scores:
                ranking = workspace.ranking(name)
                scores[name, target] = ranking.scores(target).astype(float) if target in ranking.targets else None
            row = scores[name, target]
            predicted.append(np.nan if row is None else -row[ids].sum())
        rows.append((target, len(ids), sources.index(source), len(seeds), paired, margin - unedited_margin, predicted))
    target, k, source, seeds, paired, measured, predicted = (np.array(column) for column in zip(*rows))
    return Removals(tuple(names), sources, target, k, source, seeds, paired, measured, predicted.T)


def save(workspace: Workspace, removals: Removals, provenance: dict, record: Callable | None = None) -> None:
    """Stores removals as the part "calibration"; provenance, record: as `Part.save`."""
    used = {*removals.names, *removals.sources} & set(workspace.rankings())
    computed_with = {
        "rankings": list(removals.names),
        "sources": list(removals.sources),
        "base": base_digest(workspace),
        "versions": ranking_versions(workspace, used),
    }
    arrays = {name: getattr(removals, name) for name in STORED_ARRAYS}
    STORED.save(workspace, arrays, {**provenance, **computed_with}, record)


def load(workspace: Workspace, of_all: bool = True) -> Removals | None:
    """The stored removals; None where nothing is stored, where one of the rankings or the base models has changed or is
    gone, or, with `of_all`, where another signed ranking was added. Raises UserError where the arrays do not fit each
    other."""
    return once(("removals", id(workspace), of_all), lambda: _load(workspace, of_all))


def _load(workspace, of_all) -> Removals | None:
    if not STORED.is_current(workspace):
        return None
    made = STORED.provenance(workspace)
    if of_all and signed_rankings(workspace) != made["rankings"]:
        return None
    arrays = STORED.read_arrays(workspace, dict.fromkeys(STORED_ARRAYS, ()))
    n = len(arrays["target"])
    if any(array.shape[-1] != n for array in arrays.values()) or len(arrays["predicted"]) != len(made["rankings"]):
        raise UserError(
            f"the arrays in {workspace.folder(PART)} do not fit each other; measure again with: evaluate calibration"
        )
    return Removals(tuple(made["rankings"]), tuple(made["sources"]), **arrays)


def is_equal(a: Removals | None, b: Removals | None) -> bool:
    """Whether two hold the same measurements."""
    if a is None or b is None or (a.names, a.sources) != (b.names, b.sources):
        return False
    return all(np.array_equal(getattr(a, name), getattr(b, name), equal_nan=True) for name in STORED_ARRAYS)


def report(workspace: Workspace, removals: Removals, resamples: int = RESAMPLES) -> dict:
    """What `evaluate calibration` prints: {"recipe", "recipe_hash", "targets", "splits", "sets", "paired": share
    of sets, "noise": standard deviation of a margin over seeds, "rankings": {NAME: {ORIGIN: `fit_scale`}}, "unsigned":
    names}."""
    # kept beside the removals that it is of, so that no other object gets their id meanwhile
    key = ("calibration", id(workspace), id(removals), resamples)
    return once(key, lambda: (removals, _report(workspace, removals, resamples)))[1]


def _report(workspace, removals, resamples) -> dict:
    base = workspace.base
    rows = {
        name: {origin: fit_scale(removals, name, origin, base.noise, resamples, base.n_models) for origin in ORIGINS}
        for name in removals.names
    }
    return {
        "recipe": workspace.recipe,
        "recipe_hash": workspace.get_recipe().hash,
        "targets": len(np.unique(removals.target)),
        "splits": N_SPLITS,
        "sets": len(removals.target),
        "paired": float(removals.paired.mean()),
        "noise": base.noise,
        "rankings": rows,
        "unsigned": [
            name for name in workspace.rankings() if not workspace.ranking(name).signed or workspace.ranking(name).live
        ],
    }


def rows_of_origin(removals: Removals, name: str, origin: str) -> np.ndarray:
    """Which removals are of the ranking's own sets, of others' or of random ones, and predicted by it: bool [n]."""
    source = np.array(removals.sources)[removals.source]
    own, random = source == name, source == RANDOM_SOURCE
    chosen = {"own": own, "random": random, "others": ~(own | random)}[origin]
    return chosen & ~np.isnan(removals.predicted[removals.names.index(name)])


def origins_of(removals: Removals, name: str) -> list[str]:
    """Those of ORIGINS of which a ranking predicts any set; none where it ranks for none of the targets."""
    return [origin for origin in ORIGINS if rows_of_origin(removals, name, origin).any()]


def fit_scale(
    removals: Removals, name: str, origin: str, noise: float, resamples: int = RESAMPLES, base_models: float = np.inf
) -> dict:
    """How well a ranking predicts the changes of the sets of one origin.

    noise        standard deviation of a margin over seeds
    base_models  how many base models the unedited margin is the mean of, where it is not of the same seeds

    slope      measured change for each unit predicted, by least squares through the origin on all targets
    r2         1 minus the squared errors over those of always predicting the mean measured change: below 0 it is worse
               than that. A set's squared error is the mean over the splits in which its target was in the judged half,
               under the slope of the fitted half
    r2_splits  10 and 90 % quantiles of the R2 of single splits
    spearman   predicted with measured, all targets
    reachable  the largest r2 to expect, given the seeds' noise in what was measured
    n, targets  numbers of sets and of targets
    sizes      r2, spearman, n and targets for each of K_RANGES that has sets
    Slope, r2 and spearman also as NAME_ci, 95 % bootstrap over targets. None where there are too few targets.
    """
    chosen = np.flatnonzero(rows_of_origin(removals, name, origin))
    x, y = removals.predicted[removals.names.index(name)][chosen], removals.measured[chosen]
    target, seeds = removals.target[chosen], removals.seeds[chosen]
    empty = dict.fromkeys(("slope", "r2", "spearman"))
    answer = {
        **empty,
        **{f"{key}_ci": None for key in empty},
        "r2_splits": None,
        "reachable": None,
        "n": len(chosen),
        "targets": len(np.unique(target)),
        "sizes": {},
    }
    if answer["targets"] < 2 * MIN_TARGETS or not (x**2).sum():
        return answer
    fitted = split_targets(target)
    slopes = np.nan_to_num(_safe_ratio((x * y) @ fitted, x**2 @ fitted))  # 0 where a half has only predictions of 0
    squares = np.where(fitted, np.nan, (y[:, None] - slopes * x[:, None]) ** 2)
    errors = np.nanmean(squares, 1)
    answer |= {"slope": float((x * y).sum() / (x * x).sum()), **_score_fit(x, y, errors)}
    single = 1 - _safe_ratio(np.nansum(squares, 0), _deviations(y, (~fitted).astype(float)))
    answer["r2_splits"] = [float(end) for end in np.nanquantile(single, [0.1, 0.9])]
    # the unedited margin is noisy, too: it is a mean of as many seeds, or of the base models
    variance = noise**2 * np.mean(1 / seeds + np.where(removals.paired[chosen], 1 / seeds, 1 / base_models))
    spread = np.var(y)
    answer["reachable"] = float(max(0.0, 1 - variance / spread)) if spread > 0 else None
    drawn = _resample_weights(target, resamples)
    answer["slope_ci"] = percentile_interval(_safe_ratio((x * y) @ drawn, x**2 @ drawn))
    answer["r2_ci"] = percentile_interval(1 - _safe_ratio(errors @ drawn, _deviations(y, drawn)))
    answer["spearman_ci"] = percentile_interval(_correlations(x, y, drawn))
    for low, high in K_RANGES:
        in_range = (removals.k[chosen] >= low) & (removals.k[chosen] <= (high or np.inf))
        if in_range.any():
            label = f"{low} to {high}" if high else f"{low} and more"
            answer["sizes"][label] = {
                **_score_fit(x[in_range], y[in_range], errors[in_range]),
                "n": int(in_range.sum()),
                "targets": len(np.unique(target[in_range])),
            }
    return answer


def split_targets(target: np.ndarray) -> np.ndarray:
    """Whether a row's target is in the half that the slope is fitted on: bool [n, N_SPLITS]. target: int [n]. Every
    target is in the judged half at least once."""
    targets, at = np.unique(target, return_inverse=True)
    rng = np.random.default_rng(0)
    first = np.array([rng.permutation(len(targets)) < len(targets) // 2 for _ in range(N_SPLITS // 2)]).T
    return np.concatenate([first, ~first], 1)[at]


def chart_points(removals: Removals, summary: dict, name: str, origin: str) -> list[dict]:
    """The points of one ranking and origin: ranking, removed (whose images), target, k, seeds, predicted (in its own
    units), foretold (predicted times the slope of all targets; None where there is none), measured. summary: what
    `report` returns."""
    slope = summary["rankings"][name][origin]["slope"]
    predicted = removals.predicted[removals.names.index(name)]
    return [
        {
            "ranking": name,
            "removed": removals.sources[removals.source[at]],
            "target": int(removals.target[at]),
            "k": int(removals.k[at]),
            "seeds": int(removals.seeds[at]),
            "predicted": float(predicted[at]),
            "foretold": None if slope is None else float(slope * predicted[at]),
            "measured": float(removals.measured[at]),
        }
        for at in np.flatnonzero(rows_of_origin(removals, name, origin)).tolist()
    ]


def _support_removals(workspace, store, progress, target):
    """(source, target, ids, seeds, mean margin) of every k of every removal support of a listed ranking."""
    only = {} if target is None else {"target": target}
    supports = support_table.load_support_table(workspace, store, **only)
    # a ranking that is not listed is a variant of a listed one: its sets would count as another ranking's
    supports = supports[(supports.kind == "remove") & supports.ranking.isin(workspace.rankings())]
    for at, row in enumerate(supports.itertuples(), 1):
        ids = editable_prefix(workspace, workspace.ranking(row.ranking), row.target, "remove", row.k_max)
        probes_of_k: dict[int, list] = {}
        for probe in row.trace:
            if probe["margin"] is not None and probe["k"]:
                probes_of_k.setdefault(probe["k"], []).append(probe)
        for k, probes in probes_of_k.items():  # a confirming probe has other seeds of the same edit
            seeds = tuple(seed for probe in probes for seed in probe["seeds"])
            weights = [len(probe["seeds"]) for probe in probes]
            margin = float(np.average([probe["margin"] for probe in probes], weights=weights))
            yield row.ranking, int(row.target), ids[:k], seeds, margin
        progress("calibration: supports", at, len(supports))


def _retrain_removals(workspace, store, target):
    """The same of the newest single retrainings and of their random controls."""
    if store is None:
        return
    recipe = workspace.get_recipe()
    seen = set()
    for job in store.jobs_of_verb("retrain", MAX_RETRAIN_JOBS):
        spec = RetrainSpec.from_json(job.spec)
        if job.state != "done" or spec.kind != "remove" or spec.recipe != workspace.recipe:
            continue
        if target is not None and spec.target != target:
            continue
        for kind, edits in spec.edits(workspace).items():
            for edit in edits:
                retrainings = [store.get(store.key(recipe.hash, edit, seed)) for seed in spec.seeds]
                if kind == "none" or not all(retrainings) or (spec.target, edit.hash) in seen:
                    continue
                seen.add((spec.target, edit.hash))
                margin = float(np.mean([retraining.margins[spec.target] for retraining in retrainings], dtype=float))
                if np.isfinite(margin):
                    source = RANDOM_SOURCE if kind == "random" else spec.ranking or CHOSEN_SOURCE
                    source = CHOSEN_SOURCE if spec.end == "harmful" or spec.groups else source
                    yield source, spec.target, np.array(edit.indices), tuple(spec.seeds), margin


class _UneditedMargins:
    """Margins without an edit: of the same seeds where the store has all of them, else of the base models."""

    def __init__(self, workspace, store):
        self.base = mean_base_margins(workspace)
        self.by_seed = {}
        if store is not None:
            recipe = workspace.get_recipe().hash
            for seed in UNEDITED_SEEDS:
                retraining = store.get(store.key(recipe, no_edit(), seed))
                if retraining is not None:
                    self.by_seed[seed] = retraining.margins.astype(float)

    def margin(self, target: int, seeds) -> tuple[float, bool]:
        """(mean margin, whether it is of the same seeds)."""
        if seeds and all(seed in self.by_seed for seed in seeds):
            margin = float(np.mean([self.by_seed[seed][target] for seed in seeds]))
            if np.isfinite(margin):
                return margin, True
        return float(self.base[target]), False


def _score_fit(x, y, errors) -> dict:
    spread = ((y - y.mean()) ** 2).sum()
    rho = float(spearman_correlation(x, y)) if len(x) >= MIN_TARGETS else np.nan
    return {"r2": float(1 - errors.sum() / spread) if spread > 0 else None, "spearman": None if np.isnan(rho) else rho}


def _deviations(y, weights) -> np.ndarray:
    """Weighted sums of squared deviations from the weighted mean, float64 [columns of weights]."""
    return y**2 @ weights - (y @ weights) ** 2 / weights.sum(0)


def _resample_weights(target, resamples) -> np.ndarray:
    """How often each row counts in each resample of targets, float64 [n, resamples]: rows of a target are drawn
    together."""
    targets, at = np.unique(target, return_inverse=True)
    n = len(targets)
    counts = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=resamples)
    return counts.T[at].astype(float)


def _correlations(x, y, drawn) -> np.ndarray:
    """Spearman's correlation in each resample, float64 [resamples]. A row's rank is the draws below it minus those
    above: the comparisons, made once, times `drawn` are the ranks in all resamples."""
    xy, xx, yy = np.zeros((3, drawn.shape[1]))
    for at in range(0, len(x), BLOCK_ROWS):
        rows = slice(at, at + BLOCK_ROWS)
        a, b = (np.sign(side[rows, None] - side) @ drawn for side in (x, y))
        xy += (drawn[rows] * a * b).sum(0)
        xx += (drawn[rows] * a * a).sum(0)
        yy += (drawn[rows] * b * b).sum(0)
    return _safe_ratio(xy, np.sqrt(xx * yy))


def _safe_ratio(above, below) -> np.ndarray:
    return np.divide(above, below, out=np.full(np.shape(below), np.nan), where=below > 0)
