"""Do two rankings choose the same training images? Per target, and averaged over targets.

Measures of a pair, each of the ranks as published (candidates as `Ranking.candidates`): Jaccard of the first k;
rank-biased overlap; Spearman's correlation over the union of the first k. Of one ranking: the share of the first k that
carry the target's class, and of those that carry another.

Reviewers of Singla et al. (arXiv 2311.03386) asked whether the chosen subsets are alike or different.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from attribution.errors import UserError
from attribution.files import read_array
from attribution.metrics.rank_agreement import (
    RBO_PERSISTENCE,
    _ranks,
    jaccard,
    rank_biased_overlap,
    spearman_over_union,
)
from attribution.metrics.statistics import mean_with_interval
from attribution.rankings import unchanged_names
from attribution.rankings.base import check_k

DEFAULT_K = 50
MEASURES = ("jaccard", "rbo", "spearman")
DEFAULT_TARGETS = 1000  # targets, where nobody says which


@dataclass(frozen=True)
class Agreement:
    """pairs: (a, b) -> measure -> float32 [targets], NaN where a ranking names no image for the target. same, cross:
    ranking -> float32 [targets], shares of the first k."""

    k: int
    targets: np.ndarray
    names: tuple[str, ...]
    pairs: dict[tuple[str, str], dict[str, np.ndarray]]
    same: dict[str, np.ndarray]
    cross: dict[str, np.ndarray]


def compare(
    workspace,
    names: list[str],
    k: int = DEFAULT_K,
    targets=None,
    progress: Callable[[str, int, int], None] = lambda *at: None,
) -> Agreement:
    """Compares every two of the rankings `names` on `targets` (all validation images that all of them rank for, if not
    given). progress(text, done, total).

    Raises UserError for an unknown ranking, fewer than two, a k below 1, and where no target is left.
    """
    k, names = check_k(k), tuple(dict.fromkeys(names))
    if len(names) < 2:
        raise UserError("agreement is between rankings: name at least two")
    rankings = [workspace.ranking(name) for name in names]
    known = rankings[0].targets
    for ranking in rankings[1:]:
        known = np.intersect1d(known, ranking.targets)
    targets = known if targets is None else np.intersect1d(known, targets)
    if not len(targets):
        raise UserError("these rankings have no target in common; choose others")
    pairs = {
        (a, b): {measure: np.full(len(targets), np.nan, np.float32) for measure in MEASURES}
        for at, a in enumerate(names)
        for b in names[at + 1 :]
    }
    same, cross = ({name: np.full(len(targets), np.nan, np.float32) for name in names} for _ in range(2))
    labels = workspace.train_labels
    for i, target in enumerate(targets.tolist()):
        orders = {name: ranking.top(target, workspace.n_train).ids for name, ranking in zip(names, rankings)}
        for name, ids in orders.items():
            if len(first := ids[:k]):
                same[name][i] = (labels[first] == workspace.val_labels[target]).mean()
                cross[name][i] = 1 - same[name][i]
        places = {name: _ranks(ids, workspace.n_train) for name, ids in orders.items()}
        for (a, b), found in pairs.items():
            if len(orders[a]) and len(orders[b]):
                found["jaccard"][i] = jaccard(orders[a][:k], orders[b][:k])
                found["rbo"][i] = rank_biased_overlap(orders[a], orders[b])
                found["spearman"][i] = spearman_over_union(orders[a][:k], orders[b][:k], places[a], places[b])
        progress("agreement: targets", i + 1, len(targets))
    return Agreement(k, targets, names, pairs, same, cross)


def draw_targets(workspace, names: list[str], count: int = DEFAULT_TARGETS) -> np.ndarray:
    """At most `count` of the validation images that all of the rankings rank for, drawn at random, int64 ascending."""
    known = np.arange(workspace.n_val)
    for name in names:
        known = np.intersect1d(known, workspace.ranking(name).targets)
    return np.sort(np.random.default_rng(0).permutation(known)[:count])


def summary(found: Agreement) -> dict:
    """What `evaluate agreement --json` prints, see docs/command_line.md: "k", "p", "targets"; "pairs": {A: {B:
    {measure: {"mean", "ci", "n"}}}}, every pair both ways; "rankings": {A: {"same_class", "cross_class"}}."""
    pairs: dict = {name: {} for name in found.names}
    for (a, b), values in found.pairs.items():
        pairs[a][b] = pairs[b][a] = {measure: mean_with_interval(values[measure]) for measure in MEASURES}
    rankings = {
        name: {"same_class": mean_with_interval(found.same[name]), "cross_class": mean_with_interval(found.cross[name])}
        for name in found.names
    }
    return {"k": found.k, "p": RBO_PERSISTENCE, "targets": len(found.targets), "pairs": pairs, "rankings": rankings}


def most_disagreeing_targets(found: Agreement, a: str, b: str, measure: str = "rbo") -> np.ndarray:
    """The targets on which two rankings agree least, first; those without a value are left out. int64 [n]."""
    values = found.pairs[(a, b) if (a, b) in found.pairs else (b, a)][measure]
    kept = np.flatnonzero(~np.isnan(values))
    return found.targets[kept[np.argsort(values[kept], kind="stable")]]


# -- kept, so that a page need not compare

PART = "agreement"


def save(workspace, found: Agreement, about: dict, record: Callable | None = None) -> None:
    """Keeps what was compared as the part "agreement", where a user's parts go, or as record(part, arrays, about)
    stores it; about: further provenance."""
    values = np.stack([np.stack([one[measure] for measure in MEASURES]) for one in found.pairs.values()])
    arrays = {
        "targets": found.targets,
        "values": values.astype(np.float16),
        "same": np.stack([found.same[name] for name in found.names]).astype(np.float16),
    }
    versions = {name: workspace.ranking(name).version for name in found.names}
    about = {**about, "k": found.k, "p": RBO_PERSISTENCE, "rankings": list(found.names), "versions": versions}
    if record:
        record(PART, arrays, about)
        return
    from attribution.workspace.parts import save_part

    save_part(workspace, PART, arrays, about)


def load(workspace) -> Agreement | None:
    """What was kept last; None where nothing was, or where a ranking of it is another by now, or gone."""
    about = workspace.manifest["parts"].get(PART)
    if about is None:
        return None
    names = tuple(about["rankings"])
    if unchanged_names(workspace, about["versions"]) != set(names):
        return None
    folder = workspace.folder(PART)
    targets = np.asarray(read_array(folder / "targets.npy"), np.int64)
    pairs = [(a, b) for at, a in enumerate(names) for b in names[at + 1 :]]
    values = np.asarray(read_array(folder / "values.npy", len(pairs), len(MEASURES), len(targets)), np.float32)
    same = np.asarray(read_array(folder / "same.npy", len(names), len(targets)), np.float32)
    return Agreement(
        about["k"],
        targets,
        names,
        {pair: dict(zip(MEASURES, rows)) for pair, rows in zip(pairs, values)},
        dict(zip(names, same)),
        dict(zip(names, 1 - same)),
    )
