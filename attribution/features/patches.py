"""Patches: whitened random patches of the images as the filters of one convolution, thresholded, pooled, and reduced by
PCA. No labels, no gradient and no GPU: minutes on two cores.

Coates and Ng, "The Importance of Encoding Versus Training with Sparse Coding and Vector Quantization" (ICML 2011):
filters may be random patches, with a soft threshold. Thiry, Arbel, Belilovsky and Oyallon, "The Unreasonable
Effectiveness of Patches in Deep Convolutional Kernels Methods" (ICLR 2021, arXiv 2101.07528): whitening is what
matters.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from attribution.errors import UserError
from attribution.files import write_atomically

DIM = 512
CHECKPOINT = "patches.pt"
_BATCH = 100  # images


@dataclass(frozen=True)
class Recipe:
    """Hyper-parameters, stored with the features."""

    filters: int = 512
    size: int = 6  # of a patch, in pixels a side
    longest: int = 48  # side in pixels to which larger images are shrunk
    whitening_patches: int = 100_000
    flat: float = 10 / 255**2  # added to a patch's variance, of pixels in [0, 1], and
    smooth: float = 0.1  # to the eigenvalues of the patches' covariance, before they are divided by
    threshold: float = 1.0  # of a response, in standard deviations of all responses
    pools: int = 2  # a side
    pca_images: int = 10_000


def train(images: np.ndarray, out_dir: Path, seed: int, epochs: int | None, progress: Callable | None) -> dict:
    """Draws the filters and computes the whitening and the PCA, or reads them where that is done. See
    `attribution.features.train`; progress counts batches of images. Raises UserError where epochs are given, too: there
    are none."""
    if epochs is not None:
        raise UserError("patches are drawn, not trained in epochs: leave --epochs out")
    settings = {
        "name": "patches", "seed": seed, "recipe": asdict(Recipe()), "shape": list(images.shape),
        "images": hashlib.sha256(np.ascontiguousarray(images)).hexdigest(),
    }  # fmt: skip
    saved = _load(out_dir)
    if saved and saved["settings"] != json.loads(json.dumps(settings)):
        raise UserError(f"{out_dir} holds a training with other settings: choose another folder, or delete it.")
    if saved:
        return saved["provenance"]
    start, recipe = time.perf_counter(), Recipe()
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        filters, scale = _make_filters(images, recipe, draw)
        sample = torch.randperm(len(images), generator=draw)[: recipe.pca_images].sort().values.numpy()
        pooled = []
        batches = -(-len(sample) // _BATCH)
        for done, batch in enumerate(_batches(images[sample], recipe)):
            if progress:
                progress(done, batches)
            pooled.append(_encode(batch, filters, scale, recipe))
        mean, axes = _principal_axes(torch.cat(pooled), DIM)
    if progress:
        progress(batches, batches)
    provenance = settings | {
        "dim": axes.shape[1], "seconds": round(time.perf_counter() - start, 1), "device": "cpu",
        "threads": torch.get_num_threads(), "torch": str(torch.__version__),
    }  # fmt: skip
    checkpoint = {
        "settings": json.dumps(settings), "provenance": json.dumps(provenance),
        "filters": filters, "scale": scale, "mean": mean, "axes": axes,
    }  # fmt: skip
    out_dir.mkdir(parents=True, exist_ok=True)
    write_atomically(out_dir / CHECKPOINT, lambda file: torch.save(checkpoint, file))
    return provenance


@torch.no_grad()
def embed(checkpoint_dir: Path, images: np.ndarray) -> np.ndarray:
    """Features of images, float32 [n, dim]: DIM, or fewer where there were few images. See
    `attribution.features.embed`."""
    saved = _load(checkpoint_dir)
    if not saved:
        raise UserError(f"{checkpoint_dir} holds no finished training of patches features: train them first.")
    shape = saved["settings"]["shape"][1:]
    if list(images.shape[1:]) != shape:
        raise UserError(f"These features were trained on images of shape {shape}: give images of that shape.")
    recipe = Recipe(**saved["settings"]["recipe"])
    found = [
        (_encode(batch, saved["filters"], saved["scale"], recipe) - saved["mean"]) @ saved["axes"]
        for batch in _batches(images, recipe)
    ]
    return torch.cat(found).numpy()


def _batches(images: np.ndarray, recipe: Recipe) -> Iterator[Tensor]:
    """Images as float [n, channels, H, W] in [0, 1], no side longer than the recipe says."""
    for at in range(0, len(images), _BATCH):
        pixels = torch.as_tensor(np.array(images[at : at + _BATCH]), dtype=torch.float32) / 255
        pixels = pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2).contiguous()
        factor = recipe.longest / max(pixels.shape[2:])
        if factor < 1:
            side = [max(round(factor * length), 1) for length in pixels.shape[2:]]
            pixels = functional.interpolate(pixels, side, mode="area")
        yield pixels


def _make_filters(images: np.ndarray, recipe: Recipe, draw: torch.Generator) -> tuple[Tensor, float]:
    """Filters float [filters, channels, size, size], which whiten the normalised patch that they are applied to and
    compare it with a whitened patch of length 1; and the standard deviation of their responses."""
    each = -(-recipe.whitening_patches // len(images))
    patches = []
    for batch in _batches(images, recipe):
        size = _patch_size(batch, recipe)
        rows = torch.randint(batch.shape[2] - size[0] + 1, (len(batch), each), generator=draw)
        columns = torch.randint(batch.shape[3] - size[1] + 1, (len(batch), each), generator=draw)
        windows = batch.unfold(2, size[0], 1).unfold(3, size[1], 1)  # [n, channels, rows, columns, size, size]
        at = torch.arange(len(batch))[:, None]
        patches.append(windows[at, :, rows, columns].flatten(0, 1))
    shape = patches[0].shape[1:]
    patches = torch.cat(patches).flatten(1).double()
    patches = patches - patches.mean(1, keepdim=True)
    patches /= (patches.square().mean(1, keepdim=True) + recipe.flat).sqrt()
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    whiten = (vectors / (values.clamp(min=0) + recipe.smooth).sqrt()) @ vectors.T
    chosen = patches[torch.randperm(len(patches), generator=draw)[: recipe.filters]] @ whiten
    chosen /= chosen.norm(dim=1, keepdim=True).clamp(min=1e-12)
    filters = chosen @ whiten
    scale = float((patches[:10_000] @ filters.T).square().mean().sqrt()) or 1.0
    return filters.float().unflatten(1, shape), scale


def _patch_size(batch: Tensor, recipe: Recipe) -> tuple[int, int]:
    return min(recipe.size, batch.shape[2]), min(recipe.size, batch.shape[3])


def _encode(batch: Tensor, filters: Tensor, scale: float, recipe: Recipe) -> Tensor:
    """Thresholded responses of both signs, pooled: float [n, 2 * filters * pools^2]."""
    ones = torch.ones(1, *filters.shape[1:]) / filters[0].numel()
    mean, square = functional.conv2d(batch, ones), functional.conv2d(batch.square(), ones)
    spread = (square - mean.square()).clamp(min=0).add_(recipe.flat).sqrt_()
    response = functional.conv2d(batch, filters)
    response -= mean * filters.sum((1, 2, 3))[None, :, None, None]
    response /= spread * scale
    pools = (min(recipe.pools, response.shape[2]), min(recipe.pools, response.shape[3]))
    signs = [
        functional.adaptive_avg_pool2d((sign * response - recipe.threshold).relu_(), pools).flatten(1)
        for sign in (1, -1)
    ]
    return torch.cat(signs, 1)


def _principal_axes(pooled: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Mean float [d] and the first principal axes float [d, dim] of rows [n, d]; fewer axes where there are fewer rows
    or columns. The largest weight of each is positive, so that none is mirrored at random."""
    mean = pooled.mean(0)
    centred = pooled - mean
    dim = min(dim, *centred.shape)
    if len(centred) < centred.shape[1]:
        axes = torch.linalg.svd(centred, full_matrices=False).Vh[:dim].T
    else:
        axes = torch.linalg.eigh(centred.T @ centred).eigenvectors.flip(1)[:, :dim]
    largest = axes.abs().argmax(0)
    return mean, (axes * axes[largest, torch.arange(dim)].sign()).contiguous()


def _load(folder: Path) -> dict | None:
    if not (folder / CHECKPOINT).exists():
        return None
    saved = torch.load(folder / CHECKPOINT, weights_only=True)
    return saved | {key: json.loads(saved[key]) for key in ("settings", "provenance")}
