import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from attribution import Workspace, data
from attribution.data import DataSet, Split
from attribution.errors import UserError
from attribution.experiments.spec import common_fields
from attribution.files import write_array
from attribution.training import recipes
from attribution.workspace import create
from attribution.workspace.base_models import recipe_warning
from tests.unit.data.test_image_folder import fill, put
from tests.unit.data.test_parquet import write


@pytest.fixture(autouse=True)
def own_results(tmp_path, monkeypatch):
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "results"))


@pytest.fixture
def folder(tmp_path):
    """Six training and two validation images of two classes, image k full of k."""
    fill(
        tmp_path / "set",
        {
            "train/cat": ["a.png", "b.png", "c.png"],
            "train/dog": ["a.png", "b.png", "c.png"],
            "val/cat": ["x.png"],
            "val/dog": ["y.png"],
        },
    )
    return tmp_path / "set"


class Loader:
    """Stands for a loader of arrays, such as cifar10's."""

    def __init__(self, train, val, classes):
        self.found = DataSet("drawn", classes, Split(*train), Split(*val))

    def load(self, root=None):
        return self.found


def drawn(monkeypatch, labels=(0, 1, 0, 1), val_labels=(1, 0), classes=("a", "b")):
    images = [np.arange(len(given) * 27).astype(np.uint8).reshape(-1, 3, 3, 3) for given in (labels, val_labels)]
    parts = [(pixels, np.array(given, np.int64)) for pixels, given in zip(images, (labels, val_labels))]
    monkeypatch.setattr(data, "get_loader", lambda name: Loader(*parts, list(classes)))
    return images


def test_images_read_in_place_are_not_copied(tmp_path, folder):
    made = create.create(tmp_path / "new", "image-folder", folder)
    ws = Workspace.open(tmp_path / "new")
    assert made.fingerprint == ws.fingerprint and (ws.name, ws.recipe) == ("new", "demo-cnn")
    assert ws.classes == ["cat", "dog"] and ws.train_labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert ws.train_index.tolist() == [0, 1, 2, 3, 4, 5] and ws.val_labels.dtype == ws.train_labels.dtype == np.int64
    assert np.asarray(ws.train_images)[:, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert ws.val_images[[1, 0]][:, 0, 0].tolist() == [7, 6] and ws.val_images.shape == (2, 6, 6)
    assert not list((tmp_path / "new").rglob("*.npy"))
    for file in (tmp_path / "new").rglob("*"):
        assert file.is_dir() or str(tmp_path).encode() not in file.read_bytes()
    part = ws.manifest["parts"]["data"]
    assert part["command"] == "python -m attribution workspace create --dataset image-folder"
    assert set(part["files"]) == {"train.parquet", "val.parquet", "images/train.parquet", "images/val.parquet"}
    assert part["skipped"] == [] and part["seconds"] >= 0 and "pillow" in part["versions"]
    assert ws.manifest["dataset"]["shape"] == [6, 6] and ws.planted == 0 and ws.truth() is None


def test_pixels_are_a_feature_set(tmp_path, folder, monkeypatch):
    ws = create.create(tmp_path / "new", "image-folder", folder)
    assert ws.features() == ["pixels"] and ws.manifest["parts"]["features/pixels"]["dim"] == 36
    assert ws.feature("pixels").train.shape == (6, 36) and ws.feature("pixels").val[1, 0] == pytest.approx(7 / 255)
    assert ws.ranking("l2-pixels").top(0, 2, "all").ids.tolist() == [5, 4]
    monkeypatch.setattr(create, "MAX_PIXELS", 6 * 36 - 1)
    assert create.create(tmp_path / "many", "image-folder", folder).features() == []
    assert create.create(tmp_path / "large", "image-folder", folder, side=64).features() == []  # three colours


def test_arrays_are_stored(tmp_path, monkeypatch):
    images, val_images = drawn(monkeypatch)
    ws = create.create(tmp_path / "new", "drawn", name="mine")
    assert ws.name == "mine" and (np.asarray(ws.train_images) == images).all() and (ws.val_images == val_images).all()
    assert isinstance(ws.train_images, np.ndarray) and "images" not in ws.manifest["dataset"]
    assert set(ws.manifest["parts"]["data"]["files"]) == {
        "train.parquet",
        "val.parquet",
        "images/train.npy",
        "images/val.npy",
    }
    with pytest.raises(UserError, match="has its images with it"):
        create.locate_images(ws, tmp_path)


def test_images_that_stand_class_by_class_are_trained_on_under_a_recipe_that_suits_them(tmp_path, monkeypatch):
    """As those of a folder do: jobs and results are of that recipe, and older base models are not taken for its own."""
    labels = np.repeat([0, 1], 1500)
    for name, given, norms in (
        ("mixed", np.random.default_rng(0).permutation(labels), "first"),
        ("sorted", labels, "shuffled"),
    ):
        drawn(monkeypatch, given)
        ws = create.create(tmp_path / name, "drawn")
        recipe = ws.get_recipe()
        assert recipe.norms == ws.get_recipe("demo-cnn-plain").norms == norms
        assert ws.get_recipe("resnet9").norms == ws.get_recipe("demo-mlp").norms == "first"
        fields = common_fields(ws)
        assert fields.get("hash", recipes.get_recipe("demo-cnn").hash) == recipe.hash
        assert ("hash" in fields) == (norms == "shuffled"), "specs of before stay what they are"
        write_array(ws.path / "base/probabilities.npy", np.full((1, 2, 2), 0.5, np.float32))
        ws.record_part("base", {"recipe": "demo-cnn", "hash": recipes.get_recipe("demo-cnn").hash})
        assert ("that recipe has changed since" in recipe_warning(ws)) == (norms == "shuffled")


def test_parquet_in_place(tmp_path):
    write(tmp_path / "set/train.parquet", range(10), [0, 1] * 5)
    ws = create.create(tmp_path / "new", "parquet", tmp_path / "set/train.parquet", val_share=0.2)
    assert sorted([*ws.train_index, *ws.val_index]) == list(range(10))
    assert np.asarray(ws.val_images)[:, 0, 0].tolist() == ws.val_index.tolist()
    assert ws.manifest["parts"]["data"]["command"].endswith("--dataset parquet --val-share 0.2")


def test_pictures_that_are_resized_are_told_of(tmp_path, folder):
    alike = create.create(tmp_path / "alike", "image-folder", folder)
    assert "sizes" not in alike.manifest["dataset"] and data.resizing(alike.manifest["dataset"]) == ""
    smaller = create.create(tmp_path / "smaller", "image-folder", folder, side=8).manifest["dataset"]
    assert data.resizing(smaller) == "all are 6 x 6 and are shown and trained at 8 x 8"
    put(folder / "val/dog/y.png", 7, size=(40, 30))
    mixed = create.create(tmp_path / "mixed", "image-folder", folder, side=32)
    assert mixed.train_images.shape[1:] == (32, 32, 3)
    assert data.resizing(mixed.manifest["dataset"]) == (
        "2 sizes, from 6 x 6 to 40 x 30; all are shown and trained at 32 x 32, "
        "cropped to the middle where the proportions differ"
    )


def test_pictures_in_parquet_that_are_resized_are_told_of(tmp_path):
    write(tmp_path / "set/train.parquet", range(10), [0, 1] * 5)
    ws = create.create(tmp_path / "new", "parquet", tmp_path / "set/train.parquet", side=16)
    assert data.resizing(ws.manifest["dataset"]).endswith("are shown and trained at 16 x 16")


def test_what_was_skipped_is_recorded(tmp_path, folder):
    (folder / "train/dog/b.png").write_bytes(b"no")
    with pytest.raises(UserError, match="1 of 8 images cannot be read: train/dog/b.png"):
        create.create(tmp_path / "new", "image-folder", folder)
    assert not (tmp_path / "new").exists()
    ws = create.create(tmp_path / "new", "image-folder", folder, skip_corrupt=True)
    assert ws.n_train == 5 and ws.train_index.tolist() == [0, 1, 2, 3, 5]
    assert ws.manifest["parts"]["data"]["skipped"] == ["train/dog/b.png (is not a picture of a known kind)"]
    assert ws.manifest["parts"]["data"]["command"].endswith(" --skip-corrupt")


def test_a_second_look_is_from_the_kept_pixels(tmp_path, folder):
    ws = create.create(tmp_path / "new", "image-folder", folder)
    assert ws.train_images[4][0, 0] == 4
    put(folder / "train/dog/b.png", 99)
    again = Workspace.open(tmp_path / "new")
    assert again.train_images[4][0, 0] == 4
    assert list((tmp_path / "results" / ws.fingerprint[:16]).glob("train-*.thumbnails"))


def test_images_that_moved_are_located(tmp_path, folder):
    ws = create.create(tmp_path / "new", "image-folder", folder)
    folder.rename(tmp_path / "moved")
    with pytest.raises(UserError, match="images of new are not on this machine.* locate --workspace .*/new --root"):
        _ = ws.train_images
    fill(
        tmp_path / "other",
        {"train/cat": ["a.png", "b.png", "c.png"], "train/dog": ["a.png", "b.png", "c.png"], "val/cat": ["x.png"]},
    )
    with pytest.raises(UserError, match="val/dog/y.png cannot be read"):
        create.locate_images(ws, tmp_path / "other")
    put(tmp_path / "other/val/dog/y.png", 0)
    with pytest.raises(UserError, match="are not those of new"):
        create.locate_images(ws, tmp_path / "other")
    with pytest.raises(UserError, match="there is nothing at"):
        create.locate_images(ws, tmp_path / "nowhere")
    create.locate_images(ws, tmp_path / "moved")
    assert ws.train_images[5][0, 0] == 5


def test_two_workspaces_of_the_same_images_in_folders_laid_out_differently(tmp_path, folder):
    first = create.create(tmp_path / "first", "image-folder", folder)
    fill(
        tmp_path / "other",
        {
            "train/cat": ["1.png", "2.png", "3.png"],
            "train/dog": ["1.png", "2.png", "3.png"],
            "test/cat": ["1.png"],
            "test/dog": ["2.png"],
        },
    )
    second = create.create(tmp_path / "second", "image-folder", tmp_path / "other")
    assert second.fingerprint == first.fingerprint, "the same bytes in the same order"
    for ws, root in ((first, folder), (second, tmp_path / "other")):
        assert Workspace.open(ws.path).images_root == root
        assert [image[0, 0] for image in ws.open_images(ws.images_root, "train")] == list(range(6))
    first.path.rename(tmp_path / "moved")  # what was noted last of this data set serves, until it is located
    moved = Workspace.open(tmp_path / "moved")
    with pytest.raises(UserError, match="the image train/cat/a.png cannot be read .*attribution workspace locate"):
        _ = moved.open_images(moved.images_root, "train")[0]
    create.locate_images(moved, folder)
    assert moved.images_root == folder and Workspace.open(second.path).images_root == tmp_path / "other"


def test_the_fingerprint_is_of_the_bytes_the_labels_and_the_shape(tmp_path, folder):
    prints = [create.create(tmp_path / "a", "image-folder", folder).fingerprint]
    assert create.create(tmp_path / "b", "image-folder", folder).fingerprint == prints[0]
    prints.append(create.create(tmp_path / "c", "image-folder", folder, side=8).fingerprint)
    (folder / "train/cat/c.png").rename(folder / "train/dog/0.png")  # images in the same order, one label another
    prints.append(create.create(tmp_path / "d", "image-folder", folder).fingerprint)
    put(folder / "train/dog/0.png", 55)
    prints.append(create.create(tmp_path / "e", "image-folder", folder).fingerprint)
    assert len(set(prints)) == 4


def test_the_trainer_takes_what_is_read_in_place(tmp_path, folder):
    from attribution.training.recipes import get_recipe
    from attribution.training.trainer import Trainer

    trainer = Trainer(create.create(tmp_path / "new", "image-folder", folder), get_recipe("demo-cnn"))
    assert tuple(trainer.train_images.shape) == (6, 1, 6, 6) and tuple(trainer.val_images.shape) == (2, 1, 6, 6)


def test_a_thousand_classes(tmp_path, monkeypatch):
    labels = np.arange(2000) % 1000
    drawn(monkeypatch, labels, labels[:1000], [f"class {i}" for i in range(1000)])
    ws = create.create(tmp_path / "new", "drawn")
    assert ws.train_labels[1999] == 999 and len(ws.classes) == 1000


@pytest.mark.parametrize(
    "labels, val_labels, why",
    [
        ([], [0], "no training images"),
        ([0], [], "no validation images"),
        ([0, 0], [0, 1], "class b has validation"),
    ],
)
def test_splits_that_are_not_fit(tmp_path, monkeypatch, labels, val_labels, why):
    drawn(monkeypatch, labels, val_labels)
    with pytest.raises(UserError, match=why):
        create.create(tmp_path / "new", "drawn")


@pytest.mark.parametrize("top", ["", "train/"])
def test_one_class_alone_is_refused(tmp_path, top):
    fill(tmp_path / "set", {f"{top}photos/ant": ["0.png", "1.png", "2.png"], f"{top}photos/bee": ["3.png", "4.png"]})
    with pytest.raises(UserError, match="are of one class, photos, and there is nothing to learn; name with --root"):
        create.create(tmp_path / "new", "image-folder", tmp_path / "set")
    assert not (tmp_path / "new").exists()
    root = tmp_path / "set" / top / "photos"
    assert create.create(tmp_path / "new", "image-folder", root).classes == ["ant", "bee"]


def test_one_class_alone_in_parquet_is_refused(tmp_path):
    for labels in ([3] * 10, ["ant"] * 10):
        write(tmp_path / "train.parquet", range(10), labels)
        with pytest.raises(UserError, match="are of one class, (3|ant), "):
            create.create(tmp_path / "new", "parquet", tmp_path / "train.parquet")


@pytest.mark.parametrize(
    "mode, value", [("L", 0), ("L", 130), ("RGB", (255, 0, 0)), ("1", 1), ("I;16", 0), ("I;16", 3000)]
)
def test_images_that_are_all_of_one_colour_are_refused(tmp_path, mode, value):
    for name in ("train/cat/a", "train/cat/b", "train/dog/c", "val/cat/d"):
        put(tmp_path / f"set/{name}.png", value, mode=mode)
    with pytest.raises(UserError, match="images of set are all the same picture, .*; look at the files"):
        create.create(tmp_path / "new", "image-folder", tmp_path / "set")
    assert not (tmp_path / "new").exists()
    put(tmp_path / "set/train/dog/c.png", 77)
    assert create.create(tmp_path / "new", "image-folder", tmp_path / "set").n_train == 3


def deep_folder(root, values):
    for number, value in enumerate(values):
        put(root / f"{('train', 'val')[number > 3]}/{('cat', 'dog')[number % 2]}/{number}.png", value, mode="I;16")


@pytest.mark.parametrize(
    "values, bits, white, shown",
    [
        ((0, 100, 150, 200, 220, 7), 8, "255", [0, 100, 150, 200]),
        ((0, 1600, 2400, 3200, 3520, 7), 12, "4,095", [0, 100, 150, 200]),
        ((0, 25_600, 38_400, 51_200, 65_535, 7), 16, "65,535", [0, 100, 150, 200]),
    ],
)
def test_grey_of_16_bits_is_seen_and_its_depth_said(tmp_path, values, bits, white, shown):
    deep_folder(tmp_path / "set", values)
    ws = create.create(tmp_path / "new", "image-folder", tmp_path / "set")
    assert sorted(np.asarray(Workspace.open(ws.path).train_images)[:, 0, 0]) == shown
    said = data.depth(ws.manifest["dataset"])
    assert said == f"grey images of 16 bits use {bits} of them: {white} is shown white"
    assert ws.manifest["dataset"]["images"]["val"]["bits"] == bits
    # a workspace of an older Lineup has no such note: it reads the upper 8 bits, and shares nothing with this one
    manifest = json.loads((ws.path / "workspace.json").read_text())
    for split in ("train", "val"):
        del manifest["dataset"]["images"][split]["bits"]
    (ws.path / "workspace.json").write_text(json.dumps(manifest))
    older = Workspace.open(ws.path)
    assert data.depth(older.manifest["dataset"]) == ""
    order = np.asarray(older.open_images(older.images_root, "train"))[:, 0, 0]
    assert sorted(order) == [value >> 8 for value in values[:4]]


def test_two_depths_of_one_set_are_two_data_sets(tmp_path):
    deep_folder(tmp_path / "set", (0, 100, 150, 200, 220, 7))
    ws = create.create(tmp_path / "new", "image-folder", tmp_path / "set")
    older = ws.open_images(ws.images_root, "train")
    older.bits = 16
    assert create.image_digest(older) != ws.manifest["dataset"]["digests"]["train"]


@pytest.mark.parametrize("bits", [7, 10**6, "12", None, [12], {}])
def test_a_depth_that_cannot_be_is_refused(tmp_path, folder, bits):
    ws = create.create(tmp_path / "new", "image-folder", folder)
    manifest = json.loads((ws.path / "workspace.json").read_text())
    manifest["dataset"]["images"]["train"]["bits"] = bits
    (ws.path / "workspace.json").write_text(json.dumps(manifest))
    assert data.depth(manifest["dataset"]) == ""
    with pytest.raises(UserError, match="where the images are is not as it should be"):
        _ = Workspace.open(ws.path).train_images


def test_how_it_was_read_is_recorded(tmp_path):
    fill(
        tmp_path / "set", {f"{top}/{class_}": ["0.png", "1.png"] for top in ("Train", "dev", "test") for class_ in "ab"}
    )
    part = create.create(tmp_path / "new", "image-folder", tmp_path / "set").manifest["parts"]["data"]
    assert part["notes"] == ["training images from Train, validation images from dev"]
    assert part["skipped"] == ["test (4 images; dev validates)"]


def test_names_that_are_no_utf8(tmp_path, folder):
    (folder / "train/cat/b.png").rename(folder / "train/cat/caf\udce9.png")
    with pytest.raises(UserError, match=r"train/cat/caf.udce9.png .has a name that is no UTF-8; rename it"):
        create.create(tmp_path / "new", "image-folder", folder)
    ws = create.create(tmp_path / "new", "image-folder", folder, skip_corrupt=True, name="n\udce9w")
    assert Workspace.open(ws.path).train_images[:].shape == (5, 6, 6) and ws.name == "n\\udce9w"
    with pytest.raises(UserError, match=r"n.udce9wer has a name that is no UTF-8"):
        create.create(tmp_path / "n\udce9wer", "image-folder", folder, skip_corrupt=True)
    folder.rename(tmp_path / "s\udce9t")
    with pytest.raises(UserError, match=r"s.udce9t has a name that is no UTF-8"):
        create.create(tmp_path / "newer", "image-folder", tmp_path / "s\udce9t", skip_corrupt=True)


def test_nothing_is_overwritten(tmp_path, folder):
    (tmp_path / "new").mkdir()
    create.create(tmp_path / "new", "image-folder", folder)  # into an empty folder it may
    (tmp_path / "file").touch()
    for path in ("new", "file"):
        with pytest.raises(UserError, match="is there already"):
            create.create(tmp_path / path, "image-folder", folder)
    with pytest.raises(UserError, match="cannot be written"):
        create.create(tmp_path / "file" / "new", "image-folder", folder)


@pytest.mark.parametrize(
    "options, why",
    [
        ({"dataset": "mnist"}, "no data set 'mnist'; there is cifar10"),
        ({"dataset": "fashion-mnist", "skip_corrupt": True}, "fashion-mnist knows no --skip-corrupt"),
        ({"dataset": "cifar10", "val_share": 0.1}, "cifar10 knows no --val-share"),
        ({"dataset": "parquet"}, "--root"),
        ({"dataset": "image-folder", "recipe": "none"}, "no recipe 'none'"),
    ],
)
def test_what_cannot_be_asked_for(tmp_path, options, why):
    with pytest.raises(UserError, match=why):
        create.create(tmp_path / "new", **options)
    assert not list(tmp_path.glob("*new*"))


def test_an_interrupted_creation_leaves_nothing(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(create, "_write_parts", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        create.create(tmp_path / "new", "image-folder", folder)
    assert not list(tmp_path.glob("*new*"))


def test_a_killed_creation_leaves_no_half_workspace(tmp_path, folder):
    code = (
        "import os, signal, sys; from attribution.workspace import create; "
        "create._write_images = lambda *_: os.kill(os.getpid(), signal.SIGKILL); "
        "create.create(sys.argv[1], 'image-folder', sys.argv[2])"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "new", folder], env=os.environ)
    assert done.returncode == -signal.SIGKILL and not (tmp_path / "new").exists()
    assert create.create(tmp_path / "new", "image-folder", folder).n_train == 6


@pytest.mark.parametrize("broken", [None, {}, {"train": {"kind": "image-folder"}}])
def test_a_manifest_that_does_not_say_where_images_are(tmp_path, folder, broken):
    create.create(tmp_path / "new", "image-folder", folder)
    manifest = json.loads((tmp_path / "new/workspace.json").read_text())
    manifest["dataset"]["images"] = broken
    (tmp_path / "new/workspace.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError):
        _ = Workspace.open(tmp_path / "new").train_images


def test_an_empty_folder_by_a_link_and_one_where_a_disk_begins(tmp_path, folder, monkeypatch):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    made = create.create(tmp_path / "link", "image-folder", folder)
    assert made.path == tmp_path / "disk" and (tmp_path / "link").is_symlink()
    assert Workspace.open(tmp_path / "link").fingerprint == made.fingerprint
    (tmp_path / "volume").mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: str(path) == str(tmp_path / "volume"))
    with pytest.raises(UserError, match="volume is where another disk begins, .*name a new folder in it"):
        create.create(tmp_path / "volume", "image-folder", folder)
    assert not list((tmp_path / "volume").iterdir())
