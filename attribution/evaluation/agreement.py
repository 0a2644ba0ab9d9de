"""Do two rankings choose the same training images? Per target, and averaged over targets.

Of a pair of rankings, each with its published candidates (`Ranking.candidates`): Jaccard index of the top k,
rank-biased overlap, and Spearman's correlation over the union of the top k. Of one ranking: the share of the top k that
carries the target's class, and the share that carries another.

Reviewers of Singla et al. (arXiv 2311.03386) asked whether the chosen subsets are alike or different.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from attribution.errors import UserError
from attribution.metrics.rank_agreement import (
    RBO_PERSISTENCE,
    image_ranks,
    jaccard,
    rank_biased_overlap,
    spearman_over_union,
)
from attribution.metrics.statistics import mean_with_interval
from attribution.rankings.base import check_k
from attribution.workspace.parts import Part, Progress, ranking_versions
from attribution.workspace.workspace import Workspace

DEFAULT_K = 50
DEFAULT_TARGETS = 1000  # how many targets are compared where none are given
MEASURES = ("jaccard", "rbo", "spearman")
STORED = Part("agreement", versions="versions")
PART = STORED.name


@dataclass(frozen=True)
class Agreement:
    """How far rankings agree on each target.

    k        length of the lists compared
    targets  int64 [T]
    names    the rankings
    pairs    (a, b) -> measure -> float32 [T], NaN where a ranking names no image for the target
    same     ranking -> float32 [T], share of the top k with the target's class
    cross    ranking -> float32 [T], share of the top k with another class
    """

    k: int
    targets: np.ndarray
    names: tuple[str, ...]
    pairs: dict[tuple[str, str], dict[str, np.ndarray]]
    same: dict[str, np.ndarray]
    cross: dict[str, np.ndarray]


def compute(
    workspace: Workspace,
    names: list[str],
    k: int = DEFAULT_K,
    targets: np.ndarray | None = None,
    progress: Progress = lambda *at: None,
) -> Agreement:
    """Compares every two of the rankings `names` on `targets`, int [T]; by default on all validation images that all of
    them rank for.

    Raises UserError for an unknown ranking, fewer than two, a k below 1, and where no target is left.
    """
    k, names = check_k(k), tuple(dict.fromkeys(names))
    if len(names) < 2:
        raise UserError("agreement is between rankings: name at least two")
    ranked = _ranked_targets(workspace, names)
    targets = ranked if targets is None else np.intersect1d(ranked, targets)
    if not len(targets):
        raise UserError("these rankings have no target in common; choose others")
    rankings = [workspace.ranking(name) for name in names]
    pairs = {
        pair: {measure: np.full(len(targets), np.nan, np.float32) for measure in MEASURES} for pair in _pairs(names)
    }
    same, cross = ({name: np.full(len(targets), np.nan, np.float32) for name in names} for _ in range(2))
    labels = workspace.train_labels
    for i, target in enumerate(targets.tolist()):
        orders = {name: ranking.top(target, workspace.n_train).ids for name, ranking in zip(names, rankings)}
        for name, ids in orders.items():
            if len(top := ids[:k]):
                same[name][i] = (labels[top] == workspace.val_labels[target]).mean()
                cross[name][i] = 1 - same[name][i]
        ranks = {name: image_ranks(ids, workspace.n_train) for name, ids in orders.items()}
        for (a, b), values in pairs.items():
            if len(orders[a]) and len(orders[b]):
                values["jaccard"][i] = jaccard(orders[a][:k], orders[b][:k])
                values["rbo"][i] = rank_biased_overlap(orders[a], orders[b])
                values["spearman"][i] = spearman_over_union(orders[a][:k], orders[b][:k], ranks[a], ranks[b])
        progress("agreement: targets", i + 1, len(targets))
    return Agreement(k, targets, names, pairs, same, cross)


def draw_targets(workspace: Workspace, names: list[str], count: int = DEFAULT_TARGETS) -> np.ndarray:
    """At most `count` of the validation images that all of the rankings rank for, drawn at random, int64 ascending."""
    return np.sort(np.random.default_rng(0).permutation(_ranked_targets(workspace, names))[:count])


def save(workspace: Workspace, agreement: Agreement, provenance: dict, record: Callable | None = None) -> None:
    """Stores an agreement as the part "agreement"; provenance, record: as `Part.save`."""
    values = np.stack([np.stack([values[measure] for measure in MEASURES]) for values in agreement.pairs.values()])
    arrays = {
        "targets": agreement.targets,
        "values": values.astype(np.float16),
        "same": np.stack([agreement.same[name] for name in agreement.names]).astype(np.float16),
    }
    computed_with = {
        "k": agreement.k,
        "p": RBO_PERSISTENCE,
        "rankings": list(agreement.names),
        "versions": ranking_versions(workspace, agreement.names),
    }
    STORED.save(workspace, arrays, {**provenance, **computed_with}, record)


def load(workspace: Workspace) -> Agreement | None:
    """The stored agreement; None where nothing is stored, or one of its rankings has changed or is gone.

    >>> from attribution import Workspace
    >>> load(Workspace.open()).names
    ('esvm-moco', 'l2-moco', 'trak-10', 'datamodels-2k', 'random')
    """
    if not STORED.is_current(workspace):
        return None
    made = STORED.provenance(workspace)
    names = tuple(made["rankings"])
    pairs = _pairs(names)
    targets = STORED.read_arrays(workspace, {"targets": (None,)})["targets"].astype(np.int64)
    shapes = {"values": (len(pairs), len(MEASURES), len(targets)), "same": (len(names), len(targets))}
    values, same = (array.astype(np.float32) for array in STORED.read_arrays(workspace, shapes).values())
    return Agreement(
        made["k"],
        targets,
        names,
        {pair: dict(zip(MEASURES, rows)) for pair, rows in zip(pairs, values)},
        dict(zip(names, same)),
        dict(zip(names, 1 - same)),
    )


def report(agreement: Agreement) -> dict:
    """What `evaluate agreement` prints: {"k", "p", "targets", "pairs": {A: {B: {measure: {"mean", "ci", "n"}}}},
    "rankings": {A: {"same_class", "cross_class"}}}, with every pair both ways."""
    pairs: dict = {name: {} for name in agreement.names}
    for (a, b), values in agreement.pairs.items():
        pairs[a][b] = pairs[b][a] = {measure: mean_with_interval(values[measure]) for measure in MEASURES}
    rankings = {
        name: {
            "same_class": mean_with_interval(agreement.same[name]),
            "cross_class": mean_with_interval(agreement.cross[name]),
        }
        for name in agreement.names
    }
    return {
        "k": agreement.k,
        "p": RBO_PERSISTENCE,
        "targets": len(agreement.targets),
        "pairs": pairs,
        "rankings": rankings,
    }


def most_disagreeing_targets(agreement: Agreement, a: str, b: str, measure: str = "rbo") -> np.ndarray:
    """The targets on which two rankings agree least, first, without those that have no value: int64 [n]."""
    values = agreement.pairs[(a, b) if (a, b) in agreement.pairs else (b, a)][measure]
    measured = np.flatnonzero(~np.isnan(values))
    return agreement.targets[measured[np.argsort(values[measured], kind="stable")]]


def _ranked_targets(workspace: Workspace, names) -> np.ndarray:
    targets = np.arange(workspace.n_val)
    for name in names:
        targets = np.intersect1d(targets, workspace.ranking(name).targets)
    return targets


def _pairs(names: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(a, b) for at, a in enumerate(names) for b in names[at + 1 :]]
