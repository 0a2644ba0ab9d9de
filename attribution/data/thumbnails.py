"""A cache of decoded images on disk, so that an image read in place is decoded once."""

import os
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np

from attribution.data import Images
from attribution.files import file_mode, make_folder

BLOCK = 1000  # images decoded before they are written


class Thumbnails(Images):
    """`images`, with decoded images cached in `file`, which all processes share.

    The file is sparse: uint32 [n], the CRC-32 of each image's pixels, 0 where it is not cached; then the pixels, uint8
    [n, ...]. An image that a crash or a full disk left incomplete fails its checksum and is decoded again. Where the
    file cannot be written, nothing is cached.
    """

    def __init__(self, images: Images, file: Path):
        self.shape = images.shape
        self._images = images
        self._path = file
        size = 4 * len(images) + int(np.prod(self.shape))
        with suppress(OSError):
            make_folder(file.parent)
            file.touch(file_mode(file))
            if file.stat().st_size < size:
                os.truncate(file, size)  # appends zeros; harmless if another process does the same

    def fingerprint_bytes(self, ids):
        """See `Images.fingerprint_bytes`."""
        return self._images.fingerprint_bytes(ids)

    def picture(self, i):
        """See `Images.picture`."""
        return self._images.picture(i)

    def paths(self):
        """See `Images.paths`."""
        return self._images.paths()

    def _decode(self, ids):
        images, absent = np.zeros((len(ids), *self.shape[1:]), np.uint8), np.arange(len(ids))
        with suppress(OSError):
            absent = self._read(ids, images)
        for start in range(0, len(absent), BLOCK):
            block = absent[start : start + BLOCK]
            images[block] = self._images[ids[block]]
            self._write(ids[block], images[block])
        return images

    def _read(self, ids: np.ndarray, images: np.ndarray) -> np.ndarray:
        """Fills `images` with those of `ids` that are cached; returns the positions of the others, int [m]. By system
        calls, since the pages of a memory map would count as this process's memory."""
        absent = []
        with self._path.open("rb", buffering=0) as stream:
            for at, i in enumerate(ids.tolist()):
                size = images[at].nbytes
                pixels = os.pread(stream.fileno(), size, 4 * len(self) + i * size)
                checksum = os.pread(stream.fileno(), 4, 4 * i)
                if len(pixels) == size and checksum == np.uint32(_checksum(pixels)).tobytes():
                    images[at] = np.frombuffer(pixels, np.uint8).reshape(images[at].shape)
                else:
                    absent.append(at)
        return np.array(absent, int)

    def _write(self, ids: np.ndarray, images: np.ndarray) -> None:
        """By system calls, which raise OSError on a full disk; a write to mapped memory would kill the process."""
        with suppress(OSError), self._path.open("r+b", buffering=0) as stream:
            for i, pixels in zip(ids.tolist(), images):
                os.pwrite(stream.fileno(), pixels.tobytes(), 4 * len(self) + i * pixels.nbytes)
                os.pwrite(stream.fileno(), np.uint32(_checksum(pixels)).tobytes(), 4 * i)


def _checksum(pixels: np.ndarray | bytes) -> int:
    """CRC-32, but never 0, which stands for no image."""
    return zlib.crc32(pixels) or 1
