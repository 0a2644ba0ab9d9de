"""The only place where a classifier is trained.

The seed fixes the initial weights, the order of the *original* training images in each epoch and how each is shown
(`attribution.training.augmentation`), so that two edits under one seed differ in the edit alone. On one device kind, library version
and thread count the same (data, recipe, edit, seed) gives the same predictions bit for bit; trained with other seeds at
once (`run_many`) it gives the same up to rounding, and such an outcome says so in its `device`.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from attribution.errors import UserError
from attribution.training import augmentation
from attribution.training.batched import BatchedNetworks
from attribution.training.edits import Edit, no_edit
from attribution.training.recipes import Recipe

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it matrix products on CUDA are not repeatable
LIBRARY = f"torch {torch.__version__}"
PREDICT_BATCH = 500
PREPARE_BLOCK = 1000  # images prepared at a time
MAX_MEASURED_PIXELS = 500_000  # pixels that a recipe measures, in images taken evenly from all


@dataclass(frozen=True)
class TrainingOutcome:
    """What a training predicts for the validation images: predicted [n_val] (uint8, beyond 256 classes uint16), margins
    float16 [n_val] (correct logit minus the best other), probabilities float32 [n_val, classes]; and the trained
    network, in evaluation mode.

    device: its kind, "cpu", "mps" or the GPU's name; where 4 seeds were trained at once "cpu x4", and seconds is then
    this one's share.
    """

    predicted: np.ndarray
    margins: np.ndarray
    probabilities: np.ndarray
    seconds: float
    network: nn.Module
    device: str


class Trainer:
    """Trains one data set under one recipe, as often as asked. Holds the images on the device, two bytes a value.

    workspace: anything with train_images, val_images (uint8), train_labels, val_labels and classes.
    """

    def __init__(self, workspace, recipe: Recipe, device: str | None = None):
        self.recipe = recipe
        self.device = torch.device(device or best_device())
        self.kind = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type
        if self.device.type == "cpu":
            torch.set_num_threads(recipe.threads)
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # nothing here reads what it has not written
        self.classes = len(workspace.classes)
        self.given = np.asarray(workspace.train_labels)
        self.val_labels = torch.as_tensor(np.array(workspace.val_labels))
        self.mean, self.spread = pixel_mean_and_std(workspace.train_images)
        self.train_images = self.prepare(workspace.train_images)
        self.val_images = self.prepare(workspace.val_images)

    def prepare(self, images) -> torch.Tensor:
        """uint8 [n, H, W] or [n, H, W, 3] -> normalised bfloat16 [n, channels, H, W], channels last, on the device."""
        n, height, width, channels = (*images.shape, 1)[:4]
        prepared = torch.empty(
            (n, channels, height, width), dtype=torch.bfloat16, device=self.device, memory_format=torch.channels_last
        )
        for start in range(0, n, PREPARE_BLOCK):
            block = torch.as_tensor(np.array(images[start : start + PREPARE_BLOCK]), dtype=torch.float32)
            block = block.reshape(-1, height, width, channels).permute(0, 3, 1, 2)
            prepared[start : start + PREPARE_BLOCK] = ((block / 255 - self.mean) / self.spread).to(torch.bfloat16)
        return prepared

    def run(
        self, edit: Edit | None = None, seed: int = 0, on_epoch: Callable[[int, int], None] | None = None
    ) -> TrainingOutcome:
        """Trains on the edited training set and predicts all validation images.

        on_epoch(done, epochs) is called after each epoch. Raises UserError where the edit does not fit the data, where
        it leaves no image, and where the recipe cannot take images of this size.
        """
        start = time.perf_counter()
        network = self.train(edit or no_edit(), seed, on_epoch)
        answer = self._predict(network)
        return TrainingOutcome(*answer, time.perf_counter() - start, network, self.kind)

    def run_many(
        self, edit: Edit | None, seeds: Sequence[int], on_epoch: Callable[[int, int], None] | None = None
    ) -> list[TrainingOutcome]:
        """As `run` for each of the seeds, trained at once: many small models fill a GPU that one does not.

        They are the same models up to the rounding of other kernels, which training then enlarges: not bit for bit.
        """
        start = time.perf_counter()
        networks = self.train_many(edit or no_edit(), seeds, on_epoch)
        answers = [self._predict(network) for network in networks]
        seconds, device = (time.perf_counter() - start) / len(seeds), f"{self.kind} x{len(seeds)}"
        return [TrainingOutcome(*answer, seconds, network, device) for answer, network in zip(answers, networks)]

    def train(self, edit: Edit, seed: int, on_epoch=None) -> nn.Module:
        """The trained network, in evaluation mode."""
        network = self.untrained(seed).train()
        weights = [weight for weight in network.parameters() if weight.requires_grad]
        self._descend(network, weights, edit, [seed], on_epoch)
        return self._finish(network, edit)

    def train_many(self, edit: Edit, seeds: Sequence[int], on_epoch=None) -> list[nn.Module]:
        """The trained networks of some seeds, trained at once, in evaluation mode."""
        together = BatchedNetworks([self.untrained(seed).train() for seed in seeds])
        self._descend(together, together.weights, edit, seeds, on_epoch)
        return [self._finish(network, edit) for network in together.split()]

    def _descend(self, network, weights, edit, seeds, on_epoch):
        """Trains `weights`; network maps the batches of the seeds, one after the other, to their logits."""
        recipe, n = self.recipe, len(self.given)
        keep, labels = self._apply_edit(edit)
        kept = torch.zeros(n, dtype=torch.bool)
        kept[keep] = True
        labels = torch.as_tensor(labels, device=self.device)
        optimiser = torch.optim.SGD(
            weights,
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            foreach=True,
            nesterov=recipe.nesterov,
            weight_decay=recipe.weight_decay,
        )
        plans = [augmentation.AugmentationPlan(recipe, n, *self.train_images.shape[2:], seed) for seed in seeds]
        per_epoch = max(1, len(keep) // recipe.batch_size)
        steps, step, mean = recipe.epochs * per_epoch, 0, WeightMean()
        for epoch in range(recipe.epochs):
            rows = [plan.epoch(epoch) for plan in plans]
            rows = torch.stack([one[kept[one[:, augmentation.IMAGE]]] for one in rows]).to(self.device)
            # an incomplete last batch is left out: batch norm over a few images is noise that drowns the edit's effect
            for batch in range(0, per_epoch * recipe.batch_size, recipe.batch_size):
                shown = rows[:, batch : batch + recipe.batch_size].flatten(0, 1)
                optimiser.param_groups[0]["lr"] = recipe.learning_rate * triangular_schedule(
                    (step + 0.5) / steps, recipe.peak
                )
                with self._mixed():
                    logits = network(augmentation.augmented_batch(self.train_images, shown, recipe))
                loss = functional.cross_entropy(
                    logits.float(), labels[shown[:, augmentation.IMAGE]], label_smoothing=recipe.label_smoothing
                )
                optimiser.zero_grad()
                (loss * len(seeds)).backward()  # the sum of the seeds' means: each learns as if it were alone
                optimiser.step()
                step += 1
                if step > steps * (1 - recipe.average):
                    mean.add(weights)
            if on_epoch:
                on_epoch(epoch + 1, recipe.epochs)
        mean.put(weights)

    def _apply_edit(self, edit):
        keep, labels = edit.apply(self.given)
        if not len(keep):
            raise UserError("the edit removes every training image; leave some")
        return torch.as_tensor(keep), labels

    def _finish(self, network, edit):
        """In evaluation mode; batch norm's running statistics belong to the last weights, not to averaged ones."""
        if self.recipe.average:
            keep, _ = self._apply_edit(edit)
            self._refresh_norms(network, self.train_images[keep[:2048].to(self.device)])
        return network.eval()

    def untrained(self, seed: int) -> nn.Module:
        """The network as the seed initialises it; the global random state is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = self.recipe.network(tuple(self.train_images.shape[1:]), self.classes)
        if self.recipe.measure:
            every = 1 + self.train_images[:, 0].numel() // MAX_MEASURED_PIXELS
            self.recipe.measure(network, self.train_images[::every].float().cpu())
        return network.to(self.device, memory_format=torch.channels_last)

    def _mixed(self):
        return torch.autocast(self.device.type, torch.bfloat16)

    @torch.no_grad()
    def _refresh_norms(self, network, images):
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
                module.momentum = None  # a plain mean over the batches below
        with self._mixed():
            for batch in images.split(PREDICT_BATCH):
                network(batch)

    def _predict(self, network):
        """What an Outcome holds of the trained network."""
        logits = self.logits(network, self.val_images)
        predicted = logits.argmax(1).numpy().astype(np.min_scalar_type(self.classes - 1))
        margin = margins(logits, self.val_labels).numpy().astype(np.float16)
        return predicted, margin, logits.softmax(1).numpy()

    @torch.no_grad()
    def logits(self, network: nn.Module, images: torch.Tensor) -> torch.Tensor:
        """Logits averaged over the recipe's views of each image, float32 [n, classes], on the CPU."""
        with self._mixed():
            parts = [
                torch.stack([network(view).float() for view in augmentation.test_views(batch, self.recipe)]).mean(0)
                for batch in images.split(PREDICT_BATCH)
            ]
        return torch.cat(parts).cpu()


class WeightMean:
    """The mean of what some weights were at several steps."""

    def __init__(self):
        self.count, self.sums = 0, []

    @torch.no_grad()
    def add(self, weights) -> None:
        self.sums = torch._foreach_add(self.sums, weights) if self.count else [weight.clone() for weight in weights]
        self.count += 1

    @torch.no_grad()
    def put(self, weights) -> None:
        """Sets the weights to their mean; leaves them where none was taken."""
        for weight, total in zip(weights, self.sums):
            weight.copy_(total / self.count)


def best_device() -> str:
    """cuda, mps or cpu, whichever comes first on this machine."""
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
