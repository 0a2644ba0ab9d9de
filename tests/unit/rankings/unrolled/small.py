"""A training of milliseconds in float64, with every option of a recipe, and what it does to retrain with one image
weighted otherwise."""

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from attribution.rankings.unrolled import reverse, trajectory
from attribution.rankings.unrolled.training import as_training
from attribution.training import augmentation, recipes
from attribution.training.edits import no_edit
from attribution.training.trainer import Trainer, margins
from tests.unit.training.test_trainer import data


def with_norms(shape, classes):
    """Two convolutions, one of them in groups, with batch norm."""
    return nn.Sequential(
        nn.Conv2d(shape[0], 4, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.GELU(),
        nn.Conv2d(4, 4, 3, padding=1, groups=2),
        nn.BatchNorm2d(4),
        nn.GELU(),
        nn.Flatten(),
        nn.Linear(64, classes),
    )


def without_norms(shape, classes):
    """A convolution and two linear layers."""
    return nn.Sequential(
        nn.Conv2d(shape[0], 3, 3, stride=2, padding=1), nn.GELU(), nn.Flatten(), nn.Linear(48, 5), nn.GELU(),
        nn.Linear(5, classes),
    )  # fmt: skip


def linear(shape, classes):
    """A linear network, whose curvature Gauss-Newton has exactly."""
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], classes))


class WeightedTrainer(Trainer):
    """A trainer in whose loss each training image has a weight."""

    def __init__(self, recipe, n=40):
        super().__init__(data(n), recipe, "cpu", torch.float64)
        self.shares = torch.ones(n, dtype=torch.float64)

    def loss(self, logits, shown, labels, reduction="mean"):
        """As `Trainer.loss`."""
        losses = super().loss(logits, shown, labels, "none") * self.shares[shown[:, augmentation.IMAGE]]
        return losses.mean() if reduction == "mean" else losses

    def margins(self, image: int, share: float, seed: int) -> np.ndarray:
        """All targets' margins, float64, after a training in which an image has this weight."""
        self.shares[image] = share
        logits = self.logits(self.train(no_edit(), seed), self.val_images)
        self.shares[image] = 1
        return margins(logits, self.val_labels).numpy()

    def slopes(self, image: int, seed: int, step: float = 1e-3) -> np.ndarray:
        """Derivatives of all targets' margins by an image's weight: finite differences of the fourth order."""
        far, near = (
            self.margins(image, 1 + size, seed) - self.margins(image, 1 - size, seed) for size in (2 * step, step)
        )
        return (8 * near - far) / (12 * step)


def recipe(network=without_norms, **options):
    """A small recipe: three epochs of five steps."""
    small = {"epochs": 3, "batch_size": 8, "learning_rate": 0.05, "network": network}
    return replace(recipes.get_recipe("demo-cnn"), **{**small, **options})


def relative_error(found, expected) -> float:
    """The largest difference, as a share of the largest value."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def shown_influence(trainer, kept, gradients) -> np.ndarray:
    """The derivative of each target's margin by the weight of each training image over the steps kept, with the exact
    curvature, the images in the order in which they were shown: [K, n_train]."""
    training = as_training(trainer)
    network, state = training.network(), reverse.Reverse(trainer, kept, gradients)
    result = np.zeros((len(gradients), training.n_train))
    for number in reversed(range(len(kept.steps))):
        step = kept.steps[number]
        trajectory.load(network, kept.at(number))
        directions = state.momentum_step(step)
        for target, curved, by_share in reverse.exact_curvature(trainer, network, step, directions):
            state.bar[target] += curved
            result[target, training.ids(step.shown)] += by_share.numpy()
    return result
