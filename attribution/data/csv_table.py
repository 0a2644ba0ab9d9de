"""A table of picture files, as CSV or TSV: a column of paths, one of labels and perhaps one of splits.

Read in place. Paths are relative to the table's folder, or absolute.
"""

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attribution.data import DataSet, splits
from attribution.data.encoded import check_root, split_data
from attribution.data.folder_layout import SUFFIXES
from attribution.data.foreign import split_csv_line
from attribution.data.labels import number_classes
from attribution.data.picture_files import PictureFiles, add_endings, place_files
from attribution.data.picture_files import reopen_images as reopen_images
from attribution.errors import UserError
from attribution.files import read_bytes
from attribution.inputs.limits import MAX_IMAGES

KIND = "csv"
#: What columns are called, without case, spaces and signs; those that stand first are taken first.
IMAGE_COLUMNS = (
    *("imagepath", "filepath", "path", "imagefile", "imagefilename", "filename", "file", "imagename", "image", "img"),
    *("imgpath", "imgfile", "imgname", "imagefilepath", "picture", "photo", "relpath", "relativepath", "location"),
    *("imageid", "imgid", "fileid", "name", "id"),
)
LABEL_COLUMNS = (
    *("label", "labels", "class", "category", "target", "y", "classname", "labelname", "categoryname", "classlabel"),
    *("classid", "labelid", "categoryid", "targets", "classes", "gt", "groundtruth", "diagnosis", "species", "breed"),
)
SPLIT_COLUMNS = ("split", "set", "subset", "fold", "partition", "datasplit", "splitname", "setname")
DELIMITERS = ",;\t"
MAX_TABLE = 256 << 20  # bytes
MAX_HEADER = 1 << 16  # characters of the line with the columns' names
ENDINGS = (".csv", ".tsv")


class _NoLabelsError(UserError):
    """A table that has paths of images, and no labels."""


@dataclass(frozen=True)
class _Table:
    """The rows of a table: paths, labels and splits as they are written (splits None where there is no such column),
    the line of each in the file, and its number among the images there."""

    file: Path
    paths: list[str]
    labels: list[str]
    splits: list[str] | None
    lines: list[int]
    numbers: list[int]
    notes: list[str]


def load(
    root: Path | None,
    *,
    skip_corrupt: bool = False,
    side: int | None = None,
    val_share: float | None = None,
    follow_links: bool = False,
    progress: Callable | None = None,
) -> DataSet:
    """The images that the table `root` names, or the only one in the folder `root`, or those in it that are called as
    splits. Options as in `encoded.split_data`; follow_links: files may lie outside the table's folder, and links may
    lead out of it.

    Without a column of splits, `val_share` of the images are held out. Raises UserError for a table without columns of
    paths and labels, for files that are named twice or lie outside, and for labels that are missing.
    """
    given = check_root(root)
    files, skipped = _find_tables(given)
    table, roles = _merge([_read_table(file) for file in files])
    if not table.paths:
        raise UserError(f"{table.file} names no images; write a row for each, with its path and its label")
    skipped += _drop_others(table, roles)
    folder, source = table.file.parent, str(table.file)
    within, table.paths[:] = place_files(folder, add_endings(folder, table.paths), source, follow_links)
    skipped += _drop_doubles(table, roles)
    names = np.array(table.paths, object)
    if not any((within / name).is_file() for name in names):
        raise UserError(
            f"none of the {len(names):,} files that {source} names is there, {names[0]} the first; write paths "
            "relative to the folder of the table"
        )
    labels, classes = number_classes(table.labels, None, source, lambda i: f"line {table.lines[i]}")
    pictures = PictureFiles(within, names, np.array(table.numbers, np.int64), KIND, follow_links)
    parts = []
    for role in ("train", "val"):
        ids = np.array([i for i, said in enumerate(roles) if said == role], np.int64)
        parts.append((pictures.select(ids), labels[ids]) if len(ids) else None)
    train, val, broken, sizes = split_data(*parts, side, val_share, skip_corrupt, progress)
    return DataSet(
        folder.name,
        classes,
        train,
        val,
        skipped=(*broken, *skipped),
        sizes=sizes,
        notes=tuple(table.notes),
        root=within,
    )


def _find_tables(given: Path) -> tuple[list[Path], list[str]]:
    """The table at `given`, or in that folder; or the tables of training and validation images in it. And a line for
    each that is left out."""
    if given.is_file():
        return [given], []
    names = sorted(
        file.name for file in given.iterdir() if file.suffix.lower() in ENDINGS and not file.name.startswith(".")
    )
    if not names:
        raise UserError(f"there is no table in {given}, *.csv or *.tsv; name the file with --root")
    if len(names) == 1:
        return [given / names[0]], []
    chosen = splits.choose(names, given)
    if len(chosen.train) != 1:
        raise UserError(f"{given} has several tables, {splits.listed(names)}; name the one that is meant with --root")
    val = next((named[0] for named in chosen.val if len(named) == 1 and _has_labels(given / named[0])), None)
    used = [chosen.train[0], *([val] if val else [])]
    left_out = [f"{name} (neither training nor validation images with labels)" for name in names if name not in used]
    return [given / name for name in used], left_out


def _has_labels(file: Path) -> bool:
    """Whether a table has a column of labels: that of a contest's test images has none. Raises UserError where it is no
    table of images."""
    try:
        _find_columns(file, _first_line(_read_text(file)[0])[0])
        return True
    except _NoLabelsError:
        return False


def _merge(tables: list[_Table]) -> tuple[_Table, list[str | None]]:
    """One table of all, and what each row is: "train", "val", or None for neither. Where there are two tables, they
    are the training and the validation images. Raises UserError for splits that cannot be told apart."""
    first, *others = tables
    if not others:
        return first, ["train"] * len(first.paths) if first.splits is None else _roles(first)
    joined = _Table(
        first.file,
        [path for table in tables for path in table.paths],
        [label for table in tables for label in table.labels],
        None,
        [line for table in tables for line in table.lines],
        [number for table in tables for number in table.numbers],
        [note for table in tables for note in table.notes],
    )
    return joined, [role for table, role in zip(tables, ("train", "val")) for _ in table.paths]


def _roles(table: _Table) -> list[str | None]:
    given = list(dict.fromkeys(table.splits))
    chosen = splits.choose([name for name in given if name], f"the column of splits in {table.file}", "rename them")
    if not chosen.train:
        raise UserError(
            f"the column of splits in {table.file} holds {splits.listed(name or 'nothing' for name in given)}, and "
            "none is called train; write train and val there, or take the column out so that a share is held back"
        )
    roles = {**dict.fromkeys(chosen.train, "train"), **dict.fromkeys(chosen.val[0] if chosen.val else (), "val")}
    return [roles.get(name) for name in table.splits]


def _drop_doubles(table: _Table, roles: list[str | None]) -> list[str]:
    """Takes rows that say again what an earlier one says out of `table` and `roles`; a line on them. Raises UserError
    where they say something else."""
    first: dict[str, int] = {}
    kept = []
    for i, path in enumerate(table.paths):
        before = first.setdefault(path, i)
        if (table.labels[before], roles[before]) != (table.labels[i], roles[i]):
            raise UserError(
                f"{table.file} names {path} twice, in lines {table.lines[before]} and {table.lines[i]}, with another "
                "label or split; name each image once"
            )
        if before == i:
            kept.append(i)
    doubled = len(table.paths) - len(kept)
    _keep(table, roles, kept)
    return [f"{doubled:,} rows that name an image again"] if doubled else []


def _drop_others(table: _Table, roles: list[str | None]) -> list[str]:
    """Takes the rows that are neither training nor validation images out; a line on them."""
    others = [i for i, role in enumerate(roles) if role is None]
    names = dict.fromkeys((table.splits or [""] * len(roles))[i] or "nothing" for i in others)
    _keep(table, roles, [i for i, role in enumerate(roles) if role is not None])
    if not others:
        return []
    return [f"{len(others):,} rows of the split {splits.listed(names)} (neither training nor validation images)"]


def _keep(table: _Table, roles: list, kept: Sequence[int]) -> None:
    for column in (table.paths, table.labels, table.splits, table.lines, table.numbers, roles):
        if column is not None:
            column[:] = [column[i] for i in kept]


def _read_table(file: Path) -> _Table:
    """Raises UserError for what is no such table."""
    text, notes = _read_text(file)
    if text.count("\n") > 2 * MAX_IMAGES:
        raise UserError(f"{file} has {text.count(chr(10)):,} lines, more than a table of images may have; is it one?")
    header, start, before = _first_line(text)
    try:
        columns, delimiter, has_header = _find_columns(file, header)
        rows = csv.reader(io.StringIO(text[start:], newline=""), delimiter=delimiter, strict=True)
        found: tuple[list[str], list[str], list[str], list[int]] = ([], [], [], [])
        if has_header:
            next(rows, None)
        for row in rows:
            if not any(map(str.strip, row)):  # a spreadsheet leaves empty rows
                continue
            line = rows.line_num + before
            cells = [row[column].strip() if column is not None and column < len(row) else "" for column in columns]
            if not cells[0]:
                raise UserError(f"line {line} of {file} has no path of an image; write it, or take the line out")
            for values, value in zip(found, (*cells, line)):
                values.append(value)
    except csv.Error as error:
        raise UserError(f"{file} cannot be read as CSV ({error}); save it again as CSV in UTF-8") from None
    paths, labels, given_splits, lines = found
    numbers = list(range(len(paths)))
    return _Table(file, paths, labels, given_splits if columns[2] is not None else None, lines, numbers, notes)


def _first_line(text: str) -> tuple[str, int, int]:
    """The first line of a table that says something, where it starts, and how many lines are before it: a spreadsheet
    may leave empty ones, or say what stands between columns."""
    start = before = 0
    while start < len(text):
        end = text.find("\n", start)
        line = text[start : end if end >= 0 else None]
        if line.strip(DELIMITERS + ' "\r') and not re.fullmatch(r"sep=.\r?", line):
            return line.rstrip("\r"), start, before
        start, before = start + len(line) + 1, before + 1
    return "", len(text), before


def _read_text(file: Path) -> tuple[str, list[str]]:
    """The text of a table, and a line on what was assumed of its letters."""
    try:
        content = read_bytes(file, MAX_TABLE)
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}); check --root") from None
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encodings = ["utf-16"]
    else:
        encodings = ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if not re.search(r"[\x00-\x08\x0e-\x1f]", text):
            assumed = [f"{file.name} is no UTF-8 and was read as Windows-1252"] if encoding == "cp1252" else []
            return text, assumed
    raise UserError(f"{file} is no text in UTF-8; save the table as CSV in UTF-8")


def _find_columns(file: Path, header: str) -> tuple[tuple[int, int, int | None], str, bool]:
    """Numbers of the columns of paths, labels and splits (None where there is none), what stands between columns, and
    whether the first line names them. header: that line."""
    if len(header) > MAX_HEADER:
        raise UserError(f"{file} has a first line of {len(header):,} letters; name the columns there, path and label")
    missing = []
    for delimiter in sorted(DELIMITERS, key=header.count, reverse=True):
        cells = split_csv_line(file, header, delimiter)
        names = [re.sub(r"[\W_]+", "", cell).casefold() for cell in cells]
        image, label, split = (
            next((names.index(name) for name in known if name in names), None)
            for known in (IMAGE_COLUMNS, LABEL_COLUMNS, SPLIT_COLUMNS)
        )
        if image is not None and label is not None:
            return (image, label, split), delimiter, True
        paths = [i for i, cell in enumerate(cells) if cell.strip().lower().endswith(SUFFIXES)]
        if len(paths) == 1 and len(cells) == 2:  # no header: a path and a label
            return (paths[0], 1 - paths[0], None), delimiter, False
        missing.append(("paths" if image is None else "labels", ", ".join(cell.strip() or '""' for cell in cells)))
    what, shown = missing[0]
    raise (_NoLabelsError if what == "labels" else UserError)(
        f"{file} has no column of {what} among {shown[:200] or 'nothing'}; call the columns path and label, and one of "
        "train and val split"
    )
