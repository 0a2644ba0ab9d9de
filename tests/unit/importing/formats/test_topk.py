"""Index matrices: rows of zeros, rows of some targets, short rows, and numbers that are out of place."""

import numpy as np
import pytest

from attribution import UserError
from attribution.importing.formats import DataSetSizes, Declaration
from attribution.importing.formats.topk import load, sniff

SIZES = DataSetSizes(np.arange(8) % 2, np.arange(5) % 2)
ROWS = np.stack([np.random.default_rng(seed).permutation(8)[:3] for seed in range(5)])


@pytest.fixture
def bring(tmp_path):
    def bring(rows, **declared):
        np.save(tmp_path / "x.npy", rows)
        return load(tmp_path / "x.npy", Declaration(**declared), SIZES)

    return bring


def test_all_targets(bring):
    incoming = bring(ROWS.astype(np.uint16))
    ids, scores = incoming.read_lists(1, 4)
    assert ids.dtype == np.int64 and np.array_equal(ids, ROWS[1:4]) and scores is None
    assert (incoming.signed, incoming.read_scores, incoming.targets.tolist()) == (False, None, [0, 1, 2, 3, 4])


def test_rows_of_zeros_were_not_computed(bring):
    rows = ROWS.copy()
    rows[[0, 3]] = 0
    incoming = bring(rows)
    assert incoming.targets.tolist() == [1, 2, 4] and incoming.provenance["rows without an order"] == 2
    assert np.array_equal(incoming.read_lists(0, 3)[0], ROWS[[1, 2, 4]])
    with pytest.raises(UserError, match="all rows of .* are zeros"):
        bring(np.zeros((5, 3), int))
    assert len(bring(np.zeros((5, 1), int)).targets) == 5, "of one image, a zero is that image"


def test_targets_beside_it_or_declared(bring, tmp_path):
    with pytest.raises(UserError, match="is 2 x 3; say with --targets, or test_2.npy beside it, which 2 of the 5"):
        bring(ROWS[:2])
    np.save(tmp_path / "test_2.npy", np.array([4, 1]))
    incoming = bring(ROWS[:2])
    assert incoming.targets.tolist() == [4, 1] and incoming.provenance["targets"] == "test_2.npy"
    np.save(tmp_path / "ids.npy", np.array([1, 3]))
    assert bring(ROWS[:2], targets=tmp_path / "ids.npy").targets.tolist() == [1, 3]
    with pytest.raises(UserError, match="is 3 x 3; say with --targets"):
        bring(ROWS[:3], targets=tmp_path / "ids.npy")


def test_index_base_one(bring):
    assert np.array_equal(bring(ROWS + 1, index_base=1).read_lists(0, 5)[0], ROWS)
    with pytest.raises(UserError, match="which go from 0 to 7; check --index-base, which is taken to be 0"):
        bring(ROWS + 1).read_lists(0, 5)
    with pytest.raises(UserError, match="the number 0 among its images of target"):
        bring(ROWS, index_base=1).read_lists(0, 5)


def test_short_rows(bring):
    rows = ROWS.copy()
    rows[1, 1:] = -1
    assert bring(rows).read_lists(1, 2)[0].tolist() == [[ROWS[1, 0], -1, -1]]
    assert bring(np.where(rows < 0, -1, rows + 1), index_base=1).read_lists(1, 2)[0].tolist() == [[ROWS[1, 0], -1, -1]]
    rows[2, 0] = -1
    with pytest.raises(UserError, match="the row of target 2 .* goes on after a -1"):
        bring(rows).read_lists(0, 5)


@pytest.mark.parametrize(
    "value, why",
    [
        (8, "the number 8"),
        (-2, "the number -2"),
        (1 << 40, "the number 1099511627776"),
        (ROWS[2, 1], "the same image twice among its images of target 2"),
    ],
)
def test_numbers_out_of_place(bring, value, why):
    rows = ROWS.copy()
    rows[2, 0] = value
    incoming = bring(rows)
    incoming.read_lists(0, 2)
    with pytest.raises(UserError, match=why):
        incoming.read_lists(2, 3)


@pytest.mark.parametrize(
    "rows, declared, why",
    [
        (ROWS.T, {}, "3 x 5 and looks transposed"),
        (ROWS[0], {}, "is 3 of int64"),
        (ROWS * 1.0, {}, "of float64"),
        (np.zeros((5, 9), int), {}, "9 images a target, and there are 8"),
        (ROWS[:, :0], {}, "5 x 0"),
        (ROWS, {"sign": "harmful"}, "leave --sign"),
        (ROWS, {"orientation": "train-first"}, "leave --sign, --orientation"),
    ],
)
def test_refused(bring, rows, declared, why):
    with pytest.raises(UserError, match=why):
        bring(rows, **declared)


def test_sniff(tmp_path):
    for name, array in (("ids", ROWS), ("scores", ROWS * 1.0), ("row", ROWS[0])):
        np.save(tmp_path / f"{name}.npy", array)
    (tmp_path / "junk.npy").write_bytes(b"junk")
    found = [name for name in ("ids", "scores", "row", "junk", "none") if sniff(tmp_path / f"{name}.npy")]
    assert found == ["ids"]


def test_looking_at_torch_s_file_under_another_name_loads_no_torch(tmp_path, run_python):
    import zipfile

    with zipfile.ZipFile(tmp_path / "scores.npy", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02.")
    look = (
        "import sys; from attribution.importing.formats import topk; from pathlib import Path; "
        "print(topk.sniff(Path(sys.argv[1])), 'torch' in sys.modules)"
    )
    assert run_python("-c", look, tmp_path / "scores.npy").out.split() == ["False", "False"]
