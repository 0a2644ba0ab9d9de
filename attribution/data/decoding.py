"""Encoded pictures to pixels: whatever kinds, modes, sizes and rotations people's files have."""

from contextlib import contextmanager
from io import BytesIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

#: What Pillow may take a file for, whatever its name says. Never EPS, which Pillow has Ghostscript run.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
#: EXIF: the tag and those of its values that turn a picture on its side
ORIENTATION, ON_ITS_SIDE = 0x0112, (5, 6, 7, 8)


class Unreadable(Exception):
    """A picture that cannot be had; the text says why, for a sentence's brackets."""


def look(content: bytes) -> tuple[int, int, bool]:
    """Width and height (pixels, upright) of an encoded picture, and whether it is grey. Decodes all of it, so that
    what is truncated is found. Raises Unreadable."""
    with _opened(content) as image:
        image.load()
        on_its_side = image.getexif().get(ORIENTATION) in ON_ITS_SIDE
        width, height = image.size[::-1] if on_its_side else image.size
        return width, height, _grey(image)


def decode(content: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """The pixels, upright, of an encoded picture: uint8 [H, W] or [H, W, 3] as `shape` says; transparency shows white.
    One of another size is resized and its longer side cropped to the middle. Raises Unreadable."""
    height, width = shape[:2]
    with _opened(content) as image:
        image.draft(None, (2 * width, 2 * height))  # a large JPEG is decoded at a fraction of its size
        image = _upright(image).convert("L" if len(shape) == 2 else "RGB")
        if image.size != (width, height):
            image = ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)
        return np.asarray(image)


@contextmanager
def _opened(content: bytes):
    """The Pillow image, header read; whatever goes wrong in the block is Unreadable."""
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > Image.MAX_IMAGE_PIXELS:
                raise Unreadable(f"has {image.width:,} x {image.height:,} pixels, more than are safe to decode")
            yield image
    except Unreadable:
        raise
    except UnidentifiedImageError:
        raise Unreadable("is not a picture of a known kind" if content else "is empty") from None
    except Exception as error:  # on a broken file Pillow's readers raise anything, SyntaxError and KeyError included
        raise Unreadable((str(error).splitlines() or [type(error).__name__])[0]) from None


def _grey(image: Image.Image) -> bool:
    return image.mode in ("1", "L", "LA") or image.mode.startswith("I")


def _upright(image: Image.Image) -> Image.Image:
    """As mode L where it is grey, else RGB; turned as its EXIF says, on white."""
    image = ImageOps.exif_transpose(image)
    mode = "L" if _grey(image) else "RGB"
    if image.mode.startswith("I"):  # 16 bits: Pillow's own conversion would cut values off at 255
        return Image.fromarray((np.clip(np.asarray(image), 0, 65535) >> 8).astype(np.uint8))
    if image.mode == "F":
        raise Unreadable("has floating-point pixels; save it with 8 bits a channel")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert(mode)
    return image.convert(mode)
