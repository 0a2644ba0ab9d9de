"""bergson's folders: every kind of number, unfinished scores, some training images, and the sign that is said."""

import json

import numpy as np
import pytest

from attribution import UserError
from attribution.importing.formats import DataSetSizes, Declaration, detect_format
from attribution.importing.formats.bergson import load, sniff

SIZES = DataSetSizes(np.arange(24) % 6, np.arange(6))
SCORES = np.random.default_rng(0).integers(-100, 100, (24, 6)).astype(np.float32)  # that all kinds hold


def write(folder, scores=SCORES, kind="float32", written=True, **info):
    """The two files as bergson 2.5 writes them: pairs of a score and a flag, each at a multiple of a power of two."""
    size = {"bfloat16": 2}.get(kind) or np.dtype(kind).itemsize
    pair, (rows, count) = 1 << size.bit_length(), scores.shape
    names = [f"{what}_{i}" for i in range(count) for what in ("score", "written")]
    dtype = {
        "names": names,
        "formats": ["<u2" if kind == "bfloat16" else kind, "bool"] * count,
        "offsets": [i * pair + more for i in range(count) for more in (0, size)],
        "itemsize": -(-count * pair // 8) * 8,
    }
    stored = np.zeros(rows, dtype)
    for i in range(count):
        bits = (scores[:, i].astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
        stored[f"score_{i}"] = bits if kind == "bfloat16" else scores[:, i]
        stored[f"written_{i}"] = written
    folder.mkdir(exist_ok=True)
    stored.tofile(folder / "scores.bin")
    said = {"attribute_tokens": False, "num_items": rows, "num_rows": rows, "num_scores": count}
    said["dtype"] = {**dtype, "formats": [kind, "bool"] * count}
    (folder / "info.json").write_text(json.dumps({**said, **info}, indent=2))
    return folder


def bring(path, **declared):
    return load(path, Declaration(**declared), SIZES)


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("count", [1, 5, 6])
def test_the_scores(tmp_path, kind, count):
    folder = write(tmp_path / "run", SCORES[:, :count], kind)
    np.save(tmp_path / "targets.npy", np.arange(count))
    assert sniff(folder) and sniff(folder / "scores.bin") and detect_format(folder) == "bergson"
    found = bring(folder, targets=tmp_path / "targets.npy")
    assert found.signed and found.method == "Bergson"
    assert np.array_equal(found.read_scores(0, count), SCORES.T[:count])
    assert np.array_equal(
        bring(folder / "scores.bin", targets=tmp_path / "targets.npy").read_scores(0, 1), SCORES.T[:1]
    )


def test_versions_before_num_rows(tmp_path):
    folder = write(tmp_path / "run")
    info = json.loads((folder / "info.json").read_text())
    del info["num_rows"], info["attribute_tokens"]
    (folder / "info.json").write_text(json.dumps(info))
    assert np.array_equal(bring(folder).read_scores(0, 6), SCORES.T)


@pytest.mark.parametrize("text, turned", [("true", False), ("false", True), ("null", False)])
def test_the_sign_is_that_of_its_configuration(tmp_path, text, turned):
    folder = write(tmp_path / "run")
    (folder / "config.yaml").write_text(f"steps:\n- score:\n    score_cfg:\n      higher_is_better: {text}\n")
    assert np.array_equal(bring(folder).read_scores(0, 6), -SCORES.T if turned else SCORES.T)
    assert np.array_equal(bring(folder, sign="helpful").read_scores(0, 6), SCORES.T)


def test_a_configuration_that_says_both(tmp_path):
    folder = write(tmp_path / "run")
    (folder / "config.yaml").write_text("- higher_is_better: true\n- higher_is_better: false\n")
    with pytest.raises(UserError, match="says both true and false of higher_is_better; say --sign"):
        bring(folder)


def test_some_training_images(tmp_path):
    folder = write(tmp_path / "run", SCORES[[3, 7, 20]])
    np.save(folder / "candidates.npy", np.array([3, 7, 20]))
    assert bring(folder).train.tolist() == [3, 7, 20]
    np.save(folder / "candidates.npy", np.array([3, 7]))
    with pytest.raises(UserError, match="does not name an image for each row"):
        bring(folder)
    np.save(folder / "candidates.npy", np.array([3, 7, 24]))
    with pytest.raises(UserError, match="the number 24 among its training images"):
        bring(folder)


def test_what_is_not_finished_or_of_tokens(tmp_path):
    written = np.ones(24, bool)
    written[20] = False
    with pytest.raises(UserError, match="are not complete; let bergson finish them"):
        bring(write(tmp_path / "run", written=written))
    with pytest.raises(UserError, match="scores of tokens; have bergson score whole items"):
        bring(write(tmp_path / "run", attribute_tokens=True))


@pytest.mark.parametrize(
    "info",
    [
        {"num_scores": 7},
        {"num_scores": 0},
        {"num_rows": 25},
        {"num_rows": "24"},
        {"dtype": "float32"},
        {"dtype": {"names": ["score_0"], "formats": ["O"], "offsets": [0], "itemsize": 8}, "num_scores": 1},
        {
            "dtype": {
                "names": ["score_0", "written_0"],
                "formats": ["float32", "bool"],
                "offsets": [0, 4],
                "itemsize": 4,
            }
        },
    ],
)
def test_a_description_of_another_file(tmp_path, info):
    with pytest.raises(UserError, match="does not describe scores.bin; copy the folder again"):
        bring(write(tmp_path / "run", **info))


def test_cut_short_or_alone(tmp_path):
    folder = write(tmp_path / "run")
    (folder / "scores.bin").write_bytes((folder / "scores.bin").read_bytes()[:-8])
    with pytest.raises(UserError, match="does not describe"):
        bring(folder)
    (folder / "info.json").unlink()
    with pytest.raises(UserError, match="has no scores of bergson's"):
        bring(folder)
