"""Images and labels as NumPy's arrays: an `.npz` archive, or a folder of `.npy` files.

The arrays are called as people call them: x_train and y_train, train_images and train_labels, images and labels. They
are read a block at a time, and copied.
"""

import math
import os
import re
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from attribution.data import DataSet, splits
from attribution.data.encoded import check_root
from attribution.data.foreign import FREE_UNPACKED, MAX_UNPACKED, open_file, open_zip, read_npy_header
from attribution.data.objects import from_objects
from attribution.errors import UserError

#: words in the name of an array that say what it holds, in small letters
LABEL_WORDS = {"y", "label", "labels", "target", "targets", "class", "category", "categories"}
IMAGE_WORDS = {"x", "image", "images", "img", "imgs", "data", "pixels", "picture", "pictures"}
NAME_WORDS = {"classes", "names"}
MAX_ARRAYS = 1000  # of an archive or a folder
BLOCK_BYTES = 1 << 22  # that are read at a time: of an archive, `open_zip` gives no more than twice that


@dataclass(frozen=True)
class _Entry:
    """An array that is not read yet. place: for people, its archive and name, or its file."""

    name: str
    place: str
    open: Callable[[ExitStack], BinaryIO]
    shape: tuple[int, ...]
    by_column: bool
    dtype: np.dtype


class _Rows:
    """An array in a file, of which entries [start:stop] are read, in order as long as nothing is asked again. Reading
    raises UserError where the file is damaged."""

    def __init__(self, entry: _Entry):
        self._entry = entry
        self.shape, self.dtype, self.ndim = entry.shape, entry.dtype, len(entry.shape)
        self._at = 0
        self._stack, self._stream = ExitStack(), None
        self._whole: np.ndarray | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        start, stop, _ = rows.indices(len(self))
        try:
            return self._read(start, max(start, stop))
        except UserError:
            raise
        except Exception as error:  # zipfile, zlib and numpy meet a broken file with errors of many types
            raise _damaged_error(self._entry.place, error) from None

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[:], dtype)

    def _read(self, start: int, stop: int) -> np.ndarray:
        if self._entry.by_column:  # its rows are not in one piece
            if self._whole is None:
                with ExitStack() as stack:
                    stream = self._entry.open(stack)
                    read_npy_header(stream)
                    values = self._numbers(stream, math.prod(self.shape))
                self._whole = values.reshape(self.shape[::-1]).T
            return self._whole[start:stop]
        size = math.prod(self.shape[1:])
        if self._stream is None or start < self._at:
            self._stack.close()
            self._stream, self._at = self._entry.open(self._stack), 0
            read_npy_header(self._stream)
        left = (start - self._at) * size * self.dtype.itemsize
        while left:
            skipped = len(self._stream.read(min(left, BLOCK_BYTES)))
            if not skipped:
                raise EOFError("it is cut short")
            left -= skipped
        block = self._numbers(self._stream, (stop - start) * size)
        self._at = stop
        return block.reshape(stop - start, *self.shape[1:])

    def _numbers(self, stream: BinaryIO, count: int) -> np.ndarray:
        content = bytearray()
        while len(content) < count * self.dtype.itemsize:
            piece = stream.read(min(count * self.dtype.itemsize - len(content), BLOCK_BYTES))
            if not piece:
                raise EOFError("it is cut short")
            content += piece
        return np.frombuffer(content, self.dtype)


def load(
    root: Path | None,
    *,
    skip_corrupt: bool = False,
    side: int | None = None,
    val_share: float | None = None,
    progress: Callable | None = None,
) -> DataSet:
    """The images in the `.npz` archive `root`, or in the `.npy` files of the folder `root`. Options as in
    `objects.from_objects`.

    An array is of the split that its name says, and of all images where no name says one; without validation images
    `val_share` is held out. An array of text that is called classes or names has the class names. Raises UserError
    where it cannot be told which arrays are the images and the labels, for arrays of Python objects, which are never
    read, and for what `objects.from_objects` refuses.
    """
    given = check_root(root)
    place, entries = _list_arrays(given)
    parts, classes, skipped = _choose(place, entries)
    train, val = (part and (_Rows(part[0]), np.asarray(_Rows(part[1]))) for part in parts)
    options = {"side": side, "val_share": val_share, "skip_corrupt": skip_corrupt}
    found = from_objects(train, val, classes, given.stem, progress, **options)
    return replace(found, skipped=(*found.skipped, *skipped))


def _list_arrays(given: Path) -> tuple[Path, list[_Entry]]:
    """The archive or folder that holds the arrays, and these."""
    if given.is_dir():
        archives, files = (sorted(_files(given, ending)) for ending in (".npz", ".npy"))
        if len(archives) > 1 and not files:
            raise UserError(
                f"{given} has several archives, {splits.listed(file.name for file in archives)}; name one with --root"
            )
        if not archives and not files:
            raise UserError(f"there are no arrays in {given}, *.npz or *.npy; check --root")
        if not files:
            given = archives[0]
        else:
            return given, [_npy_entry(file) for file in files[:MAX_ARRAYS]]
    if given.suffix.lower() == ".npy":
        raise UserError(f"{given} is one array; name the folder with the images and the labels, or an .npz of both")
    return given, _npz_entries(given)


def _files(folder: Path, ending: str):
    return (file for file in folder.iterdir() if file.suffix.lower() == ending and not file.name.startswith("."))


def _npy_entry(file: Path) -> _Entry:
    def open_it(stack: ExitStack) -> BinaryIO:
        return stack.enter_context(open_file(file))

    return _entry(file.stem, str(file), open_it, lambda: os.path.getsize(file))


def _npz_entries(file: Path) -> list[_Entry]:
    def opener(name: str) -> Callable[[ExitStack], BinaryIO]:
        return lambda stack: stack.enter_context(stack.enter_context(open_zip(file)).open(name))

    try:
        with open_zip(file) as archive:
            infos = [info for info in archive.infolist() if info.filename.endswith(".npy")][:MAX_ARRAYS]
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise _damaged_error(str(file), error) from None
    unpacked = sum(info.file_size for info in infos)
    if unpacked > MAX_UNPACKED * file.stat().st_size + FREE_UNPACKED:
        raise UserError(f"{file} unpacks to {unpacked:,} bytes, far more than its size; write it again with np.savez")
    names = [info.filename.removesuffix(".npy") for info in infos]
    return [
        _entry(name, f"{name} in {file}", opener(info.filename), lambda info=info: info.file_size)
        for name, info in zip(names, infos)
    ]


def _entry(name: str, place: str, open_it: Callable[[ExitStack], BinaryIO], size: Callable[[], int]) -> _Entry:
    try:
        with ExitStack() as stack:
            shape, by_column, dtype = read_npy_header(open_it(stack))
        if min(shape, default=0) < 0:
            raise ValueError("a length below 0")
        if dtype.kind != "O" and math.prod(shape) * dtype.itemsize > size():
            raise ValueError("it is cut short")
    except UserError:
        raise
    except Exception as error:  # zipfile, zlib and numpy meet a broken file with errors of many types
        raise _damaged_error(place, error) from None
    return _Entry(name, place, open_it, shape, by_column, dtype)


def _choose(
    place: Path, entries: list[_Entry]
) -> tuple[list[tuple[_Entry, _Entry] | None], list[str] | None, tuple[str, ...]]:
    """Images and labels of the training and of the validation split (None where there are none); class names, None
    where none are stored; and a line for each array that is left out."""
    listing = splits.listed(f"{entry.name} {list(entry.shape)}" for entry in entries)
    images: dict[str, _Entry] = {}
    labels: dict[str, _Entry] = {}
    names = None
    for entry in entries:
        words = _words(entry.name)
        if words & NAME_WORDS and entry.dtype.kind in "US" and len(entry.shape) == 1:
            names = entry
            continue
        is_label = bool(words & LABEL_WORDS)
        if not is_label and len(entry.shape) < 3 and not words & IMAGE_WORDS:
            continue
        by_word = labels if is_label else images
        word = splits.parse(_spaced(entry.name)).word
        if word in by_word:
            what, letter = ("labels", "y") if is_label else ("images", "x")
            raise UserError(
                f"{place} has {by_word[word].name} and {entry.name}, and does not say which are the {what}; call the "
                f"one to use {letter}_{word or 'train'}"
            )
        by_word[word] = entry
    if not (images.keys() & labels.keys()) and len(entries) == 2:  # np.savez calls them arr_0 and arr_1
        first, second = sorted(entries, key=lambda entry: len(entry.shape))
        if len(first.shape) in (1, 2) and len(second.shape) in (3, 4):
            images, labels = {"": second}, {"": first}
    both = [word for word in images if word in labels]
    train = next((word for word in (*splits.WORDS["train"], "") if word in both), None)
    if train is None:
        raise UserError(
            f"{place} holds {listing or 'no arrays'}; call the images x_train and the labels y_train, and x_val and "
            "y_val if there are any"
        )
    val = next((word for role in ("val", "test") for word in splits.WORDS[role] if word in both and train), None)
    used = [pair for word in (train, val) if word is not None for pair in (images[word], labels[word])]
    if objects := [entry for entry in [*used, *([names] if names else [])] if entry.dtype.kind == "O"]:
        raise UserError(
            f"{objects[0].place} holds Python objects, which are never read, since they can hold code; save it as an "
            "array of numbers, or of text"
        )
    for entry in used:
        if entry.dtype.kind not in ("biufUS" if any(entry is one for one in labels.values()) else "biuf"):
            raise UserError(f"{entry.place} holds {entry.dtype}; save it as an array of numbers")
    left_out = [entry.name for entry in entries if not any(entry is one for one in (*used, names))]
    return (
        [(images[train], labels[train]), None if val is None else (images[val], labels[val])],
        [str(name) for name in _text(np.asarray(_Rows(names)))] if names else None,
        tuple(f"the array {name} (neither training nor validation images)" for name in left_out),
    )


def _spaced(name: str) -> str:
    """`name` with xtrain as x_train."""
    return re.sub(r"^([xy])_?(?=train|test|val)", r"\1_", name, flags=re.IGNORECASE)


def _words(name: str) -> set[str]:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", _spaced(name))
    return {word.casefold() for word in re.findall(r"[^\W\d_]+", spaced)}


def _text(values: np.ndarray) -> list[str]:
    return [value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in values.tolist()]


def _damaged_error(place: str, error: Exception) -> UserError:
    why = (str(error).splitlines() or [type(error).__name__])[0][:100].rstrip(".")
    return UserError(f"{place} cannot be read ({why}); copy or write it again")
