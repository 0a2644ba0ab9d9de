"""Formats of the user's own: a class in a file that a person names, or of an installed package (`own_code`).

The class runs in a process of its own, and hands over arrays; from there on its rankings are checked and stored as
those of every format.
"""

import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from attribution import own_code
from attribution.errors import UserError
from attribution.files import write_array
from attribution.importing.formats import DataSetSizes, Declaration, ForeignRanking
from attribution.importing.formats.arrays import open_array, shape_text
from attribution.importing.formats.dense import check_declared, check_ids, declared_ids, load_dense
from attribution.own_code import OwnCodeError, OwnObject
from attribution.own_code.process import start

KIND = "format"


class OwnFormat:
    """A user's format, as `formats.Format`. what: "FILE:CLASS", or the name of one that an installed package offers.
    Raises UserError where there is none."""

    def __init__(self, what: str):
        self.own: OwnObject = own_code.take(KIND, what)
        self.name = self.own.name
        self.DESCRIPTION = self.own.about.get("description") or f"your format {self.name}"

    def sniff(self, path: Path) -> bool:
        """Never: a file says not by itself that a person's code is to read it."""
        return False

    def load(self, path: Path, declared: Declaration, sizes: DataSetSizes) -> ForeignRanking:
        """See `Format.load`. Raises OwnCodeError with what the code did wrong."""
        check_declared(declared)
        folder = tempfile.TemporaryDirectory(prefix="lineup-format-")
        out = Path(folder.name)
        for split, labels in (("train", sizes.train_labels), ("val", sizes.val_labels)):
            write_array(out / f"{split}_labels.npy", labels)
        words = {key: value if value is None else str(value) for key, value in asdict(declared).items()}
        process = start(self.own, {})
        try:
            question = {"do": "load", "path": str(path.resolve()), "out": folder.name}
            said = process.ask(
                {**question, "declared": {**words, "index_base": declared.index_base}}, self.own.patience
            )
        finally:
            process.close()
        return self._ranking(path, declared, sizes, said, folder)

    def _ranking(self, path, declared, sizes, said: dict, folder: tempfile.TemporaryDirectory) -> ForeignRanking:
        """The ranking whose arrays the process has written into `folder`, which lives as long as it is read."""
        arrays = {name: open_array(Path(folder.name) / f"{name}.npy") for name in said["arrays"]}
        if len({"scores", "ranked"} & arrays.keys()) != 1:
            raise OwnCodeError(f"{self.name}.load returned neither scores nor ranked, or both; return one of them")
        targets = check_ids(path, arrays["targets"].bits, sizes.n_val, 0, "targets") if "targets" in arrays else None
        provenance = {"code": self.own.provenance()}
        if "scores" in arrays:
            ranking = load_dense(
                said["method"],
                path,
                arrays["scores"],
                replace(declared, orientation=None, part=None),
                sizes,
                orientation="target-first",
                sign="helpful" if said["signed"] else "unsigned",
                targets=targets,
                provenance=provenance,
            )
        else:
            if targets is None:
                targets = declared_ids(declared, "targets", sizes.n_val)
            ranking = self._lists(path, arrays["ranked"], sizes, targets, said["method"], provenance)
        return replace(
            ranking, read_scores=_with(folder, ranking.read_scores), read_lists=_with(folder, ranking.read_lists)
        )

    def _lists(self, path, array, sizes, targets, method, provenance) -> ForeignRanking:
        targets = np.arange(sizes.n_val) if targets is None else targets
        if array.bits.ndim != 2 or len(array.bits) != len(targets):
            raise OwnCodeError(
                f"ranked of {self.name} is {shape_text(array.shape)}; return a row of training images for each of "
                f"{len(targets)} targets"
            )

        def read_lists(start: int, stop: int) -> tuple[np.ndarray, None]:
            block = np.array(array.bits[start:stop], np.int64)
            for target, row in zip(targets[start:stop], block):
                ended = np.flatnonzero(row == -1)
                length = ended[0] if len(ended) else len(row)
                if (row[length:] != -1).any():
                    raise UserError(
                        f"the row of target {target} goes on after a -1; fill rows with -1 at their end only"
                    )
                check_ids(path, row[:length], sizes.n_train, 0, f"images of target {target}")
            return block, None

        return ForeignRanking(method, False, targets, read_lists=read_lists, provenance=provenance)


def _with(folder: tempfile.TemporaryDirectory, read: Callable | None) -> Callable | None:
    """`read`, which reads files in `folder`: that is there as long as this is."""
    return read and (lambda start, stop, folder=folder: read(start, stop))
