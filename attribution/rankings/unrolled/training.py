"""What going back through a training asks of it: of a built-in one here, of a user's own in `own`."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from attribution.training import augmentation
from attribution.training.trainer import PREDICT_BATCH, Step, Trainer


class AnyStep(Protocol):
    """A step, as `attribution.training.trainer.Step` describes it. Its rows, `views` and `shown`, say which images were
    shown and how; what is in a row only its training knows."""

    @property
    def number(self) -> int:
        """Of the step, from 0."""
        ...

    @property
    def epoch(self) -> int:
        """It is in, from 0."""
        ...

    @property
    def rate(self) -> float:
        """The learning rate."""
        ...

    @property
    def views(self) -> Tensor:
        """A row of each image, as the epoch showed it."""
        ...

    @property
    def shown(self) -> Tensor:
        """The rows of its batch."""
        ...

    @property
    def averaged(self) -> bool:
        """Whether the weights after it are part of the mean."""
        ...


class Training(Protocol):
    """A kind of training under stochastic gradient descent with momentum. All tensors are on `device` but
    `val_labels`."""

    device: torch.device
    classes: int
    n_train: int
    val_labels: Tensor

    def network(self) -> nn.Module:
        """One of its architecture, whose weights are to be set."""
        ...

    def outputs(self, network: nn.Module, images: Tensor) -> Tensor:
        """Logits of prepared images, float32 or float64."""
        ...

    def descent(self, step) -> tuple[float, bool, float]:
        """A step's momentum, whether it is Nesterov's, and weight decay."""
        ...

    def place(self, step) -> tuple[int, int]:
        """A step's number within its epoch, from 0, and how many steps that has."""
        ...

    def images(self, rows: Tensor) -> Tensor:
        """Prepared images as they were shown, a row each."""
        ...

    def ids(self, rows: Tensor) -> np.ndarray:
        """The numbers of the images shown, int64, a row each."""
        ...

    def losses(self, logits: Tensor, rows: Tensor, step) -> Tensor:
        """The loss of each image shown, in that step; the step's is their mean."""
        ...

    def curvature(self, logits: Tensor, rows: Tensor, step) -> Tensor | None:
        """The second derivatives of each image's loss by its logits, [b, classes, classes]; None where the loss is
        cross-entropy, with labels smoothed or not."""
        ...

    def val_views(self, targets: Tensor) -> list[Tensor]:
        """The versions of validation images whose logits are averaged in a prediction, each [k, ...]."""
        ...

    def norm_batches(self) -> tuple[Tensor, ...]:
        """The batches of prepared training images that batch norm's statistics are taken over."""
        ...

    def refresh_norms(self, network: nn.Module) -> None:
        """Sets batch norm's running statistics of a network to their mean over `norm_batches`; leaves it in evaluation
        mode."""
        ...


class BuiltIn:
    """A built-in recipe's training, by its trainer; see `Training`."""

    def __init__(self, trainer: Trainer):
        self.trainer, self.recipe = trainer, trainer.recipe
        self.device, self.classes = trainer.device, trainer.classes
        self.n_train, self.val_labels = len(trainer.train_labels), trainer.val_labels
        self.labels = torch.as_tensor(np.array(trainer.train_labels), device=trainer.device)

    def network(self) -> nn.Module:
        """See `Training`."""
        return self.trainer.untrained(0)

    def outputs(self, network: nn.Module, images: Tensor) -> Tensor:
        """See `Training`."""
        return self.trainer.outputs(network, images)

    def descent(self, step: Step) -> tuple[float, bool, float]:
        """See `Training`."""
        return self.recipe.momentum, self.recipe.nesterov, self.recipe.weight_decay

    def place(self, step: Step) -> tuple[int, int]:
        """See `Training`."""
        per_epoch = self.trainer.steps_per_epoch(self.n_train)
        return step.number % per_epoch, per_epoch

    def images(self, rows: Tensor) -> Tensor:
        """See `Training`."""
        return augmentation.augmented_batch(self.trainer.train_images, rows, self.recipe)

    def ids(self, rows: Tensor) -> np.ndarray:
        """See `Training`."""
        return rows[:, augmentation.IMAGE].cpu().numpy()

    def losses(self, logits: Tensor, rows: Tensor, step: Step) -> Tensor:
        """See `Training`."""
        return self.trainer.loss(logits, rows, self.labels, "none")

    def curvature(self, logits: Tensor, rows: Tensor, step: Step) -> Tensor | None:
        """See `Training`."""
        return None

    def val_views(self, targets: Tensor) -> list[Tensor]:
        """See `Training`."""
        return augmentation.prediction_views(self.trainer.val_images[targets.to(self.device)], self.recipe)

    def norm_batches(self) -> tuple[Tensor, ...]:
        """See `Training`."""
        return self.trainer.norm_images(torch.arange(self.n_train)).split(PREDICT_BATCH)

    def refresh_norms(self, network: nn.Module) -> None:
        """See `Training`."""
        self.trainer.refresh_norms(network.train(), self.trainer.norm_images(torch.arange(self.n_train)))
        network.eval()


def as_training(source: "Trainer | Training") -> Training:
    """A trainer of built-in recipes as a `Training`; any other is one."""
    return BuiltIn(source) if isinstance(source, Trainer) else source


def second_derivatives(losses: Callable[[Tensor], Tensor], logits: Tensor) -> Tensor:
    """Those of each image's loss by its own logits, [b, classes, classes]. losses(logits [b, classes]) -> [b]."""
    logits = logits.detach().requires_grad_()
    with torch.enable_grad():
        (slopes,) = torch.autograd.grad(losses(logits).sum(), logits, create_graph=True)
        if not slopes.requires_grad:  # of a loss that is linear in the logits
            return logits.new_zeros((*logits.shape, logits.shape[1]))
        columns = [
            torch.autograd.grad(slopes[:, column].sum(), logits, retain_graph=True)[0]
            for column in range(logits.shape[1])
        ]
    return torch.stack(columns, 1)
