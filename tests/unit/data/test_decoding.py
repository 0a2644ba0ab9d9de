import os
import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from attribution.data.decoding import Look, UnreadableError, decode, inspect_picture


def encoded(image, kind="PNG", **options) -> bytes:
    content = BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def deep_png(values) -> bytes:
    """A PNG of 16 bits a channel, which Pillow does not write in colour. values: [H, W, channels]."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0),
        b"IDAT": zlib.compress(rows),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks.items()
    )


#: times that each kind of picture is broken at random; more with LINEUP_FUZZ
BROKEN = int(os.environ.get("LINEUP_FUZZ", 20))
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
    assert inspect_picture(content) == Look(8, 6, False)
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
    assert inspect_picture(content)[:3] == (8, 6, True)
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
    width, height = inspect_picture(content)[:2]
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
        (encoded(Image.new("F", (4, 4)), "TIFF"), "floating-point pixels; save it with 8 bits"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n(x) run\n%%EOF\n", "known kind"),
    ],
    ids=["empty", "text", "truncated JPEG", "truncated PNG", "floats", "PostScript in disguise"],
)
def test_what_cannot_be_read_says_why(content, why):
    for read in (lambda: decode(content, (8, 8, 3)), lambda: inspect_picture(content)):
        with pytest.raises(UnreadableError, match=why):
            read()


@pytest.mark.parametrize(
    "peak, bits, expected",
    [(220, 8, 220), (1, 8, 1), (256, 9, 128), (3520, 12, 220), (4095, 12, 255), (16000, 14, 250), (65535, 16, 255)],
)
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_of_16_bits_is_seen_whatever_its_values_go_to(peak, bits, expected, kind):
    values = np.array([[0, peak // 2, peak]], np.uint16)
    content = encoded(Image.fromarray(values), kind)
    assert inspect_picture(content) == Look(3, 1, True, peak)
    pixels = decode(content, (1, 3), bits)
    assert pixels[0, 2] == expected and pixels[0, 0] == 0 and abs(int(pixels[0, 1]) - expected / 2) < 1.5
    assert (decode(content, (1, 3, 3), bits) == pixels[..., None]).all()
    assert (decode(content, (1, 3)) == values >> 8).all(), "as workspaces that do not say their bits were read"


def test_what_is_beyond_the_bits_is_white():
    content = encoded(Image.fromarray(np.array([[200, 300, 60_000]], np.uint16)))
    assert decode(content, (1, 3), 8).tolist() == [[200, 255, 255]]


def test_grey_of_16_bits_is_turned_as_its_exif_says():
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(Image.fromarray(np.arange(6, dtype=np.uint16).reshape(2, 3)), exif=exif)
    assert inspect_picture(content) == Look(2, 3, True, 5)
    assert decode(content, (3, 2), 8).tolist() == [[3, 0], [4, 1], [5, 2]]


@pytest.mark.parametrize("value", [-1, 65_536, 10**6])
def test_grey_of_32_bits_is_read_where_16_are_enough(value):
    assert inspect_picture(encoded(Image.new("I", (4, 4), 4000), "TIFF")) == Look(4, 4, True, 4000)
    with pytest.raises(UnreadableError, match="has values from .* save it with 8 or 16 bits"):
        inspect_picture(encoded(Image.new("I", (4, 4), value), "TIFF"))


def deep_tiff(values, order="<", white_is_0=False) -> bytes:
    """A grey TIFF of 16 bits in the given byte order, which Pillow does not choose. values: int [H, W]."""
    height, width = values.shape
    body = values.astype(f"{order}u2").tobytes()
    numbers = {256: width, 257: height, 258: 16, 259: 1, 262: int(not white_is_0), 273: 8, 277: 1, 278: height}
    tags = {**numbers, 279: len(body)}
    entries = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8 + len(body))
    return head + body + struct.pack(f"{order}H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
def test_grey_of_16_bits_in_either_byte_order(order):
    values = np.array([[0, 100, 4000]])
    assert inspect_picture(deep_tiff(values, order)) == Look(3, 1, True, 4000)
    assert decode(deep_tiff(values, order), (1, 3), 12).tolist() == [[0, 6, 250]]


def test_grey_of_16_bits_that_would_come_out_as_a_negative():
    with pytest.raises(UnreadableError, match="has white as 0.*; save it with black as 0"):
        inspect_picture(deep_tiff(np.array([[0, 100, 4000]]), white_is_0=True))


@pytest.mark.parametrize("channels", [2, 3, 4])
@pytest.mark.parametrize("value", [200, 4000, 60_000])
def test_colours_of_16_bits_say_what_is_read_of_them(channels, value):
    values = np.full((4, 5, channels), value)
    values[..., -1] = 65_535 if channels != 3 else value
    assert inspect_picture(deep_png(values)) == Look(5, 4, False, 0, value >> 8)


def test_colours_of_16_bits_in_ppm_say_so_too():
    body = np.full((4, 5, 3), 200, ">u2").tobytes()
    assert inspect_picture(b"P6 5 4 65535\n" + body).deep_peak == 1
    assert inspect_picture(b"P6 5 4 255\n" + body[::2]).deep_peak == -1


def test_the_first_picture_of_an_animation():
    frames = [Image.new("L", (4, 4), value) for value in (50, 200)]
    for kind in ("GIF", "WEBP", "TIFF", "PNG"):
        content = encoded(
            frames[0], kind, save_all=True, append_images=frames[1:], **{"lossless": True} if kind == "WEBP" else {}
        )
        assert inspect_picture(content)[:2] == (4, 4)
        assert (decode(content, (4, 4, 3)) == 50).all(), kind


@pytest.mark.filterwarnings("ignore::UserWarning:PIL", "ignore::PIL.Image.DecompressionBombWarning")
def test_a_broken_file_of_any_kind_is_unreadable_and_nothing_else():
    rng = np.random.default_rng(0)
    colours = Image.fromarray(rng.integers(0, 255, (12, 12, 3), np.uint8))
    deep = Image.fromarray(rng.integers(0, 4000, (12, 12), np.uint16))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "about"
    contents = [encoded(colours, kind) for kind in ("PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM")]
    contents += [encoded(colours, "JPEG", exif=exif), encoded(colours.convert("CMYK"), "TIFF")]
    contents += [encoded(Image.effect_noise((80, 64), 90), "JPEG", progressive=True)]  # is decoded at a fraction
    contents += [encoded(deep, "PNG"), encoded(deep, "TIFF"), encoded(colours.quantize(9), "PNG", transparency=3)]
    read = 0
    for content in contents * BROKEN:
        broken = np.frombuffer(content, np.uint8).copy()
        broken[rng.integers(0, len(broken), 4)] = rng.integers(0, 256, 4)
        try:
            inspect_picture(broken.tobytes())
        except UnreadableError as error:
            assert "\n" not in str(error) and "0x" not in str(error)
            continue
        for shape in ((12, 12, 3), (8, 8), (9, 30)):  # what can be looked at can be decoded
            assert decode(broken.tobytes(), shape, 12).shape == shape
        read += 1
    assert 0 < read < len(contents) * BROKEN


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("limit", [5000, 2000])  # 10,000 pixels: Pillow itself raises beyond twice its limit
def test_a_decompression_bomb_is_not_decoded(monkeypatch, limit):
    content = encoded(Image.new("L", (100, 99)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(UnreadableError, match="100 x 99|exceeds limit"):
        inspect_picture(content)
