"""The only place where a classifier is trained.

The seed fixes the initial weights, the order of the *original* training images in each epoch and which of them are
flipped, so that two edits under one seed differ in the edit alone. On one device kind, library version and thread count
the same (data, recipe, edit, seed) gives the same predictions bit for bit.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from attribution.edits import Edit, nothing
from attribution.errors import UserError
from attribution.recipes import Recipe

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it matrix products on CUDA are not repeatable
LIBRARY = f"torch {torch.__version__}"
PREDICT_BATCH = 500


@dataclass(frozen=True)
class Outcome:
    """What a training predicts for the validation images: predicted [n_val] (uint8, beyond 256 classes uint16), margins
    float16 [n_val] (correct logit minus the best other), probabilities float32 [n_val, classes]; and the trained
    network, in evaluation mode."""

    predicted: np.ndarray
    margins: np.ndarray
    probabilities: np.ndarray
    seconds: float
    network: nn.Module


class Trainer:
    """Trains one data set under one recipe, as often as asked. Holds the images on the device.

    workspace: anything with train_images, val_images (uint8), train_labels, val_labels and classes.
    """

    def __init__(self, workspace, recipe: Recipe, device: str | None = None):
        self.recipe = recipe
        self.device = torch.device(device or best_device())
        if self.device.type == "cpu":
            torch.set_num_threads(recipe.threads)
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # nothing here reads what it has not written
        self.classes = len(workspace.classes)
        self.given = np.asarray(workspace.train_labels)
        self.val_labels = torch.as_tensor(np.array(workspace.val_labels))
        pixels = np.asarray(workspace.train_images)
        self.mean, self.spread = float(pixels.mean() / 255), float(pixels.std() / 255)
        self.train_images = self.prepare(pixels)
        self.val_images = self.prepare(workspace.val_images)
        # image i as it is, and n + i its mirror image: augmentation is then one index
        self._both = torch.cat([self.train_images, self.train_images.flip(3)])

    def prepare(self, images: np.ndarray) -> torch.Tensor:
        """uint8 [n, H, W] or [n, H, W, 3] -> normalised bfloat16 [n, channels, H, W], channels last, on the device."""
        images = torch.as_tensor(np.array(images), dtype=torch.float32)
        images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)
        normal = ((images / 255 - self.mean) / self.spread).to(self.device, torch.bfloat16)
        return normal.contiguous(memory_format=torch.channels_last)

    def run(self, edit: Edit | None = None, seed: int = 0,
            on_epoch: Callable[[int, int], None] | None = None) -> Outcome:
        """Trains on the edited training set and predicts all validation images.

        on_epoch(done, epochs) is called after each epoch. Raises UserError where the edit does not fit the data, and
        where it leaves no image.
        """
        start = time.perf_counter()
        network = self.train(edit or nothing(), seed, on_epoch)
        logits = self.logits(network, self.val_images)
        predicted = logits.argmax(1).numpy().astype(np.min_scalar_type(self.classes - 1))
        margin = margins(logits, self.val_labels).numpy().astype(np.float16)
        return Outcome(predicted, margin, logits.softmax(1).numpy(), time.perf_counter() - start, network)

    def train(self, edit: Edit, seed: int, on_epoch=None) -> nn.Module:
        """The trained network, in evaluation mode."""
        recipe, n = self.recipe, len(self.given)
        keep, labels = edit.apply(self.given)
        if not len(keep):
            raise UserError("the edit removes every training image; leave some")
        kept = torch.zeros(n, dtype=torch.bool)
        kept[torch.as_tensor(keep)] = True
        labels = torch.as_tensor(labels, device=self.device)
        network = self.untrained(seed)
        weights = list(network.parameters())
        optimiser = torch.optim.SGD(weights, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=True,
                                    weight_decay=recipe.weight_decay, foreach=True)
        draw = torch.Generator().manual_seed(seed)
        per_epoch = max(1, len(keep) // recipe.batch_size)
        steps, step, averaged, sums = recipe.epochs * per_epoch, 0, 0, None
        network.train()
        for epoch in range(recipe.epochs):
            order, flip = torch.randperm(n, generator=draw), torch.rand(n, generator=draw) < 0.5
            order = order[kept[order]]
            view = (order + n * flip[order]).to(self.device)
            order = order.to(self.device)
            # an incomplete last batch is left out: batch norm over a few images is noise that drowns the edit's effect
            for batch in range(0, per_epoch * recipe.batch_size, recipe.batch_size):
                part = slice(batch, batch + recipe.batch_size)
                optimiser.param_groups[0]["lr"] = recipe.learning_rate * triangle((step + 0.5) / steps, recipe.peak)
                with torch.autocast(self.device.type, torch.bfloat16):
                    logits = network(self._both[view[part]])
                loss = functional.cross_entropy(logits.float(), labels[order[part]],
                                                label_smoothing=recipe.label_smoothing)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                step += 1
                if step > steps * (1 - recipe.average):
                    averaged += 1
                    with torch.no_grad():
                        sums = [w.clone() for w in weights] if sums is None else torch._foreach_add(sums, weights)
            if on_epoch:
                on_epoch(epoch + 1, recipe.epochs)
        with torch.no_grad():
            for weight, total in zip(weights, sums):
                weight.copy_(total / averaged)
        self._refresh_norms(network, self.train_images[torch.as_tensor(keep[:2048], device=self.device)])
        return network.eval()

    def untrained(self, seed: int) -> nn.Module:
        """The network as the seed initialises it; the global random state is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = self.recipe.network(tuple(self.train_images.shape[1:]), self.classes)
        return network.to(self.device, memory_format=torch.channels_last)

    @torch.no_grad()
    def _refresh_norms(self, network, images):
        """Batch norm's running statistics belong to the last weights, not to the averaged ones: measure them anew."""
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
                module.momentum = None  # a plain mean over the batches below
        with torch.autocast(self.device.type, torch.bfloat16):
            for batch in images.split(PREDICT_BATCH):
                network(batch)

    @torch.no_grad()
    def logits(self, network: nn.Module, images: torch.Tensor) -> torch.Tensor:
        """Logits averaged over each image and its mirror image, float32 [n, classes], on the CPU."""
        with torch.autocast(self.device.type, torch.bfloat16):
            parts = [network(batch).float() + network(batch.flip(3)).float() for batch in images.split(PREDICT_BATCH)]
        return (torch.cat(parts) / 2).cpu()


def best_device() -> str:
    """cuda, mps or cpu, whichever comes first on this machine."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def triangle(share: float, peak: float) -> float:
    """Rises from 0 to 1 at `peak` and falls back to 0 at 1."""
    return min(share / peak, (1 - share) / (1 - peak))


def margins(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Correct logit minus the best other, float [n]; logits [n, classes], labels int [n]."""
    correct = logits.gather(1, labels[:, None])[:, 0]
    return correct - logits.scatter(1, labels[:, None], -torch.inf).max(1).values
