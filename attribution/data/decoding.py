"""Decodes pictures of any format, mode, size and rotation to pixels."""

from contextlib import contextmanager, nullcontext
from io import BytesIO
from threading import Lock

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

#: Formats that Pillow may read, whatever a file's name says. Never EPS, for which Pillow runs Ghostscript.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
#: EXIF: the orientation's tag, and its values that rotate a picture by 90 degrees
ORIENTATION_TAG, SIDEWAYS_ORIENTATIONS = 0x0112, (5, 6, 7, 8)

#: pixels of a picture that is decoded alone: one of the largest takes 360 MB, and there is a thread for each core
LARGE = 2**24
_LARGE_ONES = Lock()


class UnreadableError(Exception):
    """A picture that cannot be read; the text says why, to be put in brackets in a sentence."""


def inspect_picture(content: bytes) -> tuple[int, int, bool]:
    """Width and height (pixels, upright) of an encoded picture, and whether it is grey. Decodes the whole picture, so
    that a truncated file is noticed. Raises UnreadableError."""
    with _open_picture(content) as image:
        image.load()
        on_its_side = image.getexif().get(ORIENTATION_TAG) in SIDEWAYS_ORIENTATIONS
        width, height = image.size[::-1] if on_its_side else image.size
        return width, height, _is_grey(image)


def decode(content: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """The pixels of an encoded picture, upright, on white: uint8 of `shape`, [H, W] or [H, W, 3]. A picture of another
    size is resized (bicubic) and its longer side cropped to the middle. Raises UnreadableError."""
    height, width = shape[:2]
    with _open_picture(content) as image:
        image.draft(None, (2 * width, 2 * height))  # a large JPEG is decoded at a fraction of its size
        image = _to_upright(image).convert("L" if len(shape) == 2 else "RGB")
        if image.size != (width, height):
            image = ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)
        return np.asarray(image)


def to_pixels(picture: bytes | Image.Image) -> np.ndarray:
    """The pixels of an encoded picture or of an image of Pillow's, upright, on white, at its own size: uint8 [H, W]
    where it is grey, else [H, W, 3]. Raises UnreadableError."""
    with _open_picture(picture) if isinstance(picture, bytes) else nullcontext(picture) as image:
        return np.asarray(_to_upright(image))


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


def _to_upright(image: Image.Image) -> Image.Image:
    """The image in mode L where it is grey, else RGB; rotated as its EXIF says, on white."""
    image = ImageOps.exif_transpose(image)
    mode = "L" if _is_grey(image) else "RGB"
    if image.mode.startswith("I"):  # 16 bits: Pillow's own conversion would cut values off at 255
        return Image.fromarray((np.clip(np.asarray(image), 0, 65535) >> 8).astype(np.uint8))
    if image.mode == "F":
        raise UnreadableError("has floating-point pixels; save it with 8 bits a channel")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert(mode)
    return image.convert(mode)
