"""MoCo v2 (He et al., arXiv 1911.05722; Chen et al., arXiv 2003.04297): contrasts two views of an image, the second
embedded by a momentum copy of the network, against a queue of embeddings of earlier batches."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightly.loss import NTXentLoss
from lightly.models.modules import MoCoProjectionHead
from lightly.models.utils import update_momentum
from torch import nn

from attribution.features import ssl
from attribution.features.views import random_view


@dataclass(frozen=True)
class Recipe(ssl.Recipe):
    """Hyper-parameters, those of the method's own included."""

    epochs: int = 100
    temperature: float = 0.1
    hidden: int = 512  # units of the projection head
    momentum: float = 0.99  # of the slow copy
    queue: int = 2000  # well below the number of images: a longer queue would hold the image itself as a negative


class MoCo(ssl.Method):
    """The method, as a module: network, its slow copy and their heads."""

    recipe = Recipe()

    def __init__(self, recipe: Recipe, encoder):
        super().__init__()
        self.recipe = recipe
        self.encoder, self.head = encoder(), self._head()
        self.slow_encoder = ssl.momentum_copy(encoder(), self.encoder)
        self.slow_head = ssl.momentum_copy(self._head(), self.head)
        self.contrast = NTXentLoss(recipe.temperature, memory_bank_size=(recipe.queue, ssl.DIM))

    def loss(self, images, draw, epoch, share):
        """See `ssl.Method.loss`."""
        query, key = (random_view(images, self.recipe.views, draw) for _ in range(2))
        with torch.no_grad():
            update_momentum(self.encoder, self.slow_encoder, self.recipe.momentum)
            update_momentum(self.head, self.slow_head, self.recipe.momentum)
            key = self.slow_head(self.slow_encoder(key))
        return self.contrast(self.head(self.encoder(query)), key)

    def embedder(self) -> nn.Module:
        """See `ssl.Method.embedder`."""
        return self.encoder

    def _head(self) -> nn.Module:
        return MoCoProjectionHead(ssl.DIM, self.recipe.hidden, ssl.DIM)


def train(images: np.ndarray, out_dir: Path, seed: int, epochs: int | None, progress) -> dict:
    """See `attribution.features.train`."""
    return ssl.train(MoCo, images, out_dir, seed, epochs, progress)


def embed(checkpoint_dir: Path, images: np.ndarray) -> np.ndarray:
    """See `attribution.features.embed`."""
    return ssl.embed(MoCo, checkpoint_dir, images)
