import numpy as np
import pytest

from attribution.data import pixels
from attribution.data.decoding import decode
from attribution.data.encoded import common_shape, sizes_of
from attribution.errors import UserError
from tests.unit.data.test_decoding import Image, encoded

RNG = np.random.default_rng(0)


def noise(height, width, *channels):
    return RNG.integers(0, 256, (height, width, *channels), np.uint8)


@pytest.mark.parametrize("side", [None, 16])
@pytest.mark.parametrize(
    "shapes",
    [
        [(8, 6)] * 3,
        [(8, 6), (8, 6, 3), (8, 6)],
        [(8, 6, 3), (8, 6)],
        [(8, 6), (8, 6, 3), (100, 20), (8, 6)],
        [(65, 65), (64, 64), (64, 64)],
        [(64, 64), (64, 64), (6, 8)],
        [(64, 64), (64, 64, 3)],
        [(6, 8), (8, 6)],
    ],
)
def test_the_same_shape_and_pixels_as_those_of_encoded_pictures(monkeypatch, shapes, side):
    monkeypatch.setattr(pixels, "BLOCK", 2)
    images = [noise(*shape) for shape in shapes]
    collector = pixels.PixelCollector(side)
    for image in images:
        collector.add(image)
    found, sizes = collector.finish()
    looks = np.array([(image.shape[1], image.shape[0], image.ndim == 2) for image in images])
    shape = common_shape(looks, side)
    assert found.shape == (len(images), *shape) and sizes == sizes_of(looks, shape)
    for image, pixels_of_it in zip(images, found):
        assert (decode(encoded(Image.fromarray(image)), shape) == pixels_of_it).all()


def test_some_of_them_in_a_file_of_their_own(monkeypatch):
    monkeypatch.setattr(pixels, "BLOCK", 2)
    images = noise(7, 5, 4, 3)
    assert (pixels.select(images, np.array([6, 0, 3])) == images[[6, 0, 3]]).all()
    assert pixels.select(images, np.array([], int)).shape == (0, 5, 4, 3)


def test_a_side_out_of_range_and_a_full_disk_are_said(monkeypatch):
    with pytest.raises(UserError, match="cannot be made 4 pixels wide; choose a side from 8 to 512"):
        pixels.PixelCollector(4)

    class Full:
        def write(self, _):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: Full())
    with pytest.raises(UserError, match=r"cannot be kept in .* \(No space left on device\); make room"):
        pixels.PixelCollector().add(noise(8, 6))
