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
        (lambda folder: save(folder, [0], [0], kind=pa.int64(), pictures=[1]), "no encoded images but int64"),
        (lambda folder: save(folder, [0], [0], pictures=[None]), "1 rows of .* have no image in them"),
        (lambda folder: save(folder, range(9), [0] * 9, compression="zstd"), "is compressed"),
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
