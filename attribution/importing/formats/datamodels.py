"""Datamodels as their authors released them (Ilyas et al., arXiv 2202.00622): `test_50pct.pt` and others, a dict of
`weight` float32 [n_train, n_targets], `bias` and `lam`. A weight raises the target's margin: positive is helpful.

LASSO leaves most weights at exactly zero: these are no influence found, not a place in the order.
"""

from pathlib import Path

from attribution.data.foreign import open_zip
from attribution.errors import UserError
from attribution.importing.formats import DataSetSizes, Declaration, ForeignRanking
from attribution.importing.formats.arrays import open_arrays, shape_text
from attribution.importing.formats.dense import load_dense

DESCRIPTION = "Datamodels as released: a .pt file with weight, bias and lam"
KEYS = ("weight", "bias", "lam")


def sniff(path: Path) -> bool:
    """Looks for the names in the file's pickle, which is small: the numbers lie elsewhere. Loads no torch."""
    if path.suffix != ".pt" or not path.is_file():
        return False
    try:
        with open_zip(path) as archive:
            entry = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
            with archive.open(entry) as stream:
                text = stream.read(1 << 16)
    except Exception:  # zipfile meets a broken file with errors of many types, and then it is not this format
        return False
    return all(key.encode() in text for key in KEYS)


def load(path: Path, declared: Declaration, sizes: DataSetSizes) -> ForeignRanking:
    """See `Format.load`."""
    if path.is_dir():
        raise UserError(f"{path} is a folder; give one of the .pt files in it, such as test_50pct.pt")
    arrays = open_arrays(path)
    if "weight" not in arrays:
        raise UserError(
            f"{path} has no weight; take a .pt file as the Datamodels' authors released it, or import it as a tensor"
        )
    weight = arrays["weight"]
    for key in KEYS[1:]:
        if key in arrays and arrays[key].shape not in (weight.shape[1:], ()):
            raise UserError(
                f"{key} in {path} is {shape_text(arrays[key].shape)}, and its weight is {shape_text(weight.shape)}; "
                "copy or download the file again"
            )
    return load_dense(
        "Datamodels", path, weight, declared, sizes, orientation="train-first", sign="helpful", zero_is_none=True
    )
