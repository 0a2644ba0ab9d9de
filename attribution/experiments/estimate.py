"""What a job costs, before it is run: trainings, and seconds by what trainings took here so far."""

import math
from dataclasses import dataclass
from functools import cache

from attribution.store.results import ResultStore
from attribution.training import devices, recipes
from attribution.workspace.workspace import Workspace

DEFAULT_SECONDS = 5.0  # a training, where nothing was measured yet


@dataclass(frozen=True)
class JobCost:
    """Of a job. least and most: trainings it asks for, which differ for a search that may stop early; known: those
    that are done already; each: seconds a training; workers: trainings under way at once."""

    least: int
    most: int
    known: int
    each: float
    default_workers: int

    @property
    def seconds(self) -> float:
        """Of all that is not known, if it takes `most`."""
        return math.ceil(max(0, self.most - self.known) / self.workers) * self.each


@dataclass(frozen=True)
class StudyCost:
    """Of a study. searches: how many it has; known: of these, answered already; trainings: what the others are expected
    to take, by the mean of known searches of the same kind and ranking, else of the same kind, else halfway between the
    bounds; measured: over how many known searches of these kinds; each: seconds a training; workers: trainings under
    way at once."""

    searches: int
    known: int
    trainings: float
    measured: int
    each: float
    default_workers: int

    @property
    def seconds(self) -> float:
        """Of all searches that are not answered yet."""
        return self.trainings / self.workers * self.each


def cost_of(workspace: Workspace, store: ResultStore, recipe: str, least: int, most: int, known: int) -> JobCost:
    """The cost of so many trainings of a recipe here."""
    return JobCost(least, most, known, median_training_seconds(workspace, store, recipe), default_workers())


def median_training_seconds(workspace: Workspace, store: ResultStore, recipe: str) -> float:
    """Median seconds of a training: of the last ones here, else of the workspace's base models, else a guess."""
    measured = store.median_seconds(recipes.get_recipe(recipe).hash)
    provenance = workspace.manifest["parts"].get("base", {})
    return measured[0] if measured else float(provenance.get("seconds") or DEFAULT_SECONDS)


@cache
def default_workers() -> int:
    """How many workers the local executor starts by itself."""
    return len(devices.plan_workers().slots)
