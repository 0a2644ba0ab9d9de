"""CSV, for whoever writes scores without a library. Either a matrix of numbers alone, [validation images, training
images] or its transpose, as numpy.savetxt writes it with a comma; or a table with a heading and a row for each pair:

    target   whole number   which validation image
    train    whole number   which training image, each at most once a target
    rank     whole number   its place in the target's list from 0 or 1; may be left out where there is a score
    score    number         may be left out where there is a rank

A table is read as Lineup's own Parquet is, see `parquet`.
"""

from pathlib import Path

import numpy as np

from attribution.data.foreign import check_file, open_file, split_csv_line
from attribution.errors import UserError
from attribution.importing.formats import DataSetSizes, Declaration, ForeignRanking, parquet
from attribution.importing.formats.arrays import FileArray, names_text
from attribution.importing.formats.dense import check_declared, load_dense

DESCRIPTION = "CSV: a matrix of numbers alone, or a table with the columns target, train and rank or score"
MEMORY = 8  # times the file: a digit and a comma become 8 bytes, twice
HEAD = 1 << 20  # characters in which the first line has to end
BLOCK = 64 << 20  # bytes that pyarrow reads at a time, more than any line has
COLUMNS = {"target": np.int64, "train": np.int64, "rank": np.int64, "score": np.float64}


def sniff(path: Path) -> bool:
    """See `Format.sniff`."""
    return path.suffix.lower() == ".csv" and path.is_file()


def load(path: Path, declared: Declaration, sizes: DataSetSizes) -> ForeignRanking:
    """See `Format.load`."""
    check_declared(declared)
    names = _heading(path)
    if names is None:
        table = _read(path)
        if not all(_is_number(kind) for kind in table.schema.types):
            raise UserError(f"{path} holds more than numbers; write the scores alone, or a table with a heading")
        matrix = np.column_stack([column.to_numpy() for column in table.columns]).astype(np.float64)
        return load_dense("", path, FileArray(path, matrix), declared, sizes)
    if any(value is not None for value in (declared.orientation, declared.targets, declared.train, declared.part)):
        raise UserError(
            "a table says itself which images it is about; leave all declarations but --sign and --index-base out"
        )
    columns, base = _columns(path, names, sizes, declared.index_base or 0)
    sign = declared.sign or (None if "score" in columns else "unsigned")
    if sign is None:
        raise UserError(f"{path} does not say what a positive score means; say --sign helpful, harmful or unsigned")
    if "rank" not in columns:
        columns["rank"] = _ranks(columns["target"], columns["score"] * (-1 if sign == "harmful" else 1))
    return parquet.ranking_of(path, columns, sign, base, {})


def _heading(path: Path) -> list[str] | None:
    """The names in the first line; None where that is a line of numbers."""
    check_file(path)
    with open_file(path) as stream:
        line = stream.read(HEAD).decode(errors="replace").partition("\n")[0].lstrip("\ufeff").rstrip("\r")
    cells = [cell.strip() for cell in split_csv_line(path, line)]
    try:
        [float(cell) for cell in cells]
        return None
    except ValueError:
        return cells


def _is_number(kind) -> bool:
    import pyarrow.types as kinds

    return kinds.is_integer(kind) or kinds.is_floating(kind)


def _read(path: Path, names: list[str] | None = None):
    """The table; names: those of the columns to read, all of a matrix without a heading if not given. Raises UserError
    where it is no table."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    kinds = {"target": pa.int64(), "train": pa.int64(), "rank": pa.int64(), "score": pa.float64()}
    try:
        return arrow_csv.read_csv(
            path,
            read_options=arrow_csv.ReadOptions(
                use_threads=False, block_size=BLOCK, autogenerate_column_names=names is None
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types={name: kinds[name] for name in names or ()}, include_columns=names
            ),
        )
    except Exception as error:  # pyarrow meets a broken file with errors of many types
        why = str(error).split("\n")[0].split(". ")[0].strip(" .:")[:100]
        raise UserError(f"{path} cannot be read as CSV ({why or type(error).__name__}); write it again") from None


def _columns(path: Path, names: list[str], sizes: DataSetSizes, base: int) -> tuple[dict[str, np.ndarray], int]:
    """The columns that are known, whole numbers of images as int32 counted from 0; and the base."""
    wanted = [name for name in COLUMNS if name in names]
    if doubled := [name for name in wanted if names.count(name) > 1]:
        raise UserError(f"{path} has the column {doubled[0]} twice; name each once")
    missing = [name for name in ("target", "train") if name not in wanted]
    if missing or not {"rank", "score"} & set(wanted):
        raise UserError(
            f"{path} has no column {(missing or ['rank'])[0]}; its columns are {names_text(names)}, and target, train "
            "and rank or score are needed"
        )
    table, columns = _read(path, wanted), {}
    if not 0 < len(table) <= sizes.n_val * sizes.n_train:
        raise UserError(
            f"{path} has {len(table)} rows, and there are {sizes.n_val} x {sizes.n_train} pairs; bring the file of "
            "this data set"
        )
    for name in wanted:
        column = table.column(name)
        if column.null_count:
            raise UserError(f"the column {name} of {path} has gaps; write a number in each row")
        columns[name] = column.to_numpy()
    for name, limit in (("target", sizes.n_val), ("train", sizes.n_train)):
        columns[name] = parquet.from_zero(path, name, columns[name], limit, base)
    if "rank" in columns:
        columns["rank"] = np.clip(columns["rank"], -1, sizes.n_train + 1).astype(np.int32)  # what is no place is a gap
    return columns, base


def _ranks(targets: np.ndarray, helpful: np.ndarray) -> np.ndarray:
    """The place of each row in its target's list, from 0, the largest of `helpful` first."""
    order = np.lexsort((-helpful, targets))
    starts = np.flatnonzero(np.diff(targets[order], prepend=-1))
    place = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    ranks = np.empty(len(order), np.int32)
    ranks[order] = place
    return ranks
