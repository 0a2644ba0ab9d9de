"""Base models: training them, and taking their networks from the weights on disk."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attribution.builds import own_models
from attribution.errors import UserError
from attribution.files import read_array
from attribution.runner.executors.base import Task, decode_array
from attribution.training import recipes
from attribution.training.edits import no_edit
from attribution.training.own import OwnRecipe
from attribution.workspace.parts import Progress, cached_npz, save_part, scratch_folder
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import Workspace

if TYPE_CHECKING:
    from torch import nn

    from attribution.training.trainer import Trainer

BASE_SEEDS = range(200, 210)


def build_base_models(workspace: Workspace, count: int, progress: Progress) -> dict:
    """Trains `count` base models and saves them as the part "base"; returns its provenance. Raises UserError where the
    workspace has base models that cannot be replaced."""
    workspace.check_can_add("base")
    recipe = workspace.get_recipe()
    if recipe.problem:
        raise UserError(recipe.problem)
    if recipe.kind == "head":
        raise UserError(f"{recipe.name} is fitted when it is asked, and needs no base models; look at it with --model")
    seeds = [BASE_SEEDS.start + number for number in range(count)]
    cache_folder = scratch_folder(workspace, "base")
    if recipe.kind == "own":
        arrays, made_on = train_in_workers(workspace, recipe, seeds, cache_folder, progress)
    else:
        arrays, made_on = train_here(workspace, recipe, seeds, cache_folder, progress)
    seconds, probabilities = arrays.pop("seconds"), arrays["probabilities"]
    right = (probabilities.argmax(2) == workspace.val_labels).mean(1)
    provenance = {
        "recipe": recipe.name,
        "hash": recipe.hash,
        "seeds": seeds,
        "accuracy": round(float(right.mean()), 4),
        "accuracy_std": round(float(right.std(ddof=1)), 4) if count > 1 else None,
        "measured_on": "the validation images",
        "seconds": round(float(np.median(seconds)), 2),
        **made_on,
        "threads": recipe.threads,
    }
    return save_part(
        workspace,
        "base",
        {**arrays, "probabilities": probabilities.astype(np.float16)},
        {**provenance, **command_provenance(f"base train --models {count}{of_model(workspace)}")},
    )


def of_model(workspace: Workspace) -> str:
    """The option of a command line that says whose models a part is of, a blank first; "" for the workspace's own."""
    return f" --recipe {workspace.model}" if workspace.model else ""


def train_here(
    workspace: Workspace, recipe: recipes.Recipe, seeds: Sequence[int], cache_folder: Path, progress: Progress
) -> tuple[dict[str, np.ndarray], dict]:
    """Base models of a built-in recipe, one after the other in this process: their arrays, with "seconds", and what
    they were made on."""
    from attribution.training.trainer import LIBRARY, Trainer

    trainer = Trainer(workspace, recipe)
    probabilities, weights, seconds = train_base_models(trainer, seeds, cache_folder, progress)
    arrays = {"probabilities": probabilities, "weights": weights, "seconds": np.array(seconds)}
    return arrays, {"library": LIBRARY, "device": trainer.device.type}


def train_in_workers(
    workspace: Workspace, recipe: OwnRecipe, seeds: Sequence[int], cache_folder: Path, progress: Progress
) -> tuple[dict[str, np.ndarray], dict]:
    """As `train_here`, for a recipe of the user's, whose code only workers run; there are no weights, and models
    are kept in files where the recipe can save them. Raises UserError where a training fails."""
    files = {seed: cache_folder / f"{recipe.hash}-{seed}.npz" for seed in seeds}
    where = str(Path(workspace.path).resolve())
    tasks = [
        Task(
            str(seed),
            where,
            recipe.name,
            recipe.hash,
            no_edit(),
            seed,
            probabilities=True,
            file=str(own_models.model_file(workspace, recipe, seed)),
        )
        for seed in seeds
        if not files[seed].exists()
    ]
    done = len(seeds) - len(tasks)

    def keep(task: Task, event: dict) -> None:
        nonlocal done
        if event["event"] == "done":
            flat = decode_array(event["probabilities"], np.float16).astype(np.float32)
            arrays = {
                "probabilities": flat.reshape(workspace.n_val, -1),
                "seconds": np.float64(event["seconds"]),
                "library": np.array(event["library"]),
                "device": np.array(event["device"]),
            }
            cached_npz(files[task.seed], lambda: arrays)
            done += 1
            progress("base models", done, len(seeds))

    progress("base models", done, len(seeds))
    own_models.run_tasks(recipe, tasks, keep)
    models = [cached_npz(files[seed], dict) for seed in seeds]
    made_on = {name: str(models[-1][name]) for name in ("library", "device")}
    made_on["networks"] = "kept beside the results" if recipe.can_keep else "trained again where they are needed"
    return {name: np.array([model[name] for model in models]) for name in ("probabilities", "seconds")}, made_on


def train_base_models(
    trainer: "Trainer", seeds: Sequence[int], cache_folder: Path, progress: Progress
) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Models that differ in the seed alone: probabilities float32 [models, n_val, classes], flat weights float32
    [models, parameters] and the seconds of each training. Those that are in `cache_folder` are not trained again."""
    models = []
    for done, seed in enumerate(seeds):
        progress("base models", done, len(seeds))

        def train(seed=seed):
            if not models:
                trainer.run(seed=0)  # the first training of a process is slower and is not timed
            outcome = trainer.run(seed=seed)
            return {
                "probabilities": outcome.probabilities,
                "weights": flatten_weights(outcome.network),
                "seconds": np.float64(outcome.seconds),
            }

        models.append(cached_npz(cache_folder / f"{trainer.recipe.hash}-{seed}.npz", train))
    progress("base models", len(seeds), len(seeds))
    return (
        np.array([model["probabilities"] for model in models]),
        np.array([model["weights"] for model in models]),
        [float(model["seconds"]) for model in models],
    )


def load_base_networks(workspace: Workspace, trainer: "Trainer") -> list["nn.Module"]:
    """The base models, from the weights that the workspace holds. Raises UserError where it has none."""
    workspace.check_base()
    if not (workspace.folder("base") / "weights.npy").exists():
        raise UserError(
            f"the base models of {workspace.name} are kept as predictions alone, without the networks that this "
            "computes with; take a workspace with a built-in recipe"
        )
    return [restore_network(trainer, row) for row in read_array(workspace.folder("base") / "weights.npy")]


def flatten_weights(network: "nn.Module") -> np.ndarray:
    """All of a network's weights and running statistics, float32 [parameters]."""
    import torch

    return torch.cat([value.float().flatten() for value in network.state_dict().values()]).cpu().numpy()


def restore_network(trainer: "Trainer", weights: np.ndarray) -> "nn.Module":
    """The trained network whose `flatten_weights` are `weights`, in evaluation mode."""
    import torch

    network, start = trainer.untrained(0), 0
    state = network.state_dict()
    for name, value in state.items():
        state[name] = (
            torch.as_tensor(weights[start : start + value.numel()].copy()).reshape(value.shape).to(value.dtype)
        )
        start += value.numel()
    network.load_state_dict(state)
    return network.eval()
