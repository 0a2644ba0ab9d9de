"""Files: written whole or not at all, and one sentence where they cannot be read."""

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import platformdirs
import pytest

from attribution import Workspace
from attribution.errors import UserError
from attribution.files import (
    data_folder,
    is_shared,
    open_private,
    read_array,
    read_json,
    read_table,
    write_array,
    write_json,
    write_table,
)
from tests.conftest import ROOT


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


# -- many at once


def test_two_hundred_changes_by_eight_processes_are_all_kept(tmp_path):
    script = (
        "import sys\nfrom pathlib import Path\nfrom attribution.files import change_json\n"
        "for i in range(25):\n"
        "    change_json(Path(sys.argv[1]), lambda known: {**known, f'{sys.argv[2]} {i}': i})"
    )
    file = tmp_path / "known.json"
    processes = [subprocess.Popen([sys.executable, "-c", script, file, str(n)], cwd=ROOT) for n in range(8)]
    assert [process.wait() for process in processes] == [0] * 8
    assert len(read_json(file)) == 200 and [path.name for path in tmp_path.iterdir()] == ["known.json"]


def test_twelve_hundred_writes_by_six_threads_all_succeed(tmp_path):
    file = tmp_path / "j.json"

    def write(number):
        write_json(file, {"number": number, "text": "x" * 1000})
        assert len(read_json(file)["text"]) == 1000, "whole, whoever writes"

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(1200)))
    assert [path.name for path in tmp_path.iterdir()] == ["j.json"]


# -- what is no file of ours


@pytest.mark.parametrize("what", ["pipe", "zeros", "folder", "socket", "huge", "deep", "latin", "link in a circle"])
def test_what_is_no_json_file_is_refused_at_once(tmp_path, what):
    file = tmp_path / "x.json"
    if what == "pipe":
        os.mkfifo(file)
    elif what == "zeros":
        file.symlink_to("/dev/zero")
    elif what == "folder":
        file.mkdir()
    elif what == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(file))
    elif what == "huge":
        with file.open("wb") as stream:
            stream.truncate(10**12)
    elif what == "deep":
        file.write_text("[" * 100_000)
    elif what == "latin":
        file.write_bytes(b'"\xe9"')
    else:
        file.symlink_to(file)
    with pytest.raises(UserError) as error:
        read_json(file)
    assert len(str(error.value).splitlines()) == 1 and str(file) in str(error.value)


# -- whose it is


def test_what_is_in_the_data_folder_is_its_owners_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))
    write_json(tmp_path / "data" / "a" / "b" / "x.json", {})
    write_json(tmp_path / "elsewhere" / "x.json", {})
    modes = {path.relative_to(tmp_path).as_posix(): path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert modes["data"] == modes["data/a"] == modes["data/a/b"] == 0o700 and modes["data/a/b/x.json"] == 0o600
    assert modes["elsewhere/x.json"] & 0o044 == 0o044
    with open_private(tmp_path / "data" / "log", "a") as log:
        assert os.fstat(log.fileno()).st_mode & 0o777 == 0o600


def test_a_data_folder_that_is_shared_on_purpose_stays_shared(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o2775)
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))
    assert is_shared(data_folder())
    write_json(tmp_path / "data" / "a" / "x.json", {})
    assert (tmp_path / "data" / "a" / "x.json").stat().st_mode & 0o044 == 0o044
    monkeypatch.delenv("LINEUP_DATA")
    assert not is_shared(tmp_path / "data"), "the usual place is nobody else's"
