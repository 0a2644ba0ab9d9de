"""A file of the user's is there whole, or as it was: also where the disk is full."""

import errno
import os

import pytest

from attribution import UserError
from attribution.export.saving import save_file

COMMANDS = {
    "x.png": ["export", "figure", "--target", "0", "--rankings", "trak-10"],
    "x.pdf": ["export", "figure", "--target", "0", "--rankings", "trak-10"],
    "x.svg": ["export", "figure", "--target", "0", "--rankings", "trak-10"],
    "x.csv": ["export", "figure", "--target", "0", "--rankings", "trak-10"],
    "chart.png": ["export", "figure", "--what", "supports"],
    "report.html": ["export", "report", "--target", "0", "--rankings", "trak-10"],
    "ranking.parquet": ["export", "ranking", "--ranking", "trak-10"],
    "recipe.py": ["recipe", "new"],
}


@pytest.fixture
def full_disk(monkeypatch):
    """A disk on which the first bytes of a file find room, and the file does not."""

    def refuse(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_leaves_the_old_file(ws, run, tmp_path, full_disk, name):
    folder = tmp_path / "a full disk"
    folder.mkdir()
    words = COMMANDS[name]
    if name == "recipe.py":  # which writes over no file
        done = run(*words, folder / name)
        assert done.code == 2 and list(folder.iterdir()) == [], done
        return
    (folder / name).write_bytes(b"as it was")
    done = run(*words, "--out", folder / name)
    assert done.code == 2 and "No space left on device" in done.err and len(done.err.strip().splitlines()) == 1
    assert [(file.name, file.read_bytes()) for file in folder.iterdir()] == [(name, b"as it was")]


def test_a_file_that_is_written_replaces_the_old_one(tmp_path):
    (tmp_path / "x.png").write_bytes(b"old")
    save_file(tmp_path / "x.png", (".png",), lambda ending: b"new")
    assert (tmp_path / "x.png").read_bytes() == b"new" and len(list(tmp_path.iterdir())) == 1


def test_a_link_still_leads_to_the_file(tmp_path):
    (tmp_path / "there.png").write_bytes(b"old")
    (tmp_path / "x.png").symlink_to(tmp_path / "there.png")
    save_file(tmp_path / "x.png", (".png",), lambda ending: b"new")
    assert (tmp_path / "x.png").is_symlink() and (tmp_path / "there.png").read_bytes() == b"new"


def test_what_cannot_be_written_is_said(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        save_file(tmp_path / "none" / "x.png", (".png",), lambda ending: b"")
    with pytest.raises(UserError, match="is none of .png"):
        save_file(tmp_path / "x.gif", (".png",), lambda ending: b"")
