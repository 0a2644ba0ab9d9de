"""Unrolled of one target, seed by seed: what `attribution.rankings.unrolled.on_demand` ranks by."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import median

from attribution.experiments.estimate import JobCost, default_workers, median_training_seconds
from attribution.experiments.spec import Search, Spec, common_fields
from attribution.inputs import limits
from attribution.rankings.unrolled import WINDOWS, on_demand
from attribution.store.results import ResultStore
from attribution.training import all_recipes
from attribution.workspace.workspace import Workspace

EXACT_SHARE = 6.0  # seconds for each of a training, where all epochs are gone back through and nothing was measured yet
START_SECONDS = 5.0  # until a worker is there
MEASURED = 5  # models, newest first, whose time is looked at


@dataclass(frozen=True, kw_only=True, eq=False)
class UnrolledSpec(Spec):
    """Score all training images for one target by Unrolled with the exact curvature, once for each of `seeds`, over the
    last `epochs` epochs in `windows` windows each."""

    verb = on_demand.VERB

    target: int
    seeds: list[int]
    epochs: int
    windows: int

    def describe(self) -> str:
        """As `Spec.describe`."""
        models = "model" if len(self.seeds) == 1 else "models"
        return f"target {self.target}: {on_demand.NAME} by {len(self.seeds)} {models}"

    @property
    def total(self) -> int:
        """As `Spec.total`."""
        return len(self.seeds)

    def searches(self, workspace: Workspace, store: ResultStore) -> Iterator[Search]:
        """As `Spec.searches`: a search for each seed, done by a worker where it is not known."""
        for seed in self.seeds:
            yield self._search(store, seed)

    def _search(self, store, seed) -> Search:
        if not self._is_known(store, seed):
            yield [replace(self, seeds=[seed])]

    def keep(self, store: ResultStore, answer: dict) -> None:
        """As `Spec.keep`: the scores of the one seed that this is about."""
        store.put_answer(self.recipe_hash, self._question(self.seeds[0]), answer)

    def cost(self, workspace: Workspace, store: ResultStore) -> JobCost:
        """As `Spec.cost`; a model counts as one training."""
        known = sum(self._is_known(store, seed) for seed in self.seeds)
        each = self._seconds_each(workspace, store)
        return JobCost(len(self.seeds), len(self.seeds), known, each, default_workers(), START_SECONDS)

    def answer(self, workspace: Workspace, store: ResultStore) -> dict | None:
        """As `Spec.answer`: how many of the models there are, "models" and "of", "seeds", "complete", and how many of
        the first images two models share, "shared" of "first" (None with fewer than two). None where there is none."""
        ranking = workspace.with_model(self.model).ranking(on_demand.NAME)
        seeds = ranking.seeds_of(self.target)
        if not seeds:
            return None
        return {
            "target": self.target,
            "ranking": ranking.name,
            "models": len(seeds),
            "of": len(self.seeds),
            "seeds": seeds,
            "complete": set(self.seeds) <= set(seeds),
            "first": on_demand.N_FIRST,
            "shared": ranking.shared(self.target),
        }

    def _question(self, seed: int) -> dict:
        return on_demand.question(self.target, seed, self.epochs, self.windows)

    def _is_known(self, store: ResultStore, seed: int) -> bool:
        return store.answer(self.recipe_hash, self._question(seed)) is not None

    def _seconds_each(self, workspace: Workspace, store: ResultStore) -> float:
        """Seconds of a model: the median of those computed here for whichever target, else by what a training takes."""
        asked = store.answered_questions(self.recipe_hash, self.verb)[-MEASURED:]
        known = [store.answer(self.recipe_hash, question) for question, _ in asked]
        if seconds := [answer["seconds"] for answer in known if answer]:
            return median(seconds)
        epochs = all_recipes.get_recipe(self.recipe, self.recipe_hash).epochs
        share = self.epochs / epochs if epochs else 1.0  # of a user's recipe
        return median_training_seconds(workspace, store, self.recipe_hash) * (1 + EXACT_SHARE * share)


def unrolled_spec(workspace: Workspace, target: int, models: int) -> UnrolledSpec:
    """Compute a target's Unrolled scores by its first `models` seeds, under the model that is looked at. Raises
    UserError where the workspace's recipe is none that it can be computed for, and for numbers out of range."""
    target = workspace.check_target(target)
    ranking = on_demand.load(workspace)
    count = limits.check_whole(models, "models", 1, len(on_demand.SEEDS))
    return UnrolledSpec(
        **common_fields(workspace),
        target=target,
        seeds=list(on_demand.SEEDS[:count]),
        epochs=ranking.epochs,
        windows=WINDOWS,
    )
