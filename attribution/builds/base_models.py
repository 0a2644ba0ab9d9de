"""Base models: training them, and their weights on disk."""

from pathlib import Path

import numpy as np

from attribution.files import read_array
from attribution.training import recipes
from attribution.workspace.parts import Progress, cached_npz, save_part, scratch_folder
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import Workspace

BASE_SEEDS = range(200, 210)


def train_base_models(trainer, seeds, scratch: Path, progress: Progress) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Models that differ in the seed alone: probabilities float32 [models, n_val, classes], flat weights float32
    [models, parameters] and the seconds of each training. Those that `scratch_folder` keeps are not trained again."""
    kept = []
    for done, seed in enumerate(seeds):
        progress("base models", done, len(seeds))

        def train(seed=seed):
            if not kept:
                trainer.run(seed=0)  # the first training of a process is slower and is not timed
            outcome = trainer.run(seed=seed)
            return {
                "probabilities": outcome.probabilities,
                "weights": flatten_weights(outcome.network),
                "seconds": np.float64(outcome.seconds),
            }

        kept.append(cached_npz(scratch / f"{trainer.recipe.hash}-{seed}.npz", train))
    progress("base models", len(seeds), len(seeds))
    return (
        np.array([one["probabilities"] for one in kept]),
        np.array([one["weights"] for one in kept]),
        [float(one["seconds"]) for one in kept],
    )


def flatten_weights(network) -> np.ndarray:
    """All of a network's weights and running statistics, float32 [parameters]."""
    import torch

    return torch.cat([value.float().flatten() for value in network.state_dict().values()]).cpu().numpy()


def restore_network(trainer, weights: np.ndarray):
    """The trained network that `flatten_weights` took apart, in evaluation mode."""
    import torch

    network, at = trainer.untrained(0), 0
    state = network.state_dict()
    for name, value in state.items():
        state[name] = torch.as_tensor(weights[at : at + value.numel()].copy()).reshape(value.shape).to(value.dtype)
        at += value.numel()
    network.load_state_dict(state)
    return network.eval()


def load_base_networks(workspace: Workspace, trainer) -> list:
    """The base models, from the weights the workspace keeps. Raises UserError where it has none."""
    workspace.check_base()
    return [restore_network(trainer, row) for row in read_array(workspace.folder("base") / "weights.npy")]


def build_base_models(workspace: Workspace, count: int, progress: Progress) -> dict:
    """Trains the workspace's base models and stores them; returns their provenance."""
    from attribution.training.trainer import LIBRARY, Trainer

    workspace.check_can_add("base")
    recipe = recipes.get_recipe(workspace.recipe)
    trainer = Trainer(workspace, recipe)
    seeds = [BASE_SEEDS.start + number for number in range(count)]
    probabilities, weights, seconds = train_base_models(trainer, seeds, scratch_folder(workspace, "base"), progress)
    right = (probabilities.argmax(2) == workspace.val_labels).mean(1)
    about = {
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
        {**about, **command_provenance(f"base train --models {count}")},
    )
