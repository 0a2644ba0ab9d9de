"""All evidence about labels that a workspace has the ground for, the quickest first: what `audit start` does.

Each step computes detectors, and first what they rest on; after each, `combined` is computed again, so that a review
can begin while the rest is still to come.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from attribution.audit import detectors
from attribution.audit.detectors import dynamics, in_sample, knn, out_of_fold, out_of_sample, self_influence
from attribution.audit.detectors.stored import COMBINED
from attribution.errors import UserError
from attribution.experiments.estimate import default_workers, median_training_seconds
from attribution.files.libraries import missing
from attribution.store.results import ResultStore
from attribution.training.head.recipe import is_head
from attribution.workspace.parts import Progress
from attribution.workspace.workspace import Workspace

FEATURES = "patches"  # learned where there are none: the quickest of those that see no label
FEATURE_SECONDS = 0.01  # of learning them, for each image
IMAGE_SECONDS = 0.0005  # of whatever trains nothing, for each image
START_SECONDS = 3.0  # of a command, until it has opened the workspace
BASE_MODELS = 5  # trained where there are none
#: computed when they are asked for by name: pixels are a control, and self-influence takes long for what it finds
LEFT_OUT = (f"{knn.PREFIX}pixels", self_influence.NAME)


@dataclass(frozen=True)
class Step:
    """A part of the work. name: in words. detectors: what it computes. seconds: what that is expected to take. prepare:
    makes what they rest on, None where that is there."""

    name: str
    detectors: list[str]
    seconds: float
    prepare: Callable[[Workspace, Progress], object] | None = None


@dataclass(frozen=True)
class Gathered:
    """What came of it. built: detectors, as they came. left: detector -> why it was not computed, without a full stop.
    seconds: by the clock."""

    built: list[str]
    left: dict[str, str]
    seconds: float


def gather(workspace: Workspace, seconds: float | None = None, progress: Progress = lambda *at: None) -> Gathered:
    """Does what is missing, step by step: the first in any case, others where they are expected to end within `seconds`
    from now, all if not given. Called again it goes on: what stands, and rests on nothing that changed since, stays.

    progress(text, done, total): text names the step; done and total are in seconds, as far as they are foreseen. Raises
    UserError where there is no ground for any evidence, and as `detectors.build_detectors`; what came before stays.
    """
    start = time.monotonic()
    workspace = _own(workspace)
    built: list[str] = []
    left: dict[str, str] = {}
    while to_come := [step for step in steps(workspace) if not left.keys() & set(step.detectors)]:
        step = to_come[0]
        spent = time.monotonic() - start
        if built and seconds is not None and spent + step.seconds > seconds:
            left |= dict.fromkeys(
                step.detectors, f"it takes about {max(1, round(step.seconds / 60))} min, too long for the time given"
            )
            continue

        def report(text, *at, step=step, begun=time.monotonic(), left_seconds=sum(step.seconds for step in to_come)):
            done = begun - start + min(step.seconds, time.monotonic() - begun)
            progress(f"{step.name}: {text}", int(done), max(1, round(begun - start + left_seconds)))

        if step.prepare:
            step.prepare(workspace, report)
            workspace = Workspace.open(workspace.path).with_model(workspace.model)
        new = detectors.build_detectors(workspace, step.detectors, report)
        built += new
        if lacking := set(step.detectors) - new.keys():  # it would be asked for again
            left |= dict.fromkeys(lacking, "it did not come of what it was to be computed from")
        if not detectors.available(workspace)[COMBINED]:
            detectors.build_detectors(workspace, [COMBINED], report)
    requirements = detectors.available(workspace)
    if not detectors.names(workspace):
        raise UserError(f"there is no ground for any evidence: {'; '.join(dict.fromkeys(requirements.values()))}")
    absent = {name: why for name, why in requirements.items() if why and name not in detectors.names(workspace)}
    return Gathered(list(dict.fromkeys(built)), absent | left, round(time.monotonic() - start, 1))


def steps(workspace: Workspace) -> list[Step]:
    """What is still to be done, the quickest first. Raises UserError where no label can be wrong."""
    workspace = _own(workspace)
    requirements = detectors.available(workspace)
    if single_class := detectors.single_class_error(workspace):
        raise UserError(single_class)
    n = workspace.n_train
    training = _training_seconds(workspace)

    def to_build(names: list[str]) -> list[str]:
        return [
            name
            for name in names
            if name in requirements and not requirements[name] and detectors.is_outdated(workspace, name)
        ]

    trainings = [
        Step("trainings, watched", to_build(dynamics.names(workspace)), len(dynamics.SEEDS) * training),
        Step(
            "models that did not see the image",
            to_build(out_of_sample.names(workspace)),
            out_of_sample.trainings_needed(workspace) * training / 2 / default_workers(),
        ),
        _base_step(workspace, to_build, training),
    ]
    taken = {name for family in (dynamics, out_of_sample, in_sample) for name in family.names(workspace)}
    others = [name for name in requirements if name not in {COMBINED, *LEFT_OUT, *taken}]
    quick = [
        _features_step(workspace),
        Step("what needs no training", to_build(others), START_SECONDS + n * IMAGE_SECONDS),
    ]
    return [step for step in (*quick, *trainings) if step and step.detectors]


def _own(workspace: Workspace) -> Workspace:
    """As its own recipe sees it where a head is looked at, whose evidence comes with its features."""
    return workspace.with_model(None) if is_head(workspace.recipe) else workspace


def _features_step(workspace: Workspace) -> Step | None:
    """Features that see no label, where there are none but pixels."""
    learned = [name for name in workspace.features() if name != "pixels" and not name.startswith("supervised")]
    if learned or missing("torch"):
        return None
    from attribution.builds.features import build_features

    seconds = workspace.n_train * (FEATURE_SECONDS + IMAGE_SECONDS)
    return Step(
        f"features ({FEATURES})",
        [f"{out_of_fold.PREFIX}{FEATURES}", f"{knn.PREFIX}{FEATURES}"],
        seconds,
        lambda ws, report: build_features(ws, FEATURES, None, report),
    )


def _base_step(workspace: Workspace, to_build: Callable, training: float) -> Step:
    """The losses of the base models, which are trained first where there are none."""
    names = in_sample.names(workspace)
    if workspace.has_base or workspace.get_recipe().problem:
        return Step("base models", to_build(names), workspace.n_train * IMAGE_SECONDS)
    from attribution.builds.base_models import build_base_models

    return Step(
        "base models",
        names,
        BASE_MODELS * training,
        lambda ws, report: build_base_models(ws, BASE_MODELS, report),
    )


def _training_seconds(workspace: Workspace) -> float:
    with ResultStore.for_workspace(workspace) as store:
        return median_training_seconds(workspace, store, workspace.get_recipe().hash)
