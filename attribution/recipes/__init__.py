"""Recipes: how a classifier is trained. One file each; importing them imports no torch."""

import hashlib
import importlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from attribution.errors import UserError

#: recipe name -> module that holds RECIPE
NAMES = {"demo-cnn": "demo_cnn"}


@dataclass(frozen=True)
class Recipe:
    """Network, optimiser, schedule, augmentation and thread count: all that decides a training besides data and seed.

    network(shape, classes) returns an untrained torch module for images of shape (channels, height, width).
    Removed images are skipped: an epoch takes n_kept // batch_size steps, so fewer images mean fewer steps.
    """

    name: str
    network: Callable = field(repr=False)
    epochs: int
    batch_size: int
    learning_rate: float
    momentum: float
    weight_decay: float
    label_smoothing: float
    peak: float  # share of the steps at which the triangular learning rate peaks
    average: float  # weights are averaged over this last share of the steps
    threads: int = 1
    version: int = 1  # raise it when the network or the loop changes what comes out

    @property
    def hash(self) -> str:
        """First 12 hex digits of the SHA-256 of every field; results of other hashes are never mixed with these."""
        fields = {**asdict(self), "network": self.network.__qualname__}
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:12]


def get(name: str) -> Recipe:
    """The recipe `name`. Raises UserError naming the known ones."""
    if name not in NAMES:
        raise UserError(f"no recipe {name!r}; there is {', '.join(NAMES)}")
    return importlib.import_module(f"attribution.recipes.{NAMES[name]}").RECIPE
