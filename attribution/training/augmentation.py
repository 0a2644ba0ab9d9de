"""How training images are augmented (mirrored, shifted, with a hole), and what is averaged at test time.

What a seed draws belongs to the *original* image and the epoch, so that two edits under one seed show the images they
share in the same order and in the same way. It is drawn on the CPU, hence the same on every device, and applied on the
device. What a shift or a hole uncovers is 0, the mean of the normalised images.
"""

import torch
from torch import Tensor
from torch.nn import functional

from attribution.training.recipes import Recipe

#: columns of a plan: the image; whether it is mirrored; how far it is moved; upper left corner of the hole
IMAGE, MIRROR, DOWN, RIGHT, TOP, LEFT = range(6)
#: how far images are moved at test time, (down, right) in pixels, for "flip-translate"
TEST_SHIFTS = ((0, 0), (-1, -1), (1, 1))


class AugmentationPlan:
    """How one seed augments n images of height x width in each epoch. Ask for the epochs in turn, from 0."""

    def __init__(self, recipe: Recipe, n: int, height: int, width: int, seed: int):
        self.recipe, self.n, self.height, self.width = recipe, n, height, width
        self.generator = torch.Generator().manual_seed(seed)
        self.mirrored: Tensor | None = None  # bool [n], as last drawn

    def epoch(self, number: int) -> Tensor:
        """int64 [n, 6], a row an image in the order of the epoch, with the columns named above."""
        order = torch.randperm(self.n, generator=self.generator)
        zeros = torch.zeros(self.n, dtype=torch.int64)  # nothing is drawn for what a recipe does not do
        columns = [torch.arange(self.n), self._draw_mirrored(number)]
        shift, hole = self.recipe.translate, self.recipe.cutout
        columns += [self._draw_below(2 * shift + 1) - shift if shift else zeros for _ in (DOWN, RIGHT)]
        columns += [
            self._draw_below(side - min(hole, side) + 1) if hole else zeros for side in (self.height, self.width)
        ]
        return torch.stack(columns, 1)[order]

    def _draw_mirrored(self, number):
        """Half of the images, drawn anew; or, alternating, those not mirrored in the epoch before; or none."""
        if self.recipe.flip == "none":
            return torch.zeros(self.n, dtype=torch.int64)
        if self.recipe.flip == "random" or self.mirrored is None:
            self.mirrored = torch.rand(self.n, generator=self.generator) < 0.5
        return (self.mirrored ^ (self.recipe.flip == "alternate" and number % 2 == 1)).long()

    def _draw_below(self, limit):
        """int64 [n] below `limit`."""
        return torch.randint(limit, (self.n,), generator=self.generator)


def augmented_batch(images: Tensor, rows: Tensor, recipe: Recipe) -> Tensor:
    """The augmented images [b, channels, H, W] of `rows`, int64 [b, 6] of a plan; images: all, [n, channels, H, W]."""
    batch = images[rows[:, IMAGE]]
    batch = torch.where(rows[:, MIRROR, None, None, None] > 0, batch.flip(3), batch)
    if recipe.translate:
        batch = shift_images(batch, rows[:, DOWN], rows[:, RIGHT], recipe.translate)
    if recipe.cutout:
        batch = batch.masked_fill(cutout_mask(batch, rows[:, TOP], rows[:, LEFT], recipe.cutout), 0)
    return batch


def shift_images(batch: Tensor, down: Tensor, right: Tensor, limit: int) -> Tensor:
    """Each image [b, channels, H, W] moved by its own whole pixels, int64 [b], at most `limit` in any direction."""
    height, width = batch.shape[2:]
    padded = functional.pad(batch, (limit,) * 4).permute(0, 2, 3, 1)
    number, y, x = (torch.arange(size, device=batch.device) for size in (len(batch), height, width))
    rows, columns = limit - down[:, None] + y, limit - right[:, None] + x
    return padded[number[:, None, None], rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cutout_mask(batch: Tensor, top: Tensor, left: Tensor, side: int) -> Tensor:
    """True inside each image's square hole, bool [b, 1, H, W]."""
    y, x = (torch.arange(size, device=batch.device) for size in batch.shape[2:])
    in_rows = (y >= top[:, None]) & (y < top[:, None] + side)
    in_columns = (x >= left[:, None]) & (x < left[:, None] + side)
    return (in_rows[:, :, None] & in_columns[:, None, :])[:, None]


def prediction_views(batch: Tensor, recipe: Recipe) -> list[Tensor]:
    """The versions of a batch [b, channels, H, W] whose logits are averaged in a prediction (`Recipe.test`)."""
    if recipe.test == "none":
        return [batch]
    shifted = [batch]
    if recipe.test == "flip-translate":
        shifted = [
            shift_images(batch, *(torch.full((len(batch),), pixels, device=batch.device) for pixels in shift), 1)
            for shift in TEST_SHIFTS
        ]
    return [view for images in shifted for view in (images, images.flip(3))]
