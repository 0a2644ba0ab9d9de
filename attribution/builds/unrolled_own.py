"""Unrolled for a recipe of the user's own: a worker runs its `trajectory`, goes back through it, and writes the scores
into files. See `attribution.builds.unrolled`."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attribution.builds import own_models
from attribution.errors import UserError
from attribution.rankings.unrolled import MAX_KEPT_BYTES
from attribution.runner.executors.base import Task
from attribution.runner.model_tasks import TRAINING, ModelTask
from attribution.training.edits import no_edit
from attribution.training.own import OwnRecipe
from attribution.workspace.parts import Progress, cached_npz, scratch_folder
from attribution.workspace.workspace import Workspace

if TYPE_CHECKING:
    from attribution.builds.unrolled import Plan


def sizes(workspace: Workspace, recipe: OwnRecipe) -> tuple[int, int, int, int]:
    """(weights that training changes, images a step, 0, bytes that an epoch's inputs take where they are kept), by the
    first step of a training, which a worker begins once. Raises UserError where the recipe does not yield it as
    docs/own_model.md has it."""
    file = scratch_folder(workspace, "unrolled") / f"{recipe.hash}-first-step.npz"
    if not file.exists():
        wanted = {"what": "first-step", "into": str(file.resolve())}
        own_models.run_tasks(recipe, [_task(workspace, recipe, 0, wanted)], lambda *at: None, 1)
    first = cached_npz(file, dict)
    return int(first["weights"]), int(first["batch"]), 0, int(first["shown_bytes"]) * workspace.n_train


def compute_scores(
    workspace: Workspace,
    plan: "Plan",
    seeds: Sequence[int],
    folder: Path,
    file_of: Callable[[int, int], Path],
    progress: Progress,
) -> tuple[float, int]:
    """Has the scores of every training and block in the files that file_of(seed, first target's place) names; those
    that are there are not computed again. Returns the seconds that they took, and how many epochs a training has.

    Raises UserError where the recipe fails, as `attribution.rankings.unrolled.own.record` says."""
    recipe = workspace.get_recipe()
    starts = range(0, len(plan.targets), plan.block)
    blocks = {(seed, start): plan.targets[start : start + plan.block] for seed in seeds for start in starts}
    tasks = []
    for seed in seeds:
        missing = [(file_of(seed, start), blocks[seed, start]) for start in starts]
        wanted = {
            "what": "unrolled",
            "blocks": [[str(file.resolve()), list(block)] for file, block in missing if not file.exists()],
            "kept": str(_kept(folder, seed).resolve()),
            "limit": MAX_KEPT_BYTES,
            **{name: getattr(plan, name) for name in ("epochs", "windows", "exact", "rough")},
        }
        tasks += [_task(workspace, recipe, seed, wanted)] if wanted["blocks"] else []

    def report(task: Task, event: dict) -> None:
        text = f"unrolled, model {seeds.index(task.seed) + 1} of {len(seeds)}"
        if event["event"] == "epoch" and event["stage"] == TRAINING:
            progress(f"{text}: steps", event["epoch"], event["epochs"] or None)
        elif event["event"] == "epoch":
            progress(f"{text}: steps back", event["epoch"], event["epochs"])

    try:  # one at a time, since each may take the memory that was planned
        own_models.run_tasks(recipe, tasks, report, 1)
    finally:
        for seed in seeds:
            shutil.rmtree(_kept(folder, seed), ignore_errors=True)
    read = [_read(file_of(*at), (len(block), workspace.n_train), recipe) for at, block in blocks.items()]
    return sum(float(arrays["seconds"]) for arrays in read), int(read[-1]["epochs"])


def _kept(folder: Path, seed: int) -> Path:
    """Where the steps of a training are kept while it is gone back through."""
    return folder / f"kept-{seed}"


def _task(workspace: Workspace, recipe: OwnRecipe, seed: int, wanted: dict) -> ModelTask:
    path = str(Path(workspace.path).resolve())
    return ModelTask(str(seed), path, recipe.name, recipe.hash, no_edit(), seed, compute=wanted)


def _read(file: Path, shape: tuple[int, ...], recipe: OwnRecipe) -> dict[str, np.ndarray]:
    """What a worker wrote. Raises UserError where the scores have another shape or are not finite: then the file is
    removed, and the next call computes them again."""
    arrays = cached_npz(file, dict)
    if arrays["scores"].shape != shape or not np.isfinite(arrays["scores"]).all():
        file.unlink(missing_ok=True)
        raise UserError(
            f"unrolled scores of recipe {recipe.name} come out with NaN or infinity, so that its derivatives grow "
            "without bound; give fewer --epochs"
        )
    return arrays
