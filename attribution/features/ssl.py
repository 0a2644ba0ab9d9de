"""The parts that MoCo, SimCLR and DINO share: the network, the training loop with its checkpoint, and the embedding.

The paper (Singla et al., arXiv 2311.03386, section 4) trains a ResNet-18 with lightly. Losses and projection heads are
lightly's here too; the network is a small ResNet, so that one CPU core trains on 5,000 images of 28 x 28 in minutes.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import lightly
import numpy as np
import torch
from lightly.utils.scheduler import cosine_schedule
from torch import Tensor, nn

from attribution.errors import UserError
from attribution.features.views import ViewRecipe
from attribution.files import write_atomically
from attribution.training.trainer import best_device

DIM = 128  # of the features, as in the paper
CHECKPOINT = "checkpoint.pt"
_EMBED_BATCH = 500


@dataclass(frozen=True)
class Recipe:
    """Hyper-parameters that all three methods have; each method adds its own. All are stored with the features."""

    epochs: int
    batch: int = 250
    learning_rate: float = 2e-3  # AdamW's, at its peak: a linear warm-up, then a cosine down to 0
    warmup_epochs: int = 5
    weight_decay: float = 1e-4  # not of biases and batch norms
    views: ViewRecipe = field(default_factory=ViewRecipe)


class Method(nn.Module):
    """A self-supervised method. Its constructor takes its recipe and a function that builds an Encoder."""

    recipe: Recipe

    def loss(self, images: Tensor, draw: torch.Generator, epoch: int, share: float) -> Tensor:
        """The loss of a batch.

        images: float [n, channels, H, W] in [0, 1]. draw: the source of randomness. share: of all training steps, those
        already done, in [0, 1).
        """
        raise NotImplementedError

    def before_update(self, epoch: int) -> None:
        """Called between the gradients and the optimiser's step."""

    def embedder(self) -> nn.Module:
        """The part that turns images into features [n, DIM]."""
        raise NotImplementedError


class Encoder(nn.Module):
    """A ResNet of three blocks: images in [0, 1] -> [n, DIM]. It trains in bfloat16 and embeds in float32.

    shape: (channels, height, width). mean, std: of the training images' pixels by channel, float [channels].
    """

    def __init__(self, shape: tuple[int, int, int], mean: Tensor, std: Tensor):
        super().__init__()
        channels, height, width = shape
        self.register_buffer("mean", mean[:, None, None])
        self.register_buffer("spread", std[:, None, None])  # a checkpoint's key: it keeps its name
        self.layers = nn.Sequential(
            _convolution(channels, 64, stride=2), nn.ReLU(), _Block(64, 64, 1), _Block(64, 128, 2), _Block(128, 64, 2),
            # no pooling: in small centred images the position of a feature is informative
            nn.Flatten(), nn.Linear(64 * -(-height // 8) * -(-width // 8), DIM),
        )  # fmt: skip
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """Features float32 [n, DIM] of images [n, channels, height, width]."""
        x = ((images - self.mean) / self.spread).contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.training):
            return self.layers(x).float()


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.first, self.second = _convolution(inputs, outputs, stride), _convolution(outputs, outputs)
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else _convolution(inputs, outputs, stride, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        return (self.second(self.first(x).relu()) + self.shortcut(x)).relu()


def _convolution(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    weights = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(weights, nn.BatchNorm2d(outputs))


def momentum_copy(copy: nn.Module, module: nn.Module) -> nn.Module:
    """Gives `copy`, built like `module`, its weights, and turns gradients off: a momentum encoder or a teacher."""
    copy.load_state_dict(module.state_dict())
    return copy.requires_grad_(False)


def train(
    method: type[Method], images: np.ndarray, out_dir: Path, seed: int, epochs: int | None, progress: Callable | None
) -> dict:
    """Trains a method, or resumes from the checkpoint in `out_dir`, which is rewritten after each epoch.

    An epoch's randomness depends on (seed, epoch) alone, so that a resumed training equals an uninterrupted one bit for
    bit on the same device, library version and thread count. See `attribution.features.train`.
    """
    recipe = replace(method.recipe, epochs=epochs or method.recipe.epochs)
    settings = {
        "name": _method_name(method), "seed": seed, "epochs": recipe.epochs, "recipe": asdict(recipe),
        "shape": images.shape, "images": hashlib.sha256(np.ascontiguousarray(images)).hexdigest(),
    }  # fmt: skip
    settings = json.loads(json.dumps(settings))  # JSON types, as the checkpoint returns them
    saved = _load_checkpoint(out_dir)
    if saved and saved["settings"] != settings:
        raise UserError(f"{out_dir} holds a training with other settings: choose another folder, or delete it.")
    if saved and "embedder" in saved:
        return saved["provenance"]

    device = torch.device(best_device())
    pixels = _to_tensor(images).to(device)
    mean, std = pixels.mean((0, 2, 3)).cpu(), pixels.std((0, 2, 3)).clamp(min=1e-3).cpu()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = method(recipe, lambda: Encoder(pixels.shape[1:], mean, std)).to(device).train()
    optimiser = _optimiser(model, recipe)
    first, seconds = 0, 0.0
    if saved:
        first, seconds = saved["epoch"], saved["seconds"]
        _restore_state(model, saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
    if progress:
        progress(first, recipe.epochs)
    for epoch in range(first, recipe.epochs):
        start = time.perf_counter()
        loss = _train_epoch(model, optimiser, recipe, pixels, seed, epoch)
        seconds += time.perf_counter() - start
        checkpoint = {"settings": settings, "epoch": epoch + 1, "seconds": seconds}
        if epoch + 1 < recipe.epochs:
            checkpoint |= {"model": _model_state(model), "optimiser": optimiser.state_dict()}
        else:
            provenance = settings | {
                "dim": DIM, "seconds": round(seconds, 1), "loss": round(loss, 4), "device": device.type,
                "threads": torch.get_num_threads(), "torch": str(torch.__version__), "lightly": lightly.__version__,
            }  # fmt: skip
            checkpoint |= {"embedder": model.embedder().state_dict(), "provenance": provenance}
        _save_checkpoint(out_dir, checkpoint)
        if progress:
            progress(epoch + 1, recipe.epochs)
    return provenance


@torch.no_grad()
def embed(method: type[Method], checkpoint_dir: Path, images: np.ndarray) -> np.ndarray:
    """Features of images, float32 [n, DIM]. See `attribution.features.embed`."""
    saved = _load_checkpoint(checkpoint_dir)
    if not saved or "embedder" not in saved or saved["settings"]["name"] != _method_name(method):
        raise UserError(
            f"{checkpoint_dir} holds no finished training of {_method_name(method)} features: train them first."
        )
    shape = saved["settings"]["shape"][1:]
    if list(images.shape[1:]) != shape:
        raise UserError(f"These features were trained on images of shape {shape}: give images of that shape.")
    pixels = _to_tensor(images)
    device = torch.device(best_device())
    zeros = torch.zeros(pixels.shape[1])  # mean and std come with the weights
    # the recipe trained with may differ, but no hyper-parameter changes the embedder
    model = method(method.recipe, lambda: Encoder(pixels.shape[1:], zeros, zeros)).embedder()
    model.load_state_dict(saved["embedder"])
    model = model.to(device).eval()
    return torch.cat([model(batch.to(device)).cpu() for batch in pixels.split(_EMBED_BATCH)]).numpy()


def _train_epoch(model, optimiser, recipe, pixels, seed, epoch) -> float:
    """Trains for an epoch and returns the mean loss."""
    batch = min(recipe.batch, len(pixels))
    per_epoch = len(pixels) // batch  # an incomplete last batch is left out: these losses depend on the batch's size
    draw = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order = torch.randperm(len(pixels), generator=draw)
    total = 0.0
    for i in range(per_epoch):
        step, steps = epoch * per_epoch + i, recipe.epochs * per_epoch
        warmup = min(recipe.warmup_epochs, recipe.epochs // 2) * per_epoch
        if step < warmup:
            rate = recipe.learning_rate * (step + 1) / warmup
        else:
            rate = cosine_schedule(step - warmup, steps - warmup, recipe.learning_rate, 0)
        for group in optimiser.param_groups:
            group["lr"] = rate
        images = pixels[order[i * batch : (i + 1) * batch].to(pixels.device)]
        loss = model.loss(images, draw, epoch, step / steps)
        optimiser.zero_grad()
        loss.backward()
        model.before_update(epoch)
        optimiser.step()
        total += loss.item()
    return total / per_epoch


def _optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    weights = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in weights if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in weights if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate)


def _model_state(model: nn.Module) -> dict[str, Tensor]:
    """All parameters and buffers. Not `state_dict`, which leaves out lightly's memory bank."""
    return {name: tensor.detach() for name, tensor in [*model.named_parameters(), *model.named_buffers()]}


@torch.no_grad()
def _restore_state(model: nn.Module, state: dict[str, Tensor]) -> None:
    for name, tensor in _model_state(model).items():
        tensor.copy_(state[name])


def _to_tensor(images: np.ndarray) -> Tensor:
    """uint8 [n, H, W] or [n, H, W, 3] -> float32 [n, channels, H, W] in [0, 1]."""
    tensor = torch.from_numpy(np.array(images))
    tensor = tensor[:, None] if tensor.ndim == 3 else tensor.permute(0, 3, 1, 2)
    return tensor.float() / 255


def _method_name(method: type[Method]) -> str:
    return method.__module__.rsplit(".", 1)[1]


def _load_checkpoint(folder: Path) -> dict | None:
    """The checkpoint in a folder, on the CPU, or None."""
    file = folder / CHECKPOINT
    if not file.exists():
        return None
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many kinds
        raise UserError(f"{file} is damaged: delete it and train again.") from error


def _save_checkpoint(folder: Path, checkpoint: dict) -> None:
    write_atomically(folder / CHECKPOINT, lambda stream: torch.save(checkpoint, stream))
