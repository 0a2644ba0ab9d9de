"""Does it matter which training images a method may choose from? LDS of rankings among three sets of candidates.

The paper ranks images of the target's true class alone; reviewers asked what is left of the comparison without that
(protocol.md, section 1). An image that is no candidate adds nothing to a prediction; a similarity is taken from its
least similar candidate, and an exemplar SVM is trained against its candidates (`Ranking.scores`).
"""

from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

from attribution import lds
from attribution.agreement import means
from attribution.errors import UserError
from attribution.measure import halves, held_out, keep_answer, kept_answer
from attribution.rankings import check_k
from attribution.rankings.among import MARK
from attribution.studies import side_by_side

#: candidates, as in `Ranking.candidates`, and what they are
SETS = {"true": "the true class", "pair": "the true class and the one it is mistaken for", "all": "all"}
K = 20
PART = "conditioning"
FILE = "conditioning.json"


def measure(
    workspace,
    names: list[str],
    k: int = K,
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
    k, (masks, margins) = check_k(k), held_out(workspace)
    workspace.check_base()
    rankings = [workspace.ranking(name) for name in dict.fromkeys(names)]
    if not rankings:
        raise UserError("no ranking was named; name at least one that keeps every score")
    for ranking in rankings:
        if MARK in ranking.name:
            raise UserError(f"{ranking.name} says its candidates already; name it without {MARK} to compare them")
        if not ranking.complete:
            raise UserError(
                f"{ranking.name} keeps its first images alone, and LDS needs every score; "
                "import it again with --dense, or leave it out"
            )
    answer = {
        "k": k,
        "masks": len(masks),
        "seeds": margins.shape[1],
        "ceiling": lds.ceiling(margins).mean,
        "rankings": {},
    }
    done, total = 0, len(rankings) * len(SETS)
    with threadpool_limits(1):  # of small products, where BLAS threads mostly wait for each other
        for ranking in rankings:
            found = {}
            for which in SETS:
                progress("candidates: rankings", done, total)
                one = lds.lds(masks, margins, ranking.all_scores(which), ranking.targets, resamples=resamples)
                found[which] = {
                    "lds": one.mean,
                    "ci": one.ci,
                    "n_targets": len(ranking.targets),
                    "n_constant": one.n_constant,
                    "same_class": means(same_class(ranking, k, which)),
                }
                done += 1
            answer["rankings"][ranking.name] = {"published": "true" if ranking.conditioned else "all", "sets": found}
    progress("candidates: rankings", total, total)
    return answer


def ranking_of(name: str, which: str, published: str) -> str:
    """The ranking whose supports are those of `name` among the candidates `which`."""
    return name if which == published else f"{name}{MARK}{which}"


def worth(workspace, store, answer: dict) -> dict[str, dict]:
    """The supports of what `measure` has measured, `studies.side_by_side`, of kinds that any ranking was studied for
    under other candidates than as published."""
    found = side_by_side(
        workspace,
        store,
        [
            ranking_of(name, which, one["published"])
            for name, one in answer["rankings"].items()
            for which in one["sets"]
        ],
    )
    return {kind: one for kind, one in found.items() if any(MARK in name for name in one["rankings"])}


def same_class(ranking, k: int, which: str) -> np.ndarray:
    """The share of the first k candidates that carries the target's true class, float [targets of the ranking]; NaN
    where there is no candidate."""
    labels, true = ranking.workspace.train_labels, ranking.workspace.val_labels
    shares = np.full(len(ranking.targets), np.nan)
    for at, target in enumerate(ranking.targets.tolist()):
        ids = ranking.top(target, k, which).ids
        if len(ids):
            shares[at] = (labels[ids] == true[target]).mean()
    return shares


def usual(workspace) -> list[str]:
    """The rankings that are compared where nobody says which: exemplar SVM in the first feature set, the first stored
    ranking of each method that keeps every score, and random, which shows what a set of candidates is worth alone."""
    found: dict[str, str] = {}
    for name in workspace.rankings():
        ranking = workspace.ranking(name)
        if ranking.complete and (not ranking.live or name == "random" or name.startswith("esvm-")):
            found.setdefault(ranking.method, name)
    return list(found.values())


def keep(workspace, answer: dict, about: dict, record: Callable | None = None) -> None:
    """Keeps what was measured as the part "conditioning", where a user's parts go, or as record(part, file, answer,
    about) stores it; about: further provenance."""
    about = {
        "halves": halves(workspace),
        "k": answer["k"],
        "base": _base(workspace),
        "of": {name: workspace.ranking(name).version for name in answer["rankings"]},
        **about,
    }
    keep_answer(workspace, PART, FILE, answer, about, record)


def stored(workspace) -> dict | None:
    """What was kept last; None where nothing was, or where a ranking of it, the halves or the base models are others
    by now. Raises UserError where it cannot be read."""
    return kept_answer(workspace, PART, FILE)


def _base(workspace) -> str | None:
    return workspace.manifest["parts"].get("base", {}).get("digest")
