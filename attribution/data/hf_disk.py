"""Folders as Hugging Face's `save_to_disk` writes them, of a Dataset or a DatasetDict, and its cache's `.arrow` files.

Read in place: Arrow's stream format has each encoded picture in one piece, so that its offset in the file says where it
is. Pictures that are arrays of numbers, and those in compressed files, have no such piece, and are copied. Nothing of
Hugging Face's library is needed.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from attribution.data import DataSet, splits
from attribution.data.encoded import check_root, split_data
from attribution.data.foreign import Pieces
from attribution.data.labels import number_classes
from attribution.data.objects import find_columns, from_objects
from attribution.data.packed import PackedPictures
from attribution.data.packed import reopen_images as reopen_images
from attribution.errors import UserError
from attribution.files import read_json

KIND = "hf-disk"
MAX_PIECE = 512 << 20  # bytes of a batch, which is in memory at once: usually 100 or 1,000 rows
DICT_FILE, STATE_FILE, INFO_FILE = "dataset_dict.json", "state.json", "dataset_info.json"


@dataclass(frozen=True)
class _Part:
    """The pictures of a split, None where they have to be copied; their labels, a value an image; class names, None
    where the files do not say; and the files."""

    pictures: PackedPictures | None
    labels: list
    classes: list[str] | None
    files: list[Path]


class _Rows:
    """The images and labels of a split, as `from_objects` takes them; in order, a batch at a time is in memory."""

    def __init__(self, part: _Part):
        self._part = part
        self._batches: Iterator[tuple[int, pa.Array]] = iter(())
        self._start, self._images = -1, ()  # the first row of the batch in memory, and its images

    def __len__(self) -> int:
        return len(self._part.labels)

    def __getitem__(self, i: int):
        if self._start < 0 or i < self._start:
            self._batches, self._start, self._images = self._read(), 0, ()
        while i >= self._start + len(self._images):
            self._start, self._images = next(self._batches)
        return _to_picture(self._images[i - self._start]), self._part.labels[i]

    def _read(self) -> Iterator[tuple[int, pa.Array]]:
        start = 0
        for file in self._part.files:
            for batch in _read_batches(file, *_read_head(file)[:2]):
                yield start, batch.images
                start += len(batch.images)


def _to_picture(value: pa.Scalar) -> "np.ndarray | dict | bytes | None":
    """An image as a row has it, numbers in nested lists as an array. Raises ValueError where these differ in length."""
    if not isinstance(value, pa.ListScalar):
        return value.as_py()
    numbers = value.values
    shape = [len(numbers)]
    while _is_list(numbers.type):
        lengths = pc.list_value_length(numbers).unique().to_pylist()
        if len(lengths) != 1 or lengths == [None]:
            raise ValueError(f"its rows have {splits.listed(map(str, lengths))} numbers")
        shape.append(lengths[0])
        numbers = numbers.flatten()
    return numbers.to_numpy(zero_copy_only=False).reshape(shape)


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def load(
    root: Path | None,
    *,
    skip_corrupt: bool = False,
    side: int | None = None,
    val_share: float | None = None,
    progress: Callable | None = None,
) -> DataSet:
    """The images in the folder `root`. Options as in `encoded.split_data`.

    A single Dataset is the training images, of which `val_share` are held out. Raises UserError for a folder that is
    none of these, for other columns than of encoded images and of labels, and for missing labels.
    """
    root = check_root(root)
    if not root.is_dir():
        raise UserError(f"{root} is a file; name the folder that save_to_disk wrote")
    named, skipped = _find_files(root)
    parts = [_read_part(root, names) for names in named]
    if any(part.pictures is None for part in parts):
        train, val = (*(_Rows(part) for part in parts), None)[:2]
        options = {"side": side, "val_share": val_share, "skip_corrupt": skip_corrupt}
        found = from_objects(train, val, parts[0].classes, root.name, progress, **options)
        return replace(found, skipped=(*found.skipped, *skipped))
    n_train = len(parts[0].pictures)

    def describe(i: int) -> str:
        return parts[i >= n_train].pictures.describe(i - n_train * (i >= n_train))

    labels = [label for part in parts for label in part.labels]
    numbers, classes = number_classes(labels, parts[0].classes, str(root), describe)
    train = parts[0].pictures, numbers[:n_train]
    val = (parts[1].pictures, numbers[n_train:]) if len(parts) > 1 else None
    train, val, broken, sizes = split_data(train, val, side, val_share, skip_corrupt, progress)
    return DataSet(root.name, classes, train, val, skipped=(*broken, *skipped), sizes=sizes)


def _read_part(root: Path, names: list[str]) -> _Part:
    """What the files `names`, paths under `root`, hold together."""
    places, labels, classes, files = [], [], None, [root / name for name in names]
    for shard, file in enumerate(files):
        offsets, sizes = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        image, label, known = _read_head(file)
        for batch in _read_batches(file, image, label):
            labels += batch.labels
            if batch.pieces is None:
                places = None
            else:
                offsets.append(batch.pieces[0])
                sizes.append(batch.pieces[1])
        classes = classes or known
        if places is not None:
            offset, size = np.concatenate(offsets), np.concatenate(sizes)
            rows = [f"row {row}" for row in range(len(offset))]
            places.append(pd.DataFrame({"shard": shard, "offset": offset, "size": size, "name": rows}))
    if places is None:
        return _Part(None, labels, classes, files)
    sizes = [(name, os.path.getsize(file)) for name, file in zip(names, files)]
    table = pd.concat(places, ignore_index=True).assign(number=np.arange(len(labels)))
    return _Part(PackedPictures(root, sizes, table, KIND), labels, classes, files)


def _find_files(root: Path) -> tuple[list[list[str]], list[str]]:
    """The files of the training images, and of the validation images where there are any, as paths under `root`; and a
    line for each split that is left out."""
    if (root / DICT_FILE).exists():
        names = _read_object(root / DICT_FILE).get("splits")
        if not isinstance(names, list) or not all(isinstance(name, str) and _is_plain(name) for name in names):
            raise UserError(f"{root / DICT_FILE} does not say which splits there are; save the data set again")
        chosen = splits.choose(names, root, "save it with other names")
        train = chosen.train or (names if len(names) == 1 else [])
        if len(train) != 1:
            raise UserError(
                f"no split in {root} is called train, among {splits.listed(names)}; save it under that name"
            )
        used = [train[0], *(chosen.val[0][:1] if chosen.val else [])]
        left_out = [f"{name} (neither training nor validation images)" for name in names if name not in used]
        return [[f"{name}/{file}" for file in _saved_files(root / name)] for name in used], left_out
    if (root / STATE_FILE).exists():
        return [_saved_files(root)], []
    names = sorted(file.name for file in root.glob("*.arrow") if not file.name.startswith("."))
    if not names:
        raise UserError(
            f"{root} has no {DICT_FILE}, no {STATE_FILE} and no .arrow files; name a folder that save_to_disk wrote"
        )
    chosen = splits.choose_files(names, root, ".arrow")
    used = [chosen.train, *chosen.val[:1]]
    left_out = [name for name in names if not any(name in part for part in used)]
    return used, [f"{name} (neither training nor validation images)" for name in left_out]


def _saved_files(folder: Path) -> list[str]:
    """The names of the files of a Dataset that was saved in `folder`."""
    state = _read_object(folder / STATE_FILE)
    if state.get("_indices_data_files"):
        raise UserError(f"{folder} holds a selection of rows; call flatten_indices() before save_to_disk")
    files = state.get("_data_files")
    names = [file.get("filename") if isinstance(file, dict) else None for file in files] if files else []
    if not isinstance(files, list) or not all(isinstance(name, str) and _is_plain(name) for name in names):
        raise UserError(f"{folder / STATE_FILE} does not say which files there are; save the data set again")
    return names


def _is_plain(name: str) -> bool:
    """Whether it is the name of something in the same folder."""
    return bool(name) and name == os.path.basename(name) and name not in (".", "..") and "\0" not in name


def _read_object(file: Path) -> dict:
    try:
        content = read_json(file, "save the data set again")
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"there is no {file}; copy the whole folder that save_to_disk wrote") from None
    if not isinstance(content, dict):
        raise UserError(f"{file} holds no JSON object; save the data set again")
    return content


@dataclass(frozen=True)
class _Batch:
    """Some rows of a file. pieces: offset in the file and size of each picture, int64 [n], None where they have to be
    copied; labels: a value an image."""

    images: pa.Array
    labels: list
    pieces: tuple[np.ndarray, np.ndarray] | None


def _read_head(file: Path) -> tuple[str, str, list[str] | None]:
    """The columns of pictures and of labels, and the class names, None where the file does not say. Raises UserError
    for other columns, and for a file that is damaged."""
    with _explained(file), Pieces(file, MAX_PIECE) as stream:
        schema = pa.ipc.open_stream(stream).schema
        features = _features(schema, file)
        image, label = _columns(schema, features, file)
    names = features.get(label, {}).get("names") if isinstance(features.get(label), dict) else None
    return image, label, [str(name) for name in names] if isinstance(names, list) and names else None


def _read_batches(file: Path, image: str, label: str) -> Iterator[_Batch]:
    """The rows of a file, some after others. Raises UserError for a file that is damaged, and for missing images."""
    with _explained(file), Pieces(file, MAX_PIECE) as stream:
        schema = pa.ipc.open_stream(stream).schema
        stream.seek(0)
        messages = iter(pa.ipc.MessageReader.open_stream(stream))
        next(messages)  # the schema
        for message in messages:
            if message.type != "record batch":
                raise ValueError(f"it holds a {message.type}")
            batch = pa.ipc.read_record_batch(message, schema)
            batch.validate(full=True)  # else a damaged offset would be followed anywhere
            start = stream.tell() - message.body.size
            images = batch.column(image)
            images = images.storage if isinstance(images, pa.ExtensionArray) else images
            yield _Batch(images, batch.column(label).to_pylist(), _locate(images, message.body, start, file))


@contextmanager
def _explained(file: Path):
    """Errors of a damaged file as UserError."""
    try:
        yield
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0][:100].rstrip(".")
        raise UserError(f"{file} cannot be read as Arrow's stream ({why}); save or copy the data set again") from None


def _features(schema: pa.Schema, file: Path) -> dict:
    """What Hugging Face says of each column, in the file or in the description beside it; {} where neither does."""
    try:
        found = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError, RecursionError):
        info = file.parent / INFO_FILE
        found = _read_object(info).get("features") if info.exists() else {}
    return found if isinstance(found, dict) else {}


def _columns(schema: pa.Schema, features: dict, file: Path) -> tuple[str, str]:
    """The columns of pictures and of labels."""
    kinds = {
        name: features[name].get("_type", "") if isinstance(features.get(name), dict) else "" for name in schema.names
    }
    image, label = find_columns(kinds, str(file))
    kind = schema.field(image).type
    kind = kind.storage_type if isinstance(kind, pa.ExtensionType) else kind
    inner = kind.field("bytes").type if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0 else kind
    if not (pa.types.is_binary(inner) or pa.types.is_large_binary(inner) or _is_list(kind)):
        raise UserError(
            f"the column {image} of {file} holds neither encoded images nor numbers in rows but {str(kind)[:80]}; turn "
            "them into pictures before save_to_disk, in a column of the type datasets.Image"
        )
    return image, label


def _locate(column: pa.Array, body: pa.Buffer, start: int, file: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Offset in the file and size of each picture, int64 [n]; None where they are not there in one piece. body: the
    buffer that the batch was read from, which starts at byte `start` of the file."""
    values = column.field("bytes") if pa.types.is_struct(column.type) else column
    if missing := column.null_count or values.null_count:
        raise UserError(
            f"{missing:,} rows of {file} have no image in them, at most the path of one elsewhere; save the data set "
            "again with a newer version of Hugging Face's datasets, which puts them in"
        )
    if _is_list(values.type):
        return None
    if not len(values):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    _, ends, content = values.buffers()
    dtype = np.int64 if pa.types.is_large_binary(values.type) else np.int32
    bounds = np.frombuffer(ends, dtype)[values.offset : values.offset + len(values) + 1].astype(np.int64)
    shift = content.address - body.address if content is not None else 0
    if not 0 <= shift <= body.size - bounds[-1]:  # it was compressed, and lies elsewhere in memory
        return None
    return start + shift + bounds[:-1], np.diff(bounds)
