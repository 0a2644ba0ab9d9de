import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from attribution import data
from attribution.data import hf_disk
from attribution.errors import UserError
from tests.conftest import fuzz_times
from tests.unit.data.test_encoded import grey

STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
NAMED = {"img": {"_type": "Image"}, "label": {"names": ["no", "yes"], "_type": "ClassLabel"}}


def write_file(
    file, values, labels, kind=STRUCT, features=NAMED, group=3, pictures=None, columns=("img", "label"), **more
):
    """A stream of Arrow with grey pictures full of `values`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pictures = [grey(value) for value in values] if pictures is None else pictures
    if pa.types.is_struct(kind):
        pictures = [{"bytes": content, "path": None} for content in pictures]
    table = pa.table({columns[0]: pa.array(pictures, kind), columns[1]: labels})
    if features:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    with pa.ipc.new_stream(str(file), table.schema, options=pa.ipc.IpcWriteOptions(**more)) as writer:
        writer.write_table(table, max_chunksize=group)


def save(folder, values, labels, shards=1, **options):
    """A Dataset as save_to_disk writes it."""
    names = [f"data-{i:05}-of-{shards:05}.arrow" for i in range(shards)]
    for name, part in zip(names, np.array_split(np.arange(len(values)), shards)):
        write_file(folder / name, [values[i] for i in part], [labels[i] for i in part], **options)
    state = {"_data_files": [{"filename": name} for name in names], "_fingerprint": "0", "_split": None}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text(json.dumps({"features": options.get("features", NAMED)}))


def save_dict(folder, **parts):
    for name, values in parts.items():
        save(folder / name, values, [value % 2 for value in values])
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(parts)}))


def values(split):
    return np.asarray(split.images)[:, 0, 0].tolist()


def test_a_dictionary_of_data_sets(tmp_path):
    save_dict(tmp_path, train=range(8), validation=[50, 51], test=[60], unsupervised=[70])
    found = hf_disk.load(tmp_path)
    assert values(found.train) == list(range(8)) and values(found.val) == [50, 51]
    assert found.classes == ["no", "yes"] and found.train.labels.tolist() == [0, 1] * 4
    assert [line.split()[0] for line in found.skipped] == ["test", "unsupervised"]
    for split in (found.train, found.val):
        again = data.reopen_images(split.source, tmp_path, pd.DataFrame(split.locations))
        assert values(found.train) == list(range(8)) and np.asarray(again)[:, 0, 0].tolist() == values(split)
        assert all(path.is_file() for path in again.paths())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"shards": 3},
        {"kind": pa.binary()},
        {"kind": pa.large_binary(), "group": 100},
        {"kind": pa.struct([("path", pa.string()), ("bytes", pa.large_binary())])},
        {"columns": ("picture", "label"), "features": {"picture": {"_type": "Image"}, "label": NAMED["label"]}},
        {"features": None, "columns": ("image", "labels")},
    ],
)
def test_one_data_set_lends_a_share(tmp_path, options):
    save(tmp_path, range(20), [0, 1] * 10, **options)
    found = hf_disk.load(tmp_path, val_share=0.3)
    assert len(found.val.labels) == 6 and found.classes == (["no", "yes"] if options.get("features", 1) else ["0", "1"])
    for split in (found.train, found.val):
        assert values(split) == split.index.tolist() and split.labels.tolist() == [i % 2 for i in split.index]


def test_the_files_of_the_cache(tmp_path):
    write_file(tmp_path / "mnist-train-00000-of-00002.arrow", range(4), [0, 1] * 2, features=None)
    write_file(tmp_path / "mnist-train-00001-of-00002.arrow", range(4, 8), [0, 1] * 2, features=None)
    write_file(tmp_path / "mnist-test.arrow", [9], [1], features=None)
    (tmp_path / "dataset_info.json").write_text(json.dumps({"features": NAMED}))
    found = hf_disk.load(tmp_path)
    assert values(found.train) == list(range(8)) and values(found.val) == [9] and found.classes == ["no", "yes"]


@pytest.mark.parametrize("shape", [(6, 8), (6, 8, 3), (3, 6, 8)])
@pytest.mark.parametrize("kind", [pa.uint8(), pa.int64(), pa.float32()])
@pytest.mark.parametrize("a_list", [lambda kind, _: pa.list_(kind), lambda kind, _: pa.large_list(kind), pa.list_])
def test_pictures_that_are_rows_of_numbers_are_copied(tmp_path, shape, kind, a_list):
    pixels = np.random.default_rng(0).integers(0, 256, (20, *shape), np.uint8)
    given = pixels / np.float32(255) if kind == pa.float32() else pixels
    nested = kind
    for size in reversed(shape):
        nested = a_list(nested, size)
    save(tmp_path, range(20), [0, 1] * 10, kind=nested, features={"label": NAMED["label"]}, pictures=given.tolist())
    found = hf_disk.load(tmp_path, val_share=0.3)
    expected = np.moveaxis(pixels, 1, -1) if shape[0] == 3 else pixels
    for split in (found.train, found.val):
        assert (np.asarray(split.images) == expected[split.index]).all() and split.source is None
        assert split.labels.tolist() == [i % 2 for i in split.index]
    assert found.classes == ["no", "yes"] and len(found.val.labels) == 6


class Array2D(pa.ExtensionType):
    """As Hugging Face's datasets register it."""

    def __init__(self):
        super().__init__(pa.list_(pa.list_(pa.uint8())), "datasets.features.features.Array2DExtensionType")

    def __arrow_ext_serialize__(self):
        return b'[[6, 8], "uint8"]'

    @classmethod
    def __arrow_ext_deserialize__(cls, storage, serialized):
        return cls()


@pytest.mark.parametrize("registered", [False, True])
def test_pictures_of_the_type_array2d(tmp_path, registered):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 6, 8), np.uint8)
    storage = pa.array(pixels.tolist(), pa.list_(pa.list_(pa.uint8())))
    table = pa.table({"image": pa.ExtensionArray.from_storage(Array2D(), storage), "label": [0, 1] * 4})
    for split in ("train", "test"):
        with pa.ipc.new_stream(str(tmp_path / f"mine-{split}.arrow"), table.schema) as writer:
            writer.write_table(table, max_chunksize=3)
    if registered:
        pa.register_extension_type(Array2D())
    try:
        found = hf_disk.load(tmp_path)
    finally:
        if registered:
            pa.unregister_extension_type("datasets.features.features.Array2DExtensionType")
    assert (np.asarray(found.train.images) == pixels).all() and (np.asarray(found.val.images) == pixels).all()


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_compressed_files_are_copied(tmp_path, compression):
    save_dict(tmp_path, train=range(8), test=[50, 51])
    save(tmp_path / "train", range(8), [0, 1] * 4, compression=compression)
    found = hf_disk.load(tmp_path)
    assert values(found.train) == list(range(8)) and values(found.val) == [50, 51]
    assert found.train.source is None and found.val.source is None


def test_corrupt_rows_of_copied_pictures_are_left_out_too(tmp_path):
    pictures = [[[1, 2], [3, 4]], [[1, 2], [3]], [[5, 6], [7, 8]]] * 3
    save(tmp_path, range(9), [0, 1, 1] * 3, kind=pa.list_(pa.list_(pa.uint8())), pictures=pictures)
    found = hf_disk.load(tmp_path, skip_corrupt=True)
    assert sorted([*found.train.index, *found.val.index]) == [0, 2, 3, 5, 6, 8]
    assert found.skipped[0] == "training image 1 (ValueError: its rows have 2, 1 numbers)" and len(found.skipped) == 3


def test_labels_as_text(tmp_path):
    save(tmp_path, range(8), ["b", "a"] * 4, features=None)
    assert hf_disk.load(tmp_path).classes == ["a", "b"]


def test_corrupt_rows_are_listed_or_skipped(tmp_path):
    save_dict(tmp_path, train=range(4), test=[9])
    write_file(tmp_path / "train/data-00000-of-00001.arrow", [], [0, 0, 0], pictures=[grey(1), b"x", grey(3)])
    with pytest.raises(UserError, match=r"1 of 4 images.*row 1 in train/data-00000-of-00001\.arrow \("):
        hf_disk.load(tmp_path)
    found = hf_disk.load(tmp_path, skip_corrupt=True)
    assert values(found.train) == [1, 3] and found.train.index.tolist() == [0, 2]


@pytest.mark.parametrize(
    "change, why",
    [
        (lambda folder: [file.unlink() for file in folder.iterdir()], "has no dataset_dict.json, .* no .arrow files;"),
        (lambda folder: (folder / "state.json").write_text("[]"), "holds no JSON object"),
        (lambda folder: (folder / "state.json").write_text("{}"), "does not say which files"),
        (
            lambda folder: (folder / "state.json").write_text('{"_data_files": [{"filename": "../x.arrow"}]}'),
            "does not say which files",
        ),
        (
            lambda folder: (folder / "state.json").write_text('{"_data_files": [{"filename": "x.arrow"}]}'),
            "cannot be opened",
        ),
        (lambda folder: (folder / "state.json").write_text('{"_indices_data_files": [1]}'), "call flatten_indices"),
        (lambda folder: (folder / "dataset_dict.json").write_text('{"splits": ["../a"]}'), "does not say which splits"),
        (
            lambda folder: (folder / "dataset_dict.json").write_text('{"splits": ["a", "b"]}'),
            "called train, among a, b",
        ),
        (
            lambda folder: (folder / "dataset_dict.json").write_text('{"splits": ["train"]}'),
            "there is no .*/train/state",
        ),
        (
            lambda folder: save(folder, range(2), [0, None]),
            "1 of 2 labels are missing in .*, the first of row 1 in data",
        ),
        (lambda folder: save(folder, range(2), [0, -1]), "label -1 in .* is none of its 2 classes"),
        (lambda folder: save(folder, range(2), [0, 2]), "label 2 in .* is none of its 2 classes"),
        (lambda folder: save(folder, range(2), [0, 1], columns=("a", "label"), features=None), "no column of images"),
        (lambda folder: save(folder, range(2), [0, 1], columns=("img", "a"), features=None), "no column of labels"),
        (
            lambda folder: save(folder, [0], [0], kind=pa.int64(), pictures=[1]),
            "neither encoded images nor numbers in rows but int64",
        ),
        (lambda folder: save(folder, [0], [0], pictures=[None]), "1 rows of .* have no image in them"),
        (
            lambda folder: save(folder, [0], [0], kind=pa.list_(pa.uint8()), pictures=[[1, 2]]),
            r"have the shape \[2\]; give \[height, width\]",
        ),
        (
            lambda folder: save(folder, [0], [0], kind=pa.list_(pa.list_(pa.uint8())), pictures=[[[1, 2], [3]]]),
            "training image 0 cannot be read .*its rows have 2, 1 numbers",
        ),
        (
            lambda folder: save(folder, [0], [0], kind=pa.list_(pa.list_(pa.uint8())), pictures=[None]),
            "1 rows of .* have no image in them",
        ),
        (lambda folder: (folder / "data-00000-of-00001.arrow").write_bytes(b"ARROW1"), "cannot be read as Arrow's"),
        (lambda folder: (folder / "data-00000-of-00001.arrow").write_bytes(b""), "cannot be read as Arrow's"),
        (lambda folder: save(folder, [], []), "there is no image that can be read"),
    ],
)
def test_what_cannot_be_taken_is_refused_in_a_sentence(tmp_path, change, why):
    save(tmp_path, range(8), [0, 1] * 4)
    change(tmp_path)
    with pytest.raises(UserError, match=why) as raised:
        hf_disk.load(tmp_path)
    assert "\n" not in str(raised.value)


def test_broken_files_are_sentences(tmp_path):
    save(tmp_path, range(20), [0, 1] * 10)
    file = tmp_path / "data-00000-of-00001.arrow"
    good, rng = file.read_bytes(), np.random.default_rng(0)
    for trial in range(fuzz_times(150)):
        content = bytearray(good)
        for at in rng.integers(0, len(content), 4):
            content[at] = rng.integers(0, 256)
        file.write_bytes(content[: len(content) if trial % 3 else rng.integers(1, len(content))])
        try:
            hf_disk.load(tmp_path, skip_corrupt=True)
        except UserError as error:
            assert "\n" not in str(error)
