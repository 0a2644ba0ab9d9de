"""What the formats with a score for every pair share: declarations, shapes, and reading by blocks."""

from pathlib import Path

import numpy as np

from attribution.errors import UserError
from attribution.importing.formats import ORIENTATIONS, SIGNS, DataSetSizes, Declaration, ForeignRanking
from attribution.importing.formats.arrays import open_array, shape_text


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
    said: dict | None = None,
) -> ForeignRanking:
    """The matrix `array` (an `arrays.FileArray` or alike) as an `ForeignRanking`.

    orientation, sign: the format's own; declared ones stand where it has none, and a declared sign goes before the
    format's. sign_depends: on what, where the format has none. targets, train: ids as the format knows them, before the
    declared ones. Raises UserError for what is undeclared, or does not fit.
    """
    check_declared(declared)
    targets = declared_ids(declared, "targets", sizes.n_val) if targets is None else targets
    train = declared_ids(declared, "train", sizes.n_train) if train is None else train
    counts = (sizes.n_train if train is None else len(train), sizes.n_val if targets is None else len(targets))
    orientation, how = _orientation(path, array.shape, counts, declared.orientation, orientation)
    sign = declared.sign or sign
    if sign is None:
        raise UserError(
            f"{path} does not say what a positive score means{sign_depends}; say --sign helpful or --sign harmful"
        )
    transpose = orientation == "train-first"
    targets = np.arange(sizes.n_val) if targets is None else targets

    def rows(start: int, stop: int) -> np.ndarray:
        at = slice(start, stop)
        block = array.block(slice(None), at, True) if transpose else array.block(at)
        check_scores(path, block, targets[at], zero_is_none)
        return np.negative(block, out=block) if sign == "harmful" else block

    return ForeignRanking(
        method,
        sign != "unsigned",
        targets,
        rows=rows,
        train=train,
        zero_is_none=zero_is_none,
        said={
            "file": path.name,
            "shape": list(array.shape),
            "dtype": array.dtype,
            "sign": sign,
            "orientation": f"{orientation} ({how})",
            **(said or {}),
        },
    )


def check_declared(declared: Declaration) -> None:
    """Raises UserError for a declaration that is not one of the known words."""
    for name, known in (("orientation", ORIENTATIONS), ("sign", SIGNS), ("index_base", (0, 1))):
        value = getattr(declared, name)
        if value is not None and value not in known:
            raise UserError(f"--{name.replace('_', '-')} {value} is not known; say one of {', '.join(map(str, known))}")


def check_scores(path: Path, block: np.ndarray, targets: np.ndarray, constant: bool = False) -> None:
    """Raises UserError where `block`, float32 [len(targets), m], is not finite, or, unless `constant`, puts no order
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


def declared_ids(declared: Declaration, what: str, limit: int) -> np.ndarray | None:
    """The declared numbers of targets, or train, images: int64, counted from 0; None where none are declared.

    Raises UserError unless the file holds whole numbers below `limit` in one row, without doubles.
    """
    path = getattr(declared, what)
    if path is None:
        return None
    array = open_array(Path(path).expanduser())
    if len(array.shape) != 1 or array.bfloat16 or array.bits.dtype.kind not in "iu" or not array.shape[0]:
        raise UserError(f"{path} is {shape_text(array.shape)} of {array.dtype}; give --{what} a row of whole numbers")
    return check_ids(path, array.bits, limit, declared.index_base or 0, what)


def check_ids(path: Path | str, found, limit: int, base: int, what: str) -> np.ndarray:
    """`found`, numbers of images counted from `base`, as int64 counted from 0. Raises UserError for numbers that are
    out of range or stand there twice."""
    found = np.asarray(found).astype(np.int64) - base
    if found.min(initial=0) < 0 or found.max(initial=0) >= limit:
        wrong = found[(found < 0) | (found >= limit)][0] + base
        raise UserError(
            f"{path} has the number {wrong} among its {what}, which go from {base} to {limit - 1 + base}; "
            f"check --index-base{'' if base else ', which is taken to be 0,'} and the data set"
        )
    if len(np.unique(found)) < len(found):
        raise UserError(f"{path} names the same image twice among its {what}; name each once")
    return found


def _orientation(path, shape, counts, declared, own) -> tuple[str, str]:
    """The orientation, and how it is known; counts: numbers of training images and targets. Raises UserError."""
    fits = {"train-first": tuple(shape) == counts, "target-first": tuple(shape) == counts[::-1]}
    if own and declared and own != declared:
        raise UserError(f"a file of this format is {own}; leave --orientation out, or import {path} as a tensor")
    asked = own or declared
    if asked and fits[asked]:
        return asked, "of the format" if own else "declared"
    if asked and any(fits.values()):
        other = next(name for name, fit in fits.items() if fit)
        mend = f"import it as a tensor with --orientation {other}" if own else f"say --orientation {other}"
        raise UserError(f"{path} is {shape_text(shape)} and looks transposed; {mend}")
    if all(fits.values()):
        raise UserError(
            f"{path} is square, {shape_text(shape)}, so that its shape does not tell training images from targets; "
            "say --orientation train-first or --orientation target-first"
        )
    for name, fit in fits.items():
        if fit and asked is None:
            return name, "the one that fits"
    wanted = counts if asked == "train-first" else counts[::-1]
    either = "" if asked else " or its transpose"
    raise UserError(
        f"{path} is {shape_text(shape)}, and {shape_text(wanted)}{either} is expected for {counts[0]} training images and "
        f"{counts[1]} targets; bring the file of this data set, or say with --train and --targets which "
        "images it is about"
    )
