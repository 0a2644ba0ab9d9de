"""Random views for self-supervised training, drawn for a whole batch at once.

The same augmentations as lightly's `SimCLRTransform` (random resized crop, flip, jitter, grey, blur), which takes a PIL
image at a time: 0.5 ms a view on one CPU core (torchvision v2: 0.3 ms), as long as the network's forward and backward
pass. Here crop, flip and blur are a small matrix for the rows of each image and another for its columns, so that a
batch of views is two batched matrix products.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ViewRecipe:
    """Strengths and probabilities of the augmentations."""

    scale: tuple[float, float] = (0.3, 1.0)  # area of the crop, as a share of the image
    ratio: tuple[float, float] = (3 / 4, 4 / 3)  # width / height of the crop
    jitter: float = 0.4  # brightness, contrast and (colour) saturation, each times U(1 - jitter, 1 + jitter)
    jitter_chance: float = 0.8
    blur: tuple[float, float] = (0.1, 1.0)  # sigma in pixels
    blur_chance: float = 0.5
    hue: float = 0.1  # colour images only: largest turn, as a share of a full one, together with the jitter
    grey_chance: float = 0.2  # colour images only
    flip: bool = True


def random_view(images: Tensor, recipe: ViewRecipe, generator: torch.Generator) -> Tensor:
    """A random view of each image.

    Args:
        images: float [n, channels, height, width] in [0, 1].
        generator: the only source of randomness; on the CPU, so that every device draws the same views.

    Returns:
        float [n, channels, height, width] in [0, 1].
    """
    n, channels, height, width = images.shape

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(n, generator=generator) * (high - low) + low

    def chance(p: float) -> Tensor:
        return torch.rand(n, generator=generator) < p

    area = uniform(*recipe.scale)
    ratio = uniform(*(torch.tensor(recipe.ratio).log().tolist())).exp()
    crop_h = (area / ratio).sqrt().clamp(max=1) * height
    crop_w = (area * ratio).sqrt().clamp(max=1) * width
    top = uniform(0, 1) * (height - crop_h)
    left = uniform(0, 1) * (width - crop_w)
    sigma = torch.where(chance(recipe.blur_chance), uniform(*recipe.blur), torch.zeros(n))
    rows = _blur_matrix(height, sigma) @ _resize_matrix(height, top, crop_h)
    columns = _blur_matrix(width, sigma) @ _resize_matrix(width, left, crop_w)
    if recipe.flip:
        columns = torch.where(chance(0.5)[:, None, None], columns.flip(1), columns)
    rows, columns = rows.to(images.device), columns.to(images.device)
    out = rows[:, None] @ images @ columns.transpose(1, 2)[:, None]

    apply = chance(recipe.jitter_chance)
    factors = []
    for _ in range(3):
        factor = torch.where(apply, uniform(1 - recipe.jitter, 1 + recipe.jitter), torch.ones(n))
        factors.append(factor.to(images.device)[:, None, None, None])
    brightness, contrast, saturation = factors
    grey = chance(recipe.grey_chance).to(images.device)[:, None, None, None]
    out = (out * brightness).clamp(0, 1)
    mean = out.mean((1, 2, 3), keepdim=True)
    out = (mean + (out - mean) * contrast).clamp(0, 1)
    if channels == 3:
        turn = torch.where(apply, uniform(-recipe.hue, recipe.hue), torch.zeros(n)).to(images.device)
        out = torch.einsum("nij,njhw->nihw", _hue_rotation(2 * torch.pi * turn), out).clamp(0, 1)
        luma = (out * out.new_tensor([0.299, 0.587, 0.114])[None, :, None, None]).sum(1, keepdim=True)
        out = torch.where(grey, luma, luma + (out - luma) * saturation).clamp(0, 1)
    return out


def _hue_rotation(angle: Tensor) -> Tensor:
    """Matrices [n, 3, 3] that turn colours by an `angle` [n] about the axis of the greys (Rodrigues' formula)."""
    cross = angle.new_tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / 3**0.5
    cosine, sine = angle.cos()[:, None, None], angle.sin()[:, None, None]
    return cosine * torch.eye(3, device=angle.device) + (1 - cosine) / 3 + sine * cross


def _resize_matrix(size: int, start: Tensor, length: Tensor) -> Tensor:
    """Matrices [n, size, size] that stretch the part [start, start + length) of a line to all of it, bilinearly."""
    position = start[:, None] + (torch.arange(size) + 0.5) * (length / size)[:, None] - 0.5
    distance = position.clamp(0, size - 1)[:, :, None] - torch.arange(size)
    return (1 - distance.abs()).clamp(min=0)


def _blur_matrix(size: int, sigma: Tensor) -> Tensor:
    """Matrices [n, size, size] that blur a line with a Gaussian of `sigma` [n] pixels (0: leave it); rows sum to 1."""
    offset = torch.arange(size)[:, None] - torch.arange(size)
    weight = torch.exp(-offset.square() / (2 * sigma.clamp(min=0.05).square())[:, None, None])
    return weight / weight.sum(2, keepdim=True)
