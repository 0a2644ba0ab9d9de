"""Index matrices as the paper's repository writes them (Singla et al., arXiv 2311.03386): whole numbers
[n_targets, k], a row's training images best first, as `.npy`.

Either all validation images have a row, of zeros where nothing was computed; or only some, which `test_<rows>.npy`
beside the file, or --targets, names. -1 fills a row that is shorter. Such a file has an order, and no scores or sign.
"""

from pathlib import Path

import numpy as np

from attribution.errors import UserError
from attribution.importing.formats import DataSetSizes, Declaration, ForeignRanking
from attribution.importing.formats.arrays import open_array, shape_text
from attribution.importing.formats.dense import check_declared, check_ids, declared_ids

DESCRIPTION = "an index matrix: a .npy of whole numbers, a row a target, its training images best first"
#: rows read at a time while looking for empty ones
BLOCK = 1024


def sniff(path: Path) -> bool:
    """See `Format.sniff`."""
    if path.suffix != ".npy" or not path.is_file():
        return False
    try:
        with path.open("rb") as stream:
            if stream.read(6) != b"\x93NUMPY":
                return False  # torch's, under another name: opening that would load torch
        array = open_array(path)
    except UserError:
        return False
    return array.bits.dtype.kind in "iu" and array.bits.ndim == 2


def load(path: Path, declared: Declaration, sizes: DataSetSizes) -> ForeignRanking:
    """See `Format.load`."""
    check_declared(declared)
    if declared.sign == "harmful" or declared.orientation == "train-first" or declared.train is not None:
        raise UserError(
            "an index matrix has a row a target, its training images most helpful first and counted in "
            "the whole data set; leave --sign, --orientation and --train out"
        )
    array = open_array(path, declared.part)
    ranked, base = array.bits, declared.index_base or 0
    if ranked.dtype.kind not in "iu" or array.bfloat16 or ranked.ndim != 2 or not ranked.size:
        raise UserError(
            f"{path} is {shape_text(ranked.shape)} of {array.dtype}; an index matrix is a row of whole numbers for "
            "each target"
        )
    targets, how = _target_ids(path, ranked.shape, declared, sizes)
    if ranked.shape[1] > sizes.n_train:
        raise UserError(
            f"{path} has {ranked.shape[1]} images a target, and there are {sizes.n_train} training images; "
            "bring the file of this data set"
        )
    computed = np.arange(len(ranked))
    if ranked.shape[1] > 1:  # in a row that was computed no image stands twice
        computed = np.concatenate(
            [at + np.flatnonzero(np.any(ranked[at : at + BLOCK] != 0, 1)) for at in range(0, len(ranked), BLOCK)]
        )
    if not len(computed):
        raise UserError(f"all rows of {path} are zeros, so that nothing was computed; compute it first")

    def read_lists(start: int, stop: int) -> tuple[np.ndarray, None]:
        block = ranked[computed[start:stop]].astype(np.int64)
        for target, row in zip(targets[computed[start:stop]], block):
            ended = np.flatnonzero(row == -1)
            if len(ended) and (row[ended[0] :] != -1).any():
                raise UserError(
                    f"the row of target {target} in {path} goes on after a -1; fill rows with -1 at their end only"
                )
            length = ended[0] if len(ended) else len(row)
            row[:length] = check_ids(path, row[:length], sizes.n_train, base, f"images of target {target}")
        return block, None

    return ForeignRanking(
        "",
        False,
        targets[computed],
        read_lists=read_lists,
        provenance={
            "file": path.name,
            "shape": list(ranked.shape),
            "dtype": array.dtype,
            "targets": how,
            "index base": f"{base} ({'declared' if declared.index_base is not None else 'taken to be'})",
            "rows without an order": len(ranked) - len(computed),
        },
    )


def _target_ids(
    path: Path, shape: tuple[int, int], declared: Declaration, sizes: DataSetSizes
) -> tuple[np.ndarray, str]:
    """The validation images that the rows are about, and how that is known."""
    beside = path.with_name(f"test_{shape[0]}.npy")
    if declared.targets is None and shape[0] != sizes.n_val and beside.is_file():
        declared = Declaration(targets=beside, index_base=declared.index_base)
    targets = declared_ids(declared, "targets", sizes.n_val)
    if targets is None and shape[0] == sizes.n_val:
        return np.arange(sizes.n_val), "all validation images"
    if targets is None or len(targets) != shape[0]:
        turned = (
            " and looks transposed; save its transpose"
            if shape[1] == sizes.n_val
            else (
                f"; say with --targets, or test_{shape[0]}.npy beside it, which {shape[0]} of the {sizes.n_val} "
                "validation images its rows are about"
            )
        )
        raise UserError(f"{path} is {shape_text(shape)}{turned}")
    return targets, Path(declared.targets).name
