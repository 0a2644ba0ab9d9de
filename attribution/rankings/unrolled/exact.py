"""Unrolled for one target, with the exact curvature: what a job computes for each seed, see `on_demand`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from attribution.rankings.unrolled import final, reverse, trajectory
from attribution.training.recipes import Recipe
from attribution.training.trainer import Trainer

STEP_BACK = 6  # training steps that a step back takes, about; see docs/protocol.md


def make_trainer(workspace, recipe: Recipe, device: str | None = None) -> Trainer:
    """The trainer of a built-in recipe, in float32 where the recipe takes bfloat16: one cannot go back through that.
    workspace, device: as `Trainer` takes them."""
    return Trainer(workspace, recipe, device, torch.float32)


def target_scores(
    trainer: Trainer,
    target: int,
    seed: int,
    epochs: int,
    windows: int,
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Scores of all training images for a target, float32 [n_train], positive is helpful, by a training with this seed:
    `reverse.expected_influence` over its last `epochs` epochs.

    trainer: of float32 or float64; folder: where the weights of these epochs' steps are kept meanwhile.
    progress(done, total), in training steps about. Raises UserError as `Trainer.train`.
    """
    per_epoch = trainer.steps_per_epoch(len(trainer.train_labels))
    forward, back = trainer.recipe.epochs * per_epoch, min(epochs, trainer.recipe.epochs) * per_epoch

    def report(done: int) -> None:
        if progress:
            progress(done, forward + STEP_BACK * back)

    kept = trajectory.record(trainer, seed, epochs, folder / "weights.npy", lambda done, _: report(done * per_epoch))
    gradients = final.margin_gradients(trainer, kept.network, torch.tensor([target]))
    by_epoch = reverse.expected_influence(
        trainer,
        kept,
        gradients,
        (min(windows, per_epoch),),
        exact=True,
        progress=lambda done, _: report(forward + STEP_BACK * done),
    )
    return by_epoch[0].sum(0)[0]
