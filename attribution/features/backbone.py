"""Features of a pretrained network whose weights are on disk: torchvision's, or timm's where timm is installed.

The feature is the network's pooled output without its classifier, as linear probes take it: of torchvision's networks
the input of the last linear layer, of timm's the output of `timm.create_model(name, num_classes=0)`. (In a transformer
that timm publishes without a classifier, the last linear layer is an inner one.) Nothing is downloaded.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from attribution.errors import UserError
from attribution.files import read_array, write_array
from attribution.files.libraries import install_command

#: torchvision's networks: pixels of a side, and mean and standard deviation of ImageNet's pixels in [0, 1]
TORCHVISION = {
    "side": 224,
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "interpolation": "bilinear",
}
MAX_DIM = 8192
BLOCK, BATCH = 1000, 50  # images cached at a time, and in memory at a time


class Backbone:
    """A pretrained network without its classifier.

    Args:
        name: one of torchvision's or timm's networks; timm's with or without a pretrained tag, such as
            vit_small_patch14_dinov2.lvd142m, whose mean and standard deviation are then used. `timm/resnet18` is timm's
            where both have one of that name.
        weights: its state dict, saved by torch or as safetensors. Weights of the classifier may be there or not.
        side: pixels that images are resized to; None for the network's own (timm) or 224 (torchvision).

    Attributes:
        spec: what decides the features, ready for JSON: model, library, layer, side (pixels), mean and std (of pixels
            in [0, 1], by channel), interpolation, weights (SHA-256 of the file).

    Raises:
        UserError: an unknown name, a file that cannot be read, weights of another network, a side that the network
            cannot take, or features of more than MAX_DIM dimensions.
    """

    def __init__(self, name: str, weights: Path, side: int | None = None):
        import torch

        self.weights = Path(weights).expanduser()
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        network, spec = _build_untrained(name, side)
        own_side, spec["side"] = spec["side"], side or spec["side"]
        state, expected = _load_state(self.weights), network.state_dict()
        unfit = [
            key
            for key, value in expected.items()
            if not key.endswith("num_batches_tracked") and (key not in state or state[key].shape != value.shape)
        ]
        if unfit:
            raise UserError(
                f"{weights} does not hold the weights of {name}: {unfit[0]} is missing or of another "
                "shape; name the network that they are of"
            )
        network.load_state_dict({key: state[key] for key in expected if key in state}, strict=False)
        self.network = network.eval().to(self.device)
        with self.weights.open("rb") as stream:
            self.spec = spec | {"weights": hashlib.file_digest(stream, "sha256").hexdigest()}
        try:
            dim = self._features(np.zeros((1, 8, 8), np.uint8)).shape[1]
        except (AssertionError, RuntimeError, ValueError) as error:
            why = (str(error).splitlines() or [type(error).__name__])[0][:100].rstrip(".")
            raise UserError(
                f"{name} cannot take images of {spec['side']} x {spec['side']} pixels ({why}); "
                f"give another --side, such as its own {own_side}"
            ) from None
        if dim > MAX_DIM:
            raise UserError(
                f"{name} has features of {dim:,} dimensions and at most {MAX_DIM:,} are taken; "
                "choose another network, or a smaller --side"
            )

    def embed(self, images, folder: Path, progress: Callable[[int, int], None]) -> np.ndarray:
        """Features float32 [n, dim] of uint8 images [n, H, W] or [n, H, W, 3], each resized to side x side.

        Finished blocks are cached in `folder`, under a name that covers `spec`: an interrupted run goes on with the
        next block. progress(images done, images in all).
        """
        cache = block_folder(folder, self.spec["model"], self.spec)
        return embed_in_blocks(len(images), cache, lambda at, stop: self._embed_block(images[at:stop]), progress)

    def _embed_block(self, images) -> np.ndarray:
        block = np.asarray(images)
        return np.concatenate([self._features(block[at : at + BATCH]) for at in range(0, len(block), BATCH)])

    def _features(self, images: np.ndarray) -> np.ndarray:
        import torch
        from torch.nn import functional

        side, mode = self.spec["side"], self.spec["interpolation"]
        pixels = torch.as_tensor(np.array(images), dtype=torch.float32, device=self.device) / 255
        pixels = pixels[:, None].expand(-1, 3, -1, -1) if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)
        pixels = functional.interpolate(pixels, (side, side), mode=mode, antialias=True)
        pixels = pixels.clamp(0, 1)  # bicubic goes beyond at edges
        mean, std = (torch.tensor(self.spec[key], device=self.device)[:, None, None] for key in ("mean", "std"))
        with torch.inference_mode():
            return self.network((pixels - mean) / std).flatten(1).float().cpu().numpy()


def block_folder(folder: Path, model: str, spec: dict) -> Path:
    """Where the finished blocks of an embedding are cached, under a name that covers `spec`, what decides it."""
    digest = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:12]
    return folder / "-".join(filter(None, [model.replace("/", "-"), str(spec.get("side", "")), digest]))


def embed_in_blocks(
    n: int, cache: Path, embed: Callable[[int, int], np.ndarray], progress: Callable[[int, int], None]
) -> np.ndarray:
    """Features float32 [n, dim] of n images, by embed(start, stop). Finished blocks are cached in the folder `cache`:
    an interrupted run goes on with the next block. progress(images done, images in all)."""
    blocks = []
    for start in range(0, n, BLOCK):
        progress(start, n)
        file = cache / f"{start}.npy"
        if not file.exists():
            write_array(file, embed(start, min(start + BLOCK, n)))
        blocks.append(read_array(file))
    progress(n, n)
    return np.concatenate(blocks)


def _build_untrained(name: str, side: int | None):
    """The network without its classifier, weights random, and its `spec` without the weights; side is its own there."""
    from torchvision import __version__, models

    if name not in models.list_models(module=models):
        return _untrained_timm(name, side)
    from torch import nn

    network = models.get_model(name, weights=None)
    linear = [key for key, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise UserError(f"{name} has no linear layer to take features from; choose a classifier such as resnet18")
    network.set_submodule(linear[-1], nn.Identity())
    library = f"torchvision {__version__}"
    return network, {"model": name, "library": library, "layer": f"input of {linear[-1]}", **TORCHVISION}


def _untrained_timm(name: str, side: int | None):
    """As `_build_untrained`, of timm's networks, with the input that timm's data config says."""
    try:
        import timm
        from timm.data import resolve_model_data_config
    except ImportError:
        raise UserError(
            f"torchvision has no classifier {name!r}; choose one of its, such as resnet18 or vit_b_16, or install "
            f"timm's with: {install_command('train')}"
        ) from None
    timm_name = name.removeprefix("timm/")
    if not timm.is_model(timm_name):
        raise UserError(f"neither torchvision nor timm has a network {name!r}; choose one of theirs")
    try:
        network = timm.create_model(timm_name, num_classes=0)
        config = resolve_model_data_config(network)
        if side not in (None, config["input_size"][-1]):
            try:  # a transformer that then interpolates its position embedding
                network = timm.create_model(timm_name, num_classes=0, dynamic_img_size=True)
            except TypeError:
                pass  # of other networks the trial in Backbone decides
    except RuntimeError as error:  # an unknown tag
        raise UserError(f"timm cannot make {name!r} ({str(error).rstrip('.')}); check its name") from None
    return network, {
        "model": name,
        "library": f"timm {timm.__version__}",
        "layer": "pooled output (num_classes=0)",
        "side": config["input_size"][-1],
        "mean": tuple(config["mean"]),
        "std": tuple(config["std"]),
        "interpolation": "bilinear" if config["interpolation"] == "bilinear" else "bicubic",
    }


def _load_state(weights: Path) -> dict:
    """The state dict in a file: by itself, or under "state_dict" or "model", with or without "module." before names."""
    import torch

    try:
        if weights.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(weights)
        else:
            state = torch.load(weights, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and safetensors meet a broken file with errors of many types
        why = str(error).splitlines()[0][:80] if str(error) else type(error).__name__
        raise UserError(
            f"{weights} cannot be read as weights ({why}); give a state dict saved by torch.save or as safetensors"
        ) from None
    for key in ("state_dict", "model"):
        state = state[key] if isinstance(state, dict) and isinstance(state.get(key), dict) else state
    if not isinstance(state, dict) or not any(torch.is_tensor(value) for value in state.values()):
        raise UserError(f"{weights} holds no state dict; save one with torch.save(network.state_dict(), FILE)")
    return {str(key).removeprefix("module."): value for key, value in state.items() if torch.is_tensor(value)}
