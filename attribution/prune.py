"""Pruning: drop the training images that a ranking holds for the least influential, beside as many random ones.

The validation images are split in two halves: the influence of a training image is read from the ranking of the one,
and the accuracy is measured on the other, so that nothing is chosen on what it is judged by.

What the influence cannot say: it is a sum of effects of single images and knows nothing of what many say together (two
twins may both look dispensable), it speaks of these targets alone, and of a similarity it is a likeness, not an effect.
Source: reviewers of Singla et al. (arXiv 2311.03386) asked for near-zero influencers against random pruning.
"""

import numpy as np

from attribution import recipes, supports
from attribution.edits import Edit, nothing, remove
from attribution.errors import UserError
from attribution.probes import control

SHARES = (10, 20, 40, 60, 80)
SPLIT = 11  # draws the halves


def check(workspace, ranking: str, shares) -> None:
    """Raises UserError where the ranking's influence cannot be told, or a share is no whole percent from 1 to 99."""
    found = workspace.ranking(ranking)
    if found.signed and not found.complete:
        raise UserError(
            f"{ranking} keeps the ends of its lists only, and the least influential images stand between "
            "them; import it again with --dense"
        )
    if not np.isin(halves(workspace)[0], found.targets).any():
        raise UserError(
            f"{ranking} ranks for none of the validation images that influence is read from; bring one of more targets"
        )
    if not len(shares):
        raise UserError("give at least one share to prune, such as 20")
    for share in shares:
        if not 1 <= share <= 99 or int(share) != share:
            raise UserError(f"a share of {share} % cannot be pruned; give whole percents from 1 to 99")


def halves(workspace) -> tuple[np.ndarray, np.ndarray]:
    """Validation images that influence is read from, and those that accuracy is measured on, int64, ascending."""
    order = np.random.default_rng(SPLIT).permutation(workspace.n_val)
    return np.sort(order[: workspace.n_val // 2]), np.sort(order[workspace.n_val // 2 :])


def influence(workspace, ranking) -> np.ndarray:
    """How much each training image matters to the first half of the validation images, float64 [n_train].

    A signed ranking's scores are effects: the mean of their absolute values, so that harmful images matter as helpful
    ones do, and targets with larger scores weigh more. An unsigned one's are not comparable between targets: the mean
    place among the candidates of a target instead, from 1 (first) to 0 (last), over the targets that an image is a
    candidate for; of a class-conditioned ranking these are the targets of its class, so that no class is pruned before
    another. Where only lists are kept, an image that a list does not hold has the place 0.
    """
    targets = np.intersect1d(halves(workspace)[0], ranking.targets)
    total, seen = np.zeros(workspace.n_train), np.zeros(workspace.n_train)
    if not ranking.complete:
        for target in targets:
            ids = ranking.top(int(target), workspace.n_train).ids
            total[ids] += _places(len(ids))
        return total / len(targets)
    wanted = set(targets.tolist())
    for target, scores in zip(ranking.targets.tolist(), ranking.all_scores()):
        if target not in wanted:
            continue
        if ranking.signed:
            total += np.abs(np.nan_to_num(scores))
            seen += 1
        else:
            pool = ranking.candidates(target)
            total[pool[np.argsort(-scores[pool], kind="stable")]] += _places(len(pool))
            seen[pool] += 1
    return np.divide(total, seen, out=np.zeros(len(total)), where=seen > 0)


def _places(n: int) -> np.ndarray:
    return np.linspace(1, 0, n) if n > 1 else np.ones(n)


def edits(workspace, spec: dict) -> list[Edit]:
    """The edits of a prune spec, one a share: without its least influential images, ties in a random order."""
    found = influence(workspace, workspace.ranking(spec["ranking"]))
    order = np.lexsort((np.random.default_rng(SPLIT).permutation(workspace.n_train), found))
    return [remove(order[: round(workspace.n_train * share / 100)]) for share in spec["shares"]]


def wanted(workspace, spec: dict) -> list[tuple[Edit, int]]:
    """(edit, seed) of all trainings of a prune spec: the whole set under each seed, then for each share the pruned set
    and a random one with its class counts under each seed. Each seed has a random draw of its own, so that the spread
    over seeds holds that of the draws."""
    found = [(nothing(), seed) for seed in spec["seeds"]]
    for edit in edits(workspace, spec):
        found += [(edit, seed) for seed in spec["seeds"]]
        found += [(control(workspace, edit, seed), seed) for seed in spec["seeds"]]
    return found


def measure(workspace, store, spec: dict, asked: list[tuple[Edit, int]]):
    """A search (see `attribution.jobs`) that takes in the trainings `wanted` and keeps the curves."""
    done = yield asked
    judged = halves(workspace)[1]
    right = [float(np.mean(one.predicted[judged] == workspace.val_labels[judged])) for one in done]
    n = len(spec["seeds"])
    rows = []
    for at, share in enumerate(spec["shares"]):
        pruned, random = (right[n * first : n * (first + 1)] for first in (1 + 2 * at, 2 + 2 * at))
        rows.append(
            {
                "share": share,
                "k": asked[n * (1 + 2 * at)][0].k,
                "pruned": mean(pruned),
                "random": mean(random),
                "difference": mean(np.subtract(pruned, random)),
            }
        )
    body = {
        "full": mean(right[:n]),
        "shares": rows,
        "targets": len(judged),
        "version": workspace.ranking(spec["ranking"]).version,
    }
    store.put_answer(recipes.get(spec["recipe"]).hash, supports.question(spec), body)


def answer(workspace, store, spec: dict) -> dict | None:
    """What came of a prune spec, JSON, or None where it is not done, or was done with another version of the ranking.

    "full" and, in each of "shares", "pruned", "random" and "difference" (of the two, seed by seed): {"values" (a seed
    each), "mean", "ci"}, accuracies in [0, 1] on the "targets" validation images of the second half. ci: the 95 %
    t-interval over seeds, None for a single one; it speaks of other seeds and draws, not of other validation images.
    """
    found = store.answer(recipes.get(spec["recipe"]).hash, supports.question(spec))
    if found is None or found["version"] != workspace.ranking(spec["ranking"]).version:
        return None
    return {
        "ranking": spec["ranking"],
        "recipe": spec["recipe"],
        "recipe_hash": recipes.get(spec["recipe"]).hash,
        "seeds": spec["seeds"],
        **found,
    }


def mean(values) -> dict:
    """{"values", "mean", "ci"} of one number a seed: its mean, and the 95 % t-interval of it, None for one seed."""
    from scipy import stats

    values = [float(value) for value in values]
    centre, ci = float(np.mean(values)), None
    if len(values) > 1:
        half = float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
        ci = [centre - half, centre + half]
    return {"values": values, "mean": centre, "ci": ci}
