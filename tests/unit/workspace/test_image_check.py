"""Images are compared byte by byte: what is put in their place is noticed before anything is trained on it."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from attribution import UserError, Workspace
from attribution.files import change_json, read_array, write_array
from attribution.runner.executors import worker
from attribution.store.results import ResultStore
from attribution.training import recipes
from attribution.training.edits import no_edit
from attribution.training.trainer import Trainer
from attribution.workspace import fingerprint, image_check
from attribution.workspace.create import create, locate_images

CHANGED = "the images of .* have changed since its results were computed"


def replace_image(ws, split="train", image=7):
    """Another image in the place of one, in a file of the same size and time."""
    file = ws.path / "images" / f"{split}.npy"
    before, images = file.stat(), np.array(read_array(file))
    images[image, 0, 0] ^= 1
    write_array(file, images)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size


def digest(ws, split):
    return fingerprint.image_digest(np.array(ws.read_images(split)))


@pytest.fixture
def folder_ws(tmp_path, monkeypatch):
    """A workspace whose images are read in place."""
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(20):
            Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).save(tmp_path / "pictures" / name / f"{i}.png")
    return create(tmp_path / "w", "image-folder", tmp_path / "pictures")


@pytest.mark.parametrize("split", ["train", "val"])
def test_nothing_is_trained_on_other_images(ws, split):
    recipe = recipes.get_recipe("demo-cnn")
    Trainer(ws, recipe)
    replace_image(ws, split)
    with pytest.raises(UserError, match=CHANGED):
        Trainer(Workspace.open(ws.path), recipe)
    request = {"workspace": str(ws.path), "recipe": "demo-cnn", "edit": no_edit().to_json(), "seed": 0}
    with pytest.raises(UserError, match=CHANGED):
        worker.serve_request(request | {"hash": "c5aeb1565251", "out_of_subset": False, "probabilities": False}, {})


def test_the_digests_of_a_new_workspace_are_those_of_its_creation(folder_ws, tmp_path):
    assert set(folder_ws.manifest["dataset"]["digests"]) == {"train", "val"}
    checked = image_check.check_images(folder_ws)
    assert (checked.changed, checked.recorded) == ([], "") and not image_check.recorded_text(checked)
    picture = folder_ws.image_paths("train")[3]
    content = picture.read_bytes()
    picture.write_bytes(content[:-1] + b"x")
    assert image_check.check_images(folder_ws).changed == ["train"]
    with pytest.raises(UserError, match="the training images"):
        folder_ws.check_images()
    picture.write_bytes(content)
    assert image_check.check_images(folder_ws).changed == []
    (tmp_path / "pictures").rename(tmp_path / "moved")
    locate_images(folder_ws, tmp_path / "moved")
    assert image_check.check_images(folder_ws).changed == []
    folder_ws.image_paths("train")[0].unlink()
    with pytest.raises(UserError, match="is not there any more"):
        image_check.check_images(folder_ws)


def test_those_of_an_older_workspace_are_recorded_when_first_asked_and_that_is_said(ws, run):
    assert "digests" not in ws.manifest["dataset"]
    checked = image_check.check_images(ws)
    assert checked.changed == [] and checked.recorded
    assert "created before Lineup recorded all images" in run("info").out
    replace_image(ws)
    assert "have changed" in run("info").out


def test_what_has_not_changed_is_read_once(ws, monkeypatch):
    read = []
    original = fingerprint.image_digest
    monkeypatch.setattr(fingerprint, "image_digest", lambda images: read.append(1) or original(images))
    for _ in range(3):
        image_check.check_images(ws)
    assert len(read) == 2
    os.utime(ws.path / "images" / "train.npy")
    assert image_check.check_images(ws).changed == [] and len(read) == 3
    os.utime(ws.path / "images" / "train.npy", (1, 1))
    assert image_check.check_images(ws, at_most=10).changed == [] and len(read) == 3, "too much for who cannot wait"


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """2 x 1,200 training images, of which one or two can be mended."""
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(1200):
            image = Image.fromarray(rng.integers(0, 255, (8, 8), np.uint8))
            image.save(tmp_path / "pictures" / name / f"{i:04}.png")
    return tmp_path / "pictures"


def mend(pictures, *numbers):
    for number in numbers:
        Image.fromarray(np.full((8, 8), 255, np.uint8)).save(pictures / "a" / f"{number:04}.png")


def test_a_mended_image_makes_another_data_set(pictures, tmp_path):
    first = create(tmp_path / "first", "image-folder", pictures)
    file = first.image_locations("train")["file"][1]
    first.train_images[:], first.check_images()
    mend(pictures, int(file[2:6]))
    second = create(tmp_path / "second", "image-folder", pictures)
    assert first.fingerprint != second.fingerprint
    changed = [i for i in range(first.n_train) if (first.train_images[i] != second.train_images[i]).any()]
    assert changed == [1] and (second.train_images[1] == 255).all(), "each shows its own pictures"
    second.check_images()
    with pytest.raises(UserError, match=rf"1 of the training images: {file}\); put back"):
        Workspace.open(first.path).check_images()


def test_files_that_have_not_changed_are_not_read_again(pictures, tmp_path, monkeypatch):
    found = create(tmp_path / "w", "image-folder", pictures)
    read = []
    original = fingerprint.each_digest

    def each_digest(images, ids=None, progress=None):
        read.append(len(images) if ids is None else len(ids))
        return original(images, ids, progress)

    monkeypatch.setattr(fingerprint, "each_digest", each_digest)
    assert image_check.check_images(found).changed == [] and read == [], "it was read when it was created"
    os.utime(found.image_paths("train")[5])
    assert image_check.check_images(found).changed == [] and read == [1]
    names = found.image_locations("train")["file"]
    mend(pictures, *(int(name[2:6]) for name in names[[3, 7]]))
    checked = image_check.check_images(found)
    assert checked.changed == ["train"] and checked.images["train"].tolist() == [3, 7]
    assert f"2 of the training images: {names[3]}, {names[7]}" in image_check.problem(found, checked)
    read.clear()
    quick = image_check.check_images(found, at_most=10)
    assert quick.changed == ["train"] and not quick.images and not read, "a page reads no more than it may"


def test_stored_results_of_a_sampled_fingerprint_are_kept_apart(ws, tmp_path):
    """Workspaces from before December 2026 have fingerprints that two data sets can share."""
    image_check.check_images(ws)
    shutil.copytree(ws.path, tmp_path / "copied")
    copied = Workspace.open(tmp_path / "copied")
    replace_image(copied)
    with pytest.raises(UserError, match=CHANGED):
        copied.check_images()
    digests = {split: digest(copied, split) for split in ("train", "val")}
    dataset = {**copied.manifest["dataset"], "digests": digests}
    change_json(copied.path / "workspace.json", lambda manifest: {**manifest, "dataset": dataset})
    with pytest.raises(UserError, match="computed on other images than those of .*, although their fingerprint"):
        Workspace.open(copied.path).check_images()


def test_two_stores_know_the_same(ws):
    with ResultStore.for_workspace(ws) as store:
        image_check.check_images(ws)
        assert store.identity("train images") == digest(ws, "train") != store.identity("val images")
