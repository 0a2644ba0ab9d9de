"""Does it matter which training images a method may choose from? LDS of rankings among three sets of candidates.

The paper ranks only images of the target's true class; reviewers asked what is left of the comparison without that
(docs/protocol.md, section 1). An image that is no candidate adds nothing to a prediction; a similarity is measured from
its least similar candidate, and an exemplar SVM is trained against its candidates (`Ranking.scores`).
"""

from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

from attribution.builds.halves import load_held_out_halves
from attribution.errors import UserError
from attribution.evaluation.support_report import compare_on_same_targets
from attribution.metrics import lds
from attribution.metrics.statistics import mean_with_interval
from attribution.rankings.base import Ranking, check_k
from attribution.rankings.candidates import CANDIDATES_MARK
from attribution.store.results import ResultStore
from attribution.workspace.parts import Part, Progress, base_digest, held_out_digest, ranking_versions
from attribution.workspace.workspace import Workspace

#: candidates, as in `Ranking.candidates`, and what they are
CANDIDATE_SETS = {"true": "the true class", "pair": "the true class and the one it is mistaken for", "all": "all"}
DEFAULT_K = 20
STORED = Part("conditioning", "conditioning.json")
PART = STORED.name


def compute(
    workspace: Workspace,
    names: list[str],
    k: int = DEFAULT_K,
    progress: Progress = lambda *at: None,
    resamples: int = 500,
) -> dict:
    """LDS on the held-out halves, and the share of the top k that carries the target's class, of every ranking in
    `names` under each of CANDIDATE_SETS, over the targets that the ranking ranks images for.

    {"k", "masks", "seeds", "ceiling", "rankings": {name: {"published": set, "sets": {set: {"lds", "ci", "n_targets",
    "n_constant", "same_class": {"mean", "ci", "n"}}}}}}. The intervals resample halves and targets (LDS) or targets.
    Raises UserError for no ranking, an unknown one, one whose name says its candidates, one that keeps only its first
    images, a k below 1, and where there are no held-out halves or no base models (these say which class a target is
    mistaken for).
    """
    k, (masks, margins) = check_k(k), load_held_out_halves(workspace)
    workspace.check_base()
    rankings = [workspace.ranking(name) for name in dict.fromkeys(names)]
    if not rankings:
        raise UserError("no ranking was named; name at least one that keeps every score")
    for ranking in rankings:
        if CANDIDATES_MARK in ranking.name:
            raise UserError(
                f"{ranking.name} says its candidates already; name it without {CANDIDATES_MARK} to compare them"
            )
        if not ranking.complete:
            raise UserError(
                f"{ranking.name} keeps its first images alone, and LDS needs every score; "
                "import it again with --dense, or leave it out"
            )
    answer = {
        "k": k,
        "masks": len(masks),
        "seeds": margins.shape[1],
        "ceiling": lds.noise_ceiling(margins).mean,
        "rankings": {},
    }
    done, total = 0, len(rankings) * len(CANDIDATE_SETS)
    with threadpool_limits(1):  # the products are small: BLAS threads would mostly wait for each other
        for ranking in rankings:
            rows = {}
            for candidates in CANDIDATE_SETS:
                progress("candidates: rankings", done, total)
                score = lds.lds(masks, margins, ranking.all_scores(candidates), ranking.targets, resamples=resamples)
                rows[candidates] = {
                    "lds": score.mean,
                    "ci": score.ci,
                    "n_targets": len(ranking.targets),
                    "n_constant": score.n_constant,
                    "same_class": mean_with_interval(same_class_share(ranking, k, candidates)),
                }
                done += 1
            answer["rankings"][ranking.name] = {"published": "true" if ranking.conditioned else "all", "sets": rows}
    progress("candidates: rankings", total, total)
    return answer


def save(workspace: Workspace, answer: dict, provenance: dict, record: Callable | None = None) -> None:
    """Stores an answer of `compute` as the part "conditioning"; provenance, record: as `Part.save`."""
    computed_with = {
        "halves": held_out_digest(workspace),
        "k": answer["k"],
        "base": base_digest(workspace),
        "of": ranking_versions(workspace, answer["rankings"]),
    }
    STORED.save(workspace, answer, {**computed_with, **provenance}, record)


def load(workspace: Workspace) -> dict | None:
    """The stored answer of `compute`, as `Part.load`."""
    return STORED.load(workspace)


def ranking_with_candidates(name: str, candidates: str, published: str) -> str:
    """The ranking whose supports are those of `name` among `candidates`; published: its published candidates."""
    return name if candidates == published else f"{name}{CANDIDATES_MARK}{candidates}"


def support_aucs(workspace: Workspace, store: ResultStore, answer: dict) -> dict[str, dict]:
    """Supports of the rankings in an answer of `compute`, as `support_report.compare_on_same_targets`, of the kinds for
    which any ranking was studied under other candidates than its published ones."""
    names = [
        ranking_with_candidates(name, candidates, row["published"])
        for name, row in answer["rankings"].items()
        for candidates in row["sets"]
    ]
    compared = compare_on_same_targets(workspace, store, names)
    return {
        kind: supports
        for kind, supports in compared.items()
        if any(CANDIDATES_MARK in name for name in supports["rankings"])
    }


def same_class_share(ranking: Ranking, k: int, candidates: str) -> np.ndarray:
    """The share of the top k among `candidates` that carries the target's true label: float64 [T], a value for each of
    the ranking's targets, NaN where there is no candidate."""
    train_labels, val_labels = ranking.workspace.train_labels, ranking.workspace.val_labels
    shares = np.full(len(ranking.targets), np.nan)
    for at, target in enumerate(ranking.targets.tolist()):
        ids = ranking.top(target, k, candidates).ids
        if len(ids):
            shares[at] = (train_labels[ids] == val_labels[target]).mean()
    return shares


def default_names(workspace: Workspace) -> list[str]:
    """The rankings that are compared where none are named: exemplar SVM in the first feature set, the first stored
    ranking of each method that keeps every score, and random, which shows the worth of the candidates alone."""
    name_of_method: dict[str, str] = {}
    for name in workspace.rankings():
        ranking = workspace.ranking(name)
        if ranking.complete and (not ranking.live or name == "random" or name.startswith("esvm-")):
            name_of_method.setdefault(ranking.method, name)
    return list(name_of_method.values())
