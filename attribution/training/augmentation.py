"""How training images are shown: mirrored, shifted, with a hole; and at test time.

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
    """What one seed shows of n images of height x width in each epoch. Ask for the epochs in turn, from 0."""

    def __init__(self, recipe: Recipe, n: int, height: int, width: int, seed: int):
        self.recipe, self.n, self.height, self.width = recipe, n, height, width
        self.draw = torch.Generator().manual_seed(seed)
        self.first = None

    def epoch(self, number: int) -> Tensor:
        """int64 [n, 6], a row an image in the order of the epoch, with the columns named above."""
        order = torch.randperm(self.n, generator=self.draw)
        columns = [torch.arange(self.n), self._mirrored(number)]
        most, hole = self.recipe.translate, self.recipe.cutout
        columns += [self._draw_below(most, 2 * most + 1, bool(most)) - most for _ in (DOWN, RIGHT)]
        columns += [self._draw_below(0, side - min(hole, side) + 1, bool(hole)) for side in (self.height, self.width)]
        return torch.stack(columns, 1)[order]

    def _mirrored(self, number):
        """Half of the images, drawn anew; or, alternating, those not mirrored in the epoch before; or none."""
        if self.recipe.flip == "none":
            return torch.zeros(self.n, dtype=torch.int64)
        if self.recipe.flip == "random" or self.first is None:
            self.first = torch.rand(self.n, generator=self.draw) < 0.5
        return (self.first ^ (self.recipe.flip == "alternate" and number % 2 == 1)).long()

    def _draw_below(self, otherwise, limit, wanted):
        """int64 [n] below `limit`; nothing is drawn for what a recipe does not do."""
        if not wanted:
            return torch.full((self.n,), otherwise)
        return torch.randint(limit, (self.n,), generator=self.draw)


def augmented_batch(images: Tensor, rows: Tensor, recipe: Recipe) -> Tensor:
    """The images [b, channels, H, W] that `rows` [b, 6] of a plan speak of, as they say; images: all, [n, ...]."""
    batch = images[rows[:, IMAGE]]
    batch = torch.where(rows[:, MIRROR, None, None, None] > 0, batch.flip(3), batch)
    if recipe.translate:
        batch = shift_images(batch, rows[:, DOWN], rows[:, RIGHT], recipe.translate)
    if recipe.cutout:
        batch = batch.masked_fill(cutout_mask(batch, rows[:, TOP], rows[:, LEFT], recipe.cutout), 0)
    return batch


def shift_images(batch: Tensor, down: Tensor, right: Tensor, most: int) -> Tensor:
    """Each image [b, channels, H, W] moved by its own whole pixels, int64 [b], at most `most` in any direction."""
    height, width = batch.shape[2:]
    padded = functional.pad(batch, (most,) * 4).permute(0, 2, 3, 1)
    number, y, x = (torch.arange(size, device=batch.device) for size in (len(batch), height, width))
    rows, columns = most - down[:, None] + y, most - right[:, None] + x
    return padded[number[:, None, None], rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def cutout_mask(batch: Tensor, top: Tensor, left: Tensor, side: int) -> Tensor:
    """True inside each image's square hole, bool [b, 1, H, W]."""
    y, x = (torch.arange(size, device=batch.device) for size in batch.shape[2:])
    inside = [(at >= start[:, None]) & (at < start[:, None] + side) for at, start in ((y, top), (x, left))]
    return (inside[0][:, :, None] & inside[1][:, None, :])[:, None]


def test_views(batch: Tensor, recipe: Recipe) -> list[Tensor]:
    """What a trained network is asked about in place of the images [b, channels, H, W]; the answers are averaged."""
    if recipe.test == "none":
        return [batch]
    moved = [batch]
    if recipe.test == "flip-translate":
        moved = [
            shift_images(batch, *(torch.full((len(batch),), by, device=batch.device) for by in shift), 1)
            for shift in TEST_SHIFTS
        ]
    return [view for one in moved for view in (one, one.flip(3))]
