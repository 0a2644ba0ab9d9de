"""Recipes: how a classifier is trained. One file each; importing them imports no torch."""

import hashlib
import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace

import numpy as np

from attribution.errors import UserError
from attribution.files.libraries import missing
from attribution.training.recipes import source

#: recipe name -> module that holds RECIPE
NAMES = {
    "demo-cnn": "demo_cnn",
    "demo-cnn-plain": "demo_cnn_plain",
    "demo-mlp": "demo_mlp",
    "resnet9": "resnet9",
    "resnet9-datamodels": "resnet9_datamodels",
    "fast94": "fast94",
    "mobilenetv2": "mobilenetv2",
    "resnet18": "resnet18",
}
#: Fields that came after the first results were stored: at its default, none of them is part of the hash.
LATER_FIELDS = ("nesterov", "flip", "translate", "cutout", "test", "measure", "norms")
NORM_IMAGES = 2048  # that batch norm's statistics of averaged weights are taken over
#: images stand class by class where, beyond chance, more than this share of the first ones is of other classes than all
IN_ORDER = 0.1


@dataclass(frozen=True)
class Recipe:
    """Network, optimiser, schedule, augmentation and thread count: all that decides a training besides data and seed.

    network(shape, classes) returns an untrained torch module for images of shape (channels, height, width), or raises
    UserError where it cannot take them. Removed images are skipped: an epoch takes n_kept // batch_size steps, so fewer
    images mean fewer steps. measure(network, images) sets what an untrained network takes from training images, float32
    [m, channels, H, W] evenly from all of them: like the mean that they are normalised by, whatever the edit.
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
    average: float  # weights are averaged over this last share of the steps; 0 for the last weights
    threads: int = 1
    version: int = 1  # raise it when the network or the loop changes what comes out
    nesterov: bool = True
    flip: str = "random"  # or "none", or "alternate": mirrored in every other epoch, which of them drawn for each image
    translate: int = 0  # moved by up to so many pixels in each direction
    cutout: int = 0  # side of the square hole, in pixels
    test: str = "flip"  # predictions are averaged over the mirror image, too; or "none", or "flip-translate"
    measure: Callable | None = field(default=None, repr=False)
    norms: str = "first"  # the images that batch norm of averaged weights is taken over; or "shuffled": `suited_to`
    has_norms: bool = True  # whether the network has batch norm; no part of the hash, of which the network is one

    kind = "built in"
    deterministic = False  # the seed decides

    @property
    def problem(self) -> str:
        """Why it cannot train now, "" where it can."""
        return missing("torch")

    @property
    def hash(self) -> str:
        """First 12 hex digits of the SHA-256 of every field; results of other hashes are never mixed with these.

        Fields that came later are left out at their defaults, so that earlier results keep their recipe. A built-in
        recipe names its callables, and a test pins their source to its version; any other covers their source, and
        raises UserError where that cannot be read.
        """
        values = {
            entry.name: getattr(self, entry.name)
            for entry in fields(self)
            if entry.name != "has_norms"
            and (entry.name not in LATER_FIELDS or getattr(self, entry.name) != entry.default)
        }
        callables = {name: value for name, value in values.items() if callable(value)}
        values |= {name: getattr(value, "__qualname__", "") for name, value in callables.items()}
        if not (self.name in NAMES and get_recipe(self.name) == replace(self, norms="first")):
            values["source"] = source.digest(*callables.values())
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def get_recipe(name: str) -> Recipe:
    """The recipe `name`. Raises UserError naming the known ones.

    >>> get_recipe("demo-cnn").hash
    'c5aeb1565251'
    """
    if name not in NAMES:
        raise UserError(f"no recipe {name!r}; there is {', '.join(NAMES)}")
    return importlib.import_module(f"attribution.training.recipes.{NAMES[name]}").RECIPE


def suited_to(labels: np.ndarray, recipe: Recipe) -> Recipe:
    """The recipe for training images with these labels, int [n], in their order.

    Batch norm's statistics of averaged weights are those of the first images. Where images stand class by class, as in
    folders, these are of one class or two: that took 3 to 9 of 100 predictions on 10,000 images of CIFAR-10. There they
    are of as many in a shuffled order, always the same one. It is another recipe, by its hash too.
    """
    goes_by_first = recipe.average and recipe.has_norms
    return replace(recipe, norms="shuffled") if goes_by_first and is_in_class_order(labels) else recipe


def is_in_class_order(labels: np.ndarray) -> bool:
    """Whether the first NORM_IMAGES of the labels, int [n], are of other classes than all of them; see IN_ORDER."""
    labels = np.asarray(labels)
    left = max(0, len(labels) - NORM_IMAGES) / max(1, len(labels))
    shares, of_first = (
        np.bincount(part, minlength=labels.max() + 1) / len(part) for part in (labels, labels[:NORM_IMAGES])
    )
    by_chance = np.sqrt(2 / np.pi * shares * (1 - shares) * left / NORM_IMAGES)  # each share's mean deviation
    return bool((np.abs(of_first - shares) - by_chance).sum() / 2 > IN_ORDER)


def check_side(name: str, shape: tuple[int, int, int], least: int) -> None:
    """Raises UserError where images of shape (channels, height, width) are smaller than the recipe `name` can take."""
    if min(shape[1:]) < least:
        raise UserError(
            f"{name} needs images of at least {least} x {least} pixels, and these have {shape[1]} x "
            f"{shape[2]}; choose demo-cnn, which takes any size"
        )
