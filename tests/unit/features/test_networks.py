"""Training and embedding with MoCo, SimCLR and DINO. lightly comes with requirements-dev.txt, so nothing is skipped."""

import numpy as np
import pytest
import torch

from attribution import UserError, features
from attribution.features import ssl
from attribution.features.views import ViewRecipe, random_view

METHODS = [name for name in features.NAMES if name not in ("pixels", "patches")]


def images(n=64, colour=False, seed=0):
    shape = (n, 16, 16, 3) if colour else (n, 16, 16)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


class Killed(Exception):
    pass


def killed_after(epochs):
    def progress(done, total):
        if done == epochs:
            raise Killed

    return progress


@pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
@pytest.mark.parametrize("name", METHODS)
def test_two_epochs_give_features_of_128_numbers(name, colour, tmp_path):
    seen = []
    done = features.train(name, images(colour=colour), tmp_path, epochs=2, progress=lambda *at: seen.append(at))
    assert seen == [(0, 2), (1, 2), (2, 2)]
    assert (done["name"], done["epochs"], done["dim"]) == (name, 2, 128) and done["seconds"] > 0
    found = features.embed(name, tmp_path, images(5, colour, seed=1))
    assert (found.shape, found.dtype) == ((5, 128), np.float32)
    assert np.isfinite(found).all() and found.std(0).min() > 0
    assert [file.name for file in tmp_path.iterdir()] == [ssl.CHECKPOINT]


@pytest.mark.parametrize("name", METHODS)
def test_a_killed_training_goes_on_as_if_nothing_had_happened(name, tmp_path):
    whole = features.train(name, images(), tmp_path / "whole", epochs=3)
    with pytest.raises(Killed):
        features.train(name, images(), tmp_path / "killed", epochs=3, progress=killed_after(2))
    with pytest.raises(UserError, match="no finished training"):
        features.embed(name, tmp_path / "killed", images())
    torch.rand(7)  # nothing hangs on the global random state
    seen = []
    resumed = features.train(name, images(), tmp_path / "killed", epochs=3, progress=lambda *at: seen.append(at))
    assert seen == [(2, 3), (3, 3)]
    assert resumed["loss"] == whole["loss"]
    both = [features.embed(name, tmp_path / folder, images()) for folder in ("whole", "killed")]
    assert np.array_equal(*both)


def test_the_schedule_is_that_of_the_epoch_and_not_of_the_process(tmp_path, monkeypatch):
    rates = []
    monkeypatch.setattr(ssl, "cosine_schedule", lambda step, steps, start, end: rates.append((step, steps)) or 1e-3)
    with pytest.raises(Killed):
        features.train("simclr", images(), tmp_path, epochs=4, progress=killed_after(3))
    features.train("simclr", images(), tmp_path, epochs=4)
    assert rates == [(0, 2), (1, 2)]  # one step an epoch, the first two of them warm-up


def test_a_finished_training_is_not_repeated(tmp_path):
    first = features.train("simclr", images(), tmp_path, epochs=1)
    again = features.train("simclr", images(), tmp_path, epochs=1, progress=lambda *at: pytest.fail("trained again"))
    assert again == first


def test_seeds_differ(tmp_path):
    for seed in (0, 1):
        features.train("simclr", images(), tmp_path / str(seed), seed=seed, epochs=1)
    first, second = (features.embed("simclr", tmp_path / str(seed), images()) for seed in (0, 1))
    assert not np.allclose(first, second)


def test_another_training_in_the_folder_is_not_overwritten(tmp_path):
    features.train("simclr", images(), tmp_path, epochs=1)
    for other in ({"epochs": 2}, {"seed": 1}, {"images": images(seed=1)}, {"name": "moco"}):
        arguments = {"name": "simclr", "images": images(), "out_dir": tmp_path, "epochs": 1} | other
        with pytest.raises(UserError, match="other settings"):
            features.train(**arguments)


def test_a_damaged_checkpoint_is_named(tmp_path):
    (tmp_path / ssl.CHECKPOINT).write_bytes(b"half")
    with pytest.raises(UserError, match="delete it"):
        features.train("simclr", images(), tmp_path, epochs=1)


def test_images_of_another_shape_are_refused(tmp_path):
    features.train("simclr", images(), tmp_path, epochs=1)
    with pytest.raises(UserError, match="of that shape"):
        features.embed("simclr", tmp_path, images(colour=True))


def test_a_view_that_changes_nothing_is_the_image_or_its_mirror_image():
    batch = torch.rand(8, 3, 12, 10)
    still = ViewRecipe(scale=(1, 1), ratio=(1, 1), jitter=0, hue=0, blur_chance=0, grey_chance=0)
    # the crop keeps the image's shape: square crops of a square image
    seen = random_view(batch[..., :10, :], still, torch.Generator().manual_seed(0))
    mirrored = [torch.allclose(a, b.flip(2), atol=1e-5) for a, b in zip(seen, batch[..., :10, :])]
    same = [torch.allclose(a, b, atol=1e-5) for a, b in zip(seen, batch[..., :10, :])]
    assert all(a != b for a, b in zip(same, mirrored)) and any(same) and any(mirrored)


def test_views_stay_images_and_follow_their_generator():
    batch = torch.rand(50, 1, 28, 28)
    first, again, other = (random_view(batch, ViewRecipe(), torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert first.min() >= 0 and first.max() <= 1
    assert torch.equal(first, again) and not torch.allclose(first, other)


def test_hue_turns_colours_and_leaves_greys_and_the_mean_of_the_channels():
    turned = ViewRecipe(scale=(1, 1), ratio=(1, 1), jitter=0, jitter_chance=1, blur_chance=0, grey_chance=0, flip=False)
    colour = 0.4 + 0.2 * torch.rand(20, 3, 8, 8)  # far enough from 0 and 1 for nothing to be cut off
    grey = colour[:, :1].expand(-1, 3, -1, -1)
    for batch in (colour, grey):
        seen = random_view(batch, turned, torch.Generator().manual_seed(0))
        assert torch.allclose(seen.mean(1), batch.mean(1), atol=1e-5)
        changed = (seen - batch).abs().amax((1, 2, 3)) > 0.001
        assert changed.float().mean() > 0.8 if batch is colour else not changed.any()
