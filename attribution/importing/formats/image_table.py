"""Tables with a row an image, of what others say of it: .csv, .tsv, .parquet, or FiftyOne's .json of samples.

A column names the image (see `predictions.IMAGE_COLUMNS`, or the index that pandas writes). Where there is none, the
rows have to be all images, in their order.
"""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attribution.data.foreign import check_unpacked, open_file, open_parquet
from attribution.errors import UserError
from attribution.importing.formats.arrays import names_text
from attribution.importing.formats.predictions import DELIMITERS, IMAGE_COLUMNS, MAX_LINE, ImageNames, match_images

SUFFIXES = (".csv", ".tsv", ".parquet", ".json")
#: what pandas calls the index of a table that it writes
INDEX_COLUMNS = ("", "Unnamed: 0", "__index_level_0__")
#: bytes that a file as text may have: at most, and for each image, beside the names of its columns
MAX_BYTES, ROW_BYTES = 256 << 20, 1 << 16
#: times the size of the file that reading it may take in memory: texts and objects of Python
MEMORY = 30


@dataclass(frozen=True)
class ImageTable:
    """What was read. images: the image of each row, int64 [rows], none twice; columns: name -> the cells of each row,
    as text, "" where there is nothing; named: whether the table names its images."""

    path: Path
    images: np.ndarray
    columns: dict[str, list[str]]
    named: bool

    def first(self, names: Collection[str]) -> str | None:
        """The first of these columns that the table has; None where it has none."""
        return next((name for name in names if name in self.columns), None)

    def numbers(self, name: str) -> np.ndarray:
        """The numbers of a column, float64 [rows]. Raises UserError where a cell is no finite number."""
        numbers = np.empty(len(self.images))
        for row, text in enumerate(self.columns[name]):
            try:
                numbers[row] = float(text)
            except ValueError:
                numbers[row] = np.nan
            if not np.isfinite(numbers[row]):
                raise UserError(
                    f"{self.path} has {text[:40]!r} for training image {self.images[row]} in its column {name}; write "
                    "a number in each row"
                )
        return numbers

    def classes(self, name: str, classes: list[str]) -> np.ndarray:
        """The classes of a column, by name or by number from 0, int64 [rows]; -1 where a cell is empty. Raises
        UserError for a class that there is not."""
        by_name = {text: label for label, text in enumerate(classes)}
        labels = np.full(len(self.images), -1, np.int64)
        for row, text in enumerate(self.columns[name]):
            number = text.removesuffix(".0")  # how pandas writes whole numbers beside an empty cell
            if text in by_name:
                labels[row] = by_name[text]
            elif number.isascii() and number.isdecimal() and len(number) < 10 and int(number) < len(classes):
                labels[row] = int(number)
            elif text:
                raise UserError(
                    f"{self.path} has the class {text[:40]!r} for training image {self.images[row]} in its column "
                    f"{name}, which there is not; write one of {names_text(classes)}, or a number from 0 to "
                    f"{len(classes) - 1}"
                )
        return labels


def load_table(path: Path, images: ImageNames, wanted: Collection[str]) -> ImageTable:
    """The columns `wanted` of the table at `path`, as far as it has them, and which image each row is about.

    Raises UserError for a file that cannot be read as a table, has no rows or more than there are images, names images
    that there are not or one twice, or names none and has not a row for each.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UserError(f"{path} is no table; bring one as {', '.join(SUFFIXES)}")
    read = {".parquet": _read_parquet, ".json": _read_json}.get(suffix, _read_csv)
    try:
        columns = read(path, {*wanted, *IMAGE_COLUMNS, *INDEX_COLUMNS}, images)
    except UserError:
        raise
    except Exception as error:  # csv, json and pyarrow meet a broken file with errors of many types
        why = re.split(r"[\n;]|\.\s", str(error).strip())[0].strip(" .:")[:100]
        raise UserError(f"{path} cannot be read as a table ({why or type(error).__name__}); write it again") from None
    cells = {name: [_text(cell) for cell in column] for name, column in columns.items()}
    rows = max(map(len, cells.values()), default=0)
    if not rows:
        raise UserError(f"{path} has no rows with columns that are known; bring a row for each image")
    column = next((name for name in (*IMAGE_COLUMNS, *INDEX_COLUMNS) if name in cells), None)
    if column is None and rows != images.n:
        raise UserError(
            f"{path} has {rows:,} rows, does not say which is of which image, and there are {images.n:,} {images.what} "
            "images; add a column `image` with the file's name or the image's number"
        )
    matched = np.arange(images.n) if column is None else match_images(path, column, cells[column], images)
    return ImageTable(path, matched, {name: cells[name] for name in cells if name in wanted}, column is not None)


def _text(cell) -> str:
    return "" if cell is None or cell != cell else str(cell).strip()  # NaN is not itself


def _check_rows(path: Path, rows: int, images: ImageNames) -> None:
    if rows > images.n:
        raise UserError(
            f"{path} has more rows than there are {images.what} images, which are {images.n:,}; bring one row for each"
        )


def _max_bytes(images: ImageNames) -> int:
    return min(MAX_BYTES, images.n * ROW_BYTES + MAX_LINE)


def _read_parquet(path: Path, wanted: set[str], images: ImageNames) -> dict[str, list]:
    with open_parquet(path) as file:
        _check_rows(path, file.metadata.num_rows, images)  # before anything is unpacked
        check_unpacked(file, path)
        names = [name for name in file.schema_arrow.names if name in wanted]
        table = file.read(columns=names, use_threads=False)
    return {name: table.column(name).to_pylist() for name in table.column_names}


def _read_csv(path: Path, wanted: set[str], images: ImageNames) -> dict[str, list]:
    with open_file(path, _max_bytes(images)) as stream, io.TextIOWrapper(stream, "utf-8-sig", newline="") as text:
        head = text.readline(1 << 16)
        text.seek(0)
        rows = csv.reader(text, delimiter=max(DELIMITERS, key=head.count), strict=True)
        names = next(rows, [])
        if doubled := sorted(name for name, count in Counter(names).items() if name in wanted and count > 1):
            raise UserError(f"{path} has the column {doubled[0]!r} twice; name each once")
        places = {name: place for place, name in enumerate(names) if name in wanted}
        columns: dict[str, list] = {name: [] for name in places}
        for line, row in enumerate(rows, 2):
            if not any(map(str.strip, row)):  # a spreadsheet leaves rows of nothing
                continue
            if len(row) != len(names):
                raise UserError(f"{path} has {len(row)} cells in row {line} and {len(names)} columns; write it again")
            for name, place in places.items():
                columns[name].append(row[place])
                _check_rows(path, len(columns[name]), images)
    return columns


def _read_json(path: Path, wanted: set[str], images: ImageNames) -> dict[str, list]:
    """Samples as FiftyOne writes them, {"samples": [...]}, or a list of objects: what is in an object's object is the
    column "outer.inner"."""
    with open_file(path, _max_bytes(images)) as stream:
        content = json.load(stream)
    samples = content.get("samples") if isinstance(content, dict) else content
    _check_rows(path, len(samples) if isinstance(samples, list) else 0, images)
    if not isinstance(samples, list) or not all(isinstance(sample, dict) for sample in samples):
        raise UserError(f"{path} holds no list of samples; export it as FiftyOne's samples.json, or as .csv")
    rows = [_flat(sample) for sample in samples]
    names = {name for row in rows for name in row} & wanted
    return {name: [row.get(name) for row in rows] for name in names}


def _flat(sample: dict) -> dict:
    inner = {
        f"{name}.{key}": value
        for name, fields in sample.items()
        if isinstance(fields, dict)
        for key, value in fields.items()
        if not isinstance(value, (dict, list))
    }
    return {name: value for name, value in sample.items() if not isinstance(value, (dict, list))} | inner
