"""The only place where a classifier is trained.

The seed fixes the initial weights, the order of the *original* training images in each epoch and how each is shown
(`attribution.training.augmentation`), so that two edits under one seed differ in the edit alone. On one device kind,
library version and thread count the same (data, recipe, edit, seed) gives the same predictions bit for bit.
"""

import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from attribution.errors import UserError
from attribution.training import augmentation
from attribution.training.edits import Edit, no_edit
from attribution.training.probabilities import check_finite
from attribution.training.recipes import NORM_IMAGES, Recipe, suited_to

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it matrix products on CUDA are not repeatable
LIBRARY = f"torch {torch.__version__}"
PREDICT_BATCH = 500
NORM_ORDER_SEED = 0  # of the shuffled order that they are taken in where images stand class by class
PREPARE_BLOCK = 1000  # images prepared at a time
MAX_MEASURED_PIXELS = 500_000  # pixels that a recipe measures, in images taken evenly from all


@dataclass(frozen=True)
class TrainingOutcome:
    """What a training predicts for the validation images: predicted [n_val] (uint8, beyond 256 classes uint16), margins
    float16 [n_val] (correct logit minus the best other), probabilities float32 [n_val, classes]; and the trained
    network, in evaluation mode. device: its kind, "cpu", "mps" or the GPU's name."""

    predicted: np.ndarray
    margins: np.ndarray
    probabilities: np.ndarray
    seconds: float
    network: nn.Module
    device: str
    library: str = LIBRARY


@dataclass(frozen=True)
class Step:
    """A step of a training, as it is taken.

    number    of the step, from 0
    epoch     it is in, from 0
    rate      the learning rate
    views     int64 [n_kept, 6], of all images of the epoch, in its order: rows of an `AugmentationPlan`
    shown     those of the step's batch, int64 [b, 6]
    averaged  whether the weights after it are part of the mean
    """

    number: int
    epoch: int
    rate: float
    views: torch.Tensor
    shown: torch.Tensor
    averaged: bool


class Trainer:
    """Trains one data set under one recipe, suited to it (`recipes.suited_to`), as often as asked. Holds the images on
    the device, two bytes a value.

    workspace: a workspace, whose images are compared with those it was created with, or anything with its train_images
    and val_images (uint8), train_labels, val_labels, classes. precision: what it computes in; results are of bfloat16,
    mixed with float32, and whoever differentiates through a training takes float32 or float64 throughout. Raises
    UserError where the images have changed.
    """

    def __init__(self, workspace, recipe: Recipe, device: str | None = None, precision: torch.dtype = torch.bfloat16):
        if not isinstance(recipe, Recipe):
            raise UserError(
                f"this works with built-in recipes alone, and {recipe.name} is your own; say another with --recipe"
            )
        self.precision = precision
        self.device = torch.device(device or best_device())
        self.device_kind = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type
        if self.device.type == "cpu":
            torch.set_num_threads(recipe.threads)
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # nothing here reads what it has not written
        if hasattr(workspace, "check_images"):
            workspace.check_images()
        self.classes = len(workspace.classes)
        self.train_labels = np.asarray(workspace.train_labels)
        self.recipe = suited_to(self.train_labels, recipe)
        self.val_labels = torch.as_tensor(np.array(workspace.val_labels))
        self.mean, self.std = pixel_mean_and_std(workspace.train_images)
        self.train_images = self.prepare(workspace.train_images)
        self.val_images = self.prepare(workspace.val_images)

    def prepare(self, images) -> torch.Tensor:
        """uint8 [n, H, W] or [n, H, W, 3] -> normalised [n, channels, H, W] in the trainer's precision, channels last,
        on the device."""
        n, height, width, channels = (*images.shape, 1)[:4]
        prepared = torch.empty(
            (n, channels, height, width), dtype=self.precision, device=self.device, memory_format=torch.channels_last
        )
        for start in range(0, n, PREPARE_BLOCK):
            block = torch.as_tensor(np.array(images[start : start + PREPARE_BLOCK]), dtype=torch.float32)
            block = block.reshape(-1, height, width, channels).permute(0, 3, 1, 2)
            prepared[start : start + PREPARE_BLOCK] = ((block / 255 - self.mean) / self.std).to(self.precision)
        return prepared

    def run(
        self, edit: Edit | None = None, seed: int = 0, on_epoch: Callable[[int, int], None] | None = None
    ) -> TrainingOutcome:
        """Trains on the edited training set and predicts all validation images.

        on_epoch(done, epochs) is called after each epoch. Raises UserError where the edit does not fit the data, where
        it leaves no image, where the recipe cannot take images of this size, and where predictions are no numbers.
        """
        start = time.perf_counter()
        network = self.train(edit or no_edit(), seed, on_epoch)
        predictions = self._predict(network)
        return TrainingOutcome(*predictions, time.perf_counter() - start, network, self.device_kind)

    def train(
        self,
        edit: Edit,
        seed: int,
        on_epoch: Callable[[int, int], None] | None = None,
        on_step: Callable[[Step, list[torch.Tensor]], None] | None = None,
    ) -> nn.Module:
        """The trained network, in evaluation mode. on_step(step, weights) is called before each step is taken, with the
        weights that it will change in place. Raises UserError as `run` does."""
        network = self.untrained(seed).train()
        weights = [weight for weight in network.parameters() if weight.requires_grad]
        self._descend(network, weights, edit, seed, on_epoch, on_step)
        return self._finish(network, edit)

    def steps_per_epoch(self, n_kept: int) -> int:
        """How many steps an epoch over so many images has."""
        return max(1, n_kept // self.recipe.batch_size)

    def loss(
        self, logits: torch.Tensor, shown: torch.Tensor, labels: torch.Tensor, reduction: str = "mean"
    ) -> torch.Tensor:
        """The loss of a batch: logits [b, classes] of the views `shown`, int64 [b, 6]; labels int64 [n_train].
        reduction: "mean", a scalar; or "none", of each image, [b]."""
        return functional.cross_entropy(
            logits,
            labels[shown[:, augmentation.IMAGE]],
            label_smoothing=self.recipe.label_smoothing,
            reduction=reduction,
        )

    def _descend(self, network, weights, edit, seed, on_epoch, on_step):
        """Trains `weights`, those of `network`, in place."""
        recipe, n = self.recipe, len(self.train_labels)
        keep, labels = self._apply_edit(edit)
        is_kept = torch.zeros(n, dtype=torch.bool)
        is_kept[keep] = True
        labels = torch.as_tensor(labels, device=self.device)
        optimiser = torch.optim.SGD(
            weights,
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            foreach=True,
            nesterov=recipe.nesterov,
            weight_decay=recipe.weight_decay,
        )
        plan = augmentation.AugmentationPlan(recipe, n, *self.train_images.shape[2:], seed)
        per_epoch = self.steps_per_epoch(len(keep))
        steps, step, mean = recipe.epochs * per_epoch, 0, _WeightMean()
        for epoch in range(recipe.epochs):
            rows = plan.epoch(epoch)
            rows = rows[is_kept[rows[:, augmentation.IMAGE]]].to(self.device)
            # an incomplete last batch is left out: batch norm over a few images is noise that drowns the edit's effect
            for start in range(0, per_epoch * recipe.batch_size, recipe.batch_size):
                shown = rows[start : start + recipe.batch_size]
                rate = recipe.learning_rate * triangular_schedule((step + 0.5) / steps, recipe.peak)
                optimiser.param_groups[0]["lr"] = rate
                averaged = step + 1 > steps * (1 - recipe.average)
                if on_step:
                    on_step(Step(step, epoch, rate, rows, shown, averaged), weights)
                logits = self.outputs(network, augmentation.augmented_batch(self.train_images, shown, recipe))
                loss = self.loss(logits, shown, labels)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                step += 1
                if averaged:
                    mean.add(weights)
            if on_epoch:
                on_epoch(epoch + 1, recipe.epochs)
        mean.apply(weights)

    def _apply_edit(self, edit):
        keep, labels = edit.apply(self.train_labels)
        if not len(keep):
            raise UserError("the edit removes every training image; leave some")
        return torch.as_tensor(keep), labels

    def _finish(self, network, edit):
        """In evaluation mode; batch norm's running statistics belong to the last weights, not to averaged ones."""
        if self.recipe.average:
            keep, _ = self._apply_edit(edit)
            self.refresh_norms(network, self.norm_images(keep))
        return network.eval()

    def untrained(self, seed: int) -> nn.Module:
        """The network as the seed initialises it; the global random state is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = self.recipe.network(tuple(self.train_images.shape[1:]), self.classes)
        if self.recipe.measure:
            stride = 1 + self.train_images[:, 0].numel() // MAX_MEASURED_PIXELS
            self.recipe.measure(network, self.train_images[::stride].float().cpu())
        kind = torch.float64 if self.precision is torch.float64 else torch.float32
        return network.to(self.device, kind, memory_format=torch.channels_last)

    def outputs(self, network: nn.Module, images: torch.Tensor) -> torch.Tensor:
        """A network's logits of prepared images, float32, or float64 where that is the trainer's precision."""
        with self._mixed():
            logits = network(images)
        return logits.float() if self.precision is torch.bfloat16 else logits

    def _mixed(self):
        return torch.autocast(self.device.type, torch.bfloat16) if self.precision is torch.bfloat16 else nullcontext()

    def norm_images(self, keep: torch.Tensor) -> torch.Tensor:
        """The images that batch norm's statistics of averaged weights are taken over; keep: int [n_kept]."""
        ids = norm_ids(keep, len(self.train_labels), self.recipe.norms == "shuffled")
        return self.train_images[ids.to(self.device)]

    @torch.no_grad()
    def refresh_norms(self, network: nn.Module, images: torch.Tensor) -> None:
        """Sets batch norm's running statistics of a network in training mode to their mean over the batches of
        prepared images."""
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
                module.momentum = None  # a plain mean over the batches below
        with self._mixed():
            for batch in images.split(PREDICT_BATCH):
                network(batch)

    def _predict(self, network):
        """Predicted, margins and probabilities of a `TrainingOutcome`, for all validation images."""
        logits = self.logits(network, self.val_images)
        predicted = logits.argmax(1).numpy().astype(np.min_scalar_type(self.classes - 1))
        margin = margins(logits, self.val_labels).numpy().astype(np.float16)
        return predicted, margin, logits.softmax(1).numpy()

    def train_probabilities(self, outcome: TrainingOutcome, ids) -> np.ndarray:
        """Class probabilities of the training images `ids`, float32 [len(ids), classes]."""
        return self.logits(outcome.network, self.train_images[list(ids)]).softmax(1).numpy()

    @torch.no_grad()
    def logits(self, network: nn.Module, images: torch.Tensor) -> torch.Tensor:
        """Logits averaged over the recipe's views of each image, as of `outputs`, [n, classes], on the CPU. Raises
        UserError where they are no numbers, as of a training that diverged."""
        parts = []
        for batch in images.split(PREDICT_BATCH):
            views = augmentation.prediction_views(batch, self.recipe)
            parts.append(torch.stack([self.outputs(network, view) for view in views]).mean(0))
        logits = torch.cat(parts).cpu()
        check_finite(logits.numpy(), self.recipe.name)
        return logits


class _WeightMean:
    """The mean of a network's weights over several steps."""

    def __init__(self):
        self.count, self.sums = 0, []

    @torch.no_grad()
    def add(self, weights) -> None:
        """Adds the weights of one step."""
        self.sums = torch._foreach_add(self.sums, weights) if self.count else [weight.clone() for weight in weights]
        self.count += 1

    @torch.no_grad()
    def apply(self, weights) -> None:
        """Sets the weights to their mean; leaves them as they are where none was added."""
        for weight, total in zip(weights, self.sums):
            weight.copy_(total / self.count)


def norm_ids(keep: torch.Tensor, n: int, is_shuffled: bool) -> torch.Tensor:
    """The first NORM_IMAGES of those kept of n images, int [n_kept]; or of these in a shuffled order, which is the same
    whichever are kept."""
    if is_shuffled:
        order = torch.randperm(n, generator=torch.Generator().manual_seed(NORM_ORDER_SEED))
        keep = order[torch.isin(order, keep)]
    return keep[:NORM_IMAGES]


def best_device() -> str:
    """The first of "cuda", "mps" and "cpu" that this machine has."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def pixel_mean_and_std(images) -> tuple[float, float]:
    """Mean and standard deviation of all values of uint8 images, as shares of 255, a block at a time."""
    counts = sum(
        np.bincount(np.asarray(images[start : start + PREPARE_BLOCK]).ravel(), minlength=256)
        for start in range(0, len(images), PREPARE_BLOCK)
    )
    mean = (counts @ np.arange(256)) / counts.sum()
    return float(mean / 255), float(np.sqrt(counts @ (np.arange(256) - mean) ** 2 / counts.sum()) / 255)


def triangular_schedule(share: float, peak: float) -> float:
    """Rises from 0 to 1 at `peak` and falls back to 0 at 1."""
    return min(share / peak, (1 - share) / (1 - peak))


def margins(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Correct logit minus the best other, float [n]; logits [n, classes], labels int [n]."""
    correct = logits.gather(1, labels[:, None])[:, 0]
    return correct - logits.scatter(1, labels[:, None], -torch.inf).max(1).values
