"""Do scores foretell by how much a target's margin changes when training images are removed?

A signed ranking adds up: without a set, it says, the margin (correct logit minus best other) changes by minus the sum
of the set's scores, times a scale that is the method's own. Measured: the mean margin of retrainings without that set,
less that of the unedited images. The sets are prefixes that support searches tested, of this ranking and of others, and
what single retrainings removed; so every signed ranking is asked about every set.

The scale, one number (a line through the origin: without nothing, nothing changes), is fitted on half of the targets
and judged on the other half, in SPLITS random halves: of a few dozen targets a single split decides the answer by
itself. Searches probe ks near the flip, and a probe ends when its majority is decided: these sets
are no random sample of sets, and their number differs between targets.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from attribution.errors import UserError
from attribution.experiments import support_table
from attribution.experiments.prefixes import editable_prefix
from attribution.experiments.retrain import RetrainSpec
from attribution.experiments.spec import UNEDITED_SEEDS
from attribution.files import read_array
from attribution.metrics.statistics import spearman_correlation
from attribution.rankings import unchanged_names
from attribution.training import recipes
from attribution.training.edits import no_edit
from attribution.workspace.base_models import mean_base_margins

#: whose images were removed, in the words of the tables
ORIGINS = {"own": "its own first k", "others": "what others put first", "random": "random, of the class"}
#: sizes of k, both ends counted
K_RANGES = ((1, 8), (9, 32), (33, 128), (129, None))
RESAMPLES = 500
MIN_TARGETS = 4  # targets in a half
N_SPLITS = 50  # of the targets in halves
BLOCK_ROWS = 512  # rows that are compared with all at a time
MAX_RETRAIN_JOBS = 200  # jobs of single retrainings that are looked at, the newest
RANDOM_SOURCE, CHOSEN_SOURCE = "random", "chosen"


@dataclass(frozen=True)
class Removals:
    """One measurement a row. names: the signed rankings; sources: the rankings whose images were removed, and "chosen"
    for those a person picked.

    target, k, source (a number into sources): int64 [n]; seeds: how many models, int64 [n]; paired: bool [n], whether
    the unedited margin is of the same seeds, else it is the base models'; measured: float64 [n], change of the margin;
    predicted: float64 [names, n], minus the sum of scores, NaN where a ranking does not rank for the target."""

    names: tuple[str, ...]
    sources: tuple[str, ...]
    target: np.ndarray
    k: np.ndarray
    source: np.ndarray
    seeds: np.ndarray
    paired: np.ndarray
    measured: np.ndarray
    predicted: np.ndarray


def signed_rankings(workspace) -> list[str]:
    """The rankings that foretell a change: stored ones with a sign, and a score for every image. The sign of a live one
    is a heuristic about likeness."""
    rankings = [workspace.ranking(name) for name in workspace.rankings()]
    return [one.name for one in rankings if one.signed and one.complete and not one.live]


def gather_removals(workspace, store=None, progress: Callable = lambda *at: None) -> Removals:
    """Every removal that is measured: the traces of removal supports, and of single retrainings with their random
    controls where there is a store, under the workspace's recipe. progress(text, done, total).

    Raises UserError where no ranking has a sign, there are no base models, or nothing was removed yet.
    """
    workspace.check_base()
    names = signed_rankings(workspace)
    if not names:
        raise UserError(
            f"no ranking of {workspace.name} has a sign and all its scores, so none foretells a change; "
            "build or import one, such as TRAK"
        )
    unedited = _UneditedMargins(workspace, store)
    tested = list(_support_removals(workspace, store, progress)) + list(_retrain_removals(workspace, store))
    if not tested:
        raise UserError(f"nothing was removed in {workspace.name} yet; ask for a removal study, or retrain once")
    sources = tuple(dict.fromkeys(one[0] for one in tested))
    scores: dict = {}
    rows = []
    for source, target, ids, seeds, margin in tested:
        without, paired = unedited.margin(target, seeds)
        predicted = []
        for name in names:
            if (name, target) not in scores:
                ranking = workspace.ranking(name)
                scores[name, target] = ranking.scores(target).astype(float) if target in ranking.targets else None
            row = scores[name, target]
            predicted.append(np.nan if row is None else -row[ids].sum())
        rows.append((target, len(ids), sources.index(source), len(seeds), paired, margin - without, predicted))
    target, k, source, seeds, paired, measured, predicted = (np.array(column) for column in zip(*rows))
    return Removals(tuple(names), sources, target, k, source, seeds, paired, measured, predicted.T)


def _support_removals(workspace, store, progress):
    """(source, target, ids, seeds, mean margin) of every k of every removal support of a ranking that is listed."""
    found = support_table.load_support_table(workspace, store)
    # those that are not listed are a listed one's own sets in another guise, and no others'
    found = found[(found.kind == "remove") & found.ranking.isin(workspace.rankings())]
    for at, row in enumerate(found.itertuples(), 1):
        ids = editable_prefix(workspace, workspace.ranking(row.ranking), row.target, "remove", row.k_max)
        probes: dict[int, list] = {}
        for probe in row.trace:
            if probe["margin"] is not None and probe["k"]:
                probes.setdefault(probe["k"], []).append(probe)
        for k, some in probes.items():  # those that confirm have other seeds of the same edit
            weights = [len(probe["seeds"]) for probe in some]
            seeds = tuple(seed for probe in some for seed in probe["seeds"])
            yield (
                row.ranking,
                int(row.target),
                ids[:k],
                seeds,
                float(np.average([probe["margin"] for probe in some], weights=weights)),
            )
        progress("calibration: supports", at, len(found))


def _retrain_removals(workspace, store):
    """The same of the newest single retrainings, whatever was done with their images, and of their controls."""
    if store is None:
        return
    recipe = recipes.get_recipe(workspace.recipe)
    done = set()
    for job in store.jobs_of_verb("retrain", MAX_RETRAIN_JOBS):
        spec = RetrainSpec.from_json(job.spec)
        if job.state != "done" or spec.kind != "remove" or spec.recipe != workspace.recipe:
            continue
        for kind, edits in spec.edits(workspace).items():
            for edit in edits:
                kept = [store.get(store.key(recipe.hash, edit, seed)) for seed in spec.seeds]
                if kind == "none" or not all(kept) or (spec.target, edit.hash) in done:
                    continue
                done.add((spec.target, edit.hash))
                margin = float(np.mean([one.margins[spec.target] for one in kept], dtype=float))
                if np.isfinite(margin):
                    source = RANDOM_SOURCE if kind == "random" else spec.ranking or CHOSEN_SOURCE
                    source = CHOSEN_SOURCE if spec.end == "harmful" or spec.groups else source
                    yield source, spec.target, np.array(edit.indices), tuple(spec.seeds), margin


class _UneditedMargins:
    """Margins without an edit: of the same seeds where the store has them all, else of the base models."""

    def __init__(self, workspace, store):
        self.base = mean_base_margins(workspace)
        self.kept = {}
        if store is not None:
            recipe = recipes.get_recipe(workspace.recipe).hash
            for seed in UNEDITED_SEEDS:
                one = store.get(store.key(recipe, no_edit(), seed))
                if one is not None:
                    self.kept[seed] = one.margins.astype(float)

    def margin(self, target: int, seeds) -> tuple[float, bool]:
        if seeds and all(seed in self.kept for seed in seeds):
            same = float(np.mean([self.kept[seed][target] for seed in seeds]))
            if np.isfinite(same):
                return same, True
        return float(self.base[target]), False


# -- how well they foretell


def summary(workspace, rows: Removals, resamples: int = RESAMPLES) -> dict:
    """`evaluate calibration`: {"targets", "splits", "sets", "paired": share of sets, "noise": standard
    deviation of a margin over seeds, "unsigned": [...], "rankings": {NAME: {"own", "others", "random": see `fit_scale`}}}."""
    noise = workspace.base.noise
    found = {
        name: {whose: fit_scale(rows, name, whose, noise, resamples, workspace.base.n_models) for whose in ORIGINS}
        for name in rows.names
    }
    return {
        "recipe": workspace.recipe,
        "recipe_hash": recipes.get_recipe(workspace.recipe).hash,
        "targets": len(np.unique(rows.target)),
        "splits": N_SPLITS,
        "sets": len(rows.target),
        "paired": float(rows.paired.mean()),
        "noise": noise,
        "rankings": found,
        "unsigned": [
            name for name in workspace.rankings() if not workspace.ranking(name).signed or workspace.ranking(name).live
        ],
    }


def rows_of_origin(rows: Removals, name: str, whose: str) -> np.ndarray:
    """Which rows are of sets that are a ranking's own, of others, or random: bool [n]."""
    source = np.array(rows.sources)[rows.source]
    chosen = {"own": source == name, "random": source == RANDOM_SOURCE}
    chosen["others"] = ~(chosen["own"] | chosen["random"])
    return chosen[whose] & ~np.isnan(rows.predicted[rows.names.index(name)])


def origins_of(rows: Removals, name: str) -> list[str]:
    """Those of WHOSE that a ranking foretells any set of; none where it ranks for none of the targets."""
    return [whose for whose in ORIGINS if rows_of_origin(rows, name, whose).any()]


def fit_scale(
    rows: Removals, name: str, whose: str, noise: float, resamples: int = RESAMPLES, base: float = np.inf
) -> dict:
    """How well a ranking foretells the changes of one group of sets. noise: standard deviation of a margin over seeds;
    base: how many base models the unedited margin is the mean of, where it is not of the same seeds.

    slope      measured change for each predicted one, by least squares through the origin on all targets
    r2         1 less the squared errors over those of always foretelling the mean measured change, so that below 0 it
               is worse than that. A set's squared error is the mean over the SPLITS in which its target was in the
               half that judges, under the slope of the half that fits
    r2_splits  10 and 90 % of the R2 of single splits: how far one of them may lead
    spearman   predicted with measured, all targets
    reachable  the most that r2 can be expected to be: the seeds' noise in what was measured alone
    n, targets of the sets
    sizes      r2 and spearman alone, for each of SIZES that has sets
    Slope, r2 and spearman also as NAME_ci, 95 % bootstrap over targets. None where there are too few targets.
    """
    kept = np.flatnonzero(rows_of_origin(rows, name, whose))
    x, y, target = rows.predicted[rows.names.index(name)][kept], rows.measured[kept], rows.target[kept]
    empty = dict.fromkeys(("slope", "r2", "spearman"))
    answer = {
        **empty,
        **{f"{key}_ci": None for key in empty},
        "r2_splits": None,
        "reachable": None,
        "n": len(kept),
        "targets": len(np.unique(target)),
        "sizes": {},
    }
    if answer["targets"] < 2 * MIN_TARGETS or not (x**2).sum():
        return answer
    fitted = split_targets(target)
    slopes = np.nan_to_num(_safe_ratio((x * y) @ fitted, x**2 @ fitted))  # 0 where nothing but 0 is predicted in a half
    squares = np.where(fitted, np.nan, (y[:, None] - slopes * x[:, None]) ** 2)
    errors = np.nanmean(squares, 1)
    answer |= {"slope": float((x * y).sum() / (x * x).sum()), **_score_fit(x, y, errors)}
    single = 1 - _safe_ratio(np.nansum(squares, 0), _deviations(y, (~fitted).astype(float)))
    answer["r2_splits"] = [float(end) for end in np.nanquantile(single, [0.1, 0.9])]
    # the unedited margin has noise, too: that of as many seeds, or of the base models
    variance = noise**2 * np.mean(1 / rows.seeds[kept] + np.where(rows.paired[kept], 1 / rows.seeds[kept], 1 / base))
    spread = np.var(y)
    answer["reachable"] = float(max(0.0, 1 - variance / spread)) if spread > 0 else None
    drawn = _resample_weights(target, resamples)
    answer["slope_ci"] = _percentile_interval(_safe_ratio((x * y) @ drawn, x**2 @ drawn))
    answer["r2_ci"] = _percentile_interval(1 - _safe_ratio(errors @ drawn, _deviations(y, drawn)))
    answer["spearman_ci"] = _percentile_interval(_correlations(x, y, drawn))
    for low, high in K_RANGES:
        some = (rows.k[kept] >= low) & (rows.k[kept] <= (high or np.inf))
        if some.any():
            label = f"{low} to {high}" if high else f"{low} and more"
            answer["sizes"][label] = {
                **_score_fit(x[some], y[some], errors[some]),
                "n": int(some.sum()),
                "targets": len(np.unique(target[some])),
            }
    return answer


def split_targets(target: np.ndarray) -> np.ndarray:
    """Whether a row's target is in the half that the slope is fitted on, bool [n, SPLITS]; every target is in the other
    half at least once."""
    targets, at = np.unique(target, return_inverse=True)
    rng = np.random.default_rng(0)
    first = np.array([rng.permutation(len(targets)) < len(targets) // 2 for _ in range(N_SPLITS // 2)]).T
    return np.concatenate([first, ~first], 1)[at]


def chart_points(rows: Removals, told: dict, name: str, whose: str) -> list[dict]:
    """The points of one ranking and group: ranking, removed (whose images), target, k, seeds, predicted (its own
    units), foretold (times the slope of all targets; None where there is none), measured."""
    slope = told["rankings"][name][whose]["slope"]
    predicted = rows.predicted[rows.names.index(name)]
    return [
        {
            "ranking": name,
            "removed": rows.sources[rows.source[at]],
            "target": int(rows.target[at]),
            "k": int(rows.k[at]),
            "seeds": int(rows.seeds[at]),
            "predicted": float(predicted[at]),
            "foretold": None if slope is None else float(slope * predicted[at]),
            "measured": float(rows.measured[at]),
        }
        for at in np.flatnonzero(rows_of_origin(rows, name, whose)).tolist()
    ]


def _score_fit(x, y, errors) -> dict:
    spread = ((y - y.mean()) ** 2).sum()
    rho = float(spearman_correlation(x, y)) if len(x) >= MIN_TARGETS else np.nan
    return {"r2": float(1 - errors.sum() / spread) if spread > 0 else None, "spearman": None if np.isnan(rho) else rho}


def _deviations(y, weights) -> np.ndarray:
    """Weighted sums of squared deviations from the weighted mean, float64 [columns of weights]."""
    return y**2 @ weights - (y @ weights) ** 2 / weights.sum(0)


def _resample_weights(target, resamples) -> np.ndarray:
    """How often each row counts in each resample of targets, float64 [n, resamples]: rows of one target hang
    together."""
    one, at = np.unique(target, return_inverse=True)
    counts = np.random.default_rng(0).multinomial(len(one), np.full(len(one), 1 / len(one)), size=resamples)
    return counts.T[at].astype(float)


def _correlations(x, y, drawn) -> np.ndarray:
    """Spearman's correlation in each resample. A row's rank is what is drawn below it less what is above, so that
    comparisons made once, times `drawn`, are the ranks in all resamples."""
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


def _percentile_interval(values) -> list[float] | None:
    """The middle 95 % of those that are not NaN."""
    values = values[~np.isnan(values)]
    return [float(end) for end in np.quantile(values, [0.025, 0.975])] if len(values) else None


# -- kept, so that a page need not add up

PART = "calibration"
STORED_ARRAYS = [field.name for field in fields(Removals)][2:]  # all but names and sources


def save(workspace, rows: Removals, about: dict, record: Callable | None = None) -> None:
    """Keeps what was gathered as the part "calibration", where a user's parts go, or as record(part, arrays, about)
    stores it; about: further provenance."""
    known = set(workspace.rankings())
    about = {
        **about,
        "rankings": list(rows.names),
        "sources": list(rows.sources),
        "base": _base_digest(workspace),
        "versions": {name: workspace.ranking(name).version for name in {*rows.names, *rows.sources} & known},
    }
    arrays = {name: getattr(rows, name) for name in STORED_ARRAYS}
    if record:
        record(PART, arrays, about)
        return
    from attribution.workspace.parts import save_part

    save_part(workspace, PART, arrays, about)


def load(workspace) -> Removals | None:
    """What was kept last; None where nothing was, or a ranking of it or the base models are others by now, or gone, or
    one with a sign has come."""
    about = workspace.manifest["parts"].get(PART)
    if (
        about is None
        or signed_rankings(workspace) != about["rankings"]
        or about.get("base", _base_digest(workspace)) != _base_digest(workspace)
        or unchanged_names(workspace, about["versions"]) != set(about["versions"])
    ):
        return None
    arrays = {name: np.asarray(read_array(workspace.folder(PART) / f"{name}.npy")) for name in STORED_ARRAYS}
    n = len(arrays["target"])
    if any(array.shape[-1] != n for array in arrays.values()) or len(arrays["predicted"]) != len(about["rankings"]):
        raise UserError(
            f"the arrays in {workspace.folder(PART)} do not fit each other; measure again with: evaluate calibration"
        )
    return Removals(tuple(about["rankings"]), tuple(about["sources"]), **arrays)


def _base_digest(workspace) -> str | None:
    return workspace.manifest["parts"].get("base", {}).get("digest")


def is_equal(a: Removals | None, b: Removals | None) -> bool:
    """Whether two hold the same measurements."""
    if a is None or b is None or (a.names, a.sources) != (b.names, b.sources):
        return False
    return all(np.array_equal(getattr(a, name), getattr(b, name), equal_nan=True) for name in STORED_ARRAYS)
