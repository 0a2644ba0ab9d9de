"""How images are shown: drawn by seed, image and epoch alone, and applied as a plain reference does it."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from attribution.training import recipes  # noqa: E402
from attribution.training.augmentation import (  # noqa: E402
    DOWN,
    IMAGE,
    LEFT,
    MIRROR,
    RIGHT,
    TOP,
    AugmentationPlan,
    augmented_batch,
    cutout_mask,
    prediction_views,
    shift_images,
)

PLAIN = recipes.get_recipe("demo-cnn")
RICH = replace(PLAIN, translate=2, cutout=4)


def pictures(n=6, height=9, width=7):
    values = np.random.default_rng(0).normal(size=(n, 3, height, width)).astype(np.float32)
    return torch.as_tensor(values).contiguous(memory_format=torch.channels_last)


def moved(image, down, right):
    """Reference: [channels, H, W] moved, 0 where nothing is left."""
    out = np.zeros_like(image)
    height, width = image.shape[1:]
    for y in range(height):
        for x in range(width):
            if 0 <= y - down < height and 0 <= x - right < width:
                out[:, y, x] = image[:, y - down, x - right]
    return out


def cut(image, top, left, side):
    """Reference: [channels, H, W] with a square of 0."""
    image = image.copy()
    image[:, top : top + side, left : left + side] = 0
    return image


def test_a_plan_hangs_on_seed_and_epoch_alone():
    first, again, other = (AugmentationPlan(RICH, 50, 9, 7, seed) for seed in (3, 3, 4))
    torch.rand(5)
    epochs = [first.epoch(0), first.epoch(1)]
    assert torch.equal(epochs[0], again.epoch(0)) and torch.equal(epochs[1], again.epoch(1))
    assert not torch.equal(epochs[0], other.epoch(0)) and not torch.equal(*epochs)
    assert all(sorted(epoch[:, IMAGE].tolist()) == list(range(50)) for epoch in epochs)


def test_all_shifts_and_holes_within_the_image_are_drawn():
    rows = AugmentationPlan(RICH, 2000, 9, 7, 0).epoch(0)
    reached = [set(rows[:, column].tolist()) for column in (MIRROR, DOWN, RIGHT, TOP, LEFT)]
    assert reached == [{0, 1}, set(range(-2, 3)), set(range(-2, 3)), set(range(6)), set(range(4))]


def test_what_a_recipe_does_not_do_draws_nothing():
    """Hence the draws of recipes that came first stay as they were."""
    draw, plan = torch.Generator().manual_seed(8), AugmentationPlan(PLAIN, 30, 9, 7, 8)
    for epoch in range(3):
        order, mirrored = torch.randperm(30, generator=draw), torch.rand(30, generator=draw) < 0.5
        rows = plan.epoch(epoch)
        assert torch.equal(rows[:, IMAGE], order) and torch.equal(rows[:, MIRROR], mirrored[order].long())
        assert not rows[:, DOWN:].any()


def test_alternating_mirrors_every_image_in_every_other_epoch():
    plan = AugmentationPlan(replace(RICH, flip="alternate"), 40, 9, 7, 0)
    mirrored = []
    for epoch in range(4):
        rows = plan.epoch(epoch)
        mirrored.append(rows[rows[:, IMAGE].argsort(), MIRROR])
    assert 0 < mirrored[0].sum() < 40
    assert all(torch.equal(mirrored[0] ^ (epoch % 2), mirrored[epoch]) for epoch in range(4))


def test_shifts_as_the_reference_does_them():
    images = pictures()
    down, right = torch.tensor([0, 2, -2, 1, 0, -1]), torch.tensor([0, 2, -1, -2, 1, 0])
    expected = [moved(image, *by) for image, *by in zip(images.numpy(), down.tolist(), right.tolist())]
    found = shift_images(images, down, right, 2)
    assert np.array_equal(found, expected) and found.is_contiguous(memory_format=torch.channels_last)


def test_holes_as_the_reference_does_them():
    images = pictures()
    top, left = torch.tensor([0, 5, 2, 1, 3, 4]), torch.tensor([0, 3, 2, 1, 0, 3])
    expected = [cut(image, *at, 4) for image, *at in zip(images.numpy(), top.tolist(), left.tolist())]
    assert np.array_equal(images.masked_fill(cutout_mask(images, top, left, 4), 0), expected)


def test_images_are_mirrored_then_shifted_then_cut():
    images, rows = pictures(), torch.tensor([[4, 1, 2, -1, 0, 3], [0, 0, -2, 1, 5, 0]])
    mirrored = [images[4].numpy()[:, :, ::-1], images[0].numpy()]
    expected = [
        cut(moved(image, down, right), top, left, 4)
        for image, (_, _, down, right, top, left) in zip(mirrored, rows.tolist())
    ]
    assert np.array_equal(augmented_batch(images, rows, RICH), expected)
    assert np.array_equal(augmented_batch(images, rows, PLAIN), mirrored)


def test_a_hole_larger_than_the_image_takes_all_of_it():
    rows = AugmentationPlan(replace(PLAIN, cutout=8), 6, 5, 5, 0).epoch(0)
    assert not augmented_batch(pictures(6, 5, 5), rows, replace(PLAIN, cutout=8)).any()


def test_views_at_test():
    images = pictures()
    assert [view is images for view in prediction_views(images, replace(PLAIN, test="none"))] == [True]
    plain, mirrored = prediction_views(images, PLAIN)
    assert torch.equal(plain, images) and torch.equal(mirrored, images.flip(3))
    views = prediction_views(images, replace(PLAIN, test="flip-translate"))
    expected = [np.stack([moved(image, by, by) for image in images.numpy()]) for by in (0, -1, 1)]
    assert len(views) == 6 and np.array_equal(views[::2], expected)
    assert np.array_equal(views[1::2], [one[..., ::-1] for one in expected])
