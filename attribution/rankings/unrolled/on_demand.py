"""Unrolled of single targets, each computed seed by seed when asked for (`attribution.experiments.unrolled`).

The scores are kept in the result store. The ranking reads what is there; of a target that nobody asked for it has none.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import numpy as np

from attribution.errors import UserError
from attribution.metrics.rank_agreement import mean_shared
from attribution.rankings import influence
from attribution.rankings.base import Ranking, top_k
from attribution.rankings.unrolled import EPOCHS, FIRST_SEED, MAX_KEPT_BYTES, WINDOWS, recipe_problem
from attribution.store.database import FILE
from attribution.store.results import ResultStore
from attribution.training.head.recipe import PREFIX, is_head
from attribution.training.own import OwnRecipe
from attribution.training.recipes import Recipe

if TYPE_CHECKING:
    from attribution.workspace.workspace import Workspace

NAME, VERB = "unrolled-exact", "unrolled"
SEEDS = range(FIRST_SEED, FIRST_SEED + 20)  # of the trainings of a target, in this order
N_FIRST = 20  # images that say how stable the order is between seeds
#: about how many weights built-in networks have, without torch: (fixed, for each value of an image, for each pixel and
#: class); a test compares them with the networks
WEIGHTS: dict[str, tuple[int, int, int]] = {
    "demo-cnn": (33_000, 0, 1),
    "demo-cnn-plain": (33_000, 0, 1),
    "demo-mlp": (68_600, 256, 0),
    "resnet9": (2_275_000, 0, 0),
    "resnet9-datamodels": (2_275_000, 0, 0),
    "fast94": (1_970_000, 0, 0),
    "mobilenetv2": (2_237_000, 0, 0),
    "resnet18": (11_182_000, 0, 0),
}


class UnrolledExact(Ranking):
    """By how much a target's margin would rise with the weight of a training image in the loss, to first order, with
    the exact curvature: the mean over the seeds that were computed for it."""

    name, method = NAME, "Unrolled, exact"
    signed, live, by_target = True, True, True

    def __init__(self, workspace: Workspace):
        super().__init__(workspace)
        self.recipe = cast("Recipe | OwnRecipe", workspace.get_recipe())  # `load` lets no other through
        self.epochs = epochs_that_fit(workspace, self.recipe)
        self.description = f"{self.epochs_text} · computed target by target"
        self._read: tuple[tuple, dict[int, np.ndarray]] = ((), {})

    @property
    def epochs_text(self) -> str:
        """The epochs that it goes back through, in words; how many a user's recipe has, it says only as it trains."""
        of = f" of {self.recipe.epochs}" if self.recipe.epochs else ""
        return f"last {self.epochs}{of} epochs"

    @property
    def version(self):
        """See `Ranking.version`."""
        return ", ".join(f"{target}: {self.version_of(target)}" for target in self.targets.tolist()) or "none"

    def version_of(self, target):
        """See `Ranking.version_of`: its seeds."""
        return " ".join(map(str, self.seeds_of(target))) or "none"

    @property
    def targets(self):
        """See `Ranking.targets`: those with a seed at least."""
        return np.array(sorted(self._seeds()), np.int64)

    def seeds_of(self, target: int) -> list[int]:
        """The seeds that are computed for a target, ascending."""
        return self._seeds().get(target, [])

    def missing(self, target):
        """See `Ranking.missing`."""
        if self.seeds_of(target):
            return None
        return f"{NAME} is computed target by target, and not yet for target {target}"

    def description_of(self, target):
        """See `Ranking.description_of`: how many models there are, and how stable the first images are."""
        models = len(self.seeds_of(target))
        shared = self.shared(target)
        stable = f", {shared:.0f} of {N_FIRST} the same" if shared is not None else ""
        return f"{models} model{'s' * (models != 1)}{stable}" if models else "computed when it is asked for"

    def shared(self, target: int) -> float | None:
        """How many of the first `N_FIRST` images two seeds share, the mean over pairs; None with fewer than two."""
        return mean_shared([top_k(scores, N_FIRST) for scores in self.scores_by_seed(target).values()])

    def scores_by_seed(self, target: int) -> dict[int, np.ndarray]:
        """seed -> its scores of all training images, float32 [n_train]."""
        key = (target, self.version_of(target))
        read, by_seed = self._read  # at once: another thread may read another target meanwhile
        if read != key:
            with ResultStore.for_workspace(self.workspace) as store:
                found = {
                    seed: store.answer(self.recipe.hash, question(target, seed, self.epochs))
                    for seed in self.seeds_of(target)
                }
            by_seed = {seed: unpack(answer) for seed, answer in found.items() if answer is not None}
            self._read = key, by_seed
        return by_seed

    def costs(self, target: int) -> list[dict]:
        """What each seed of a target took where it was computed: "seed", and of what is known "seconds" by the clock,
        "processor_seconds", "peak_bytes" of memory and "device"."""
        with ResultStore.for_workspace(self.workspace) as store:
            found = {
                seed: store.answer(self.recipe.hash, question(target, seed, self.epochs))
                for seed in self.seeds_of(target)
            }
        names = ("seconds", "processor_seconds", "peak_bytes", "device")
        return [
            {"seed": seed, **{name: answer[name] for name in names if name in answer}}
            for seed, answer in found.items()
            if answer is not None
        ]

    def candidates(self, target, candidate_set=None):
        """See `Ranking.candidates`. Raises UserError where the target has no scores yet."""
        if missing := self.missing(target):
            raise UserError(f"{missing}; `rank --target {target} --ranking {NAME} --models 1` computes it")
        return super().candidates(target, candidate_set)

    def values(self, target, candidates):
        """See `Ranking.values`."""
        by_seed = self.scores_by_seed(target)
        if not by_seed:
            raise UserError(f"what {NAME} had of target {target} was damaged and put aside; compute it again")
        return np.mean(list(by_seed.values()), axis=0, dtype=np.float32)[candidates]

    def _seeds(self) -> dict[int, list[int]]:
        """target -> the seeds computed for it, ascending."""
        if not (ResultStore.folder_of(self.workspace) / FILE).exists():
            return {}
        with ResultStore.for_workspace(self.workspace) as store:
            asked = [found for found, _ in store.answered_questions(self.recipe.hash, VERB)]
        seeds: dict[int, list[int]] = {}
        for found in asked:
            if found == question(found["target"], found["seed"], self.epochs):
                seeds.setdefault(found["target"], []).append(found["seed"])
        return {target: sorted(some) for target, some in seeds.items()}


def question(target: int, seed: int, epochs: int, windows: int = WINDOWS) -> dict:
    """What the scores of a target by one seed are stored under, in `ResultStore.put_answer`."""
    return {"verb": VERB, "target": target, "seed": seed, "epochs": epochs, "windows": windows, "exact": True}


def pack(scores: np.ndarray) -> dict:
    """Scores [n_train] as an answer has them."""
    return {"scores": base64.b64encode(np.ascontiguousarray(scores, "<f4").tobytes()).decode()}


def unpack(answer: Mapping) -> np.ndarray:
    """The scores of an answer, float32 [n_train]."""
    return np.frombuffer(base64.b64decode(answer["scores"]), "<f4").astype(np.float32)


def refusal(workspace: Workspace) -> str:
    """Why the ranking cannot be offered, a sentence without a full stop; "" where it can. Under a head another ranking
    is the same at once, and it says which."""
    if is_head(workspace.recipe):
        name = f"{influence.PREFIX}-{workspace.recipe.removeprefix(PREFIX)}"
        if name in influence.names(workspace):
            return f"under a head Unrolled is exact and immediate: it is the row {name}"
    recipe = workspace.get_recipe()
    if problem := recipe_problem(recipe):
        return problem
    if isinstance(recipe, Recipe) and not epochs_that_fit(workspace, recipe):
        size = about_weights(workspace, recipe)
        return (
            f"unrolled goes back through an epoch at least, and the weights of {recipe.name} in one, "
            f"{size / 1e6:.0f} million before each step, take more than {MAX_KEPT_BYTES >> 30} GiB"
        )
    return ""


def load(workspace: Workspace) -> UnrolledExact:
    """The ranking. Raises UserError where it cannot be offered, see `refusal`."""
    if why := refusal(workspace):
        raise UserError(f"there is no {NAME} here: {why}")
    return UnrolledExact(workspace)


def epochs_that_fit(workspace: Workspace, recipe: Recipe | OwnRecipe) -> int:
    """Over how many of the last epochs it goes back: EPOCHS, or as many of a built-in recipe as fit on the disk; 0
    where not even one does. What a user's recipe takes shows as it trains."""
    if isinstance(recipe, OwnRecipe):
        return EPOCHS
    steps = max(1, workspace.n_train // recipe.batch_size)
    epoch = 4 * about_weights(workspace, recipe) * steps
    return min(EPOCHS, recipe.epochs, math.floor(MAX_KEPT_BYTES / epoch))


def about_weights(workspace: Workspace, recipe: Recipe) -> int:
    """About how many weights training a built-in recipe changes here."""
    height, width, channels = (*workspace.train_images.shape[1:], 1)[:3]
    fixed, each_value, each_pixel_and_class = WEIGHTS[recipe.name]
    classes = len(workspace.classes)
    return fixed + each_value * height * width * channels + each_pixel_and_class * height * width * classes
