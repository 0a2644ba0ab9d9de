import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attribution import data
from attribution.data import parquet
from attribution.data.decoding import Look
from attribution.errors import UserError
from tests.unit.data.test_encoded import grey

SHARED = Path(os.environ.get("LINEUP_SHARED_DATA") or Path(data.__file__).parents[3] / "shared" / "data")
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
NAMED = {"label": {"names": ["no", "yes"], "_type": "ClassLabel"}}


def write(file, values, labels, image="img", label="label", kind=STRUCT, features=None, group=3, pictures=None):
    """Grey pictures full of `values`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pictures = pictures or [grey(value) for value in values]
    if pa.types.is_struct(kind):
        pictures = [{"bytes": content, "path": None} for content in pictures]
    table = pa.table({image: pa.array(pictures, kind), label: labels})
    if features:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, file, row_group_size=group)


def values(split):
    return np.asarray(split.images)[:, 0, 0].tolist()


@pytest.mark.parametrize(
    "image, label, kind",
    [
        ("img", "label", STRUCT),
        ("image", "fine_label", STRUCT),
        ("image", "label", pa.binary()),
        ("img", "label", pa.large_binary()),
        ("img", "label", pa.struct([("path", pa.string()), ("bytes", pa.binary())])),
    ],
)
def test_the_columns_it_may_have(tmp_path, image, label, kind):
    features = {label: NAMED["label"]}
    write(tmp_path / "train.parquet", range(8), [0, 1] * 4, image, label, kind, features)
    write(tmp_path / "test.parquet", [50], [1], image, label, kind, features)
    found = parquet.load(tmp_path)
    assert found.classes == ["no", "yes"] and found.name == tmp_path.name
    assert values(found.train) == list(range(8)) and values(found.val) == [50]
    assert found.train.labels.tolist() == [0, 1] * 4 and found.val.labels.tolist() == [1]
    assert found.train.labels.dtype == np.int64


def test_shards_in_the_order_of_their_names_read_at_random(tmp_path):
    for number in (10, 2, 0):
        write(tmp_path / f"data/train-{number:05}-of-00011.parquet", range(number * 10, number * 10 + 8), [0] * 8)
    write(tmp_path / "data/validation-00000-of-00001.parquet", [200, 201], [0, 0])
    found = parquet.load(tmp_path)
    expected = np.array([*range(8), *range(20, 28), *range(100, 108)])
    assert values(found.train) == expected.tolist() and values(found.val) == [200, 201]
    again = data.reopen_images(found.train.source, tmp_path, pd.DataFrame(found.train.locations))
    ids = np.random.default_rng(0).integers(0, 24, 60)
    assert (again[ids][:, 0, 0] == expected[ids]).all()
    assert [name for name, _ in found.train.source["files"]] == [
        f"data/train-{number:05}-of-00011.parquet" for number in (0, 2, 10)
    ]


@pytest.mark.parametrize(
    "files",
    [
        ["train.parquet", "val.parquet"],
        ["default/train/0000.parquet", "default/test/0000.parquet"],
        ["plain_text/train-00000-of-00001.parquet", "plain_text/validation-00000-of-00001.parquet"],
    ],
)
def test_the_layouts_it_may_have(tmp_path, files):
    for value, file in enumerate(files):
        write(tmp_path / file, [value], [0])
    found = parquet.load(tmp_path)
    assert (values(found.train), values(found.val), found.skipped) == ([0], [1], ())


@pytest.mark.parametrize(
    "train, val",
    [
        ("mnist_train.parquet", "mnist_test.parquet"),
        ("train-00000-of-00001.parquet", "dev-00000-of-00001.parquet"),
        ("train-00000-of-00001.parquet", "eval-00000-of-00001.parquet"),
        ("Train.parquet", "Test.parquet"),
        ("my.training.parquet", "my.evaluation.parquet"),
        ("data/training/0000.parquet", "data/valid/0000.parquet"),
        ("cifar10Train.parquet", "cifar10Test.parquet"),
        ("train_set.parquet", "testset.parquet"),
    ],
)
def test_splits_under_any_name(tmp_path, train, val):
    write(tmp_path / train, [0, 1], [0, 1])
    write(tmp_path / val, [2], [0])
    found = parquet.load(tmp_path)
    assert (values(found.train), values(found.val), found.skipped) == ([0, 1], [2], ())
    assert found.notes[0].startswith("training images from ") and len(found.notes) == 1


def test_different_splits_are_not_mixed(tmp_path):
    for value, name in enumerate(["train", "train_noisy", "test", "test_ood"]):
        write(tmp_path / f"{name}-00000-of-00001.parquet", [value], [0])
    found = parquet.load(tmp_path)
    assert (values(found.train), values(found.val)) == ([0], [2])
    assert sorted(line.split("-")[0] for line in found.skipped) == ["test_ood", "train_noisy"]


@pytest.mark.parametrize("labels", [[-1, -1], pa.nulls(2), pa.nulls(2, pa.int64()), pa.array(["", ""]), None])
def test_a_split_without_labels_is_left_out_and_a_share_held_back(tmp_path, labels):
    write(tmp_path / "train.parquet", range(20), [0, 1] * 10, features=NAMED)
    write(tmp_path / "test.parquet", [50, 51], [0, 0] if labels is None else labels)
    if labels is None:
        pq.write_table(pq.read_table(tmp_path / "test.parquet").drop_columns("label"), tmp_path / "test.parquet")
    found = parquet.load(tmp_path)
    assert sorted(values(found.train) + values(found.val)) == list(range(20)) and len(found.val.labels) == 2
    assert found.skipped == ("test.parquet (images without labels)",)
    assert found.notes == ("training images from train.parquet, some held back to validate",)
    write(tmp_path / "val.parquet", [60], [1])
    assert values(parquet.load(tmp_path).val) == [60]


def test_labels_of_which_some_are_missing_are_refused(tmp_path):
    write(tmp_path / "train.parquet", range(4), [0, 1] * 2)
    for labels, why in (([0, -1], "the label -1"), (pa.array([0, None]), "1 labels are missing in .*test.parquet")):
        write(tmp_path / "test.parquet", [50, 51], labels)
        with pytest.raises(UserError, match=why):
            parquet.load(tmp_path)


@pytest.mark.parametrize(
    "texts, classes",
    [
        (["dog", "cat", "dog"], ["cat", "dog"]),
        (["10", "9", "10"], ["9", "10"]),
        (["Übel", "昆虫", "a b"], ["a b", "Übel", "昆虫"]),
    ],
)
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())])
def test_labels_that_are_text_become_classes(tmp_path, texts, classes, kind):
    write(tmp_path / "train-0.parquet", range(3), pa.array(texts).cast(kind), group=2)
    write(tmp_path / "train-1.parquet", [3], pa.array(texts[1:2]).cast(kind))
    write(tmp_path / "test.parquet", [4], pa.array(texts[:1]).cast(kind))
    found = parquet.load(tmp_path)
    assert found.classes == classes and found.val.labels.tolist() == [classes.index(texts[0])]
    assert found.train.labels.tolist() == [classes.index(text) for text in [*texts, texts[1]]]
    assert found.train.labels.dtype == np.int64
    new = (found.train.labels + 1) % len(classes)
    source, kept = found.train.source, np.array([True, True, False, True])
    out = tmp_path / "out.parquet"
    parquet.rewrite_labels(tmp_path, source, np.arange(4), found.train.labels, new, kept, out, classes=classes)
    table = pq.read_table(out)
    assert table["label"].to_pylist() == [classes[label] for label in new[kept]] and table["label"].type == kind
    with pytest.raises(UserError, match="are not those that the workspace was created from"):
        parquet.rewrite_labels(tmp_path, source, np.arange(4), new, new, kept, out, classes=classes)


def test_text_beside_numbers_is_refused(tmp_path):
    write(tmp_path / "train.parquet", range(2), ["a", "b"])
    write(tmp_path / "test.parquet", [4], [0])
    with pytest.raises(UserError, match="text in some files and numbers in others"):
        parquet.load(tmp_path)


def test_a_broken_file_is_a_sentence_and_nothing_else(tmp_path):
    write(tmp_path / "whole.parquet", range(6), ["a", "b"] * 3, features=NAMED)
    content, rng, read = (tmp_path / "whole.parquet").read_bytes(), np.random.default_rng(0), 0
    (tmp_path / "set").mkdir()
    times = 5 * int(os.environ.get("LINEUP_FUZZ", 12))
    for _ in range(times):
        broken = np.frombuffer(content, np.uint8).copy()
        broken[rng.integers(0, len(broken), 3)] = rng.integers(0, 256, 3)
        (tmp_path / "set/train.parquet").write_bytes(broken.tobytes())
        try:
            read += len(parquet.load(tmp_path / "set", skip_corrupt=True).train.labels) > 0
        except UserError as error:
            assert "\n" not in str(error)
    assert 0 < read < times


def test_validation_goes_before_test_and_what_is_left_out_is_said(tmp_path):
    for value, name in enumerate(["train", "test", "validation", "unsupervised"]):
        write(tmp_path / f"{name}.parquet", [value], [0])
    found = parquet.load(tmp_path)
    assert (values(found.train), values(found.val)) == ([0], [2])
    assert sorted(line.split()[0] for line in found.skipped) == ["test.parquet", "unsupervised.parquet"]


@pytest.mark.parametrize("given", ["train.parquet", "."])
def test_training_images_alone_lend_a_share(tmp_path, given):
    write(tmp_path / "train.parquet", range(20), [0, 1] * 10)
    found = parquet.load(tmp_path / given, val_share=0.3)
    assert len(found.val.labels) == 6 and found.classes == ["0", "1"]
    assert values(found.val) == found.val.index.tolist() == found.val.locations["row"].tolist()
    assert sorted(values(found.train) + values(found.val)) == list(range(20))
    again = data.reopen_images(found.val.source, data.root_folder(tmp_path / given), pd.DataFrame(found.val.locations))
    assert np.asarray(again)[:, 0, 0].tolist() == values(found.val)


def test_files_without_a_split_in_their_names_are_training_images(tmp_path):
    for number in range(2):
        write(tmp_path / f"part-{number}.parquet", [number * 2, number * 2 + 1], [0, 0])
    found = parquet.load(tmp_path, val_share=0.25)
    assert sorted(values(found.train) + values(found.val)) == [0, 1, 2, 3]


def test_links_as_in_the_hub_s_cache_are_read(tmp_path):
    write(tmp_path / "blobs/0a1b", range(4), [0] * 4)
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "snapshot/train.parquet").symlink_to("../blobs/0a1b")
    assert len(parquet.load(tmp_path / "snapshot").train.labels) == 3


def test_few_row_groups_are_held(tmp_path, monkeypatch):
    write(tmp_path / "train.parquet", range(20), [0] * 20, group=2)
    images = parquet.load(tmp_path).train.images
    assert len(images.contents._groups) <= 10
    monkeypatch.setattr(parquet, "CACHE_BYTES", 1)
    np.asarray(images)
    assert len(images.contents._groups) == 1


def test_corrupt_rows_are_listed_or_skipped(tmp_path):
    write(tmp_path / "train.parquet", [], [0, 0, 0, 0, 0], pictures=[grey(1), b"x", grey(3), grey(4), grey(5)[:40]])
    write(tmp_path / "test.parquet", [9], [0])
    with pytest.raises(UserError, match=r"2 of 6 images.*row 1 of train\.parquet \(.*row 4 of train\.parquet"):
        parquet.load(tmp_path)
    found = parquet.load(tmp_path, skip_corrupt=True)
    assert values(found.train) == [1, 3, 4] and found.train.index.tolist() == [0, 2, 3] and len(found.skipped) == 2


@pytest.mark.parametrize("kind", [STRUCT, pa.string(), pa.struct([("path", pa.large_string())])])
@pytest.mark.parametrize("form", ["img/{}.png", "{root}/img/{}.png", "img\\{}.png", "data/img/{}.png"])
def test_paths_of_files_are_read(tmp_path, kind, form):
    root = tmp_path / "data" if not form.startswith("data") else tmp_path
    (tmp_path / "data/img").mkdir(parents=True)
    for value in range(20):
        (tmp_path / f"data/img/{value}.png").write_bytes(grey(value))
    for name, numbers in (("train", range(16)), ("val", range(16, 20))):
        paths = [form.format(value, root=root) for value in numbers]
        rows = [{"path": path} for path in paths] if pa.types.is_struct(kind) else paths
        table = pa.table({"image": pa.array(rows, kind), "label": [value % 2 for value in numbers]})
        pq.write_table(table, tmp_path / f"data/{name}.parquet")
    found = parquet.load(root)
    assert values(found.train) == list(range(16)) and values(found.val) == [16, 17, 18, 19]
    assert found.val.labels.tolist() == [0, 1, 0, 1] and found.root == root
    again = data.reopen_images(found.val.source, found.root, pd.DataFrame(found.val.locations))
    assert np.asarray(again)[:, 0, 0].tolist() == values(found.val)
    (tmp_path / "data/img/3.png").unlink()
    with pytest.raises(UserError, match=r"1 of 20 images cannot be read: .*img/3.png \(is not there"):
        parquet.load(root)
    assert len(parquet.load(root, skip_corrupt=True).train.labels) == 15


def test_paths_that_lead_outside_are_followed_only_by_leave(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes(grey(7))
    (tmp_path / "set").mkdir()
    for paths in (["../a.png", "../b.png"], [f"{tmp_path}/a.png", f"{tmp_path}/b.png"]):
        pq.write_table(pa.table({"img": paths, "label": [0, 0]}), tmp_path / "set/train.parquet")
        with pytest.raises(UserError, match="names images outside .*set .*allow others with --follow-links"):
            parquet.load(tmp_path / "set")
        found = parquet.load(tmp_path / "set", follow_links=True)
        assert found.root == tmp_path and values(found.train) == [7]
    pq.write_table(pa.table({"img": ["../a.png", None], "label": [0, 0]}), tmp_path / "set/train.parquet")
    with pytest.raises(UserError, match="row 1 of .* has neither an image nor the path of one"):
        parquet.load(tmp_path / "set", follow_links=True)


def test_a_path_without_bytes_among_others_is_not_followed(tmp_path):
    (tmp_path / "secret.png").write_bytes(grey(1))
    rows = [{"bytes": grey(2)}, {"bytes": None, "path": str(tmp_path / "secret.png")}, {"bytes": grey(3)}]
    pq.write_table(pa.table({"img": pa.array(rows, STRUCT), "label": [0] * 3}), tmp_path / "train.parquet")
    with pytest.raises(UserError, match="no image in it, at most the path"):
        parquet.load(tmp_path)
    found = parquet.load(tmp_path, skip_corrupt=True)
    assert sorted(values(found.train) + values(found.val)) == [2, 3]


@pytest.mark.parametrize(
    "labels, features, why",
    [
        (pa.array([0, None, 1]), None, "1 labels are missing"),
        (pa.array([0, -1, 1]), None, "label -1"),
        (pa.array([0, 2, 1]), NAMED, "beyond the 2 class names"),
        (pa.array([0, 10**9, 1]), None, "beyond the 3 images"),
        (pa.array([0.5, 1, 2]), None, "neither whole numbers nor text but double"),
        (pa.array(["a", "", "c"]), None, "1 labels are missing"),
        (pa.array(["a", None, None]), None, "2 labels are missing"),
        (pa.array(["a", "b", "c" * 20_000]), None, "3 different texts of up to 20,000 letters"),
        (pa.nulls(3), None, "3 labels are missing"),
    ],
)
def test_labels_that_cannot_be_class_numbers(tmp_path, labels, features, why):
    write(tmp_path / "train.parquet", range(3), labels, features=features)
    with pytest.raises(UserError, match=why):
        parquet.load(tmp_path)


@pytest.mark.parametrize("metadata", [b"{", b"[]", b"null", b'{"info": {"features": {"label": {"_type": "Value"}}}}'])
def test_without_class_names_they_are_the_numbers(tmp_path, metadata):
    table = pa.table({"img": pa.array([{"bytes": grey(1)}] * 4, STRUCT), "label": [0, 2, 1, 0]})
    pq.write_table(table.replace_schema_metadata({"huggingface": metadata}), tmp_path / "train.parquet")
    assert parquet.load(tmp_path).classes == ["0", "1", "2"]


@pytest.mark.parametrize(
    "files, why",
    [
        ([], "no .parquet files"),
        (["a/train.parquet", "b/train.parquet"], "several data sets .a, b.; name the folder of one"),
        (["test.parquet"], "named as training images"),
        (["a.parquet", "b.parquet"], "files of several names, a.parquet, b.parquet, and none says"),
        (["train-a.parquet", "train-b.parquet"], "several splits of training images, train-a.parquet, train-b.parquet"),
        (["train/test.parquet"], "named as one split, and its folder as another"),
    ],
)
def test_folders_that_leave_it_open(tmp_path, files, why):
    for file in files:
        write(tmp_path / file, [0], [0])
    with pytest.raises(UserError, match=why):
        parquet.load(tmp_path)


def test_a_file_whose_name_is_no_utf8_is_named(tmp_path):
    write(tmp_path / "train.parquet", range(4), [0, 1] * 2)
    (tmp_path / "train.parquet").rename(tmp_path / "caf\udce9-train.parquet")
    for root in (tmp_path, tmp_path / "caf\udce9-train.parquet"):
        with pytest.raises(
            UserError, match=r"caf.udce9-train.parquet has a name that is no UTF-8.*; rename it"
        ) as error:
            parquet.load(root)
        assert str(error.value).encode()


def test_files_that_are_broken_or_lack_a_column(tmp_path):
    file = tmp_path / "train.parquet"
    file.write_bytes(b"PAR1 no")
    with pytest.raises(UserError, match="train.parquet cannot be read as Parquet"):
        parquet.load(tmp_path)
    write(file, [0], [0], image="picture")
    with pytest.raises(UserError, match="no column of images, img or image, among picture, label"):
        parquet.load(tmp_path)
    write(file, [0], [0], label="class")
    with pytest.raises(UserError, match="no column of labels"):
        parquet.load(tmp_path)
    write(file, range(4), [0] * 4)
    content = bytearray(file.read_bytes())
    content[4:40] = bytes(36)  # the pictures' pages; the footer and the labels are whole
    file.write_bytes(content)
    with pytest.raises(UserError, match="train.parquet cannot be read as Parquet|holds no image"):
        parquet.load(tmp_path)


def test_what_has_changed_since_is_refused(tmp_path):
    write(tmp_path / "train.parquet", range(4), [0] * 4)
    split = parquet.load(tmp_path).train
    locations = pd.DataFrame(split.locations)
    write(tmp_path / "train.parquet", range(3), [0] * 3)
    with pytest.raises(UserError, match="has 3 rows and should have 4"):
        data.reopen_images(split.source, tmp_path, locations)[0]
    (tmp_path / "train.parquet").unlink()
    with pytest.raises(UserError, match="is not in .*workspace locate"):
        data.reopen_images(split.source, tmp_path, locations)[0]
    with pytest.raises(UserError, match="rows beyond"):
        data.reopen_images(split.source, tmp_path, locations + 1)
    (tmp_path / "inside").mkdir()
    write(tmp_path / "secret.parquet", range(4), [0] * 4)
    for name in ("../secret.parquet", str(tmp_path / "secret.parquet")):
        with pytest.raises(UserError, match="leads out of"):
            data.reopen_images({**split.source, "files": [[name, 4]]}, tmp_path / "inside", locations)[0]


@pytest.mark.skipif(not (SHARED / "cifar10" / "train.parquet").is_file(), reason="no CIFAR-10 in ../shared/data")
def test_cifar10_in_hugging_face_s_layout(monkeypatch):
    monkeypatch.setattr(
        "attribution.data.encoded._inspect_pictures", lambda contents: [Look(32, 32, False)] * len(contents)
    )  # slow
    found = parquet.load(SHARED / "cifar10")
    assert found.classes == "airplane automobile bird cat deer dog frog horse ship truck".split()
    assert np.bincount(found.train.labels).tolist() == [5000] * 10
    assert np.bincount(found.val.labels).tolist() == [1000] * 10
    assert found.train.images.shape == (50000, 32, 32, 3)
    some = found.train.images[[49999, 0]]
    assert some.shape == (2, 32, 32, 3) and some.std() > 20
