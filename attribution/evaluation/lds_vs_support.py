"""Does a ranking that predicts a target well (high LDS) also flip it with few images (small support)?

Singla et al. (arXiv 2311.03386) answered their reviewers that the two measure different things. Measured three ways:
over targets, for each ranking; over rankings, of their means; and over the rankings of each single target, where how
hard the target is to flip cancels out. Supports are ranked smallest first, censored ones tied for last: a correlation
above 0 means that LDS and support agree.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy
from threadpoolctl import threadpool_limits

from attribution.builds.halves import load_held_out_halves
from attribution.errors import UserError
from attribution.experiments.study import Study
from attribution.experiments.support_search import Support
from attribution.metrics import lds, support_curves
from attribution.metrics.statistics import bootstrap_interval, percentile_interval, spearman_correlation
from attribution.rankings import unchanged_names
from attribution.workspace.base_models import mean_base_margins
from attribution.workspace.parts import Part, Progress, held_out_digest, ranking_versions
from attribution.workspace.workspace import Workspace

STORED = Part("lds_supports")
PART = STORED.name
KINDS = ("remove", "mislabel")
CONTROL_RANKING = "random"
RESAMPLES = 1000
RELIABILITY_SPLITS = 20  # of the held-out subsets in two
MIN_TARGETS = 4  # targets, or rankings, below which no correlation is given


@dataclass(frozen=True)
class TargetLDS:
    """LDS of single targets.

    names        the rankings
    targets      int64 [T]
    values       float32 [rankings, T], NaN where a ranking has no scores for a target
    reliability  ranking -> the correlation over targets that two such measurements would have, None where unknown
    """

    names: tuple[str, ...]
    targets: np.ndarray
    values: np.ndarray
    reliability: dict[str, float | None]

    def of_ranking(self, name: str) -> dict[int, float]:
        """target -> LDS, without those that have none; empty for a ranking that is not among `names`."""
        if name not in self.names:
            return {}
        row = self.values[self.names.index(name)]
        return {int(t): float(v) for t, v in zip(self.targets, row) if not np.isnan(v)}


def rankings_and_targets(study: Study) -> tuple[list[str], np.ndarray]:
    """The rankings and the targets (int64, ascending) that a study has supports of."""
    tables = [study.tables[kind] for kind in KINDS if kind in study.tables]
    names = dict.fromkeys(name for rankings in tables for name in rankings)
    targets = {target for rankings in tables for supports in rankings.values() for target in supports}
    return list(names), np.array(sorted(targets), np.int64)


def compute(
    workspace: Workspace, names: list[str], targets: np.ndarray, progress: Progress = lambda *at: None
) -> TargetLDS:
    """LDS of each of `targets`, int [T], on the held-out halves; NaN under a ranking that does not keep every score.

    Raises UserError where the workspace has no held-out halves, or no ranking with scores or no target is left.
    """
    masks, margins = load_held_out_halves(workspace)
    targets = np.asarray(targets, np.int64)
    if not any(workspace.ranking(name).complete for name in names) or not len(targets):
        raise UserError(
            "LDS and supports are compared on the targets of a study, under rankings that keep every "
            "score; ask for a study of such rankings first"
        )
    values = np.full((len(names), len(targets)), np.nan, np.float32)
    reliability = {}
    with threadpool_limits(1):  # the products are small: BLAS threads would mostly wait for each other
        for at, name in enumerate(names):
            ranking = workspace.ranking(name)
            ranked = np.flatnonzero(np.isin(targets, ranking.targets))
            if len(ranked) and ranking.complete:
                scores = np.array([ranking.scores(target) for target in targets[ranked].tolist()])
                score = lds.lds(masks, margins, scores, targets[ranked], resamples=0)
                values[at, ranked] = score.per_target
                reliability[name] = _reliability(masks, margins, scores, targets[ranked])
            progress("LDS of each target: rankings", at + 1, len(names))
    return TargetLDS(tuple(names), targets, values, {name: reliability.get(name) for name in names})


def save(workspace: Workspace, target_lds: TargetLDS, provenance: dict, record: Callable | None = None) -> None:
    """Stores LDS of single targets as the part "lds_supports"; provenance, record: as `Part.save`."""
    computed_with = {
        "rankings": list(target_lds.names),
        "reliability": target_lds.reliability,
        "versions": ranking_versions(workspace, target_lds.names),
        "halves": held_out_digest(workspace),
    }
    arrays = {"targets": target_lds.targets, "values": target_lds.values}
    STORED.save(workspace, arrays, {**provenance, **computed_with}, record)


def load(workspace: Workspace) -> TargetLDS | None:
    """The stored LDS of single targets, without the rankings that have changed since; None where nothing is stored or
    the halves have changed."""
    if not STORED.is_current(workspace):
        return None
    made = STORED.provenance(workspace)
    targets = STORED.read_arrays(workspace, {"targets": (None,)})["targets"].astype(np.int64)
    values = STORED.read_arrays(workspace, {"values": (len(made["rankings"]), len(targets))})["values"]
    unchanged = unchanged_names(workspace, made["versions"])
    rows = [at for at, name in enumerate(made["rankings"]) if name in unchanged]
    names = tuple(made["rankings"][at] for at in rows)
    return TargetLDS(names, targets, values[rows], {name: made["reliability"][name] for name in names})


def report(workspace: Workspace, study: Study, target_lds: TargetLDS, resamples: int = RESAMPLES) -> dict:
    """What `evaluate lds-supports` prints as JSON: {"recipe", "protocol", "K", "masks", "seeds", "kinds": {KIND:
    {"rankings": {NAME: `relate_lds_to_supports`}, "across": `correlate_rankings`, "within":
    `correlate_within_targets`}}}."""
    halves = workspace.manifest["parts"]["lds"]
    base_margins = mean_base_margins(workspace) if workspace.has_base else None
    classes, kinds = workspace.val_labels, {}
    for kind in KINDS:
        pairs = {
            name: pair_with_supports(table, target_lds.of_ranking(name))
            for name, table in study.tables.get(kind, {}).items()
            if target_lds.of_ranking(name)
        }
        pairs = {name: paired for name, paired in pairs.items() if paired}
        if not pairs:
            continue
        rows = {
            name: relate_lds_to_supports(paired, study.k_max, base_margins, classes, resamples)
            | {"reliability": target_lds.reliability[name]}
            for name, paired in pairs.items()
        }
        kinds[kind] = {
            "rankings": rows,
            "across": correlate_rankings(rows),
            "within": correlate_within_targets(pairs, study.k_max, resamples),
        }
    return {
        "recipe": workspace.recipe,
        "protocol": study.protocol,
        "K": study.k_max,
        "masks": halves["masks"],
        "seeds": len(seeds) if isinstance(seeds := halves.get("seeds"), list) else seeds,
        "kinds": kinds,
    }


def count_missing(target_lds: TargetLDS | None, study: Study) -> int:
    """For how many targets and rankings of a study LDS was not measured."""
    names, targets = rankings_and_targets(study)
    if target_lds is None:
        return len(targets)
    return len(np.setdiff1d(targets, target_lds.targets)) + len(set(names) - set(target_lds.names))


def pair_with_supports(
    supports: dict[int, Support | None], lds_of_target: dict[int, float]
) -> dict[int, tuple[float, Support]]:
    """target -> (LDS, support) of the targets that have both: searches that are unfinished, and targets with nothing
    to flip, are left out."""
    return {
        target: (lds_of_target[target], support)
        for target, support in supports.items()
        if support is not None and support.status not in support_curves.NO_SUPPORT_STATUSES and target in lds_of_target
    }


def chart_points(study: Study, target_lds: TargetLDS) -> list[dict]:
    """A row for each target under each ranking: kind, ranking, target, lds, support (None where censored), status."""
    return [
        {
            "kind": kind,
            "ranking": name,
            "target": target,
            "lds": value,
            "support": support.support,
            "status": support.status,
        }
        for kind in KINDS
        for name, table in study.tables.get(kind, {}).items()
        for target, (value, support) in pair_with_supports(table, target_lds.of_ranking(name)).items()
    ]


def smallness(supports: list[Support], k_max: int) -> np.ndarray:
    """float64 [n]: larger where a support is smaller; all that are censored at k_max tie for last."""
    return -np.minimum(support_curves.support_sizes(supports), k_max + 1)


def relate_lds_to_supports(
    pairs: dict[int, tuple[float, Support]],
    k_max: int,
    base_margins: np.ndarray | None = None,
    classes: np.ndarray | None = None,
    resamples: int = RESAMPLES,
) -> dict:
    """How LDS correlates with small supports over the targets of one ranking. pairs: target -> (LDS, support).

    spearman, ci   with ties at their middle ranks; ci: 95 % percentile bootstrap over targets; None where one of the
                   two is the same for all, or there are fewer than 4 targets
    kendall        tau-b
    p              two-sided, of that Spearman where LDS is shuffled among targets of one class (`classes`, int [n_val];
                   among all, if not given). Targets of a class share the chance in the held-out halves, and are
                   similarly hard to flip: the interval assumes independent targets and is too narrow for that
    sure           Spearman of small supports with `base_margins`, float [n_val], the base models' mean margins
    partial        the first Spearman with that margin held fixed
    lds, auc       means over these targets; censored, unstable: numbers among the n
    """
    values = np.array([value for value, _ in pairs.values()])
    supports = [support for _, support in pairs.values()]
    small = smallness(supports, k_max)
    row = {
        "n": len(pairs),
        "censored": int((small < -k_max).sum()),
        "unstable": sum(support.status == "unstable" for support in supports),
        "lds": float(values.mean()),
        "auc": support_curves.support_auc(supports, k_max),
        "spearman": None,
        "ci": None,
        "kendall": None,
        "p": None,
        "sure": None,
        "partial": None,
    }
    if len(pairs) < MIN_TARGETS or np.ptp(values) == 0 or np.ptp(small) == 0:
        return row
    target_classes = np.zeros(len(pairs), int) if classes is None else np.asarray(classes)[list(pairs)]
    row |= {
        "spearman": float(spearman_correlation(values, small)),
        "ci": _correlation_interval(values, small, resamples),
        "kendall": float(scipy.stats.kendalltau(values, small).statistic),
        "p": _permutation_p_value(values, small, target_classes, resamples),
    }
    if base_margins is not None and np.ptp(margin := base_margins[list(pairs)]) > 0:
        with_small, with_lds = float(spearman_correlation(margin, small)), float(spearman_correlation(margin, values))
        rest = np.sqrt((1 - with_small**2) * (1 - with_lds**2))
        row |= {
            "sure": with_small,
            "partial": float((row["spearman"] - with_small * with_lds) / rest) if rest > 0 else None,
        }
    return row


def correlate_rankings(rows: dict[str, dict]) -> dict:
    """Kendall's tau of the rankings' mean LDS with their AUC, and its two-sided p; None for fewer than 4 rankings."""
    values, auc = (np.array([row[name] for row in rows.values()]) for name in ("lds", "auc"))
    if len(rows) < MIN_TARGETS or np.ptp(values) == 0 or np.ptp(auc) == 0:
        return {"kendall": None, "p": None, "n": len(rows)}
    tau = scipy.stats.kendalltau(values, auc)
    return {"kendall": float(tau.statistic), "p": float(tau.pvalue), "n": len(rows)}


def correlate_within_targets(pairs: dict[str, dict], k_max: int, resamples: int = RESAMPLES) -> dict:
    """Does the ranking with the higher LDS on a target also have the smaller support? Kendall's tau-b over the rankings
    without the random control, for each target: {"kendall": mean, "ci", "n": targets, "left_out": targets whose
    supports are all equal, such as all censored, "rankings": names}. pairs: ranking -> target -> (LDS, support)."""
    names = [name for name in pairs if name != CONTROL_RANKING]
    shared = sorted(set.intersection(*(set(pairs[name]) for name in names))) if len(names) > 1 else []
    taus = []
    for target in shared:
        values = [pairs[name][target][0] for name in names]
        small = smallness([pairs[name][target][1] for name in names], k_max)
        if np.ptp(small) > 0 and np.ptp(values) > 0:
            taus.append(float(scipy.stats.kendalltau(values, small).statistic))
    ci = bootstrap_interval(taus, resamples=resamples) if taus else None
    return {
        "kendall": float(np.mean(taus)) if taus else None,
        "ci": list(ci) if ci else None,
        "n": len(taus),
        "left_out": len(shared) - len(taus),
        "rankings": names,
    }


def _correlation_interval(x, y, resamples) -> list[float] | None:
    drawn = np.random.default_rng(0).integers(len(x), size=(resamples, len(x)))
    return percentile_interval(spearman_correlation(x[drawn], y[drawn]))  # NaN where all drawn targets are censored


def _permutation_p_value(x, y, classes, shuffles) -> float | None:
    """Two-sided p of Spearman's correlation, x shuffled within classes; None where no class has two targets."""
    if len(np.unique(classes)) == len(classes):
        return None
    ranks = np.unique(classes, return_inverse=True)[1]
    order = np.argsort(ranks + np.random.default_rng(0).random((shuffles, len(x))), axis=1)  # class by class
    shuffled = np.empty((shuffles, len(x)))
    shuffled[:, np.argsort(ranks, kind="stable")] = x[order]
    chance = spearman_correlation(shuffled, np.broadcast_to(y, shuffled.shape))
    # the correlation that classes alone produce is the centre, and is not 0
    away = np.abs(chance - chance.mean())
    return float((1 + (away >= abs(spearman_correlation(x, y) - chance.mean()) - 1e-12).sum()) / (1 + shuffles))


def _reliability(masks, margins, scores, targets) -> float | None:
    """Spearman's correlation over targets of LDS on the one and the other half of the subsets, mean over random
    splits, stepped up to all of them by Spearman-Brown."""
    half = len(masks) // 2
    if half < lds.MIN_SUBSETS or len(targets) < MIN_TARGETS:
        return None
    rng, correlations = np.random.default_rng(0), []
    for _ in range(RELIABILITY_SPLITS):
        order = rng.permutation(len(masks))
        sides = [
            lds.lds(masks[part], margins[part], scores, targets, resamples=0).per_target
            for part in (order[:half], order[half : 2 * half])
        ]
        correlations.append(spearman_correlation(*sides))
    mean = max(0.0, float(np.nanmean(correlations))) if not np.isnan(correlations).all() else 0.0
    return 2 * mean / (1 + mean)
