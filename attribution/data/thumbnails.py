"""Decoded images, kept: a second look at an image that is read in place takes no decoding."""

import os
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np

from attribution.data import Images

BLOCK = 1000  # images decoded between two times they are kept


class Thumbnails(Images):
    """`images`, with what was decoded kept in `file`, where every process finds it.

    The file is sparse and grows with what is looked at: uint32 [n], the checksum of each image's pixels, or 0 where it
    is not kept; and then the pixels, uint8 [n, ...]. Whatever a crash or a full disk leaves of an image fails its
    checksum and is decoded again. Where nothing can be kept, nothing is.
    """

    def __init__(self, images: Images, file: Path):
        self.shape = images.shape
        self._images = images
        self._path = file
        self._sums, self._pixels = np.zeros(len(images), np.uint32), None
        size = 4 * len(images) + int(np.prod(self.shape))
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
            if file.stat().st_size < size:
                os.truncate(file, size)  # longer, with zeros, and the same for whoever does it a second time
            pixels = np.memmap(file, np.uint8, "r", 4 * len(images), self.shape)
            self._sums, self._pixels = np.memmap(file, np.uint32, "r", 0, len(images)), np.asarray(pixels)

    def sample(self, ids):
        return self._images.sample(ids)

    def _decode(self, ids):
        if self._pixels is None:
            return self._images[ids]
        found, sums = self._pixels[ids], self._sums[ids]
        absent = np.array([at for at, (pixels, sum_) in enumerate(zip(found, sums)) if sum_ != _checksum(pixels)], int)
        for start in range(0, len(absent), BLOCK):
            block = absent[start : start + BLOCK]
            found[block] = self._images[ids[block]]
            self._keep(ids[block], found[block])
        return found

    def _keep(self, ids: np.ndarray, found: np.ndarray) -> None:
        """Written by system calls, which say that the disk is full; a write to mapped memory would end the process."""
        with suppress(OSError), self._path.open("r+b", buffering=0) as stream:
            for i, pixels in zip(ids.tolist(), found):
                os.pwrite(stream.fileno(), pixels.tobytes(), 4 * len(self) + i * pixels.nbytes)
                os.pwrite(stream.fileno(), np.uint32(_checksum(pixels)).tobytes(), 4 * i)


def _checksum(pixels: np.ndarray) -> int:
    """Never 0, which stands for no image."""
    return zlib.crc32(pixels) or 1
