"""Pickles of the paper's repository: a whole number is taken, and nothing else, and nothing is ever unpickled."""

import os
import pickle

import numpy as np
import pytest

from attribution import UserError
from attribution.importing.formats.paper_results import load_folder, read_int


class Evil:
    def __reduce__(self):
        return os.mkdir, ("executed",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("number", [-1, 0, 1, 255, 256, 65_535, 1_280, 50_000, 1 << 40])
def test_a_whole_number(tmp_path, number, protocol):
    (tmp_path / "7.pkl").write_bytes(pickle.dumps(number, protocol))
    assert read_int(tmp_path / "7.pkl") == number
    assert load_folder(tmp_path) == {7: number}


@pytest.mark.parametrize(
    "text",
    [
        *(pickle.dumps(it) for it in (True, -2, 1.0, None, "7", [7], (7,), {7: 7}, np.int64(7), Evil(), (7, Evil()))),
        pickle.dumps(True, 0),
        pickle.dumps(7) + pickle.dumps(Evil()),
        pickle.dumps(7) + b"\n",
        pickle.dumps(7)[:-1],
        b"",
        b".",
        b"7",
        b"I7\nI8\n.",
        b"I" + b"7" * 100 + b"\n.",
        pickle.dumps(1 << 900),
    ],
)
def test_anything_else(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "7.pkl").write_bytes(text)
    with pytest.raises(UserError, match="more than one pickled whole number"):
        read_int(tmp_path / "7.pkl")
    assert not (tmp_path / "executed").exists()


def test_folders(tmp_path):
    with pytest.raises(UserError, match="has no files <target>.pkl"):
        load_folder(tmp_path)
    (tmp_path / "notes.pkl").write_bytes(b"x")
    for target, support in ((10, 3), (9, -1)):
        (tmp_path / f"{target}.pkl").write_bytes(pickle.dumps(support))
    assert list(load_folder(tmp_path).items()) == [(9, -1), (10, 3)]
    with pytest.raises(UserError, match="cannot be opened"):
        read_int(tmp_path / "8.pkl")
