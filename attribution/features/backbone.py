"""Features of a pretrained network whose weights are on disk: torchvision's, or timm's where timm is installed.

What goes into the network's last linear layer is the feature, as linear probes take it. Nothing is downloaded.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from attribution.errors import UserError
from attribution.files import read_array, write_array

#: of ImageNet's pixels, which nearly all published weights were trained with
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BLOCK, BATCH = 1000, 50  # images kept at a time, and in memory at a time


class Backbone:
    """A pretrained network for images of `side` pixels.

    name: one of torchvision's or timm's, such as resnet18. weights: its state dict, saved by torch or as safetensors.
    Raises UserError for an unknown name, a file that cannot be read, and weights of another network.
    """

    def __init__(self, name: str, weights: Path, side: int = 224):
        import torch

        self.name, self.weights, self.side = name, Path(weights).expanduser(), side
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        network = _untrained(name)
        linear = [(key, one) for key, one in network.named_modules() if isinstance(one, torch.nn.Linear)]
        if not linear:
            raise UserError(f"{name} has no linear layer to take features from; choose a classifier such as resnet18")
        last, layer = linear[-1]
        state = {key: value for key, value in _state(self.weights).items() if not key.startswith(f"{last}.")}
        fits = network.state_dict()
        unfit = [
            key
            for key in fits
            if not key.startswith(f"{last}.")
            and not key.endswith("num_batches_tracked")
            and (key not in state or state[key].shape != fits[key].shape)
        ]
        if unfit:
            raise UserError(
                f"{weights} does not hold the weights of {name}: {unfit[0]} is missing or of another "
                "shape; name the network that they are of"
            )
        network.load_state_dict({key: state[key] for key in fits if key in state}, strict=False)
        layer.register_forward_pre_hook(lambda _, given: self._keep(given[0]))
        self.network = network.eval().to(self.device)
        self._seen = None

    def embed(self, images, folder: Path, progress: Callable[[int, int], None]) -> np.ndarray:
        """Features float32 [n, dim] of uint8 images [n, H, W] or [n, H, W, 3], resized to `side` (bilinear). Finished
        blocks are kept in `folder`, and an interrupted run goes on with the next."""
        kept = folder / f"{self.name}-{self.side}-{self._digest()}"
        blocks = []
        for start in range(0, len(images), BLOCK):
            progress(start, len(images))
            file = kept / f"{start}.npy"
            if not file.exists():
                some = np.asarray(images[start : min(start + BLOCK, len(images))])
                write_array(
                    file, np.concatenate([self._features(some[at : at + BATCH]) for at in range(0, len(some), BATCH)])
                )
            blocks.append(read_array(file))
        progress(len(images), len(images))
        return np.concatenate(blocks)

    def _features(self, images: np.ndarray) -> np.ndarray:
        import torch
        from torch.nn import functional

        pixels = torch.as_tensor(np.array(images), dtype=torch.float32, device=self.device) / 255
        pixels = pixels[:, None].expand(-1, 3, -1, -1) if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)
        pixels = functional.interpolate(pixels, (self.side, self.side), mode="bilinear", antialias=True)
        mean, spread = (torch.tensor(values, device=self.device)[:, None, None] for values in (MEAN, SPREAD))
        with torch.inference_mode():
            self.network((pixels - mean) / spread)
        return self._seen.float().cpu().numpy()

    def _keep(self, given) -> None:
        self._seen = given.flatten(1)

    def _digest(self) -> str:
        with self.weights.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()[:12]


def _untrained(name: str):
    from torchvision import models

    if name in models.list_models(module=models):
        return models.get_model(name, weights=None)
    try:
        import timm
    except ImportError:
        raise UserError(
            f"torchvision has no classifier {name!r}; choose one of its, such as resnet18 or vit_b_16, or "
            "pip install timm for timm's"
        ) from None
    if name not in timm.list_models():
        raise UserError(f"neither torchvision nor timm has a classifier {name!r}; choose one of theirs")
    return timm.create_model(name, pretrained=False)


def _state(weights: Path) -> dict:
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
