"""Decodes pictures of any format, mode, depth, size and rotation to pixels."""

import re
from contextlib import contextmanager, nullcontext
from io import BytesIO
from threading import Lock
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

#: Formats that Pillow may read, whatever a file's name says. Never EPS, for which Pillow runs Ghostscript.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
#: EXIF: the orientation's tag, and its values that rotate a picture by 90 degrees
ORIENTATION_TAG, SIDEWAYS_ORIENTATIONS = 0x0112, (5, 6, 7, 8)
#: TIFF: whether white or black is 0
PHOTOMETRIC_TAG = 262

#: pixels of a picture that is decoded alone: one of the largest takes 360 MB, and there is a thread for each core
LARGE = 2**24
_LARGE_ONES = Lock()


#: bits that a grey value may have; pictures of 8 have 8
DEPTHS = range(8, 17)
#: Pillow's names of what it reads the upper half of each value of
_DEEP_COLOURS = re.compile(r"\b(RGB|RGBA|RGBa|RGBX|LA|CMYK);16")


class UnreadableError(Exception):
    """A picture that cannot be read; the text says why, to be put in brackets in a sentence."""


class Look(NamedTuple):
    """What an encoded picture is. width, height: pixels, upright. grey: of one channel. peak: the largest value of a
    grey picture of 16 bits, 0 of any other. deep_peak: the largest value, of 255, that is read of one with colours (or
    transparency) of 16 bits, -1 of any other."""

    width: int
    height: int
    grey: bool
    peak: int = 0
    deep_peak: int = -1


def inspect_picture(content: bytes) -> Look:
    """Looks at an encoded picture by decoding it whole, as `decode` does: what can be looked at can be decoded. Raises
    UnreadableError, also for grey values that are no 16 bits."""
    with _open_picture(content) as image:
        is_deep = _has_deep_colours(image)
        ImageOps.exif_transpose(image, in_place=True)
        peak, deep_peak = 0, -1
        if image.mode.startswith("I"):
            values = np.asarray(image)
            low, peak = int(values.min()), int(values.max())
            if image.format == "TIFF" and image.tag_v2.get(PHOTOMETRIC_TAG) == 0:
                raise UnreadableError("has white as 0, which is read for 8 bits alone; save it with black as 0")
            if low < 0 or peak > 65535:
                raise UnreadableError(f"has values from {low:,} to {peak:,}; save it with 8 or 16 bits")
        elif is_deep:
            extrema = image.getextrema()
            deep_peak = extrema[1] if np.ndim(extrema) == 1 else max(high for _, high in extrema[:3])
        _on_white(image, DEPTHS[-1])
        return Look(*image.size, _is_grey(image), peak, deep_peak)


def decode(content: bytes, shape: tuple[int, ...], bits: int = DEPTHS[-1]) -> np.ndarray:
    """The pixels of an encoded picture, upright, on white: uint8 of `shape`, [H, W] or [H, W, 3]. A picture of another
    size is resized (bicubic) and its longer side cropped to the middle. bits: of the values of grey pictures of 16
    bits, of which the upper 8 are taken; larger values are white. Raises UnreadableError."""
    height, width = shape[:2]
    with _open_picture(content) as image:
        image.draft(None, (2 * width, 2 * height))  # a large JPEG is decoded at a fraction of its size
        ImageOps.exif_transpose(image, in_place=True)
        image = _on_white(image, bits).convert("L" if len(shape) == 2 else "RGB")
        if image.size != (width, height):
            image = ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)
        return np.asarray(image)


def to_pixels(picture: bytes | Image.Image) -> np.ndarray:
    """The pixels of an encoded picture or of an image of Pillow's, upright, on white, at its own size: uint8 [H, W]
    where it is grey, else [H, W, 3]; of grey ones with more than 8 bits the values as they are, int [H, W]. Raises
    UnreadableError."""
    with _open_picture(picture) if isinstance(picture, bytes) else nullcontext(picture) as image:
        image = ImageOps.exif_transpose(image)
        return np.asarray(image if image.mode.startswith("I") else _on_white(image, DEPTHS[-1]))


@contextmanager
def _open_picture(content: bytes):
    """The Pillow image, header read; any error in the `with` block is raised as UnreadableError."""
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > Image.MAX_IMAGE_PIXELS:
                raise UnreadableError(f"has {image.width:,} x {image.height:,} pixels, more than are safe to decode")
            with _LARGE_ONES if image.width * image.height > LARGE else nullcontext():
                yield image
    except UnreadableError:
        raise
    except UnidentifiedImageError:
        raise UnreadableError("is not a picture of a known kind" if content else "is empty") from None
    except Exception as error:  # on a broken file Pillow's readers raise anything, SyntaxError and KeyError included
        raise UnreadableError((str(error).splitlines() or [type(error).__name__])[0]) from None


def _is_grey(image: Image.Image) -> bool:
    return image.mode in ("1", "L", "LA") or image.mode.startswith("I")


def _has_deep_colours(image: Image.Image) -> bool:
    """Whether Pillow would read the upper 8 of 16 bits. image: not loaded yet."""
    if image.format == "PPM":
        return image.mode == "RGB" and any("65535" in str(tile[3]) for tile in image.tile)
    return any(_DEEP_COLOURS.search(str(tile[3])) for tile in image.tile)


def _on_white(image: Image.Image, bits: int) -> Image.Image:
    """The image, upright already, in mode L where it is grey, else RGB; on white."""
    mode = "L" if _is_grey(image) else "RGB"
    if image.mode.startswith("I"):  # 16 bits: Pillow's own conversion would cut values off at 255
        values = np.clip(np.asarray(image), 0, 2**bits - 1) >> (bits - 8)
        return Image.fromarray(values.astype(np.uint8))
    if image.mode == "F":
        raise UnreadableError("has floating-point pixels; save it with 8 bits a channel")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert(mode)
    return image if image.mode == mode else image.convert(mode)
