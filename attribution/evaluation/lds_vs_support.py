"""Does a ranking that foretells a target well (LDS) also flip it with few images (support)?

Singla et al. (arXiv 2311.03386) answered their reviewers that the two measure different things. Asked three ways: over
targets, for each ranking; over rankings, of their means; and over the rankings of each single target, in which how hard
a target is to flip cancels out. Smallness is a support's rank, the smallest first, censored ones tied for last: a
correlation above 0 says that the two agree.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import kendalltau
from threadpoolctl import threadpool_limits

from attribution.builds import halves
from attribution.errors import UserError
from attribution.experiments.study import Study
from attribution.experiments.support_search import Support
from attribution.files import read_array
from attribution.metrics import lds as scoring
from attribution.metrics import statistics, support_curves
from attribution.metrics.statistics import spearman_correlation
from attribution.rankings import unchanged_names
from attribution.workspace.base_models import mean_base_margins

KINDS = ("remove", "mislabel")
CONTROL_RANKING = "random"
RESAMPLES = 1000
RELIABILITY_SPLITS = 20  # of the held-out subsets in two
MIN_TARGETS = 4  # targets, or rankings, below which no correlation is given


@dataclass(frozen=True)
class TargetLDS:
    """LDS of single targets. values: float32 [rankings, targets], NaN where a ranking does not score for one.
    reliability: ranking -> what correlation over targets two measurements like this one would have, None where it is
    unknown."""

    names: tuple[str, ...]
    targets: np.ndarray
    values: np.ndarray
    reliability: dict[str, float | None]

    def of(self, name: str) -> dict[int, float]:
        """target -> LDS, without those that have none; empty for a ranking that is not among `names`."""
        if name not in self.names:
            return {}
        row = self.values[self.names.index(name)]
        return {int(t): float(v) for t, v in zip(self.targets, row) if not np.isnan(v)}


def rankings_and_targets(study: Study) -> tuple[list[str], np.ndarray]:
    """The rankings and the targets (int64, ascending) that a study has supports of."""
    tables = [study.tables[kind] for kind in KINDS if kind in study.tables]
    names = dict.fromkeys(name for rankings in tables for name in rankings)
    targets = {target for rankings in tables for one in rankings.values() for target in one}
    return list(names), np.array(sorted(targets), np.int64)


def compute_target_lds(workspace, names: list[str], targets, progress: Callable = lambda *at: None) -> TargetLDS:
    """LDS of each target on the held-out halves; a ranking that does not keep every score has none for any.

    Raises UserError where the workspace has no held-out halves, or no ranking with scores or no target is left.
    """
    masks, margins = halves.load_held_out_halves(workspace)
    targets = np.asarray(targets, np.int64)
    if not any(workspace.ranking(name).complete for name in names) or not len(targets):
        raise UserError(
            "LDS and supports are compared on the targets of a study, under rankings that keep every "
            "score; ask for a study of such rankings first"
        )
    values = np.full((len(names), len(targets)), np.nan, np.float32)
    reliability = {}
    with threadpool_limits(1):  # of small products, where BLAS threads mostly wait for each other
        for at, name in enumerate(names):
            ranking = workspace.ranking(name)
            known = np.flatnonzero(np.isin(targets, ranking.targets))
            if len(known) and ranking.complete:
                scores = np.array([ranking.scores(target) for target in targets[known].tolist()])
                found = scoring.lds(masks, margins, scores, targets[known], resamples=0)
                values[at, known] = found.per_target
                reliability[name] = _reliability(masks, margins, scores, targets[known])
            progress("LDS of each target: rankings", at + 1, len(names))
    return TargetLDS(tuple(names), targets, values, {name: reliability.get(name) for name in names})


def _reliability(masks, margins, scores, targets) -> float | None:
    """Spearman's correlation over targets of LDS on the one and the other half of the subsets, mean over random
    splits, stepped up to all of them by Spearman-Brown."""
    half = len(masks) // 2
    if half < scoring.MIN_SUBSETS or len(targets) < MIN_TARGETS:
        return None
    rng, found = np.random.default_rng(0), []
    for _ in range(RELIABILITY_SPLITS):
        order = rng.permutation(len(masks))
        sides = [
            scoring.lds(masks[part], margins[part], scores, targets, resamples=0).per_target
            for part in (order[:half], order[half : 2 * half])
        ]
        found.append(spearman_correlation(*sides))
    mean = max(0.0, float(np.nanmean(found))) if not np.isnan(found).all() else 0.0
    return 2 * mean / (1 + mean)


def report(workspace, study: Study, found: TargetLDS, resamples: int = RESAMPLES) -> dict:
    """`evaluate lds-supports`: {"K", "protocol", "masks", "seeds", "kinds": {KIND: {"rankings": {NAME: see `relate_lds_to_supports`},
    "across": see `correlate_rankings`, "within": see `correlate_within_targets`}}}."""
    about = workspace.manifest["parts"]["lds"]
    sure = mean_base_margins(workspace) if workspace.has_base else None
    classes, kinds = workspace.val_labels, {}
    for kind in KINDS:
        pairs = {
            name: pair_with_supports(table, found.of(name))
            for name, table in study.tables.get(kind, {}).items()
            if found.of(name)
        }
        pairs = {name: one for name, one in pairs.items() if one}
        if not pairs:
            continue
        rows = {
            name: relate_lds_to_supports(one, study.k_max, sure, classes, resamples)
            | {"reliability": found.reliability[name]}
            for name, one in pairs.items()
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
        "masks": about["masks"],
        "seeds": len(about["seeds"]) if isinstance(about["seeds"], list) else about["seeds"],
        "kinds": kinds,
    }


def pair_with_supports(table: dict[int, Support | None], lds: dict[int, float]) -> dict[int, tuple[float, Support]]:
    """target -> (LDS, support) of the targets that have both: searches that are unfinished, and targets with nothing
    to flip, are left out."""
    return {
        target: (lds[target], one)
        for target, one in table.items()
        if one is not None and one.status not in support_curves.NO_SUPPORT_STATUSES and target in lds
    }


def chart_points(study: Study, found: TargetLDS) -> list[dict]:
    """A row for each target under each ranking: kind, ranking, target, lds, support (None where censored), status."""
    return [
        {"kind": kind, "ranking": name, "target": target, "lds": lds, "support": one.support, "status": one.status}
        for kind in KINDS
        for name, table in study.tables.get(kind, {}).items()
        for target, (lds, one) in pair_with_supports(table, found.of(name)).items()
    ]


def smallness(supports: list[Support], k_max: int) -> np.ndarray:
    """float64 [n]: larger where a support is smaller; all that are censored at k_max tie for last."""
    return -np.minimum(support_curves.support_sizes(supports), k_max + 1)


def relate_lds_to_supports(
    pairs: dict[int, tuple[float, Support]],
    k_max: int,
    sure: np.ndarray | None = None,
    classes: np.ndarray | None = None,
    resamples: int = RESAMPLES,
) -> dict:
    """How LDS goes with small supports over the targets of one ranking.

    spearman, ci   with ties at their middle ranks; ci: 95 % percentile bootstrap over targets; None where one of the
                   two is the same for all, or there are fewer than 4 targets
    kendall        tau-b
    p              two-sided, of that Spearman where LDS is shuffled among targets of one class (`classes`, int [n_val];
                   among all, if not given). Targets of a class share what chance did to the held-out halves and are
                   alike hard to flip: the interval, which takes targets for independent, is too narrow for that
    sure           Spearman of small supports with the base models' mean margin (`sure`, float [n_val]), for comparison
    partial        the first Spearman with that margin held fixed
    lds, auc       means over these targets; censored, unstable: numbers among the n
    """
    lds = np.array([one for one, _ in pairs.values()])
    supports = [one for _, one in pairs.values()]
    small = smallness(supports, k_max)
    row = {
        "n": len(pairs),
        "censored": int((small < -k_max).sum()),
        "unstable": sum(one.status == "unstable" for one in supports),
        "lds": float(lds.mean()),
        "auc": support_curves.support_auc(supports, k_max),
        "spearman": None,
        "ci": None,
        "kendall": None,
        "p": None,
        "sure": None,
        "partial": None,
    }
    if len(pairs) < MIN_TARGETS or np.ptp(lds) == 0 or np.ptp(small) == 0:
        return row
    among = np.zeros(len(pairs), int) if classes is None else np.asarray(classes)[list(pairs)]
    row |= {
        "spearman": float(spearman_correlation(lds, small)),
        "ci": _correlation_interval(lds, small, resamples),
        "kendall": float(kendalltau(lds, small).statistic),
        "p": _permutation_p_value(lds, small, among, resamples),
    }
    if sure is not None and np.ptp(margin := sure[list(pairs)]) > 0:
        with_small, with_lds = float(spearman_correlation(margin, small)), float(spearman_correlation(margin, lds))
        rest = np.sqrt((1 - with_small**2) * (1 - with_lds**2))
        row |= {
            "sure": with_small,
            "partial": float((row["spearman"] - with_small * with_lds) / rest) if rest > 0 else None,
        }
    return row


def correlate_rankings(rows: dict[str, dict]) -> dict:
    """Kendall's tau of the rankings' mean LDS with their AUC, and its two-sided p; None for fewer than 4 rankings."""
    lds, auc = (np.array([one[name] for one in rows.values()]) for name in ("lds", "auc"))
    if len(rows) < MIN_TARGETS or np.ptp(lds) == 0 or np.ptp(auc) == 0:
        return {"kendall": None, "p": None, "n": len(rows)}
    tau = kendalltau(lds, auc)
    return {"kendall": float(tau.statistic), "p": float(tau.pvalue), "n": len(rows)}


def correlate_within_targets(pairs: dict[str, dict], k_max: int, resamples: int = RESAMPLES) -> dict:
    """Does the ranking with the higher LDS on a target have the smaller support of it? Kendall's tau-b over the
    rankings, the random control left out, for each target; {"kendall": mean, "ci", "n": targets, "left_out": targets
    whose supports are all the same, as where all are censored}."""
    names = [name for name in pairs if name != CONTROL_RANKING]
    shared = sorted(set.intersection(*(set(pairs[name]) for name in names))) if len(names) > 1 else []
    taus = []
    for target in shared:
        lds = [pairs[name][target][0] for name in names]
        small = smallness([pairs[name][target][1] for name in names], k_max)
        if np.ptp(small) > 0 and np.ptp(lds) > 0:
            taus.append(float(kendalltau(lds, small).statistic))
    ci = statistics.bootstrap_interval(taus, resamples=resamples) if taus else None
    return {
        "kendall": float(np.mean(taus)) if taus else None,
        "ci": list(ci) if ci else None,
        "n": len(taus),
        "left_out": len(shared) - len(taus),
        "rankings": names,
    }


def _correlation_interval(x, y, resamples) -> list[float] | None:
    drawn = np.random.default_rng(0).integers(len(x), size=(resamples, len(x)))
    found = spearman_correlation(x[drawn], y[drawn])
    found = found[~np.isnan(found)]  # a resample may hold censored targets alone
    return [float(end) for end in np.quantile(found, [0.025, 0.975])] if len(found) else None


def _permutation_p_value(x, y, classes, shuffles) -> float | None:
    """Two-sided p of Spearman's correlation, x shuffled within classes; None where no class has two targets."""
    if len(np.unique(classes)) == len(classes):
        return None
    ranks = np.unique(classes, return_inverse=True)[1]
    order = np.argsort(ranks + np.random.default_rng(0).random((shuffles, len(x))), axis=1)  # class by class
    shuffled = np.empty((shuffles, len(x)))
    shuffled[:, np.argsort(ranks, kind="stable")] = x[order]
    chance = spearman_correlation(shuffled, np.broadcast_to(y, shuffled.shape))
    # what the classes alone make of it is the middle, which is not 0
    away = np.abs(chance - chance.mean())
    return float((1 + (away >= abs(spearman_correlation(x, y) - chance.mean()) - 1e-12).sum()) / (1 + shuffles))


# -- kept, so that a page need not measure

PART = "lds_supports"


def save(workspace, found: TargetLDS, about: dict, record: Callable | None = None) -> None:
    """Keeps LDS of single targets as the part "lds_supports", where a user's parts go, or as record(part, arrays,
    about) stores it; about: further provenance."""
    about = {
        **about,
        "rankings": list(found.names),
        "reliability": found.reliability,
        "versions": {name: workspace.ranking(name).version for name in found.names},
        "halves": workspace.manifest["parts"]["lds"].get("digest"),
    }
    arrays = {"targets": found.targets, "values": found.values}
    if record:
        record(PART, arrays, about)
        return
    from attribution.workspace.parts import save_part

    save_part(workspace, PART, arrays, about)


def load(workspace) -> TargetLDS | None:
    """What was kept last, without the rankings that are others by now, or gone; None where nothing was, or the
    half-models are others."""
    parts = workspace.manifest["parts"]
    about = parts.get(PART)
    if about is None or "lds" not in parts or about["halves"] != parts["lds"].get("digest"):
        return None
    targets = np.asarray(read_array(workspace.folder(PART) / "targets.npy"), np.int64)
    values = np.asarray(read_array(workspace.folder(PART) / "values.npy", len(about["rankings"]), len(targets)))
    same = unchanged_names(workspace, about["versions"])
    kept = [at for at, name in enumerate(about["rankings"]) if name in same]
    names = tuple(about["rankings"][at] for at in kept)
    return TargetLDS(names, targets, values[kept], {name: about["reliability"][name] for name in names})


def count_missing(found: TargetLDS | None, study: Study) -> int:
    """How many of a study's targets, or of its rankings, LDS was not measured for."""
    names, targets = rankings_and_targets(study)
    if found is None:
        return len(targets)
    return len(np.setdiff1d(targets, found.targets)) + len(set(names) - set(found.names))
