"""Pruning: drop the training images that a ranking holds for the least influential, beside as many random ones.

The validation images are split in two halves: the influence of a training image is read from the ranking of the one,
and the accuracy is measured on the other, so that nothing is chosen on what it is judged by.

What the influence cannot say: it is a sum of effects of single images and knows nothing of what many say together (two
twins may both look dispensable), it speaks of these targets alone, and of a similarity it is a likeness, not an effect.
Source: reviewers of Singla et al. (arXiv 2311.03386) asked for near-zero influencers against random pruning.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from attribution.errors import UserError
from attribution.experiments.prefixes import random_control
from attribution.experiments.spec import SEEDS, MeasuredSpec, Training, common_fields
from attribution.metrics.statistics import mean_with_t_interval
from attribution.rankings.base import Ranking
from attribution.store.results import ResultStore, Retraining
from attribution.training.edits import Edit, no_edit, remove
from attribution.workspace.validation_split import SPLIT_SEED, validation_halves
from attribution.workspace.workspace import Workspace

DEFAULT_SHARES = (10, 20, 40, 60, 80)


@dataclass(frozen=True, kw_only=True, eq=False)
class PruningSpec(MeasuredSpec):
    """Train without the least influential `shares` (whole percents) of the training images, beside random ones."""

    verb = "prune"
    long = True

    ranking: str
    shares: list[int]
    seeds: list[int]

    def describe(self) -> str:
        """As `Spec.describe`."""
        return f"prune by {self.ranking}: {', '.join(map(str, self.shares))} %, {len(self.seeds)} seeds each"

    @property
    def total(self) -> int:
        """As `Spec.total`."""
        return 1 + len(self.seeds) * (1 + 2 * len(self.shares))

    def edits(self, workspace: Workspace) -> list[Edit]:
        """The edits, one a share: without its least influential images, ties in a random order."""
        scores = training_influence(workspace, workspace.ranking(self.ranking))
        order = np.lexsort((np.random.default_rng(SPLIT_SEED).permutation(workspace.n_train), scores))
        return [remove(order[: round(workspace.n_train * share / 100)]) for share in self.shares]

    def trainings(self, workspace: Workspace) -> Iterator[Training]:
        """The whole set under each seed, then for each share the pruned set and a random one with its class counts
        under each seed. Each seed has a random draw of its own, so that the spread over seeds holds that of the
        draws."""
        yield from ((no_edit(), seed) for seed in self.seeds)
        for edit in self.edits(workspace):
            yield from ((edit, seed) for seed in self.seeds)
            yield from ((random_control(workspace, edit, seed), seed) for seed in self.seeds)

    def measure(self, workspace: Workspace, trainings: list[Training], results: list[Retraining]) -> dict:
        """As `MeasuredSpec.measure`."""
        judged = validation_halves(workspace)[1]
        accuracies = [float(np.mean(result.predicted[judged] == workspace.val_labels[judged])) for result in results]
        n = len(self.seeds)
        whole, *arms = (accuracies[start : start + n] for start in range(0, len(accuracies), n))
        rows = []
        for number, (share, pruned, random) in enumerate(zip(self.shares, arms[::2], arms[1::2])):
            rows.append(
                {
                    "share": share,
                    "k": trainings[n * (1 + 2 * number)][0].k,
                    "pruned": mean_with_t_interval(pruned),
                    "random": mean_with_t_interval(random),
                    "difference": mean_with_t_interval(np.subtract(pruned, random)),
                }
            )
        return {
            "full": mean_with_t_interval(whole),
            "shares": rows,
            "targets": len(judged),
            "version": workspace.ranking(self.ranking).version,
        }

    def answer(self, workspace: Workspace, store: ResultStore) -> dict | None:
        """What was measured, or None where it was not, or with another version of the ranking.

        "full" and, in each of "shares", "pruned", "random" and "difference" (of the two, seed by seed): {"values" (a
        seed each), "mean", "ci"}, accuracies in [0, 1] on the "targets" validation images of the second half. ci: the
        95 % t-interval over seeds, None for a single one; it speaks of other seeds and draws, not of other validation
        images.
        """
        measured = self.load_answer(store)
        if measured is None or measured["version"] != workspace.ranking(self.ranking).version:
            return None
        return {
            "ranking": self.ranking,
            "recipe": self.recipe,
            "recipe_hash": self.recipe_hash,
            "seeds": self.seeds,
            **measured,
        }


def pruning_spec(
    workspace: Workspace, ranking: str, shares=DEFAULT_SHARES, seeds=SEEDS, recipe: str | None = None
) -> PruningSpec:
    """Train without the least influential shares (whole percents) of the training images, beside random ones. Raises
    UserError for a ranking that says too little, and for shares or seeds that cannot be."""
    check_prunable(workspace, ranking, shares)
    if not len(seeds):
        raise UserError("give at least one seed")
    return PruningSpec(
        **common_fields(workspace, recipe),
        ranking=ranking,
        shares=sorted({int(share) for share in shares}),
        seeds=[int(seed) for seed in seeds],
    )


def check_prunable(workspace: Workspace, ranking: str, shares) -> None:
    """Raises UserError where the ranking keeps too few scores, or a share is no whole percent from 1 to 99."""
    scores = workspace.ranking(ranking)
    if scores.signed and not scores.complete:
        raise UserError(
            f"{ranking} keeps the ends of its lists only, and the least influential images stand between "
            "them; import it again with --dense"
        )
    if not np.isin(validation_halves(workspace)[0], scores.targets).any():
        raise UserError(
            f"{ranking} ranks for none of the validation images that influence is read from; bring one of more targets"
        )
    if not len(shares):
        raise UserError("give at least one share to prune, such as 20")
    for share in shares:
        if not 1 <= share <= 99 or int(share) != share:
            raise UserError(f"a share of {share} % cannot be pruned; give whole percents from 1 to 99")


def training_influence(workspace: Workspace, ranking: Ranking) -> np.ndarray:
    """How much each training image matters to the first half of the validation images, float64 [n_train].

    A signed ranking's scores are effects: the mean of their absolute values, so that harmful images matter as helpful
    ones do, and targets with larger scores weigh more. An unsigned one's are not comparable between targets: the mean
    place among the candidates of a target instead, from 1 (first) to 0 (last), over the targets that an image is a
    candidate for; of a class-conditioned ranking these are the targets of its class, so that no class is pruned before
    another. Where only lists are kept, an image that a list does not hold has the place 0.
    """
    targets = np.intersect1d(validation_halves(workspace)[0], ranking.targets)
    total, counts = np.zeros(workspace.n_train), np.zeros(workspace.n_train)
    if not ranking.complete:
        for target in targets:
            ids = ranking.top(int(target), workspace.n_train).ids
            total[ids] += _rank_weights(len(ids))
        return total / len(targets)
    first_half = set(targets.tolist())
    for target, scores in zip(ranking.targets.tolist(), ranking.all_scores()):
        if target not in first_half:
            continue
        if ranking.signed:
            total += np.abs(np.nan_to_num(scores))
            counts += 1
        else:
            ids = ranking.candidates(target)
            total[ids[np.argsort(-scores[ids], kind="stable")]] += _rank_weights(len(ids))
            counts[ids] += 1
    return np.divide(total, counts, out=np.zeros(len(total)), where=counts > 0)


def _rank_weights(n: int) -> np.ndarray:
    """From 1 for the first of n images to 0 for the last, float64 [n]."""
    return np.linspace(1, 0, n) if n > 1 else np.ones(n)
