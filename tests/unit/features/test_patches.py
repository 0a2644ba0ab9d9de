"""Patches: what their filters do, written out; what a training keeps and refuses."""

import numpy as np
import pytest
import torch

from attribution import UserError, features
from attribution.features import patches
from attribution.features.patches import Recipe


def images(n=60, colour=False, seed=0, side=12):
    shape = (n, side, side, 3) if colour else (n, side, side)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
def test_training_and_embedding(colour, tmp_path):
    seen = []
    done = features.train("patches", images(colour=colour), tmp_path, progress=lambda *at: seen.append(at))
    assert seen == [(0, 1), (1, 1)]
    assert done["name"] == "patches" and done["dim"] == 60 and done["seconds"] >= 0  # no more axes than images
    found = features.embed("patches", tmp_path, images(5, colour, seed=1))
    assert (found.shape, found.dtype) == ((5, 60), np.float32)
    assert np.isfinite(found).all() and found.std(0)[0] > 0
    assert [file.name for file in tmp_path.iterdir()] == [patches.CHECKPOINT]


def test_the_same_images_and_seed_give_the_same_features(tmp_path):
    found = []
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        features.train("patches", images(), tmp_path / folder, seed=seed)
        found.append(features.embed("patches", tmp_path / folder, images(4, seed=1)))
    assert np.array_equal(found[0], found[1]) and not np.allclose(found[0], found[2])


def test_filters_whiten_the_normalised_patch():
    recipe = Recipe(filters=40)
    filters, scale = patches._make_filters(images(200), recipe, torch.Generator().manual_seed(0))
    assert filters.shape == (40, 1, 6, 6) and filters.sum((1, 2, 3)).abs().max() < 1e-3
    batch = next(patches._batches(images(3, seed=5), recipe))
    found = patches._encode(batch, filters, scale, recipe)
    assert found.shape == (3, 2 * 40 * 4)
    patch = batch[1, 0, 2:8, 3:9].numpy()
    patch = (patch - patch.mean()) / np.sqrt(patch.var() + recipe.flat)
    wanted = (filters[7, 0].numpy() * patch).sum() / scale
    alone = patches._encode(batch[1:2, :, 2:8, 3:9], filters, scale, recipe)[0]  # one response, one pool
    assert alone.shape == (80,)
    assert alone[7] == pytest.approx(max(wanted - recipe.threshold, 0), abs=1e-3)
    assert alone[47] == pytest.approx(max(-wanted - recipe.threshold, 0), abs=1e-3)


def test_brightness_and_contrast_hardly_matter(tmp_path):
    features.train("patches", images(), tmp_path)
    dim = (100 + images(4, seed=1) // 4).astype(np.uint8)
    one, other = (features.embed("patches", tmp_path, some) for some in (images(4, seed=1), dim))
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.98


def test_large_images_are_shrunk_and_tiny_ones_have_one_patch(tmp_path):
    recipe = Recipe()
    assert next(patches._batches(images(2, side=100), recipe)).shape == (2, 1, 48, 48)
    features.train("patches", images(20, side=4), tmp_path)
    assert features.embed("patches", tmp_path, images(20, side=4)).shape == (20, 20)


def test_axes_are_those_of_most_variance():
    rows = torch.as_tensor(np.random.default_rng(0).normal(size=(50, 4)) * [1, 5, 2, 0.1], dtype=torch.float32)
    for some in (rows, rows[:3]):
        mean, axes = patches._principal_axes(some, 2)
        projected = (some - mean) @ axes
        assert torch.allclose(axes.T @ axes, torch.eye(2), atol=1e-5)
        wanted = np.linalg.svd((some - some.mean(0)).numpy())[1][:2]
        assert np.allclose(projected.norm(dim=0), wanted, rtol=1e-3)
        assert (axes[axes.abs().argmax(0), torch.arange(2)] > 0).all()


def test_images_that_are_all_alike_have_finite_features(tmp_path):
    features.train("patches", np.full((10, 8, 8), 7, np.uint8), tmp_path)
    assert np.isfinite(features.embed("patches", tmp_path, np.full((3, 8, 8), 7, np.uint8))).all()


def test_a_finished_training_is_not_repeated_and_another_is_refused(tmp_path):
    first = features.train("patches", images(), tmp_path)
    assert features.train("patches", images(), tmp_path) == first
    with pytest.raises(UserError, match="other settings"):
        features.train("patches", images(), tmp_path, seed=1)
    with pytest.raises(UserError, match="give images of that shape"):
        features.embed("patches", tmp_path, images(side=9))
    with pytest.raises(UserError, match="no finished training"):
        features.embed("patches", tmp_path / "nowhere", images())
    with pytest.raises(UserError, match="leave --epochs out"):
        features.train("patches", images(), tmp_path / "other", epochs=3)
