"""Any tensor of scores: what captum.influence and quanda ([n_test, n_train]) or dattri ([n_train, n_test]) return,
saved by torch, numpy or safetensors. Nothing in such a file says what it means, so that orientation and sign are
declared; the orientation may follow from the data set's sizes. A folder of `0.pt`, `1.pt`, ..., as quanda's cache
writes them, is the batches of targets in that order.
"""

import re
from pathlib import Path

from attribution.errors import UserError
from attribution.importing.formats import DataSetSizes, Declaration, ForeignRanking
from attribution.importing.formats.arrays import SUFFIXES, ConcatenatedArrays, open_array, open_arrays, shape_text
from attribution.importing.formats.dense import load_dense

DESCRIPTION = (
    "a tensor of captum's, dattri's or any other: .pt, .npy, .npz or .safetensors; quanda's folder of 0.pt, 1.pt, ..."
)
BATCH_PATTERN = re.compile(r"(\d{1,9})\.pt")


def sniff(path: Path) -> bool:
    """See `Format.sniff`."""
    return (path / "0.pt").is_file() if path.is_dir() else path.suffix in SUFFIXES


def load(path: Path, declared: Declaration, sizes: DataSetSizes) -> ForeignRanking:
    """See `Format.load`."""
    if not path.is_dir():
        return load_dense("", path, _single_matrix(path, declared.part), declared, sizes)
    files = {
        int(BATCH_PATTERN.fullmatch(file.name)[1]): file
        for file in path.glob("*.pt")
        if BATCH_PATTERN.fullmatch(file.name)
    }
    if sorted(files) != list(range(len(files))) or not files:
        raise UserError(f"{path} is no folder of 0.pt, 1.pt, ... without gaps; give a file, or copy the batches again")
    batches = [_single_matrix(files[number], declared.part) for number in range(len(files))]
    if {array.shape[1:] for array in batches} != {batches[0].shape[1:]} or len(batches[0].shape) != 2:
        raise UserError(
            f"the batches in {path} have different shapes, the first {shape_text(batches[0].shape)}; each is to be "
            "[targets, training images]"
        )
    return load_dense(
        "",
        path,
        ConcatenatedArrays(batches, 0),
        declared,
        sizes,
        orientation="target-first",
        provenance={"batches": len(batches)},
    )


def _single_matrix(path: Path, part: str | None):
    """The array of that name; without a name the only matrix there is."""
    if part is None:
        matrices = [array for array in open_arrays(path).values() if len(array.shape) == 2]
        if len(matrices) == 1:
            return matrices[0]
    return open_array(path, part)
