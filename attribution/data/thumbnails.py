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
        size = 4 * len(images) + int(np.prod(self.shape))
        with suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
            if file.stat().st_size < size:
                os.truncate(file, size)  # longer, with zeros, and the same for whoever does it a second time

    def sample(self, ids):
        return self._images.sample(ids)

    def _decode(self, ids):
        found, absent = np.zeros((len(ids), *self.shape[1:]), np.uint8), np.arange(len(ids))
        with suppress(OSError):
            absent = self._read(ids, found)
        for start in range(0, len(absent), BLOCK):
            block = absent[start : start + BLOCK]
            found[block] = self._images[ids[block]]
            self._keep(ids[block], found[block])
        return found

    def _read(self, ids: np.ndarray, found: np.ndarray) -> np.ndarray:
        """Fills `found` with what is kept, and returns the places of the rest. By system calls: of a mapped file, what
        was looked at, and much around it, would count as this process's memory."""
        absent = []
        with self._path.open("rb", buffering=0) as stream:
            for at, i in enumerate(ids.tolist()):
                pixels = os.pread(stream.fileno(), found[at].nbytes, 4 * len(self) + i * found[at].nbytes)
                sum_ = os.pread(stream.fileno(), 4, 4 * i)
                if len(pixels) == found[at].nbytes and sum_ == np.uint32(_checksum(pixels)).tobytes():
                    found[at] = np.frombuffer(pixels, np.uint8).reshape(found[at].shape)
                else:
                    absent.append(at)
        return np.array(absent, int)

    def _keep(self, ids: np.ndarray, found: np.ndarray) -> None:
        """Written by system calls, which say that the disk is full; a write to mapped memory would end the process."""
        with suppress(OSError), self._path.open("r+b", buffering=0) as stream:
            for i, pixels in zip(ids.tolist(), found):
                os.pwrite(stream.fileno(), pixels.tobytes(), 4 * len(self) + i * pixels.nbytes)
                os.pwrite(stream.fileno(), np.uint32(_checksum(pixels)).tobytes(), 4 * i)


def _checksum(pixels: np.ndarray | bytes) -> int:
    """Never 0, which stands for no image."""
    return zlib.crc32(pixels) or 1
