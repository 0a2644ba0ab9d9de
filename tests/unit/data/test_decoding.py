from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from attribution.data.decoding import ORIENTATION_TAG, UnreadableError, decode, decode_whole, inspect_picture


def encoded(image, kind="PNG", **options) -> bytes:
    content = BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


RED = (200, 30, 30)


@pytest.mark.parametrize(
    "content",
    [
        encoded(Image.new("RGB", (8, 6), RED)),
        encoded(Image.new("RGB", (8, 6), RED), "BMP"),
        encoded(Image.new("RGB", (8, 6), RED), "WEBP", lossless=True),
        encoded(Image.new("RGB", (8, 6), RED), "TIFF"),
        encoded(Image.new("RGB", (8, 6), RED).quantize(4), "PNG"),
        encoded(Image.new("RGB", (8, 6), RED), "GIF"),
        encoded(Image.new("RGBA", (8, 6), (*RED, 255))),
        encoded(Image.new("RGB", (8, 6), RED).convert("CMYK"), "JPEG", quality=100),
    ],
    ids=["RGB", "BMP", "WEBP", "TIFF", "palette", "GIF", "opaque alpha", "CMYK"],
)
def test_whatever_the_mode_the_colour_is_right(content):
    assert inspect_picture(content) == (8, 6, False)
    pixels = decode(content, (6, 8, 3))
    assert (pixels.shape, pixels.dtype) == ((6, 8, 3), np.uint8)
    assert np.abs(pixels.astype(int) - RED).max() <= 4


@pytest.mark.parametrize(
    "content, expected",
    [
        (encoded(Image.new("L", (8, 6), 77)), 77),
        (encoded(Image.new("L", (8, 6), 77), "JPEG"), 77),
        (encoded(Image.new("1", (8, 6), 1)), 255),
        (encoded(Image.new("LA", (8, 6), (77, 255))), 77),
        (encoded(Image.fromarray(np.full((6, 8), 77 * 257, np.uint16))), 77),
        (encoded(Image.fromarray(np.full((6, 8), 77 * 257, np.uint16)), "TIFF"), 77),
    ],
    ids=["L", "JPEG", "one bit", "LA", "16-bit PNG", "16-bit TIFF"],
)
def test_grey_is_grey_at_any_depth(content, expected):
    assert inspect_picture(content) == (8, 6, True)
    assert (decode(content, (6, 8)) == expected).all()
    assert (decode(content, (6, 8, 3)) == expected).all()


@pytest.mark.parametrize(
    "content",
    [
        encoded(Image.new("RGBA", (4, 4), (0, 0, 0, 0))),
        encoded(Image.new("LA", (4, 4), (0, 0))),
        encoded(Image.new("P", (4, 4), 0), "GIF", transparency=0),
        encoded(Image.new("RGB", (4, 4)), "PNG", transparency=(0, 0, 0)),
    ],
    ids=["RGBA", "LA", "palette", "one colour"],
)
def test_transparency_is_composited_on_white(content):
    assert (decode(content, (4, 4, 3)) == 255).all()


@pytest.mark.parametrize("orientation, corner", [(1, (0, 0)), (3, (5, 7)), (6, (0, 5)), (8, (7, 0))])
def test_a_picture_is_turned_as_its_exif_says(orientation, corner):
    image = Image.new("L", (8, 6))
    image.putpixel((0, 0), 255)
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(image, exif=exif)
    width, height, _ = inspect_picture(content)
    assert (width, height) == ((8, 6) if orientation < 5 else (6, 8))
    assert np.argwhere(decode(content, (height, width))).tolist() == [list(corner)]


def test_another_size_is_resized_and_cropped_to_the_middle():
    image = Image.new("RGB", (300, 100), "red")
    image.paste("green", (100, 0, 200, 100))
    for kind in ("PNG", "JPEG"):
        pixels = decode(encoded(image, kind), (20, 20, 3))[:, 2:-2]  # not the blurred edge
        assert pixels[..., 0].max() < 20 and pixels[..., 1].min() > 100, kind


def test_a_tall_picture_on_its_side_is_cropped_upright():
    image = Image.new("L", (400, 100), 200)
    exif = Image.Exif()
    exif[0x0112] = 6
    assert (decode(encoded(image, "JPEG", exif=exif), (16, 16)) == 200).all()


whole = encoded(Image.effect_noise((64, 64), 50), "JPEG")


@pytest.mark.parametrize(
    "content, why",
    [
        (b"", "empty"),
        (b"no picture at all", "known kind"),
        (whole[: len(whole) // 2], "truncated"),
        (encoded(Image.effect_noise((64, 64), 50))[:900], "truncated"),
        (encoded(Image.new("F", (4, 4)), "TIFF"), None),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n(x) run\n%%EOF\n", "known kind"),
    ],
    ids=["empty", "text", "truncated JPEG", "truncated PNG", "floats", "PostScript in disguise"],
)
def test_what_cannot_be_read_says_why(content, why):
    with pytest.raises(UnreadableError, match=why):
        decode(content, (8, 8, 3))
    if why:
        with pytest.raises(UnreadableError, match=why):
            inspect_picture(content)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL", "ignore::PIL.Image.DecompressionBombWarning")
def test_a_broken_file_of_any_kind_is_unreadable_and_nothing_else():
    rng = np.random.default_rng(0)
    colours = Image.fromarray(rng.integers(0, 255, (12, 12, 3), np.uint8))
    read = 0
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"):
        content = encoded(colours, kind)
        for _ in range(40):
            broken = np.frombuffer(content, np.uint8).copy()
            broken[rng.integers(0, len(broken), 4)] = rng.integers(0, 256, 4)
            try:
                inspect_picture(broken.tobytes())
                read += decode(broken.tobytes(), (12, 12, 3)).shape == (12, 12, 3)
            except UnreadableError as error:
                assert "\n" not in str(error) and "0x" not in str(error)
    assert 0 < read < 240


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("limit", [5000, 2000])  # 10,000 pixels: Pillow itself raises beyond twice its limit
def test_a_decompression_bomb_is_not_decoded(monkeypatch, limit):
    content = encoded(Image.new("L", (100, 99)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(UnreadableError, match="100 x 99|exceeds limit"):
        inspect_picture(content)


def test_a_picture_is_read_whole_at_its_own_size():
    """Upright and on white, as `decode` has it."""
    pixels = np.zeros((20, 30, 4), np.uint8)
    pixels[:, :15] = 10, 20, 30, 255
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    picture = decode_whole(encoded(Image.fromarray(pixels), exif=exif))
    assert (picture.mode, picture.size) == ("RGB", (20, 30))
    assert picture.getpixel((3, 3)) == (10, 20, 30) and picture.getpixel((3, 27)) == (255, 255, 255)
    with pytest.raises(UnreadableError, match="is empty"):
        decode_whole(b"")
