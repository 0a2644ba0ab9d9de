import numpy as np
import pandas as pd
import pytest

from attribution.data.decoding import UnreadableError
from attribution.data.packed import PackedPictures, reopen_images
from attribution.errors import UserError
from tests.unit.data.test_encoded import grey


@pytest.fixture
def pictures(tmp_path):
    """Six grey pictures in two files, in another order than their numbers."""
    rows, files = [], []
    for shard in range(2):
        content = b"start"
        for value in range(3):
            picture = grey(10 * shard + value)
            rows.append((shard, len(content), len(picture), f"{value}.png", 5 - len(rows)))
            content += picture + b"--"
        (tmp_path / f"{shard}.bin").write_bytes(content)
        files.append((f"{shard}.bin", len(content)))
    places = pd.DataFrame(rows, columns=["shard", "offset", "size", "name", "number"])
    return PackedPictures(tmp_path, files, places, "webdataset")


def test_pictures_are_found_again(pictures):
    source, locations = {**pictures.source, "shape": [4, 4]}, pd.DataFrame(pictures.locations)
    images = reopen_images(source, pictures.root, locations)
    assert images[[4, 0, 4]][:, 0, 0].tolist() == [11, 0, 11] and images.shape == (6, 4, 4)
    assert pictures.numbers.tolist() == [5, 4, 3, 2, 1, 0] and len(pictures.paths()) == 2
    some = pictures.select(np.array([5, 1]))
    assert some.read(0) == grey(12) and some.describe(0) == "2.png in 1.bin" and some.numbers.tolist() == [0, 4]


@pytest.mark.parametrize(
    "change, why",
    [
        ({"shard": 2}, "beyond the 2 files"),
        ({"shard": -1}, "beyond the 2 files"),
        ({"offset": -1}, "before the start"),
        ({"size": -1}, "before the start"),
    ],
)
def test_places_that_cannot_be(pictures, change, why):
    with pytest.raises(ValueError, match=why):
        PackedPictures(pictures.root, pictures.files, pictures.places.assign(**change), "webdataset")


def test_pieces_that_are_no_pictures(pictures):
    for change, why in (
        ({"offset": 2**62}, "ends before it does"),
        ({"size": 10**6}, "ends before it does"),
        ({"size": 2**40}, "has more than 256 MiB"),
    ):
        changed = PackedPictures(pictures.root, pictures.files, pictures.places.assign(**change), "webdataset")
        with pytest.raises(UnreadableError, match=why):
            changed.read(0)


def test_files_that_have_changed_since_or_lead_elsewhere(pictures, tmp_path):
    with (tmp_path / "1.bin").open("ab") as stream:
        stream.write(b"x")
    source, locations = {**pictures.source, "shape": [4, 4]}, pd.DataFrame(pictures.locations)
    assert reopen_images(source, tmp_path, locations)[0].max() == 0
    with pytest.raises(UserError, match="1.bin has .* bytes and should have .*; put back the file"):
        reopen_images(source, tmp_path, locations)[5]
    (tmp_path / "1.bin").unlink()
    with pytest.raises(UserError, match="1.bin is not in .*workspace locate"):
        reopen_images(source, tmp_path, locations)[5]
    (tmp_path / "inside").mkdir()
    for name in ("../0.bin", str(tmp_path / "0.bin")):
        source["files"][0][0] = name
        with pytest.raises(UserError, match="leads out of"):
            reopen_images(source, tmp_path / "inside", locations)[0]
