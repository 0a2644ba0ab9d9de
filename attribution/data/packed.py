"""Encoded pictures that lie one after another in larger files, each known by its file, its offset and its size."""

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from attribution.data.decoding import UnreadableError
from attribution.data.encoded import LOCATE, EncodedImages, PictureSource
from attribution.data.foreign import check_file
from attribution.data.picture_files import MAX_PICTURE
from attribution.errors import UserError

MAX_OPEN_FILES = 64


class PackedPictures(PictureSource):
    """Pictures within files. files: (path under `root`, bytes). places: a row a picture: shard (index of `files`),
    offset and size in bytes, name (for people, within its file) and number (in the data set's own order). kind: the
    loader's, in `data.NAMES`."""

    def __init__(self, root: Path, files: Sequence[tuple[str, int]], places: pd.DataFrame, kind: str):
        self.root, self.files, self.places = root, [(str(name), int(size)) for name, size in files], places
        self.numbers = places["number"].to_numpy(np.int64)
        self.source = {"kind": kind, "files": [list(file) for file in self.files]}
        self._shards, self._offsets, self._sizes = (
            places[column].to_numpy(np.int64) for column in ("shard", "offset", "size")
        )
        self._open = lru_cache(MAX_OPEN_FILES)(lambda shard: _open_checked(self.root, *self.files[shard]))
        if len(places) and not 0 <= self._shards.min() <= self._shards.max() < len(files):
            raise ValueError(f"pictures beyond the {len(files)} files")
        if len(places) and min(self._offsets.min(), self._sizes.min()) < 0:
            raise ValueError("pictures before the start of a file")

    @property
    def locations(self):
        """See `PictureSource.locations`."""
        return {column: self.places[column] for column in self.places}

    def read(self, i):
        """See `PictureSource.read`."""
        size = int(self._sizes[i])
        if size > MAX_PICTURE:
            raise UnreadableError(f"has more than {MAX_PICTURE >> 20} MiB")
        stream = self._open(int(self._shards[i]))
        try:
            content = os.pread(stream.fileno(), size, int(self._offsets[i]))
        except (OSError, OverflowError) as error:
            raise UnreadableError(getattr(error, "strerror", None) or type(error).__name__) from None
        if len(content) < size:
            raise UnreadableError("its file ends before it does")
        return content

    def describe(self, i):
        """See `PictureSource.describe`."""
        return f"{self.places['name'].iloc[i]} in {self.files[self._shards[i]][0]}"

    def paths(self):
        """See `PictureSource.paths`."""
        return [self.root / name for name, _ in self.files]

    def select(self, ids):
        """See `PictureSource.select`."""
        return PackedPictures(self.root, self.files, self.places.iloc[ids], self.source["kind"])


def reopen_images(source: dict, root: Path, locations: pd.DataFrame) -> EncodedImages:
    """See `attribution.data.reopen_images`."""
    return EncodedImages.reopened(PackedPictures(root, source["files"], locations, source["kind"]), source)


def _open_checked(root: Path, name: str, size: int):
    """The file `name` under `root`, open. Raises UserError where it is missing or has another size."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise UserError(f"the file {name} leads out of the data set's folder; copy the workspace again")
    if not (root / name).exists():
        raise UserError(f"the file {name} is not in {root}; put it back, or say where it is: {LOCATE}")
    if (found := check_file(root / name)) != size:
        raise UserError(
            f"{root / name} has {found:,} bytes and should have {size:,}; put back the file that the workspace was "
            "created from"
        )
    return open(root / name, "rb", buffering=0)
