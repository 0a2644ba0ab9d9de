"""Files that a browser sent: written whole, in a folder of their own, and gone when nobody needs them."""

import io
import os
import time

import pytest

from attribution import UserError
from attribution.importing import uploads


def test_a_file_is_written_and_removed(ws):
    file = uploads.save(ws, "../../mine (1).npy", io.BytesIO(b"abc"))
    assert file.name == "mine-1-.npy" and file.read_bytes() == b"abc"
    assert file.parent.parent == ws.user_folder / "uploads"
    uploads.remove(file)
    assert not (ws.user_folder / "uploads").exists()


def test_no_other_file_is_removed(tmp_path):
    (tmp_path / "scores.npy").write_bytes(b"abc")
    uploads.remove(tmp_path / "scores.npy")
    assert (tmp_path / "scores.npy").exists()


@pytest.mark.parametrize("name", ["mine.pkl", "mine", ".npy", "npy"])
def test_another_kind_of_file_is_refused(ws, name):
    with pytest.raises(UserError, match="is no file of scores that can be read"):
        uploads.save(ws, name, io.BytesIO(b"abc"))


def test_what_is_too_large_leaves_nothing(ws, monkeypatch):
    monkeypatch.setattr(uploads, "MAX_MB", 0)
    with pytest.raises(UserError, match="has more than 0 MB"):
        uploads.save(ws, "mine.npy", io.BytesIO(b"abc"))
    assert not (ws.user_folder / "uploads").exists()


def test_what_nobody_read_goes_after_a_day(ws):
    old = uploads.save(ws, "old.npy", io.BytesIO(b"abc"))
    long_ago = time.time() - uploads.KEPT_SECONDS - 60
    os.utime(old.parent, (long_ago, long_ago))
    new = uploads.save(ws, "new.npy", io.BytesIO(b"abc"))
    assert not old.exists() and new.exists()
