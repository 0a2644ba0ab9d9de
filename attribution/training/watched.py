"""A training whose predictions are looked at as it goes."""

from collections.abc import Callable

import numpy as np
import torch

from attribution.training import augmentation
from attribution.training.edits import no_edit
from attribution.training.recipes import Recipe
from attribution.training.trainer import Trainer


class _WatchedTrainer(Trainer):
    """A trainer whose losses are looked at, since they see the logits of each step. found, was_right, ever_right: of
    `watch`."""

    found: dict[str, np.ndarray]
    was_right: np.ndarray
    ever_right: np.ndarray

    def loss(self, logits: torch.Tensor, shown: torch.Tensor, *more, **options) -> torch.Tensor:
        """See `Trainer.loss`."""
        ids = shown[:, augmentation.IMAGE].cpu().numpy()
        predicted = logits.detach().double().cpu().numpy()
        rows, given = np.arange(len(ids)), self.train_labels[ids]
        self.found["logits"][ids] += predicted
        others = predicted.copy()
        others[rows, given] = -np.inf
        margin = predicted[rows, given] - others.max(1)
        self.found["margin"][ids] += margin
        self.found["shown"][ids] += 1
        self.found["forgotten"][ids] += self.was_right[ids] & (margin <= 0)
        self.was_right[ids] = margin > 0
        self.ever_right[ids] |= margin > 0
        return super().loss(logits, shown, *more, **options)


def watch(
    workspace, recipe: Recipe, seed: int, report: Callable[[int, int], None] = lambda done, epochs: None
) -> dict[str, np.ndarray]:
    """What a training predicts of its images as it is shown them, before each step: "logits" float64 [n, classes] and
    "margin" float64 [n], the given label's logit less the largest other, sums over the times that it was "shown", int64
    [n]; "forgotten", int64 [n]: how often it was right and then not, or one more than there are epochs where it never
    was. workspace: as `Trainer` takes it. report(done, epochs). Raises UserError as `Trainer.train`."""
    trainer = _WatchedTrainer(workspace, recipe)
    n = len(trainer.train_labels)
    trainer.found = {
        "logits": np.zeros((n, trainer.classes)),
        "margin": np.zeros(n),
        "shown": np.zeros(n, np.int64),
        "forgotten": np.zeros(n, np.int64),
    }
    trainer.was_right, trainer.ever_right = np.zeros(n, bool), np.zeros(n, bool)
    trainer.train(no_edit(), seed, report)
    trainer.found["forgotten"][~trainer.ever_right] = recipe.epochs + 1
    return trainer.found
