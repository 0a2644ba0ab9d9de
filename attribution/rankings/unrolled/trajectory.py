"""The last epochs of a training, kept so that one can go back through them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import nn

from attribution.rankings.unrolled.training import AnyStep
from attribution.training.edits import no_edit
from attribution.training.trainer import Step, Trainer


@dataclass(frozen=True)
class Trajectory:
    """A training on all images, and its last steps.

    steps        those kept, in their order
    parameters   float [steps, P], the trained weights before each of these steps, flat; on disk
    network      the trained network, in evaluation mode
    n_averaged   over how many steps, kept or not, the weights of `network` are averaged; 0 where they are the last
    """

    steps: Sequence[AnyStep]
    parameters: np.ndarray | list[np.ndarray]
    network: nn.Module
    n_averaged: int

    def at(self, number: int) -> torch.Tensor:
        """The weights before the kept step `number`, [P]."""
        return torch.from_numpy(np.array(self.parameters[number]))


def record(
    trainer: Trainer, seed: int, epochs: int, file: Path, on_epoch: Callable[[int, int], None] | None = None
) -> Trajectory:
    """Trains with a seed on all images, and keeps the last `epochs` epochs; the weights go into `file`, a .npy. The
    trainer's precision has to be float32 or float64. on_epoch: as of `Trainer.train`."""
    recipe = trainer.recipe
    per_epoch = trainer.steps_per_epoch(len(trainer.train_labels))
    first = (recipe.epochs - min(epochs, recipe.epochs)) * per_epoch
    weights = trained_weights(trainer.untrained(seed))
    shape = (recipe.epochs * per_epoch - first, sum(weight.numel() for weight in weights))
    file.parent.mkdir(parents=True, exist_ok=True)
    kept = open_memmap(file, "w+", "float64" if trainer.precision is torch.float64 else "float32", shape)
    steps, averaged = [], 0

    def keep(step: Step, weights: list[torch.Tensor]) -> None:
        nonlocal averaged
        averaged += step.averaged
        if step.number >= first:
            kept[step.number - first] = flatten(weights).cpu().numpy()
            steps.append(step)

    network = trainer.train(no_edit(), seed, on_epoch, keep)
    kept.flush()
    return Trajectory(steps, kept, network, averaged)


def trained_weights(network: nn.Module) -> list[torch.Tensor]:
    """The weights of a network that training changes, as the trainer takes them."""
    return [weight for weight in network.parameters() if weight.requires_grad]


def flatten(weights: list[torch.Tensor]) -> torch.Tensor:
    """Weights as one vector [P]."""
    return torch.cat([weight.detach().reshape(-1) for weight in weights])


@torch.no_grad()
def load(network: nn.Module, vector: torch.Tensor) -> None:
    """Sets the weights that training changes to those of a vector [P], see `flatten`."""
    start = 0
    for weight in trained_weights(network):
        weight.copy_(vector[start : start + weight.numel()].view(weight.shape))
        start += weight.numel()
