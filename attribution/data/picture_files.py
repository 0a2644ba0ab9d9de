"""Pictures that are files, each named by its path under the data set's folder."""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from attribution.data.decoding import UnreadableError
from attribution.data.encoded import EncodedImages, PictureSource
from attribution.data.folder_layout import SUFFIXES
from attribution.data.foreign import printable
from attribution.errors import UserError

MAX_PICTURE = 256 << 20  # bytes of a picture
MAX_NAMED = 3  # how many paths an error lists


class PictureFiles(PictureSource):
    """Picture files. names: paths under `root`, with slashes. kind: the loader's, in `data.NAMES`. links: whether links
    may lead out of `root`, as the person who created the workspace allowed; a name never may."""

    def __init__(self, root: Path, names, numbers: np.ndarray, kind: str, links: bool = False):
        self.root = root.resolve()
        self.names = names
        self.numbers = numbers
        self.source = {"kind": kind, "links": True} if links else {"kind": kind}

    @property
    def locations(self):
        """See `PictureSource.locations`."""
        return {"file": self.names, "number": self.numbers}

    def read(self, i):
        """See `PictureSource.read`."""
        name = PurePosixPath(self.names[i])
        file = self.root / name
        if printable(self.names[i]) != self.names[i]:
            raise UnreadableError("has a name that is no UTF-8; rename it")
        try:
            if name.is_absolute() or ".." in name.parts:  # a malicious workspace.json
                raise UnreadableError("leads out of the data set's folder")
            if not self.source.get("links") and not file.resolve().is_relative_to(self.root):
                raise UnreadableError("leads out of the data set's folder; --follow-links allows that")
            if not file.is_file():
                raise UnreadableError("is not there, or no file")
            if file.stat().st_size > MAX_PICTURE:
                raise UnreadableError(f"has more than {MAX_PICTURE >> 20} MiB")
            return file.read_bytes()
        except OSError as error:
            raise UnreadableError(error.strerror or type(error).__name__) from None
        except RuntimeError:
            raise UnreadableError("is a link in a circle") from None
        except ValueError:  # a zero byte
            raise UnreadableError("has a name that no file can have") from None

    def describe(self, i):
        """See `PictureSource.describe`."""
        return printable(self.names[i])

    def paths(self):
        """See `PictureSource.paths`."""
        return [self.root / name for name in self.names]

    def select(self, ids):
        """See `PictureSource.select`."""
        kind, links = self.source["kind"], self.source.get("links", False)
        return PictureFiles(self.root, self.names[ids], self.numbers[ids], kind, links)


def reopen_images(source: dict, root: Path, locations) -> EncodedImages:
    """See `attribution.data.reopen_images`."""
    names, numbers = locations["file"].astype(str).array, locations["number"].to_numpy(np.int64)
    links = source.get("links") is True
    return EncodedImages.reopened(PictureFiles(root, names, numbers, source["kind"], links), source)


def place_files(folder: Path, paths: Sequence[str], source: str, follow_links: bool) -> tuple[Path, list[str]]:
    """The root folder of picture files that a table names, and their paths under it, with slashes.

    folder: the table's, absolute, which is the root unless files outside are allowed: then it is the one that holds
    all. paths: as people write them, relative to `folder` or absolute, with slashes or backslashes. source: what errors
    call the table. Raises UserError for paths that lead out of `folder`, unless follow_links.
    """
    full, outside = [], []
    for path in paths:
        path = path.replace("\\", "/") if "\\" in path and not os.path.lexists(folder / path) else path
        absolute = os.path.normpath(folder / path)
        if not Path(absolute).is_relative_to(folder) and os.path.isabs(path):  # by way of a link to the folder
            parent, name = os.path.split(absolute)
            absolute = os.path.join(os.path.realpath(parent), name)
        full.append(absolute)
        if not Path(absolute).is_relative_to(folder):
            outside.append(path)
    if outside and not follow_links:
        more = f" and {len(outside) - MAX_NAMED:,} more" if len(outside) > MAX_NAMED else ""
        raise UserError(
            f"{source} names images outside {folder} ({', '.join(outside[:MAX_NAMED])}{more}); write paths relative to "
            "that folder, or allow others with --follow-links"
        )
    root = Path(os.path.commonpath([folder, *(os.path.dirname(path) for path in full)])) if outside else folder
    return root, [Path(os.path.relpath(path, root)).as_posix() for path in full]


def add_endings(folder: Path, paths: list[str]) -> list[str]:
    """`paths`, with the ending that the first of them needs to be a file in `folder`: tables of identifiers leave it
    out."""
    if any(path.lower().endswith(SUFFIXES) for path in paths) or not paths:
        return paths
    first = next((path for path in paths if path), "")
    ending = next((ending for ending in SUFFIXES if (folder / (first + ending)).is_file()), "")
    return [path + ending for path in paths]
