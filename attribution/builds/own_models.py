"""What is computed with the models of a user's recipe: workers run the user's code, and send back arrays in files.

Where the recipe has `save` and `load`, its models lie in the data folder, beside the results: never in the workspace,
since a file that is loaded may run code, and workspaces are handed on. Where it has not, or the file is not there, a
model is trained again from its seed.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from attribution.errors import UserError
from attribution.runner.executors.base import Task
from attribution.runner.executors.local import LocalExecutor
from attribution.runner.model_tasks import TRAINING, ModelTask
from attribution.training.devices import plan_workers
from attribution.training.edits import no_edit
from attribution.training.own import OwnRecipe
from attribution.workspace.base_models import made_by
from attribution.workspace.parts import Progress, base_seeds, cached_npz, scratch_folder
from attribution.workspace.workspace import Workspace

#: by how much a probability of a model that is trained again on a processor may differ from the one that is stored
TOLERANCE = 0.01
#: what the arrays of each kind have for axes, by name; "train" and "val" stand for the number of images
AXES: dict[str, dict[str, tuple]] = {
    "trak": {"train": ("dim", "train"), "val": ("dim", "val"), "doubt": ("train",)},
    "self-influence": {"scores": ("train",)},
    "logits": {"logits": ("train", "classes")},
    "features": {"train": ("train", None), "val": ("val", None)},
}
NEEDS_MODULE = ("trak", "self-influence")


def model_file(workspace: Workspace, recipe: OwnRecipe, seed: int) -> Path:
    """Where the recipe keeps the model of the unedited images and a seed; it need not be there."""
    return scratch_folder(workspace, "base") / f"{recipe.hash}-{seed}.model"


def missing_requirement(workspace: Workspace, what: str) -> str:
    """What a user's recipe and its base models lack for computing `what`, a key of AXES: a sentence without a full
    stop, "" where nothing."""
    recipe = workspace.get_recipe()
    if recipe.problem:
        return recipe.problem
    if what in NEEDS_MODULE and "module" not in recipe.optional:
        return f"{recipe.name} has no method module, which gives its torch network; see docs/own_model.md"
    made, made_hash = made_by(workspace)
    seeds = workspace.manifest["parts"].get("base", {}).get("seeds")
    train = f"python -m attribution base train{workspace.options()}"
    if not workspace.has_base or not isinstance(seeds, list):
        return f"it needs base models that were trained here; train them with: {train}"
    if (made, made_hash) != (recipe.name, recipe.hash):
        return f"the base models are of another version of {recipe.name}; train them again with: {train}"
    return ""


def compute_with_base(
    workspace: Workspace, what: str, count: int | None, folder: Path, progress: Progress, text: str, dim: int = 0
) -> list[dict[str, np.ndarray]]:
    """`what`, a key of AXES, of the first `count` base models, or all: the arrays of each, with "seconds" and "loaded".
    folder: of the files that keep them; what is in it is not computed again. text: of the progress, before "model 1 of
    10". dim: of the projection, where there is one.

    Raises UserError as `missing_requirement` says, where the user's code fails, and where a model that was trained
    again is not the base model."""
    if missing := missing_requirement(workspace, what):
        raise UserError(missing)
    recipe, seeds = workspace.get_recipe(), base_seeds(workspace)[:count]
    computed = compute(workspace, recipe, seeds, what, folder, progress, text, dim)
    for number, (seed, arrays) in enumerate(zip(seeds, computed)):
        stored = workspace.base.probabilities[number]
        apart = float(np.abs(arrays.pop("probabilities") - stored).max())
        if apart > TOLERANCE and str(arrays["device"]) == "cpu":
            _forget(workspace, recipe, seed, folder)
            how = "loaded" if arrays["loaded"] else "trained again"
            raise UserError(
                f"the base model of seed {seed}, {how}, says other than it did (probabilities differ by {apart:.2g}); "
                f"look with `recipe check` what {recipe.name} draws from anything but the seed, or what its load "
                "leaves out, and train the base models again"
            )
    return computed


def _forget(workspace: Workspace, recipe: OwnRecipe, seed: int, folder: Path) -> None:
    """Removes what is kept of a model, so that `base train` trains it, and the next call asks it."""
    for file in (
        *folder.glob(f"{recipe.hash}-{seed}*"),
        *scratch_folder(workspace, "base").glob(f"{recipe.hash}-{seed}.*"),
    ):
        file.unlink(missing_ok=True)


def how_had(computed: Iterable[dict]) -> dict:
    """Provenance of what was computed with models of a user's recipe: {"networks": how they were had}."""
    return {"networks": "loaded" if all(part["loaded"] for part in computed) else "trained again from their seeds"}


def compute(
    workspace: Workspace,
    recipe: OwnRecipe,
    seeds: Sequence[int],
    what: str,
    folder: Path,
    progress: Progress,
    text: str,
    dim: int = 0,
    first: int = 0,
) -> list[dict[str, np.ndarray]]:
    """As `compute_with_base`, of models of any seeds, with "probabilities", float32 [n_val, classes]. first: the number
    of the first one's projection."""
    suffix = f"-{dim}" if dim else ""
    files = {seed: folder / f"{recipe.hash}-{seed}{suffix}.npz" for seed in seeds}
    missing = [seed for seed in seeds if not files[seed].exists()]
    number_of = {seed: number for number, seed in enumerate(seeds)}
    tasks = [
        ModelTask(
            str(seed),
            str(Path(workspace.path).resolve()),
            recipe.name,
            recipe.hash,
            no_edit(),
            seed,
            file=str(model_file(workspace, recipe, seed)),
            compute={
                "what": what,
                "into": str(files[seed].resolve()),
                "dim": dim,
                "number": first + number_of[seed],
            },
        )
        for seed in missing
    ]

    def report(task: Task, event: dict) -> None:
        if event["event"] == "epoch":
            stage = "training" if event.get("stage", TRAINING) == TRAINING else "images"
            words = f"{text}model {number_of[task.seed] + 1} of {len(seeds)}: {stage}"
            progress(words, event["epoch"], event["epochs"])

    run_tasks(recipe, tasks, report)
    shape = {"train": workspace.n_train, "val": workspace.n_val, "classes": len(workspace.classes), "dim": dim}
    return [_read(files[seed], what, shape, recipe) for seed in seeds]


def run_tasks(
    recipe: OwnRecipe, tasks: Sequence[Task], report: Callable[[Task, dict], None], workers: int | None = None
) -> None:
    """Has workers of this machine, at most so many, do tasks of a user's recipe; report(task, event) hears of each
    event but those that end all. Raises UserError where one fails, and where none says anything for the recipe's
    patience."""
    if not tasks:
        return
    executor = LocalExecutor(plan_workers(workers, None, recipe.threads))
    waiting, left, heard = list(tasks), len(tasks), time.monotonic()
    try:
        while left:
            while waiting and executor.free_slots():
                executor.submit(waiting.pop(0))
            for task, event in executor.poll(0.5):
                heard = time.monotonic()
                if event["event"] in ("failed", "lost"):
                    raise UserError(event.get("message") or f"a worker process ended under recipe {recipe.name}")
                report(task, event)
                left -= event["event"] == "done"
            if time.monotonic() - heard > 60 * recipe.patience:
                raise UserError(
                    f"recipe {recipe.name} has reported nothing for {recipe.patience:g} minutes and was stopped; "
                    "have fit call report, or set patience to more minutes"
                )
    finally:
        executor.close()


def _read(file: Path, what: str, shape: dict[str, int], recipe: OwnRecipe) -> dict[str, np.ndarray]:
    """The arrays that a worker wrote. Raises UserError where one has another shape or is not finite: then the file is
    removed, and the next call computes it again."""
    arrays = cached_npz(file, dict)
    for name, axes in AXES[what].items():
        expected = tuple(shape.get(axis) for axis in axes)
        array = arrays[name]
        fits = array.ndim == len(expected) and all(e in (None, n) for e, n in zip(expected, array.shape))
        if not fits or not np.isfinite(array).all():
            file.unlink(missing_ok=True)
            raise UserError(
                f"{what} of recipe {recipe.name} comes out {'with NaN or infinity' if fits else 'in another shape'}; "
                "look at its network's weights and inputs"
            )
    return arrays
