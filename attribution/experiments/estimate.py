"""What a job costs, before it is run: trainings, and seconds by what trainings took here so far."""

import math
from dataclasses import dataclass
from functools import cache
from statistics import median

from attribution.store.results import ResultStore
from attribution.training import devices
from attribution.training.head.recipe import is_head
from attribution.workspace.workspace import Workspace

DEFAULT_SECONDS = 5.0  # a training, where nothing was measured yet
REFIT_SECONDS = 0.1  # of a head, where nothing was measured yet
#: until a worker has loaded the features and fitted the head that it refits, where nothing was measured yet
START_SECONDS = 5.0
MEASURED_JOBS = 20  # of a head, newest first, whose time beside the refits is looked at


@dataclass(frozen=True)
class JobCost:
    """What a job costs. min_trainings and max_trainings: how many it asks for, which differ for a search that may stop
    early; known: those that are done already; each: seconds a training; workers: trainings under way at once; start:
    seconds beside the trainings, which count where a training takes milliseconds."""

    min_trainings: int
    max_trainings: int
    known: int
    each: float
    workers: int
    start: float = 0.0

    @property
    def seconds(self) -> float:
        """Seconds of all that is not known, if it takes `max_trainings`; 0 where all is known."""
        rounds = math.ceil(max(0, self.max_trainings - self.known) / self.workers)
        return rounds * self.each + (self.start if rounds else 0.0)


@dataclass(frozen=True)
class StudyCost:
    """What a study costs. searches: how many it has; known: of these, answered already; trainings: what the others are
    expected to take, by the mean of known searches of the same kind and ranking, else of the same kind, else halfway
    between the bounds; measured: over how many known searches of these kinds; each: seconds a training; workers:
    trainings under way at once."""

    searches: int
    known: int
    trainings: float
    measured: int
    each: float
    workers: int

    @property
    def seconds(self) -> float:
        """Seconds of all searches that are not answered yet."""
        return self.trainings / self.workers * self.each


def cost_of(
    workspace: Workspace, store: ResultStore, recipe_hash: str, min_trainings: int, max_trainings: int, known: int
) -> JobCost:
    """The cost of so many trainings of a recipe (by its hash) here."""
    each = median_training_seconds(workspace, store, recipe_hash)
    start = start_seconds(workspace, store, recipe_hash, each)
    return JobCost(min_trainings, max_trainings, known, each, default_workers(), start)


def median_training_seconds(workspace: Workspace, store: ResultStore, recipe_hash: str) -> float:
    """Median seconds of a training: of the last ones here, else of the workspace's base models, else a guess."""
    measured = store.median_seconds(recipe_hash)
    if not measured and is_head(workspace.recipe) and workspace.get_recipe().hash == recipe_hash:
        return REFIT_SECONDS
    provenance = workspace.manifest["parts"].get("base", {})
    return measured[0] if measured else float(provenance.get("seconds") or DEFAULT_SECONDS)


def start_seconds(workspace: Workspace, store: ResultStore, recipe_hash: str, each: float) -> float:
    """Seconds that a job under a head takes beside its refits: the median over the last ones here, else a guess; 0
    under any other recipe, where they vanish beside the trainings. each: seconds a refit."""
    if not is_head(workspace.recipe) or workspace.get_recipe().hash != recipe_hash:
        return 0.0
    done = [job for job in store.jobs() if job.state == "done" and job.spec.get("hash") == recipe_hash and job.total]
    beside = [max(0.0, job.seconds - math.ceil(job.total / default_workers()) * each) for job in done[:MEASURED_JOBS]]
    return median(beside) if beside else START_SECONDS


@cache
def default_workers() -> int:
    """How many workers the local executor starts by itself."""
    return len(devices.plan_workers().slots)
