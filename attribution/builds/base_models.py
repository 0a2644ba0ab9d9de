"""Base models: training them, and taking their networks from the weights on disk."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attribution.files import read_array
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
    from attribution.training.trainer import LIBRARY, Trainer

    workspace.check_can_add("base")
    recipe = workspace.get_recipe()
    trainer = Trainer(workspace, recipe)
    seeds = [BASE_SEEDS.start + number for number in range(count)]
    probabilities, weights, seconds = train_base_models(trainer, seeds, scratch_folder(workspace, "base"), progress)
    right = (probabilities.argmax(2) == workspace.val_labels).mean(1)
    provenance = {
        "recipe": recipe.name,
        "hash": recipe.hash,
        "seeds": seeds,
        "accuracy": round(float(right.mean()), 4),
        "accuracy_std": round(float(right.std(ddof=1)), 4) if count > 1 else None,
        "measured_on": "the validation images",
        "seconds": round(float(np.median(seconds)), 2),
        "library": LIBRARY,
        "device": trainer.device.type,
        "threads": recipe.threads,
    }
    return save_part(
        workspace,
        "base",
        {"probabilities": probabilities.astype(np.float16), "weights": weights},
        {**provenance, **command_provenance(f"base train --models {count}")},
    )


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
