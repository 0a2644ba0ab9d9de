"""Images that come as pixels, one after another: brought to one shape, and kept in a file until they are stored."""

import tempfile
from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageOps

from attribution.data.encoded import ALLOWED_SIDES, DEFAULT_SIDE, sizes_of
from attribution.errors import UserError

BLOCK = 1000  # images that are converted at a time


class PixelCollector:
    """Images of any sizes, of which `finish` gives one array. They are in a temporary file meanwhile, so that a data
    set may be larger than memory.

    The shape is the one that `encoded.common_shape` gives encoded pictures: images of one size up to 64 pixels stay as
    they are, others are resized to `side`, in pixels, or 64. Raises UserError for a side that is not allowed.
    """

    def __init__(self, side: int | None = None):
        if side is not None and side not in ALLOWED_SIDES:
            raise UserError(
                f"images cannot be made {side} pixels wide; choose a side from {ALLOWED_SIDES[0]} to "
                f"{ALLOWED_SIDES[-1]}"
            )
        self._side = side
        self._looks: list[tuple[int, int, bool]] = []
        self._shape: tuple[int, ...] = ()
        self._file = _PixelFile(())

    def __len__(self) -> int:
        return len(self._looks)

    def add(self, image: np.ndarray) -> None:
        """Takes in one image, uint8 [H, W] or [H, W, 3]. Raises UserError where the disk is full."""
        height, width = image.shape[:2]
        shape = self._shape_with(image)
        if shape != self._shape:
            old, self._file = self._file, _PixelFile(shape)
            for start in range(0, len(self._looks), BLOCK):
                self._file.append(fit(one, shape) for one in old.array()[start : start + BLOCK])
            self._shape = shape
        self._file.append([fit(image, shape)])
        self._looks.append((width, height, image.ndim == 2))

    def finish(self) -> tuple[np.ndarray, dict | None]:
        """All images, uint8 [n, H, W] or [n, H, W, 3], in order; and their sizes as `encoded.sizes_of` says."""
        return self._file.array(), sizes_of(np.array(self._looks), self._shape)

    def _shape_with(self, image: np.ndarray) -> tuple[int, ...]:
        """The shape of all images once this one is among them."""
        size = image.shape[:2]
        if self._side is None and max(size) <= DEFAULT_SIDE and self._shape[:2] in ((), size):
            return size if image.ndim == 2 and len(self._shape) < 3 else (*size, 3)
        return self._side or DEFAULT_SIDE, self._side or DEFAULT_SIDE, 3


def select(images: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The images `ids`, int64 [m], of an array uint8 [n, ...], in a temporary file of their own."""
    file = _PixelFile(images.shape[1:])
    for start in range(0, len(ids), BLOCK):
        file.append(images[ids[start : start + BLOCK]])
    return file.array()


def fit(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """An image, uint8 [H, W] or [H, W, 3], in `shape`, of which it has the colours: resized (bicubic), its longer side
    cropped to the middle, where its size is another."""
    if image.ndim < len(shape):
        image = np.repeat(image[..., None], 3, axis=2)
    if image.shape == shape:
        return image
    return np.asarray(ImageOps.fit(Image.fromarray(image), shape[1::-1], Image.Resampling.BICUBIC))


class _PixelFile:
    """Images of one shape in a temporary file that has no name, so that nothing stays behind."""

    def __init__(self, shape: tuple[int, ...]):
        self._shape, self._count = shape, 0
        self._stream = tempfile.TemporaryFile(buffering=0)

    def append(self, images: Iterable[np.ndarray]) -> None:
        try:
            for image in images:
                view = memoryview(image.tobytes())
                while view:
                    view = view[self._stream.write(view) :]
                self._count += 1
        except OSError as error:
            raise UserError(
                f"the images cannot be kept in {tempfile.gettempdir()} ({error.strerror}); make room there, or set "
                "TMPDIR to a folder on another disk"
            ) from None

    def array(self) -> np.ndarray:
        """uint8 [n, ...]: mapped, since no other process can cut the file short."""
        shape = (self._count, *self._shape)
        return np.memmap(self._stream, np.uint8, "r", shape=shape) if self._count else np.zeros(shape, np.uint8)
