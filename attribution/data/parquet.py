"""Parquet as Hugging Face writes it: a column of encoded pictures and one of labels, in a file or in shards.

Read in place, a row group at a time, in the order of the shards' names and of the rows in each.
"""

import json
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path, PurePosixPath
from threading import Lock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from attribution.data import DataSet, csv_table, root_folder, splits
from attribution.data.decoding import UnreadableError
from attribution.data.encoded import LOCATE, EncodedImages, PictureSource, check_root, split_data
from attribution.data.foreign import ROWS_AT_ONCE, check_columns, open_parquet, read_group
from attribution.data.labels import MAX_CLASS_NAME, MAX_CLASSES
from attribution.data.picture_files import PictureFiles, place_files
from attribution.data.shards import find_shards
from attribution.errors import UserError

KIND = "parquet"
IMAGE_COLUMNS, LABEL_COLUMNS = ("img", "image"), ("label", "fine_label")
CACHE_BYTES = 64 << 20  # bytes of encoded pictures in memory; at least one row group
MAX_OPEN_FILES = 16
BATCH_BYTES = 16 << 20  # bytes that are rewritten at a time


class ParquetPictures(PictureSource):
    """Pictures in the column `column` of Parquet files. files: (path under `root`, number of rows), in order; numbers:
    int64 [n], rows counted through all files."""

    def __init__(self, root: Path, files: list[tuple[str, int]], column: str, numbers: np.ndarray):
        self.root, self.files, self.column, self.numbers = root, files, column, numbers
        self.source = {"kind": KIND, "files": [list(file) for file in files], "column": column}
        self._starts = np.cumsum([0, *(rows for _, rows in files)])
        self._lock = Lock()  # a server's threads share one
        self._file = lru_cache(MAX_OPEN_FILES)(self._open_file)
        self._groups: OrderedDict[tuple[int, int], pa.ChunkedArray] = OrderedDict()
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < self._starts[-1]:
            raise ValueError(f"rows beyond the {self._starts[-1]} of the files")

    @property
    def locations(self):
        """See `PictureSource.locations`."""
        return {"row": self.numbers}

    def read(self, i):
        """See `PictureSource.read`."""
        which, row = self._locate(i)
        try:
            with self._lock:
                file, starts = self._file(which)
                number = int(np.searchsorted(starts, row, "right")) - 1
                value = self._read_row_group(file, which, number)[row - int(starts[number])].as_py()
        except (OSError, pa.ArrowException) as error:
            raise _corrupt_error(self.root / self.files[which][0], error) from None
        content = value.get("bytes") if isinstance(value, dict) else value
        if content is None:
            raise UnreadableError("no image in it, at most the path of one elsewhere")
        return content

    def describe(self, i):
        """See `PictureSource.describe`."""
        which, row = self._locate(i)
        return f"row {row} of {self.files[which][0]}"

    def paths(self):
        """See `PictureSource.paths`."""
        return [self.root / name for name, _ in self.files]

    def select(self, ids):
        """See `PictureSource.select`."""
        return ParquetPictures(self.root, self.files, self.column, self.numbers[ids])

    def _locate(self, i: int) -> tuple[int, int]:
        """The index of the file that holds picture i, and its row there."""
        number = self.numbers[i]
        which = int(np.searchsorted(self._starts, number, "right")) - 1
        return which, int(number - self._starts[which])

    def _open_file(self, which: int) -> tuple[pq.ParquetFile, np.ndarray]:
        """A file, and the first row of each of its row groups."""
        file = _open_checked(self.root, *self.files[which])
        check_columns(file, self.root / self.files[which][0], [self.column, f"{self.column}.bytes"])
        counts = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
        return file, np.cumsum([0, *counts])

    def _read_row_group(self, file: pq.ParquetFile, which: int, number: int) -> pa.ChunkedArray:
        """The pictures of a row group; recently used groups come from memory."""
        if (which, number) in self._groups:
            self._groups.move_to_end((which, number))
        else:
            nested = pa.types.is_struct(file.schema_arrow.field(self.column).type)
            column = f"{self.column}.bytes" if nested else self.column
            table = read_group(file, self.root / self.files[which][0], number, column)
            self._groups[which, number] = table.column(self.column)
            while len(self._groups) > 1 and sum(column.nbytes for column in self._groups.values()) > CACHE_BYTES:
                self._groups.popitem(last=False)
        return self._groups[which, number]


def load(
    root: Path | None,
    *,
    skip_corrupt: bool = False,
    side: int | None = None,
    val_share: float | None = None,
    follow_links: bool = False,
    progress: Callable | None = None,
) -> DataSet:
    """The images in the Parquet file or folder `root`. Options as in `encoded.split_data`.

    Where the column of images holds paths, files are read: relative to the Parquet file's folder or to `root`, and
    outside of `root` only where follow_links.

    Which split a file belongs to its name says, or its folder's (`shards.find_shards`); a single file is training
    images. A split without labels (-1, null, or no column of them) is left out. Without validation images, `val_share`
    of the training images are held out. Class names are read from the schema, else they are the numbers; labels may be
    text, whose classes are sorted. Raises UserError for other columns, missing labels, pictures that are not in the
    file, and where it cannot be told which files are meant.
    """
    root = check_root(root)
    shards, candidates, skipped = find_shards(root, ".parquet")
    within = root_folder(root)
    columns = _find_columns(within / shards[0])
    train = _read_pictures(within, shards, *columns)
    val, val_shards = None, []
    for names in candidates:
        if val is not None:
            skipped += [f"{name} (neither training nor validation images)" for name in names]
        elif found := _read_unless_unlabelled(within, names, *columns):
            val, val_shards = found, names
        else:
            skipped += [f"{name} (images without labels)" for name in names]
    parts = [part for part in (train, val) if part]
    classes, numbers = _number_classes(within / shards[0], columns[1], parts)
    train, val = [*((pictures, labels) for (pictures, _), labels in zip(parts, numbers)), None][:2]
    place = None
    if _holds_paths(within / shards[0], columns[0]):
        place, files = _as_files([pictures for pictures, _ in parts], follow_links)
        train, val = [*zip(files, numbers), None][:2]
    train, val, broken, sizes = split_data(train, val, side, val_share, skip_corrupt, progress)
    name = root.stem if root.is_file() else root.name
    notes = () if root.is_file() else (splits.said(splits.listed(shards), splits.listed(val_shards)),)
    return DataSet(name, classes, train, val, skipped=(*broken, *skipped), sizes=sizes, notes=notes, root=place)


def reopen_images(source: dict, root: Path, locations) -> EncodedImages:
    """See `attribution.data.reopen_images`."""
    files = [(str(name), int(rows)) for name, rows in source["files"]]
    pictures = ParquetPictures(root, files, source["column"], locations["row"].to_numpy(np.int64))
    return EncodedImages.reopened(pictures, source)


def rewrite_labels(
    root: Path,
    source: dict,
    numbers: np.ndarray,
    given: np.ndarray,
    labels: np.ndarray,
    keep: np.ndarray,
    out: Path,
    progress: Callable | None = None,
    classes: list[str] = (),
) -> None:
    """Writes rows of a data set's files to the new file `out`: those of `numbers` that `keep` has, with new `labels`.

    The order is that of the files, and other columns stay as they are. source: the data set's, under `root`. numbers:
    int64 [n]; given, labels: int64 [n], labels in the files and new ones; keep: bool [n]. classes: the names of labels,
    which stand in the files where their labels are text. Few rows are in memory at a time. progress(text, done, total).
    Raises UserError where the files have changed since, OSError where `out` cannot be written.
    """
    order = np.argsort(numbers)
    ordered, first, done, writer = numbers[order], 0, 0, None
    _, column = _find_columns(root / source["files"][0][0])
    try:
        for name, rows in source["files"]:
            for start, batch in _read_batches(root, name, rows):
                low, high = np.searchsorted(ordered, [first + start, first + start + len(batch)])
                ids, batch_rows = order[low:high], ordered[low:high] - first - start
                is_text = column in batch.schema.names and not pa.types.is_integer(batch.schema.field(column).type)
                given_values, new_values = (
                    np.array([classes[label] for label in some], object) if is_text else some
                    for some in (given[ids], labels[ids[keep[ids]]])
                )
                _check_labels(root / name, batch, column, batch_rows, given_values)
                table = pa.Table.from_batches([batch]).take(batch_rows[keep[ids]])
                writer = writer or pq.ParquetWriter(out, table.schema)
                try:
                    field = table.schema.field(column)
                    new = pa.array(new_values, pa.string() if is_text else None).cast(field.type)
                    table = table.set_column(table.column_names.index(column), field, new).cast(writer.schema)
                except (ValueError, pa.ArrowException) as error:
                    raise UserError(
                        f"{root / name} cannot take these labels among its columns "
                        f"({str(error).splitlines()[0].rstrip('.')}); write all files of the data set "
                        "alike, with labels of 64 bits"
                    ) from None
                if len(table):
                    writer.write_table(table)
                done += int(high - low)
                if progress:
                    progress("writing Parquet", done, len(numbers))
            first += rows
    finally:
        if writer is not None:
            writer.close()


def _read_batches(root: Path, name: str, rows: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The file's rows with all columns, a batch at a time, each with the number of its first row."""
    try:
        # else a whole row group is in memory before its first row is read
        file = _open_checked(root, name, rows, buffer_size=1 << 20, pre_buffer=False)
        groups = [file.metadata.row_group(group) for group in range(file.metadata.num_row_groups)]
        size = sum(group.total_byte_size for group in groups) // max(rows, 1) + 1
        for batch in islice(file.iter_batches(batch_size=ROWS_AT_ONCE, use_threads=False), 1):
            size = max(size, batch.nbytes // len(batch))  # a text that stands in the file once, and in each row here
        start = 0
        for batch in file.iter_batches(batch_size=min(max(BATCH_BYTES // size, 1), 10_000), use_threads=False):
            yield start, batch
            start += len(batch)
    except (OSError, pa.ArrowException) as error:
        raise _corrupt_error(root / name, error) from None


def _check_labels(file: Path, batch: pa.RecordBatch, column: str, rows: np.ndarray, given: np.ndarray) -> None:
    values = batch.column(batch.schema.names.index(column)) if column in batch.schema.names else None
    if values is not None and not pa.types.is_integer(values.type):
        values = values.cast(pa.string())
    if values is None or values.null_count or (values.to_numpy(zero_copy_only=False)[rows] != given).any():
        raise UserError(f"the labels in {file} are not those that the workspace was created from; put that file back")


def _open_checked(root: Path, name: str, rows: int, **options) -> pq.ParquetFile:
    """The file `name` under `root`. Raises UserError where it is missing or has another number of rows."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise UserError(f"the file {name} leads out of the data set's folder; copy the workspace again")
    if not (root / name).is_file():
        raise UserError(f"the file {name} is not in {root}; put it back, or say where it is: {LOCATE}")
    file = open_parquet(root / name, **options)
    if file.metadata.num_rows != rows:
        raise UserError(
            f"{root / name} has {file.metadata.num_rows:,} rows and should have {rows:,}; "
            "put back the file that the workspace was created from"
        )
    return file


def _read_schema(file: Path) -> pa.Schema:
    try:
        with open_parquet(file) as opened:
            return opened.schema_arrow
    except (OSError, pa.ArrowException) as error:
        raise _corrupt_error(file, error) from None


def _find_columns(file: Path) -> tuple[str, str]:
    """Names of the columns of pictures and labels."""
    schema = _read_schema(file)
    picture, label = (
        next((name for name in names if name in schema.names), None) for names in (IMAGE_COLUMNS, LABEL_COLUMNS)
    )
    if picture is None or label is None:
        content, names = ("images", IMAGE_COLUMNS) if picture is None else ("labels", LABEL_COLUMNS)
        raise UserError(
            f"{file} has no column of {content}, {' or '.join(names)}, among {', '.join(schema.names)}; rename it"
        )
    kind = schema.field(picture).type
    kinds = {field.name: field.type for field in kind} if pa.types.is_struct(kind) else {"bytes": kind, "path": kind}
    content, path = kinds.get("bytes", pa.null()), kinds.get("path", pa.null())
    if not (pa.types.is_binary(content) or pa.types.is_large_binary(content) or _is_text(path)):
        raise UserError(
            f"the column {picture} of {file} holds neither encoded images nor paths of files but {kind}; "
            "write it as Hugging Face does, a struct of bytes and path"
        )
    kind = schema.field(label).type
    if not (pa.types.is_integer(kind) or pa.types.is_null(kind) or _is_text(kind)):
        raise UserError(
            f"the column {label} of {file} holds neither whole numbers nor text but {kind}; number the classes from 0"
        )
    return picture, label


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


@dataclass(frozen=True)
class _Labels:
    """Labels as a file has them. numbers: int64 [n]; of text, indices of `texts`, which is None where labels are
    numbers. missing: bool [n]."""

    numbers: np.ndarray
    texts: list[str] | None
    missing: np.ndarray

    @property
    def has_none(self) -> bool:
        """Whether no image has a label: -1 stands for that, too."""
        return bool((self.missing | (self.texts is None) & (self.numbers == -1)).all())


#: pictures, and the labels of each of their files
_Pictures = tuple[ParquetPictures, list[_Labels]]


def _holds_paths(file: Path, picture: str) -> bool:
    """Whether the column of pictures holds the paths of files: it is text, or a struct without bytes in its first
    rows."""
    kind = _read_schema(file).field(picture).type
    if not pa.types.is_struct(kind):
        return _is_text(kind)
    if kind.get_field_index("bytes") < 0 or kind.get_field_index("path") < 0:
        return kind.get_field_index("bytes") < 0
    try:
        with open_parquet(file) as opened:
            batches = opened.iter_batches(ROWS_AT_ONCE, columns=[f"{picture}.bytes"], use_threads=False)
            first = next(batches, None)
    except (OSError, pa.ArrowException) as error:
        raise _corrupt_error(file, error) from None
    return first is not None and first.column(0).field("bytes").null_count == len(first)


def _as_files(parts: list[ParquetPictures], follow_links: bool) -> tuple[Path, list[PictureFiles]]:
    """The files whose paths the column of pictures holds, for each of `parts`, and the folder that they are under.
    Raises UserError for rows without a path, and for files outside, unless follow_links."""
    folder, paths = parts[0].root, []
    for pictures in parts:
        for name, _ in pictures.files:
            given = _read_paths(folder / name, pictures.column)
            parent = PurePosixPath(name).parent
            if given and not os.path.lexists(folder / parent / given[0]) and os.path.lexists(folder / given[0]):
                parent = PurePosixPath()
            paths += [(parent / path).as_posix() for path in given]
    source = str(folder / parts[0].files[0][0])
    place, names = place_files(folder, paths, source, follow_links)
    names, first = np.array(names, object), 0
    files = []
    for pictures in parts:
        some = names[first : first + len(pictures)]
        files.append(PictureFiles(place, some, np.arange(len(some)), csv_table.KIND, follow_links))
        first += len(pictures)
    return place, files


def _read_paths(file: Path, picture: str) -> list[str]:
    try:
        with open_parquet(file) as opened:
            nested = pa.types.is_struct(opened.schema_arrow.field(picture).type)
            column = f"{picture}.path" if nested else picture
            check_columns(opened, file, [column])
            values = opened.read([column]).column(picture)
            values = pa.chunked_array([chunk.field("path") for chunk in values.chunks]) if nested else values
            paths = values.cast(pa.large_string()).to_pylist()
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise _corrupt_error(file, error) from None
    if missing := [row for row, path in enumerate(paths) if not path]:
        raise UserError(f"row {missing[0]} of {file} has neither an image nor the path of one; leave it out")
    return paths


def _read_unless_unlabelled(folder: Path, names: list[str], picture: str, label: str) -> _Pictures | None:
    """`_read_pictures`; None where no image has a label."""
    schemas = [_read_schema(folder / name).names for name in names]
    if all(picture in schema and label not in schema for schema in schemas):
        return None
    pictures, labels = _read_pictures(folder, names, picture, label)
    return None if all(part.has_none for part in labels) else (pictures, labels)


def _read_pictures(folder: Path, names: list[str], picture: str, label: str) -> _Pictures:
    """The pictures of the files `names`, and the labels of each."""
    labels = []
    for name in names:
        if _find_columns(folder / name) != (picture, label):
            raise UserError(
                f"{folder / name} has not the columns {picture} and {label} of the other files; write all "
                "files of the data set alike"
            )
        labels.append(_read_labels(folder / name, picture, label))
    files = [(name, len(given.numbers)) for name, given in zip(names, labels)]
    return ParquetPictures(folder, files, picture, np.arange(sum(rows for _, rows in files))), labels


def _read_labels(file: Path, picture: str, label: str) -> _Labels:
    try:
        # a text that repeats stands in memory once
        with open_parquet(file, read_dictionary=[label]) as opened:
            check_columns(opened, file, [picture, f"{picture}.bytes", label])
            column = opened.read([label]).column(label)
            missing = column.is_null().to_numpy()
            if pa.types.is_null(column.type):
                return _Labels(np.zeros(len(missing), np.int64), None, missing)
            if pa.types.is_integer(column.type):
                return _Labels(column.fill_null(0).to_numpy().astype(np.int64), None, missing)
            column = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
            coded = column.unify_dictionaries().combine_chunks()
            coded = coded.chunk(0) if isinstance(coded, pa.ChunkedArray) else coded
            texts = coded.dictionary.cast(pa.large_string()).to_pylist()
            numbers = coded.indices.fill_null(0).to_numpy().astype(np.int64)
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise _corrupt_error(file, error) from None
    empty = [number for number, text in enumerate(texts) if not text]
    return _Labels(numbers, texts, missing | np.isin(numbers, empty))


def _number_classes(file: Path, label: str, parts: list[_Pictures]) -> tuple[list[str], list[np.ndarray]]:
    """Class names, and the labels of each split as their indices, int64 [n]. file: of whose schema the names are taken
    where labels are numbers. Raises UserError for labels that are missing or no classes."""
    for pictures, labels in parts:
        for (name, _), part in zip(pictures.files, labels):
            if part.missing.any():
                raise UserError(
                    f"{part.missing.sum():,} labels are missing in {pictures.root / name}; leave those images out of it"
                )
    if len({part.texts is None for _, labels in parts for part in labels}) > 1:
        raise UserError(
            f"the labels in {file.parent} are text in some files and numbers in others; write all files alike"
        )
    numbers = [np.concatenate([part.numbers for part in labels]) for _, labels in parts]
    if parts[0][1][0].texts is None:
        return _class_names(file, label, np.concatenate(numbers)), numbers
    used = {part.texts[number] for _, labels in parts for part in labels for number in np.unique(part.numbers)}
    if len(used) > MAX_CLASSES or max(map(len, used)) > MAX_CLASS_NAME:
        raise UserError(
            f"the labels in {file.parent} are {len(used):,} different texts of up to {max(map(len, used)):,} letters, "
            "which can be no classes; name another column label"
        )
    are_numbers = all(text.isascii() and text.isdecimal() and len(text) < 18 for text in used)
    classes = sorted(used, key=lambda text: (int(text), text)) if are_numbers else sorted(used)
    index = {text: number for number, text in enumerate(classes)}
    return classes, [
        np.concatenate(
            [np.array([index.get(text, -1) for text in part.texts], np.int64)[part.numbers] for part in labels]
        )
        for _, labels in parts
    ]


def _class_names(file: Path, label: str, labels: np.ndarray) -> list[str]:
    """Class names from the schema, or the numbers as text. Raises UserError for labels out of range."""
    try:
        metadata = json.loads((_read_schema(file).metadata or {})[b"huggingface"])
        names = [str(name) for name in metadata["info"]["features"][label]["names"]]
    except (KeyError, TypeError, ValueError):
        names = []
    low, high = int(labels.min(initial=0)), int(labels.max(initial=0))
    if low < 0:
        raise UserError(f"the label {low} stands in {file.parent} for images that have none; leave them out of it")
    if high >= (len(names) or len(labels)):
        raise UserError(
            f"the label {high} in {file.parent} is beyond the {len(names) or len(labels):,} "
            f"{'class names' if names else 'images'}; number the classes from 0"
        )
    return names or [str(number) for number in range(high + 1)]


def _corrupt_error(file: Path, error: Exception) -> UserError:
    why = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    return UserError(f"{file} cannot be read as Parquet ({why}); fetch it again")
