"""Data sets of the user's own: what they return is copied and checked."""

import numpy as np
import pytest

from attribution import UserError
from attribution.data import get_loader, own, reopen_images
from attribution.workspace.create import create

TEXT = """
import os
from pathlib import Path
import numpy as np

print("what it prints is no answer")
images = np.random.default_rng(0).integers(0, 256, (30, 8, 6, 3), np.uint8)
labels = [i % 2 for i in range(30)]


class Items:
    classes = ["cat", "dog"]

    def __init__(self, numbers):
        self.numbers = list(numbers)

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, i):
        return images[self.numbers[i]] / 255, labels[self.numbers[i]]


def make():
    return Items(range(24)), Items(range(24, 30))


def one(root):
    assert isinstance(root, Path) and (root / "mine.py").is_file()
    return Items(range(30))


def wrong():
    return 3


def raises():
    raise OSError("no such\\nfolder")


class Torn(Items):
    def __getitem__(self, i):
        if i == 5:
            raise OSError("torn")
        return super().__getitem__(i)


def torn():
    return Torn(range(24)), Items(range(24, 30))


def ends():
    os._exit(3)


value = 3
"""
IMAGES = np.random.default_rng(0).integers(0, 256, (30, 8, 6, 3), np.uint8)


@pytest.fixture
def place(tmp_path):
    (tmp_path / "mine.py").write_text(TEXT)
    return lambda name: f"{tmp_path / 'mine.py'}:{name}"


def test_a_workspace_of_it(tmp_path, place):
    said = []
    made = create(tmp_path / "ws", place("make"), progress=lambda *words: said.append(words))
    assert (np.asarray(made.train_images) == IMAGES[:24]).all() and (np.asarray(made.val_images) == IMAGES[24:]).all()
    assert made.classes == ["cat", "dog"] and made.val_labels.tolist() == [0, 1] * 3
    part = made.manifest["parts"]["data"]
    assert part["code"]["file"] == "mine.py" and part["command"].endswith("--dataset mine.py:make")
    assert part["notes"][0] == "pixels of the training images are fractions from 0 to 1, taken times 255"
    assert str(tmp_path) not in (tmp_path / "ws/workspace.json").read_text(), "no path of this machine"
    assert ("reading images", 30, 30) in said


def test_a_single_one_and_its_root(tmp_path, place):
    found = own.OwnLoader(place("one")).load(tmp_path, val_share=0.2, side=16)
    assert len(found.val.labels) == 6 and found.val.labels.tolist() == [i % 2 for i in found.val.index]
    assert found.train.images.shape == (24, 16, 16, 3) and found.sizes["count"] == 1


@pytest.mark.parametrize(
    "name, why",
    [
        ("wrong", "the training images are int, which has no length and no items"),
        ("raises", "raises raised OSError: no such$"),
        ("ends", "ended with exit status 3"),
    ],
)
def test_what_the_code_does_wrong_is_said(tmp_path, place, name, why):
    with pytest.raises(UserError, match=why):
        create(tmp_path / "ws", place(name))
    assert not (tmp_path / "ws").exists()


def test_what_is_no_function(tmp_path, place):
    with pytest.raises(UserError, match="value in .*mine.py cannot be called; make it a function that returns two"):
        own.OwnLoader(place("value"))
    with pytest.raises(UserError, match="no data set 'mine'; there is cifar10, .*, or name a function of yours"):
        get_loader("mine")


def test_a_workspace_never_names_code(tmp_path, place):
    """Images that are read in place are of a kind that comes with Lineup."""
    with pytest.raises(UserError, match="no data set"):
        reopen_images({"kind": place("make"), "shape": [8, 6, 3]}, tmp_path, None)


def test_images_that_cannot_be_read_are_left_out_when_asked(place):
    with pytest.raises(UserError, match=r"training image 5 cannot be read \(OSError: torn\)"):
        own.OwnLoader(place("torn")).load()
    found = own.OwnLoader(place("torn")).load(skip_corrupt=True)
    assert found.skipped == ("training image 5 (OSError: torn)",)
    assert found.train.index.tolist() == [i for i in range(24) if i != 5]
    assert (np.asarray(found.train.images) == IMAGES[found.train.index]).all()
