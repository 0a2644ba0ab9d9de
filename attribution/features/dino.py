"""DINO (Caron et al., arXiv 2104.14294): self-distillation. A student predicts, from one view, the soft code that its
momentum teacher gives the other view. As in the paper, the teacher embeds."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightly.loss import DINOLoss
from lightly.models.modules import DINOProjectionHead
from lightly.models.utils import update_momentum
from lightly.utils.scheduler import cosine_schedule
from torch import nn

from attribution.features import ssl
from attribution.features.views import random_view


@dataclass(frozen=True)
class Recipe(ssl.Recipe):
    """Hyper-parameters, those of the method's own included."""

    epochs: int = 100
    hidden: int = 512  # units of the projection head
    codes: int = 1024
    student_temperature: float = 0.1
    teacher_temperature: float = 0.04
    momentum: float = 0.99  # of the teacher; rises to 1
    frozen_epochs: int = 1  # at the start, in which the head's last layer is not trained
    clip: float = 3.0  # largest norm of the gradient


class DINO(ssl.Method):
    """The method, as a module: student, teacher and their heads."""

    recipe = Recipe()

    def __init__(self, recipe: Recipe, encoder):
        super().__init__()
        self.recipe = recipe
        self.encoder, self.head = encoder(), self._head()
        # built again, since the head's weight norm cannot be deep-copied
        self.teacher_encoder = ssl.momentum_copy(encoder(), self.encoder)
        self.teacher_head = ssl.momentum_copy(self._head(), self.head)
        self.distil = DINOLoss(
            recipe.codes, teacher_temp=recipe.teacher_temperature, student_temp=recipe.student_temperature
        )

    def loss(self, images, draw, epoch, share):
        """See `ssl.Method.loss`."""
        views = torch.cat([random_view(images, self.recipe.views, draw) for _ in range(2)])
        with torch.no_grad():
            momentum = cosine_schedule(round(share * 10_000), 10_000, self.recipe.momentum, 1.0)
            update_momentum(self.encoder, self.teacher_encoder, momentum)
            update_momentum(self.head, self.teacher_head, momentum)
            teacher = self.teacher_head(self.teacher_encoder(views)).chunk(2)
        return self.distil(list(teacher), list(self.head(self.encoder(views)).chunk(2)))

    def before_update(self, epoch):
        """See `ssl.Method.before_update`."""
        self.head.cancel_last_layer_gradients(epoch)
        nn.utils.clip_grad_norm_(self.parameters(), self.recipe.clip)

    def embedder(self) -> nn.Module:
        """See `ssl.Method.embedder`."""
        return self.teacher_encoder

    def _head(self) -> nn.Module:
        recipe = self.recipe
        return DINOProjectionHead(
            ssl.DIM, recipe.hidden, ssl.DIM, recipe.codes, batch_norm=True, freeze_last_layer=recipe.frozen_epochs
        )


def train(images: np.ndarray, out_dir: Path, seed: int, epochs: int | None, progress) -> dict:
    """See `attribution.features.train`."""
    return ssl.train(DINO, images, out_dir, seed, epochs, progress)


def embed(checkpoint_dir: Path, images: np.ndarray) -> np.ndarray:
    """See `attribution.features.embed`."""
    return ssl.embed(DINO, checkpoint_dir, images)
