"""Files: written whole or not at all, and one sentence where they cannot be read."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import platformdirs
import pytest

from attribution import Workspace
from attribution.errors import UserError
from attribution.files import data_folder, read_array, read_table, write_array, write_json, write_table


def test_what_is_written_is_read(tmp_path):
    write_array(tmp_path / "a" / "x.npy", np.arange(6).reshape(2, 3))
    write_table(tmp_path / "t.parquet", pd.DataFrame({"label": [1, 2]}))
    write_json(tmp_path / "j.json", {"a": "é"})
    assert read_array(tmp_path / "a" / "x.npy", 2, 3).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert read_table(tmp_path / "t.parquet", "label").label.tolist() == [1, 2]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "j.json", "t.parquet"]


def test_a_writer_that_fails_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "j.json", {"old": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "j.json", {"new": object()})
    assert [file.name for file in tmp_path.iterdir()] == ["j.json"] and "old" in (tmp_path / "j.json").read_text()


def broken(file, how):
    np.save(file, np.arange(10.0))
    whole = file.read_bytes()
    if how == "missing":
        file.unlink()
    elif how == "pickled":
        np.save(file, np.array([object()]), allow_pickle=True)
    elif how == "archive":
        np.savez(file.with_suffix(""), a=np.arange(3))
        file.with_suffix(".npz").rename(file)
    elif how == "texts":
        np.save(file, np.array(["a"]))
    else:
        file.write_bytes(
            {
                "empty": b"",
                "truncated": whole[:-8],
                "noise": b"\x00\xff" * 60,
                "header": whole.replace(b"'descr'", b"'d'sc'"),
            }[how]
        )


@pytest.mark.parametrize("how", ["missing", "empty", "truncated", "noise", "header", "pickled", "archive", "texts"])
def test_a_corrupt_array(tmp_path, how):
    broken(tmp_path / "x.npy", how)
    with pytest.raises(UserError, match="copy the workspace again") as error:
        read_array(tmp_path / "x.npy")
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("shape", [(3,), (2, 4), (2, 3, None), (None, None, None)])
def test_an_array_of_another_shape(tmp_path, shape):
    write_array(tmp_path / "x.npy", np.zeros((2, 3)))
    with pytest.raises(UserError, match="is expected"):
        read_array(tmp_path / "x.npy", *shape)


@pytest.mark.parametrize("content", [None, b"", b"PAR1 no table PAR1"])
def test_a_corrupt_table(tmp_path, content):
    if content is not None:
        (tmp_path / "t.parquet").write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as a table"):
        read_table(tmp_path / "t.parquet")


def test_a_table_without_a_column(tmp_path):
    write_table(tmp_path / "t.parquet", pd.DataFrame({"a": [1]}))
    with pytest.raises(UserError, match="no column label"):
        read_table(tmp_path / "t.parquet", "label")


def test_no_home(monkeypatch, run_python):
    monkeypatch.delenv("LINEUP_DATA")
    monkeypatch.setattr("pathlib.Path.home", lambda: Path("~").expanduser())
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    with pytest.raises(UserError, match="has no home folder; set LINEUP_DATA"):
        data_folder()
    assert Workspace.open().n_train == 5000


def test_the_data_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("LINEUP_DATA", "~/somewhere")
    assert data_folder().is_absolute() and data_folder().name == "somewhere"
    monkeypatch.delenv("LINEUP_DATA")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platformdirs, "user_data_path", lambda *_, **__: tmp_path / "Library")
    assert data_folder() == tmp_path / ".local" / "share" / "lineup"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert data_folder() == tmp_path / "Library"
    (tmp_path / ".local" / "share" / "lineup").mkdir(parents=True)
    assert data_folder() == tmp_path / ".local" / "share" / "lineup", "results from before stay found"
