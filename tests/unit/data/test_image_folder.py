import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from attribution import data
from attribution.data import image_folder
from attribution.errors import UserError


def put(file, value=100, size=(6, 6), mode="L", **options):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(file, **options)


def fill(root, layout):
    """layout: {folder: [file names]}; the k-th image of all is full of k."""
    for number, file in enumerate(f"{folder}/{name}" for folder, names in layout.items() for name in names):
        put(root / file, number)


def names(split):
    return list(split.locations["file"])


def test_train_and_val_folders(tmp_path):
    fill(
        tmp_path, {"train/cat": ["a.png", "b.png"], "train/dog": ["c.png"], "val/dog": ["d.png"], "test/cat": ["e.png"]}
    )
    found = image_folder.load(tmp_path)
    assert found.classes == ["cat", "dog"] and found.name == tmp_path.name
    assert found.skipped == ("test (1 images; val validates)",)
    assert found.notes == ("training images from train, validation images from val",)
    assert names(found.train) == ["train/cat/a.png", "train/cat/b.png", "train/dog/c.png"]
    assert found.train.labels.tolist() == [0, 0, 1] and found.val.labels.tolist() == [1]
    assert names(found.val) == ["val/dog/d.png"]
    assert found.train.labels.dtype == np.int64
    assert np.asarray(found.train.images)[:, 2, 2].tolist() == [0, 1, 2] and found.val.images.shape == (1, 6, 6)
    again = data.reopen_images(found.val.source, tmp_path, pd.DataFrame(found.val.locations))
    assert (np.asarray(again) == 3).all() and again.shape == (1, 6, 6)


@pytest.mark.parametrize("val", ["valid", "validation", "test"])
def test_other_names_of_the_validation_folder(tmp_path, val):
    fill(tmp_path, {"train/cat": ["a.png"], f"{val}/cat": ["b.png"]})
    assert names(image_folder.load(tmp_path).val) == [f"{val}/cat/b.png"]


@pytest.mark.parametrize("top", ["", "train/"])
def test_class_folders_alone_lend_a_share(tmp_path, top):
    fill(tmp_path, {f"{top}cat": [f"{i}.png" for i in range(10)], f"{top}dog": [f"{i}.png" for i in range(10)]})
    found = image_folder.load(tmp_path, val_share=0.2)
    assert np.bincount(found.val.labels).tolist() == [2, 2] and np.bincount(found.train.labels).tolist() == [8, 8]
    assert sorted([*found.train.index, *found.val.index]) == list(range(20))
    assert not set(names(found.train)) & set(names(found.val))


def test_a_class_may_be_called_train(tmp_path):
    fill(tmp_path, {"bus": ["a.png", "b.png"], "train": ["c.png", "d.png"]})
    assert image_folder.load(tmp_path).classes == ["bus", "train"]


def test_the_order_is_that_of_torchvision(tmp_path):
    from torchvision.datasets import ImageFolder

    layout = {
        "train/n10": ["img_10.png", "img_2.png", "Z.JPG"],
        "train/n9": ["b.png", "é.png", "a.png"],
        "train/N1/deep-er": ["x.png"],
        "train/N1/deep/in": ["y.png", "1.png"],
        "train/N1": ["0.png", "z.PNG"],
        "val/n9": ["v.png"],
    }
    fill(tmp_path, layout)
    theirs = ImageFolder(tmp_path / "train")
    ours = image_folder.load(tmp_path)
    assert ours.classes == theirs.classes
    assert [str(tmp_path / name) for name in names(ours.train)] == [file for file, _ in theirs.samples]
    assert ours.train.labels.tolist() == theirs.targets


def test_mixed_sizes_and_modes_get_one_shape(tmp_path):
    put(tmp_path / "train/a/grey.png", 50, (300, 200))
    put(tmp_path / "train/a/alpha.png", (9, 9, 9, 0), (80, 200), "RGBA")
    put(tmp_path / "train/b/print.jpg", (0, 255, 255, 0), (70, 70), "CMYK")
    put(tmp_path / "val/b/palette.gif", 3, (5, 5), "P")
    found = image_folder.load(tmp_path)
    assert found.train.images.shape == (3, 64, 64, 3) and found.val.images.shape == (1, 64, 64, 3)
    assert (found.train.images[0] == 255).all() and (found.train.images[1] == 50).all()
    assert np.abs(found.train.images[2] - np.array([255, 0, 0], int)).max() < 6
    assert image_folder.load(tmp_path, side=32).train.images.shape == (3, 32, 32, 3)


def test_hidden_files_and_other_files_are_left_out_and_the_latter_said(tmp_path):
    fill(
        tmp_path,
        {
            "train/a": ["1.png", "._1.png", ".hidden.png"],
            "train/a/.cache": ["2.png"],
            "train/.git": ["3.png"],
            "val/a": ["4.png"],
        },
    )
    (tmp_path / "train/a/notes.txt").touch()
    (tmp_path / "train/a/Thumbs.db").touch()
    (tmp_path / "train/none").mkdir()
    found = image_folder.load(tmp_path)
    assert names(found.train) == ["train/a/1.png"] and found.classes == ["a"]
    assert found.skipped == (
        "train/none (a folder without images)",
        "1 files .db in train (not images)",
        "1 files .txt in train (not images)",
    )


def test_corrupt_files_are_listed_and_refused_or_skipped(tmp_path):
    fill(tmp_path, {"train/a": ["1.png", "2.png"], "train/b": ["3.png"], "val/a": ["4.png"]})
    content = (tmp_path / "train/a/2.png").read_bytes()
    (tmp_path / "train/a/2.png").write_bytes(content[:50])
    (tmp_path / "train/b/bad.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=r"^2 of 5 images.*train/a/2\.png \(.*train/b/bad\.jpg \(is empty\)"):
        image_folder.load(tmp_path)
    found = image_folder.load(tmp_path, skip_corrupt=True)
    assert names(found.train) == ["train/a/1.png", "train/b/3.png"] and found.train.index.tolist() == [0, 2]
    assert len(found.skipped) == 2 and found.skipped[1].startswith("train/b/bad.jpg")


def test_a_class_that_only_validation_images_have(tmp_path):
    fill(tmp_path, {"train/a": ["1.png"], "val/a": ["2.png"], "val/b": ["3.png"]})
    with pytest.raises(UserError, match="class b has validation images and no training images"):
        image_folder.load(tmp_path)


def test_links_out_of_the_root_are_not_followed(tmp_path):
    put(tmp_path / "secret.png")
    root = tmp_path / "root"
    fill(root, {"train/a": ["1.png"], "val/a": ["2.png"]})
    (root / "train/a/inside.png").symlink_to("1.png")
    assert len(image_folder.load(root).train.labels) == 2
    (root / "train/a/out.png").symlink_to(tmp_path / "secret.png")
    (root / "train/a/gone.png").symlink_to(root / "nothing.png")
    (root / "train/a/ring.png").symlink_to(root / "train/a/ring.png")
    with pytest.raises(UserError, match="3 of 6 .*gone.png .*out.png .leads out of.*ring.png .is"):
        image_folder.load(root)
    found = image_folder.load(root, skip_corrupt=True)
    assert len(found.train.labels) == 2 and str(tmp_path) not in str(found.skipped)


@pytest.mark.parametrize("link", ["train/b", "train/a/more"])
def test_links_to_folders_are_refused(tmp_path, link):
    root = tmp_path / "root"
    put(tmp_path / "elsewhere/x.png")
    fill(root, {"train/a": ["1.png"], "val/a": ["2.png"]})
    (root / link).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is a link to a folder; .*or allow links with --follow-links"):
        image_folder.load(root)


def test_links_are_followed_where_that_is_allowed(tmp_path):
    root = tmp_path / "root"
    fill(tmp_path / "elsewhere", {"ant": ["x.png", "deep/y.png"], ".": ["z.png"]})
    fill(root, {"train/bee": ["1.png"], "val/bee": ["2.png"]})
    (root / "train/ant").symlink_to(tmp_path / "elsewhere/ant")
    (root / "train/bee/out.png").symlink_to(tmp_path / "elsewhere/z.png")
    (root / "train/bee/more").symlink_to("../../../elsewhere/ant/deep")
    found = image_folder.load(root, follow_links=True)
    assert found.classes == ["ant", "bee"] and found.skipped == ()
    assert names(found.train) == [
        *(f"train/ant/{name}" for name in ("x.png", "deep/y.png")),
        *(f"train/bee/{name}" for name in ("1.png", "out.png", "more/y.png")),
    ]
    again = data.reopen_images(found.train.source, root, pd.DataFrame(found.train.locations))
    assert np.asarray(again)[:, 0, 0].tolist() == [0, 1, 0, 2, 1]
    (root / "train/bee/ring").symlink_to("../../train")
    with pytest.raises(UserError, match="bee/ring is a link to a folder that it lies in; take it out"):
        image_folder.load(root, follow_links=True)


@pytest.mark.parametrize("name", ["../secret.png", "{outside}", "pipe.png", "train"])
def test_a_workspace_cannot_name_files_elsewhere(tmp_path, name):
    put(tmp_path / "secret.png")
    (tmp_path / "root/train").mkdir(parents=True)
    os.mkfifo(tmp_path / "root/pipe.png")
    locations = pd.DataFrame({"file": [name.format(outside=tmp_path / "secret.png")], "number": [0]})
    images = data.reopen_images({"kind": "image-folder", "shape": [6, 6]}, tmp_path / "root", locations)
    with pytest.raises(UserError, match="leads out|no file"):
        images[0]


@pytest.mark.parametrize(
    "source, locations",
    [
        ({}, {"file": ["a"], "number": [0]}),
        (None, {"file": ["a"], "number": [0]}),
        ({"kind": "image-folder"}, {"file": ["a"], "number": [0]}),
        ({"kind": "image-folder", "shape": [10**6, 10**6, 3]}, {"file": ["a"], "number": [0]}),
        ({"kind": "image-folder", "shape": [6, 6, 4]}, {"file": ["a"], "number": [0]}),
        ({"kind": "image-folder", "shape": [6, 6]}, {"row": [0]}),
        ({"kind": "fashion-mnist", "shape": [6, 6]}, {"row": [0]}),
        ({"kind": "../../x"}, {}),
    ],
)
def test_a_source_that_makes_no_sense_is_refused(tmp_path, source, locations):
    with pytest.raises(UserError):
        data.reopen_images(source, tmp_path, pd.DataFrame(locations))


def test_what_is_no_image_folder_says_how_it_should_look(tmp_path):
    with pytest.raises(UserError, match="there is nothing at"):
        image_folder.load(tmp_path / "missing")
    with pytest.raises(UserError, match="--root"):
        image_folder.load(None)
    put(tmp_path / "flat/1.png")
    with pytest.raises(UserError, match="<class>"):
        image_folder.load(tmp_path / "flat")
    with pytest.raises(UserError, match="is a file"):
        image_folder.load(tmp_path / "flat/1.png")


NAMES = ["train/cat/a.png", "train/cat/b.png", "train/dog/a.png", "train/dog/deep/c.png", "train/dog/d e.png"]


@pytest.mark.parametrize(
    "lines",
    [
        [NAMES[i] for i in (3, 0, 4, 2, 1)],
        ["c.png", "cat/a.png", "d e.png", "dog/a.png", "b.png"],
        [
            "/data/x/train/dog/deep/c.png",
            "./train/cat/a.png",
            "C:\\x\\train\\dog\\d e.png",
            "dog/a.png",
            "b.png",
            "",
            "",
        ],
    ],
)
def test_files_are_matched_by_their_names(tmp_path, lines):
    (tmp_path / "list.txt").write_text("\n".join(lines))
    assert image_folder.match(NAMES, tmp_path / "list.txt").tolist() == [3, 0, 4, 2, 1]


@pytest.mark.parametrize(
    "lines, sentence",
    [
        (
            ["b.png", "a.png"],
            "names 'a.png' in line 2, which may be train/cat/a.png or train/dog/a.png; write its folder",
        ),
        (["b.png", "cat/b.png"], "names train/cat/b.png twice, in lines 1 and 2; name each image once"),
        (
            ["b.png", "x.png"],
            "names 'x.png' in line 2, which is none of the 5 images; write paths such as train/cat/a.png",
        ),
        (["rain/cat/b.png", "at/b.png", ""], "'rain/cat/b.png' in line 1 .and 1 more., which is none"),
        (["b.png", "", "cat/a.png"], "names '' in line 2"),
        ([""], "names '' in line 1"),
    ],
)
def test_names_that_cannot_be_matched(tmp_path, lines, sentence):
    (tmp_path / "list.txt").write_text("\n".join(lines))
    with pytest.raises(UserError, match=sentence):
        image_folder.match(NAMES, tmp_path / "list.txt")


def test_a_list_that_cannot_be_read(tmp_path):
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00")
    for file in (tmp_path / "list.txt", tmp_path / "absent.txt"):
        with pytest.raises(UserError, match="cannot be read .*; give a text file with the path of one image a line"):
            image_folder.match(NAMES, file)


@pytest.mark.parametrize(
    "top, others, beside",
    [
        ("Train/", ["Test/ant/9.png"], "removed"),
        ("data/train/", ["data/val/ant/9.png"], "data/removed"),
        ("training/", ["training/ant/9.png"], "../removed"),
        ("", ["ant/9.png"], "../removed"),
    ],
)
def test_moves_stay_among_the_class_folders(tmp_path, top, others, beside):
    files = [f"{top}ant/0.png", f"{top}ant/1.png", f"{top}bee/deep/0.png"]
    moves = image_folder.label_moves(
        tmp_path, files, others, ["ant", "bee"], np.array([0, 0, 1]), np.array([1, 0, 0]), {1}
    )
    assert moves == [
        (files[0], f"{top}bee/0.png"),
        (files[1], f"{beside}/ant/1.png"),
        (files[2], f"{top}ant/deep/0.png"),
    ]
