"""Does it matter which training images a method may choose from? LDS of rankings among three sets of candidates.

The paper ranks images of the target's true class alone; reviewers asked what is left of the comparison without that
(docs/protocol.md, section 1). An image that is no candidate adds nothing to a prediction; a similarity is taken from
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
from attribution.rankings.base import check_k
from attribution.rankings.candidates import CANDIDATES_MARK
from attribution.workspace.parts import held_out_digest, load_json_part, save_json_part

#: candidates, as in `Ranking.candidates`, and what they are
CANDIDATE_SETS = {"true": "the true class", "pair": "the true class and the one it is mistaken for", "all": "all"}
DEFAULT_K = 20
PART = "conditioning"
FILE = "conditioning.json"


def compute(
    workspace,
    names: list[str],
    k: int = DEFAULT_K,
    progress: Callable[[str, int, int], None] = lambda *at: None,
    resamples: int = 500,
) -> dict:
    """LDS on the held-out halves, and the share of the first k that carries the target's class, of every ranking in
    `names` under every one of SETS, each over the targets that it ranks images for.

    {"k", "masks", "seeds", "ceiling", "rankings": {name: {"published": set, "sets": {set: {"lds", "ci", "n_targets",
    "n_constant", "same_class": {"mean", "ci", "n"}}}}}}. The intervals resample halves and targets (LDS) or targets.
    progress(text, done, total). Raises UserError for no ranking, an unknown one, one whose name says its candidates,
    one that keeps its first images alone, a k below 1, and where there are no held-out halves or no base models, which
    say what a target is mistaken for.
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
    with threadpool_limits(1):  # of small products, where BLAS threads mostly wait for each other
        for ranking in rankings:
            found = {}
            for which in CANDIDATE_SETS:
                progress("candidates: rankings", done, total)
                one = lds.lds(masks, margins, ranking.all_scores(which), ranking.targets, resamples=resamples)
                found[which] = {
                    "lds": one.mean,
                    "ci": one.ci,
                    "n_targets": len(ranking.targets),
                    "n_constant": one.n_constant,
                    "same_class": mean_with_interval(same_class_share(ranking, k, which)),
                }
                done += 1
            answer["rankings"][ranking.name] = {"published": "true" if ranking.conditioned else "all", "sets": found}
    progress("candidates: rankings", total, total)
    return answer


def ranking_with_candidates(name: str, which: str, published: str) -> str:
    """The ranking whose supports are those of `name` among the candidates `which`."""
    return name if which == published else f"{name}{CANDIDATES_MARK}{which}"


def support_aucs(workspace, store, answer: dict) -> dict[str, dict]:
    """The supports of what `compute` has measured, `support_report.compare_on_same_targets`, of kinds that any ranking was studied for
    under other candidates than as published."""
    found = compare_on_same_targets(
        workspace,
        store,
        [
            ranking_with_candidates(name, which, one["published"])
            for name, one in answer["rankings"].items()
            for which in one["sets"]
        ],
    )
    return {kind: one for kind, one in found.items() if any(CANDIDATES_MARK in name for name in one["rankings"])}


def same_class_share(ranking, k: int, which: str) -> np.ndarray:
    """The share of the first k candidates that carries the target's true class, float [targets of the ranking]; NaN
    where there is no candidate."""
    labels, true = ranking.workspace.train_labels, ranking.workspace.val_labels
    shares = np.full(len(ranking.targets), np.nan)
    for at, target in enumerate(ranking.targets.tolist()):
        ids = ranking.top(target, k, which).ids
        if len(ids):
            shares[at] = (labels[ids] == true[target]).mean()
    return shares


def default_names(workspace) -> list[str]:
    """The rankings that are compared where nobody says which: exemplar SVM in the first feature set, the first stored
    ranking of each method that keeps every score, and random, which shows what a set of candidates is worth alone."""
    found: dict[str, str] = {}
    for name in workspace.rankings():
        ranking = workspace.ranking(name)
        if ranking.complete and (not ranking.live or name == "random" or name.startswith("esvm-")):
            found.setdefault(ranking.method, name)
    return list(found.values())


def save(workspace, answer: dict, about: dict, record: Callable | None = None) -> None:
    """Keeps what was measured as the part "conditioning", where a user's parts go, or as record(part, file, answer,
    about) stores it; about: further provenance."""
    about = {
        "halves": held_out_digest(workspace),
        "k": answer["k"],
        "base": _base_digest(workspace),
        "of": {name: workspace.ranking(name).version for name in answer["rankings"]},
        **about,
    }
    save_json_part(workspace, PART, FILE, answer, about, record)


def load(workspace) -> dict | None:
    """What was kept last; None where nothing was, or where a ranking of it, the halves or the base models are others
    by now. Raises UserError where it cannot be read."""
    return load_json_part(workspace, PART, FILE)


def _base_digest(workspace) -> str | None:
    return workspace.manifest["parts"].get("base", {}).get("digest")
