"""Arrays in `.npy` files, read so that a file that is cut short while it is in use is an error, and kills nobody.

A memory map would: the system ends a process that looks at a page which is no longer there.
"""

import os
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.lib.mixins import NDArrayOperatorsMixin

from attribution.errors import UserError

SMALL = 32 * 2**20  # bytes up to which an array is read whole
GAP = 16  # rows: two that are closer together are read in one piece


class StoredArray(NDArrayOperatorsMixin):
    """The array in a `.npy` file, which is read when it is indexed: stored[rows] reads these rows alone, whatever else
    is asked of it reads it whole. Where the file is no longer what it was, reading raises UserError."""

    def __init__(self, file: Path, shape: tuple[int, ...], dtype: np.dtype, offset: int):
        self.file = file
        self.shape = shape
        self.dtype = dtype
        self._offset = offset  # bytes before the first number
        self._handle = os.open(file, os.O_RDONLY)  # of this file, whatever takes its name later

    def __del__(self):
        os.close(self._handle)

    def __reduce__(self):
        return read_array, (self.file,)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all its numbers."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which) -> np.ndarray:
        first, *rest = which if isinstance(which, tuple) else (which,)
        if first is None or first is Ellipsis or getattr(first, "ndim", 1) > 1:
            return self._read(0, len(self))[which]
        if isinstance(first, slice):
            start, stop, step = first.indices(len(self))
            if step == 1:
                return self._read(start, max(start, stop))[(slice(None), *rest)]
        rows = np.arange(len(self))[first]
        needed, places = np.unique(rows, return_inverse=True)
        block = np.empty((len(needed), *self.shape[1:]), self.dtype)
        starts = np.flatnonzero(np.diff(needed, prepend=-GAP - 1) > GAP)
        for start, stop in zip(starts, [*starts[1:], len(needed)]):
            run = needed[start:stop]
            block[start:stop] = self._read(int(run[0]), int(run[-1]) + 1)[run - run[0]]
        return block[(places.reshape(np.shape(rows)) if np.ndim(rows) else 0, *rest)]

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.asarray(self._read(0, len(self)), dtype)

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        arrays = [np.asarray(one) if isinstance(one, StoredArray) else one for one in inputs]
        return getattr(ufunc, method)(*arrays, **options)

    def __getattr__(self, name: str):
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(np.asarray(self), name)

    def _read(self, start: int, stop: int) -> np.ndarray:
        """The rows from `start` to before `stop`."""
        rows = np.empty((stop - start, *self.shape[1:]), self.dtype)
        view, at = memoryview(rows.reshape(-1).view(np.uint8)), 0
        begin = self._offset + start * (self.nbytes // max(1, len(self)))
        while at < len(view):
            count = os.preadv(self._handle, [view[at : at + 2**30]], begin + at)
            if not count:
                raise _cut_short(self.file)
            at += count
        return rows


def read_array(file: Path, *shape: int | None) -> np.ndarray:
    """The array in a `.npy` file: in memory, or where it is large a `StoredArray`, which is read as it is indexed.

    shape: the lengths it should have, None where any will do; none at all for an array of any shape. More axes may
    follow. Raises UserError if the file is missing or corrupt, or has another shape.
    """
    try:
        array = _open(file)
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{file} cannot be read as an array ({why}); copy the workspace again") from None
    if array.ndim < len(shape) or any(expected not in (None, n) for expected, n in zip(shape, array.shape)):
        expected = " x ".join("any" if n is None else str(n) for n in shape)
        raise UserError(f"{file} has shape {array.shape}, and {expected} is expected; copy the workspace again")
    return array  # type: ignore[return-value]


def _open(file: Path) -> np.ndarray | StoredArray:
    """Raises ValueError and what else numpy raises for what is no array of numbers, and UserError where it is cut."""
    if not file.is_file():
        raise FileNotFoundError("there is no such file" if not file.exists() else "it is no file")
    with file.open("rb") as stream:
        version = npy.read_magic(stream)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, by_column, dtype = read_header(stream)
        offset = stream.tell()
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if dtype.kind not in "biuf":
            raise ValueError("no array of numbers")
        if os.fstat(stream.fileno()).st_size < offset + size:
            raise ValueError("it is cut short")
        if size > SMALL and shape and not by_column:
            return StoredArray(file, shape, dtype, offset)
        stream.seek(0)
        return npy.read_array(stream, allow_pickle=False)


def _cut_short(file: Path) -> UserError:
    return UserError(f"{file} was cut short while it was in use; copy the workspace again")
