import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from attribution.data import Images
from attribution.data.thumbnails import Thumbnails


class Counted(Images):
    """Image i is full of i; counts what is decoded."""

    def __init__(self, n=10):
        self.shape = (n, 4, 4, 3)
        self.decoded = []

    def _decode(self, ids):
        self.decoded += ids.tolist()
        return np.broadcast_to(ids.astype(np.uint8)[:, None, None, None], (len(ids), 4, 4, 3)).copy()

    def fingerprint_bytes(self, ids):
        return bytes(ids.tolist())

    def paths(self):
        return []


def test_what_was_decoded_is_not_decoded_again(tmp_path):
    images = Counted()
    kept = Thumbnails(images, tmp_path / "new" / "x")
    assert kept[[7, 0, 7]][:, 0, 0, 0].tolist() == [7, 0, 7]
    again = Thumbnails(images, tmp_path / "new" / "x")
    assert np.asarray(again)[:, 3, 3, 2].tolist() == list(range(10)) and again[7].shape == (4, 4, 3)
    assert sorted(images.decoded) == [0, *range(1, 7), 7, 7, 8, 9]
    assert again[[]].shape == (0, 4, 4, 3) and again.fingerprint_bytes(np.array([3])) == b"\x03"


def test_the_picture_itself_is_not_the_thumbnail(tmp_path):
    images = Counted()
    assert Thumbnails(images, tmp_path / "x").picture(7).getpixel((0, 0)) == (7, 7, 7) and images.decoded == [7]


def test_an_image_of_zeros_is_kept_too(tmp_path):
    images = Counted()
    kept = Thumbnails(images, tmp_path / "x")
    kept[0], kept[0]
    assert images.decoded == [0]


def test_the_file_takes_the_room_of_what_was_looked_at(tmp_path):
    kept = Thumbnails(Counted(1_000_000), tmp_path / "x")
    assert kept[999_999][0, 0, 0] == 999_999 % 256
    state = (tmp_path / "x").stat()
    assert state.st_size == 52_000_000 and state.st_blocks * 512 < 1_000_000


@pytest.mark.parametrize("damage", ["pixels", "mark"])
def test_what_a_crash_left_half_written_is_decoded_again(tmp_path, damage):
    images = Counted()
    Thumbnails(images, tmp_path / "x")[[4, 5]]
    content = bytearray((tmp_path / "x").read_bytes())
    at = 40 + 4 * 48 if damage == "pixels" else 16
    content[at : at + 4] = bytes(4)
    (tmp_path / "x").write_bytes(content)
    again = Thumbnails(images, tmp_path / "x")
    assert again[[4, 5]][:, 0, 0, 0].tolist() == [4, 5] and images.decoded == [4, 5, 4]


def test_a_file_cut_short_is_no_harm(tmp_path):
    images = Counted()
    Thumbnails(images, tmp_path / "x")[:]
    os.truncate(tmp_path / "x", 300)
    assert np.asarray(Thumbnails(images, tmp_path / "x"))[:, 0, 0, 0].tolist() == list(range(10))


def test_where_nothing_can_be_kept_images_are_shown_all_the_same(tmp_path):
    (tmp_path / "file").touch()
    images = Counted()
    kept = Thumbnails(images, tmp_path / "file" / "x")
    assert kept[[2, 2]][:, 0, 0, 0].tolist() == [2, 2] and kept[3][0, 0, 0] == 3


def test_a_full_disk_ends_nothing(tmp_path, monkeypatch):
    images = Counted()
    kept = Thumbnails(images, tmp_path / "x")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    assert kept[2][0, 0, 0] == 2 and kept[2][0, 0, 0] == 2 and images.decoded == [2, 2]


def test_writers_at_once_agree(tmp_path):
    def look(seed):
        ids = np.random.default_rng(seed).permutation(250)
        return (Thumbnails(Counted(250), tmp_path / "x")[ids][:, 0, 0, 0] == ids).all()

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(look, range(8)))
    images = Counted(250)
    assert (Thumbnails(images, tmp_path / "x")[:][:, 0, 0, 0] == np.arange(250)).all() and images.decoded == []
