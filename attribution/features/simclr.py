"""SimCLR (Chen et al., arXiv 2002.05709): contrasts the two views of an image against all other views of the batch."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightly.loss import NTXentLoss
from lightly.models.modules import SimCLRProjectionHead
from torch import nn

from attribution.features import ssl
from attribution.features.views import random_view


@dataclass(frozen=True)
class Recipe(ssl.Recipe):
    """Hyper-parameters, those of the method's own included."""

    epochs: int = 100
    temperature: float = 0.2
    hidden: int = 512  # units of the projection head


class SimCLR(ssl.Method):
    """The method, as a module: network and projection head."""

    recipe = Recipe()

    def __init__(self, recipe: Recipe, encoder):
        super().__init__()
        self.recipe = recipe
        self.encoder = encoder()
        self.head = SimCLRProjectionHead(ssl.DIM, recipe.hidden, ssl.DIM)
        self.contrast = NTXentLoss(recipe.temperature)

    def loss(self, images, draw, epoch, share):
        """See `ssl.Method.loss`."""
        views = [random_view(images, self.recipe.views, draw) for _ in range(2)]
        return self.contrast(*self.head(self.encoder(torch.cat(views))).chunk(2))

    def embedder(self) -> nn.Module:
        """See `ssl.Method.embedder`."""
        return self.encoder


def train(images: np.ndarray, out_dir: Path, seed: int, epochs: int | None, progress) -> dict:
    """See `attribution.features.train`."""
    return ssl.train(SimCLR, images, out_dir, seed, epochs, progress)


def embed(checkpoint_dir: Path, images: np.ndarray) -> np.ndarray:
    """See `attribution.features.embed`."""
    return ssl.embed(SimCLR, checkpoint_dir, images)
