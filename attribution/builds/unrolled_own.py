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
        _run(workspace, recipe, {"what": "first-step", "into": str(file.resolve())}, 0, lambda *at: None)
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
    recipe, seconds, epochs = workspace.get_recipe(), 0.0, 0
    for number, seed in enumerate(seeds, 1):
        starts = range(0, len(plan.targets), plan.block)
        blocks = {file_of(seed, start): plan.targets[start : start + plan.block] for start in starts}
        kept = folder / f"kept-{seed}"
        shutil.rmtree(kept, ignore_errors=True)  # of a build that was killed
        wanted = {
            "what": "unrolled",
            "blocks": [[str(file.resolve()), list(block)] for file, block in blocks.items() if not file.exists()],
            "kept": str(kept.resolve()),
            "limit": MAX_KEPT_BYTES,
            **{name: getattr(plan, name) for name in ("epochs", "windows", "exact", "rough")},
        }
        text = f"unrolled, model {number} of {len(seeds)}"
        try:
            if wanted["blocks"]:
                _run(workspace, recipe, wanted, seed, _reporter(progress, text))
        finally:
            shutil.rmtree(kept, ignore_errors=True)
        for file, block in blocks.items():
            arrays = _read(file, (len(block), workspace.n_train), recipe)
            seconds, epochs = seconds + float(arrays["seconds"]), int(arrays["epochs"])
    return seconds, epochs


def _reporter(progress: Progress, text: str):
    def report(event: dict) -> None:
        if event.get("stage") == TRAINING:
            progress(f"{text}: steps", event["epoch"], event["epochs"] or None)
        else:
            progress(f"{text}: steps back", event["epoch"], event["epochs"])

    return report


def _run(workspace: Workspace, recipe: OwnRecipe, wanted: dict, seed: int, report: Callable[[dict], None]) -> None:
    """Has a worker do one thing; one at a time, since each may take the memory that was planned."""
    path = str(Path(workspace.path).resolve())
    task = ModelTask(str(seed), path, recipe.name, recipe.hash, no_edit(), seed, compute=wanted)
    own_models.run_tasks(recipe, [task], lambda task, event: report(event) if event["event"] == "epoch" else None)


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
