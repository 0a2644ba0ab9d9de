"""Arrays on disk: whatever is asked of a large one is what numpy would answer, and a file that is cut kills nobody."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from attribution.errors import UserError
from attribution.files import arrays, read_array, write_array
from attribution.files.arrays import StoredArray
from tests.conftest import ROOT

WHICH = [
    0, -1, np.int64(3), slice(None), slice(2, 5), slice(5, 2), slice(None, None, -1), slice(1, 99, 3), [4, 0, 4], [],
    np.array([[1, 2], [3, 0]]), np.arange(6) % 2 == 0, (slice(1, 3), 2), ([1, 5], [0, 2]), (2, slice(1)), None,
    Ellipsis, (Ellipsis, 1), (slice(None), slice(None), None), np.array([5, -6]),
]  # fmt: skip


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(arrays, "SMALL", 0)


@pytest.fixture
def both(tmp_path, small):
    """An array, and the same one on the disk."""
    array = np.arange(6 * 3 * 2).reshape(6, 3, 2).astype(np.float16)
    write_array(tmp_path / "x.npy", array)
    stored = read_array(tmp_path / "x.npy", 6, 3)
    assert isinstance(stored, StoredArray)
    return array, stored


@pytest.mark.parametrize("which", WHICH, ids=repr)
def test_indexed_like_an_array(both, which):
    array, stored = both
    assert np.array_equal(stored[which], array[which]) and np.shape(stored[which]) == np.shape(array[which])


def test_used_like_an_array(both):
    array, stored = both
    assert (stored.shape, stored.dtype, stored.ndim, len(stored), stored.nbytes) == ((6, 3, 2), np.float16, 3, 6, 72)
    assert np.array_equal(stored, array) and stored.sum() == array.sum() and stored.T.shape == (2, 3, 6)
    assert np.array_equal(stored * 2 + 1, array * 2 + 1) and np.array_equal(1 - stored, 1 - array)
    assert np.array_equal(np.concatenate([stored, stored]), np.concatenate([array, array]))
    assert np.array_equal(stored.astype(np.float32).reshape(6, -1), array.astype(np.float32).reshape(6, -1))
    assert np.array_equal(pickle.loads(pickle.dumps(stored)), array) and not hasattr(stored, "_nothing")
    assert [row.tolist() for row in stored] == array.tolist()
    for wrong in (6, [7], "x", 1.5):
        with pytest.raises(IndexError):
            stored[wrong]


def test_random_rows(tmp_path, small):
    rng = np.random.default_rng(0)
    array = rng.integers(0, 9, (5000, 7), np.uint8)
    write_array(tmp_path / "x.npy", array)
    stored = read_array(tmp_path / "x.npy")
    for size in (1, 3, 100, 6000):
        rows = rng.integers(0, len(array), size)
        assert np.array_equal(stored[rows], array[rows])


@pytest.mark.parametrize("array", [np.zeros((0, 3)), np.zeros((3, 0)), np.float32(3), np.asfortranarray(np.eye(3))])
def test_odd_shapes(tmp_path, small, array):
    write_array(tmp_path / "x.npy", array)
    assert np.array_equal(np.asarray(read_array(tmp_path / "x.npy")), array)


def test_a_small_one_is_in_memory(tmp_path):
    write_array(tmp_path / "x.npy", np.arange(3))
    assert isinstance(read_array(tmp_path / "x.npy"), np.ndarray)


def test_a_file_that_is_cut_while_it_is_in_use(tmp_path, small):
    """A memory map ends the process here (SIGBUS)."""
    write_array(tmp_path / "x.npy", np.ones((1000, 1000)))
    script = (
        "import os, sys\nfrom attribution import UserError\nfrom attribution.files import arrays, read_array\n"
        "arrays.SMALL = 0\narray = read_array(__import__('pathlib').Path(sys.argv[1]))\n"
        "assert array[999].sum() == 1000\nos.truncate(sys.argv[1], 400_000)\nassert array[3].sum() == 1000\n"
        "try:\n    array[999]\nexcept UserError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "x.npy"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and "was cut short while it was in use" in done.stdout
    with pytest.raises(UserError, match="cut short"):
        read_array(tmp_path / "x.npy")


def test_a_file_that_is_replaced_stays_what_it_was(both):
    array, stored = both
    write_array(stored.file, np.zeros((1, 1)))
    assert np.array_equal(stored[:], array)


def test_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.npy")
    for name in ("pipe.npy", "", "nothing.npy"):
        with pytest.raises(UserError, match="cannot be read as an array"):
            read_array(tmp_path / name)


def test_a_header_that_asks_for_more_than_there_is(tmp_path):
    with open(tmp_path / "x.npy", "wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"shape": (10**13,), "fortran_order": False, "descr": "<f8"})
    with pytest.raises(UserError, match="cannot be read as an array .*cut short"):
        read_array(tmp_path / "x.npy")
