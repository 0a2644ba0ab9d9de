"""Trees of folders under common names for splits: read as they are meant or asked about; no classes, never mixed."""

import os
import random
from pathlib import PurePosixPath

import pytest

from attribution.data import image_folder, splits
from attribution.data.folder_layout import find_splits, list_classes
from attribution.errors import UserError
from tests.unit.data.test_image_folder import fill, names

CLASSES = ("ant", "bee", "cat")


def grow(root, splits):
    """splits: {folder: pictures in each of three class folders, or "flat"}."""
    for folder, count in splits.items():
        if count == "flat":
            fill(root, {folder: ["0.png", "1.png"]})
        else:
            fill(root, {f"{folder}/{class_}": [f"{i}.png" for i in range(count)] for class_ in CLASSES})


@pytest.mark.parametrize(
    "train, val",
    [
        ("Train", "Test"),
        ("training", "validation"),
        ("TRAIN", "DEV"),
        ("train", "dev"),
        ("train", "testing"),
        ("train", "Test"),
        ("training_set", "test_set"),
        ("trainset", "valset"),
        ("Training Set", "Validation Set"),
        ("train", "eval"),
        ("training", "evaluation"),
        ("train", "tests"),
        ("seg_train", "seg_test"),
        ("train2017", "val2017"),
        ("train_images", "val_images"),
        ("data/train", "data/val"),
        ("archive/Training/train", "archive/Training/val"),
        ("training/training", "training/validation"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("train/train", "test/test"),
    ],
)
def test_splits_under_any_name(tmp_path, train, val):
    grow(tmp_path, {train: 3, val: 1})
    (tmp_path / "docs").mkdir()
    found = image_folder.load(tmp_path)
    assert found.classes == list(CLASSES)
    assert names(found.train) == [f"{train}/{class_}/{i}.png" for class_ in CLASSES for i in range(3)]
    assert names(found.val) == [f"{val}/{class_}/0.png" for class_ in CLASSES]
    assert found.val.labels.tolist() == [0, 1, 2] and found.skipped == ("docs (a folder without images)",)
    assert found.notes == (f"training images from {train}, validation images from {val}",)


@pytest.mark.parametrize(
    "others, said",
    [
        ({"test": "flat"}, "test (2 images without class folders)"),
        ({"Testing": "flat"}, "Testing (2 images without class folders)"),
        ({"test/test": "flat"}, "test/test (2 images without class folders)"),
        ({"test/unknown": "flat"}, "test (2 images without class folders)"),
        ({"val": "flat"}, "val (2 images without class folders)"),
        ({"train_noisy": 1}, "train_noisy (3 images; neither training nor validation images)"),
        ({"test_ood": 1}, "test_ood (3 images; neither training nor validation images)"),
    ],
)
def test_a_part_that_cannot_validate_is_left_out_and_a_share_held_back(tmp_path, others, said):
    grow(tmp_path, {"train": 4, **others})
    found = image_folder.load(tmp_path)
    assert found.classes == list(CLASSES) and len(found.train.labels) == 9 and len(found.val.labels) == 3
    assert found.skipped == (said,) and all(name.startswith("train/") for name in names(found.val))
    assert found.notes == ("training images from train, some held back to validate",)


def test_different_splits_are_not_mixed(tmp_path):
    grow(tmp_path, {"train": 3, "train_noisy": 2, "test": 1, "test_ood": 2, "extra": 1})
    found = image_folder.load(tmp_path)
    assert len(found.train.labels) == 9 and names(found.val) == [f"test/{class_}/0.png" for class_ in CLASSES]
    assert [line.split()[0] for line in found.skipped] == ["extra", "test_ood", "train_noisy"]


def test_a_test_folder_beside_validation_images_is_said(tmp_path):
    grow(tmp_path, {"train": 3, "valid": 1, "test": 2})
    found = image_folder.load(tmp_path)
    assert len(found.val.labels) == 3 and found.skipped == ("test (6 images; valid validates)",)


def test_what_is_no_class_folder_is_said(tmp_path):
    grow(tmp_path, {"train": 3, "val": 1})
    fill(tmp_path, {"train": ["cover.png"], "val": ["a.png", "b.png"]})
    (tmp_path / "train/ant/.hidden").mkdir()
    found = image_folder.load(tmp_path)
    assert found.classes == list(CLASSES) and len(found.train.labels) == 9
    assert found.skipped == ("1 images in train (in no class folder)", "2 images in val (in no class folder)")


@pytest.mark.parametrize("class_", ["test", "dev", "Validation", "eval"])
def test_a_class_that_is_called_as_a_split_is_asked_about(tmp_path, class_):
    fill(tmp_path / "top", {name: ["0.png", "1.png"] for name in ("ant", "bee", class_)})
    with pytest.raises(UserError, match=f"top has {class_} beside ant, bee, .*move all class folders into a folder tr"):
        image_folder.load(tmp_path / "top")
    (tmp_path / "in").mkdir()
    (tmp_path / "top").rename(tmp_path / "in/train")
    assert image_folder.load(tmp_path / "in").classes == sorted(["ant", "bee", class_])


@pytest.mark.parametrize("class_", ["train", "training", "train station", "test tube", "contest"])
def test_classes_that_can_be_nothing_else(tmp_path, class_):
    fill(tmp_path, {name: ["0.png", "1.png"] for name in ("ant", "bee", class_)})
    assert image_folder.load(tmp_path).classes == ["ant", "bee", class_]


@pytest.mark.parametrize(
    "layout, sentence",
    [
        ({"train": "flat", "test": "flat"}, "has test beside train, and no folder train with class folders in it"),
        ({"train": "flat", "test1": "flat"}, "has test1 beside train"),
        ({"mnist_train": "flat", "mnist_test": "flat"}, "has mnist_test beside mnist_train"),
        ({"train": "flat"}, "has train, and no folder train with class folders in it"),
        ({"test": 1, "val": 1}, "has test, val, and no folder train"),
        ({"ant": "flat", "bee": "flat", "test": 1}, "has test beside ant, bee"),
        ({"train": 2, "extra": "flat"}, "has train, which looks like training images, beside extra; move"),
        ({"train": 2, "extra": 2}, "has train, which looks like training images, beside extra; move"),
        ({"train": 2, "Train": 2, "val": 1}, "several splits of training images, Train, train, and does not say"),
        ({"train_a": 2, "train_b": 2, "val": 1}, "several splits of training images, train_a, train_b"),
        ({"train1": 2, "train2": 2}, "has train1, train2, and does not say which is meant"),
        ({"train": 2, "val": 1, "Val": 1}, "has Val and val, and does not say which is meant"),
        ({"ant/train": "flat", "ant/test": "flat", "bee/train": "flat"}, "ant is divided into train and test; name it"),
        ({"data/train": 2, "data/val": 1, "more": "flat"}, "data is divided into train and val; name it with --root"),
    ],
)
def test_what_cannot_be_told_is_asked_for(tmp_path, layout, sentence):
    grow(tmp_path, layout)
    with pytest.raises(UserError, match=sentence):
        image_folder.load(tmp_path)


def test_a_file_whose_name_is_no_utf8_is_unreadable(tmp_path):
    grow(tmp_path, {"train": 2, "val": 1})
    os.rename(tmp_path / "train/ant/0.png", os.fsencode(tmp_path / "train/ant") + b"/caf\xe9.png")
    (tmp_path / "train/ant/notes.\udce9").touch()
    with pytest.raises(UserError, match=r"1 of 9 images cannot be read: train/ant/caf\\udce9.png \(has a name that is"):
        image_folder.load(tmp_path)
    found = image_folder.load(tmp_path, skip_corrupt=True)
    assert len(found.train.labels) == 5 and "caf\\udce9" in found.skipped[0] and "notes" not in found.skipped[0]
    assert "".join(found.skipped).encode() and "".join(names(found.train)).encode()


@pytest.mark.parametrize("folder", ["train/b\udce9e", "train\udce9", "b\udce9e", "x\udce9/train"])
def test_a_folder_whose_name_is_no_utf8_is_named(tmp_path, folder):
    grow(tmp_path, {folder: 1})
    with pytest.raises(UserError, match=r"\\udce9.* has a name that is no UTF-8.*; rename it") as error:
        image_folder.load(tmp_path)
    assert str(error.value).encode()


def test_folders_that_may_not_be_looked_into_are_named(tmp_path, monkeypatch):
    grow(tmp_path, {"train": 1, "val": 1})

    def scan(folder):
        if str(folder).endswith("bee"):
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    listed = os.scandir
    monkeypatch.setattr(os, "scandir", scan)
    with pytest.raises(UserError, match="train/bee cannot be looked into .Permission denied.; change its permissions"):
        image_folder.load(tmp_path)


def test_links_to_folders(tmp_path):
    grow(tmp_path / "set", {"train": 4})
    (tmp_path / "set/elsewhere").symlink_to("/")
    found = image_folder.load(tmp_path / "set")
    assert found.skipped == ("elsewhere (a link to a folder)",)
    (tmp_path / "set/val").symlink_to("/")
    with pytest.raises(UserError, match="set/val is a link to a folder; put the folder itself there"):
        image_folder.load(tmp_path / "set")


NAMES = (
    *("train", "Train", "training_set", "train_noisy", "mnist_train", "val", "dev", "test", "Test", "test_ood"),
    *("mnist_test", "data", "ant", "bee", "notes", "train station", "x\udce9"),
)


def test_no_tree_mixes_splits_or_makes_one_a_class(tmp_path):
    """Random trees of such names, with images here and there, LINEUP_FUZZ x 10 of them (here 120)."""
    rng, read, times = random.Random(0), 0, 10 * int(os.environ.get("LINEUP_FUZZ", 12))
    for number in range(times):
        root = tmp_path / str(number)
        root.mkdir()
        for _ in range(rng.randint(1, 6)):
            folder = root / "/".join(rng.choice(NAMES) for _ in range(rng.randint(1, 3)))
            folder.mkdir(parents=True, exist_ok=True)
            if rng.random() < 0.8:
                (folder / "a.png").touch()
        try:
            layout = find_splits(root)
            classes, files, labels, _ = list_classes(root, layout.train)
        except UserError as error:
            assert "\n" not in str(error)
            continue
        read += 1
        above = [splits.role_in(part) for part in PurePosixPath(layout.train).parts]
        assert set(above) <= {"train", None} and above[-1:] in (["train"], [])
        if layout.train == ".":
            assert not [name for name in classes if splits.role(name) in ("val", "test")]
        assert sorted(set(labels)) == list(range(len(classes))) and classes == sorted(classes)
        for folder in layout.val:
            assert splits.role_in(PurePosixPath(folder.place).name) in ("val", "test")
            assert not [file for file in files if file.startswith(f"{folder.place}/")]
    assert 0 < read < times
