"""What the formats with a score for every pair share: declarations, shapes, and reading by blocks."""

from pathlib import Path

import numpy as np

from attribution.errors import UserError
from attribution.importing.formats import ORIENTATIONS, SIGNS, DataSetSizes, Declaration, ForeignRanking
from attribution.importing.formats.arrays import open_array, shape_text

GAP = 16  # rows: two that are closer together are read in one piece


def load_dense(
    method: str,
    path: Path,
    array,
    declared: Declaration,
    sizes: DataSetSizes,
    *,
    orientation: str | None = None,
    sign: str | None = None,
    sign_depends: str = "",
    targets: np.ndarray | None = None,
    train: np.ndarray | None = None,
    zero_is_none: bool = False,
    provenance: dict | None = None,
) -> ForeignRanking:
    """The matrix `array` (an `arrays.FileArray` or alike) as a `ForeignRanking`, not yet read.

    orientation, sign: the format's own; declared ones stand where it has none, and a declared sign goes before the
    format's. sign_depends: on what, where the format has none. targets, train: ids as the format knows them, before the
    declared ones. Of a file with a row for each validation image, or for each of `targets`, the declared targets are
    those that are taken. Raises UserError for what is undeclared, or does not fit.
    """
    check_declared(declared)
    chosen = declared_ids(declared, "targets", sizes.n_val)
    train = declared_ids(declared, "train", sizes.n_train) if train is None else train
    n_train = sizes.n_train if train is None else len(train)
    if targets is None and chosen is not None:
        of_all = _fits(array.shape, n_train, sizes.n_val) and not _fits(array.shape, n_train, len(chosen))
        targets, chosen = (None, chosen) if of_all else (chosen, None)
    counts = (n_train, sizes.n_val if targets is None else len(targets))
    orientation, how = _orientation(path, array.shape, counts, declared.orientation, orientation)
    sign = declared.sign or sign
    if sign is None:
        raise UserError(
            f"{path} does not say what a positive score means{sign_depends}; say --sign helpful or --sign harmful"
        )
    transpose = orientation == "train-first"
    targets = np.arange(sizes.n_val) if targets is None else targets
    rows = np.arange(len(targets)) if chosen is None else _rows_of(path, targets, chosen)
    targets = targets[rows]

    def read_rows(run: np.ndarray) -> np.ndarray:
        at = slice(int(run[0]), int(run[-1]) + 1)
        block = array.read_block(slice(None), at, True) if transpose else array.read_block(at)
        return block if len(block) == len(run) else block[run - run[0]]

    def read_scores(start: int, stop: int) -> np.ndarray:
        wanted = rows[start:stop]
        runs = [read_rows(run) for run in np.split(wanted, 1 + np.flatnonzero(np.diff(wanted) > GAP))]
        block = runs[0] if len(runs) == 1 else np.concatenate(runs)
        check_scores(path, block, targets[start:stop], zero_is_none)
        return np.negative(block, out=block) if sign == "harmful" else block

    return ForeignRanking(
        method,
        sign != "unsigned",
        targets,
        read_scores=read_scores,
        train=train,
        zero_is_none=zero_is_none,
        precision=array.precision,
        provenance={
            "file": path.name,
            "shape": list(array.shape),
            "dtype": array.dtype,
            "sign": sign,
            "orientation": f"{orientation} ({how})",
            **(provenance or {}),
        },
    )


def _fits(shape, n_train: int, n_targets: int) -> bool:
    return tuple(shape) in ((n_train, n_targets), (n_targets, n_train))


def _rows_of(path: Path, targets: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The file's rows, ascending, of the targets `chosen`. Raises UserError where it has none of one."""
    absent = chosen[~np.isin(chosen, targets)]
    if len(absent):
        raise UserError(f"{path} has no scores for target {absent[0]}; name with --targets only those that it has")
    return np.flatnonzero(np.isin(targets, chosen))


def check_declared(declared: Declaration) -> None:
    """Raises UserError for a declaration that is not one of the known words."""
    for name, known in (("orientation", ORIENTATIONS), ("sign", SIGNS), ("index_base", (0, 1))):
        value = getattr(declared, name)
        if value is not None and value not in known:
            raise UserError(f"--{name.replace('_', '-')} {value} is not known; say one of {', '.join(map(str, known))}")


def check_scores(path: Path, block: np.ndarray, targets: np.ndarray, constant: bool = False) -> None:
    """Raises UserError where `block`, float [len(targets), m], is not finite, or, unless `constant`, puts no order
    on the images."""
    low, high = block.min(1, initial=np.inf), block.max(1, initial=-np.inf)  # NaN goes through both
    bad = ~(np.isfinite(low) & np.isfinite(high))
    if bad.any():
        raise UserError(
            f"the scores of target {targets[bad.argmax()]} in {path} hold NaN or infinite values; compute them again"
        )
    same = low == high
    if not constant and block.shape[1] > 1 and same.any():
        raise UserError(
            f"all scores of target {targets[same.argmax()]} in {path} are equal, which is no order; "
            "compute it again or leave that target out with --targets"
        )


def declared_ids(declared: Declaration, name: str, limit: int) -> np.ndarray | None:
    """The declared numbers of targets, or train, images: int64, counted from 0; None where none are declared.

    Raises UserError unless the file holds whole numbers below `limit` in one row, without doubles.
    """
    path = getattr(declared, name)
    if path is None:
        return None
    array = open_array(Path(path).expanduser())
    if len(array.shape) != 1 or array.bfloat16 or array.bits.dtype.kind not in "iu" or not array.shape[0]:
        raise UserError(f"{path} is {shape_text(array.shape)} of {array.dtype}; give --{name} a row of whole numbers")
    return check_ids(path, array.bits, limit, declared.index_base or 0, name)


def check_ids(path: Path | str, ids, limit: int, base: int, name: str) -> np.ndarray:
    """`ids`, numbers of images counted from `base`, as int64 counted from 0. Raises UserError for numbers that are
    out of range or appear twice."""
    ids = np.asarray(ids).astype(np.int64) - base
    if ids.min(initial=0) < 0 or ids.max(initial=0) >= limit:
        wrong = ids[(ids < 0) | (ids >= limit)][0] + base
        raise UserError(
            f"{path} has the number {wrong} among its {name}, which go from {base} to {limit - 1 + base}; "
            f"check --index-base{'' if base else ', which is taken to be 0,'} and the data set"
        )
    if len(np.unique(ids)) < len(ids):
        raise UserError(f"{path} names the same image twice among its {name}; name each once")
    return ids


def _orientation(path, shape, counts, declared, native) -> tuple[str, str]:
    """The orientation, and how it is known; counts: numbers of training images and targets. Raises UserError."""
    fits = {"train-first": tuple(shape) == counts, "target-first": tuple(shape) == counts[::-1]}
    if native and declared and native != declared:
        raise UserError(f"a file of this format is {native}; leave --orientation out, or import {path} as a tensor")
    orientation = native or declared
    if orientation and fits[orientation]:
        return orientation, "of the format" if native else "declared"
    if orientation and any(fits.values()):
        other = next(name for name, fit in fits.items() if fit)
        mend = f"import it as a tensor with --orientation {other}" if native else f"say --orientation {other}"
        raise UserError(f"{path} is {shape_text(shape)} and looks transposed; {mend}")
    if all(fits.values()):
        raise UserError(
            f"{path} is square, {shape_text(shape)}, so that its shape does not tell training images from targets; "
            "say --orientation train-first or --orientation target-first"
        )
    for name, fit in fits.items():
        if fit and orientation is None:
            return name, "the one that fits"
    expected = counts if orientation == "train-first" else counts[::-1]
    either = "" if orientation else " or its transpose"
    raise UserError(
        f"{path} is {shape_text(shape)}, and {shape_text(expected)}{either} is expected for {counts[0]} training "
        f"images and {counts[1]} targets; bring the file of this data set, or say with --train and --targets which "
        "images it is about"
    )
