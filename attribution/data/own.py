"""Data sets of the user's own: a function in a file that a person names, or of an installed package (`own_code`), that
returns datasets as torch has them.

The function runs in a process of its own, which copies the images to arrays; nothing here imports the user's file.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from attribution import own_code
from attribution.data import DataSet, Split
from attribution.errors import UserError
from attribution.files import read_array, user_path
from attribution.own_code import OwnCodeError, OwnObject
from attribution.own_code.process import start

KIND = "dataset"


class OwnLoader:
    """A user's data set, as the modules of `data.NAMES`. what: "FILE:FUNCTION", or the name of one that an installed
    package offers. Raises UserError where there is none."""

    def __init__(self, what: str):
        self.own: OwnObject = own_code.take(KIND, what)

    @property
    def place(self) -> str:
        """What a command says of it: no path of this machine."""
        return f"{self.own.main}:{self.own.object}"

    def load(
        self,
        root: Path | None = None,
        *,
        skip_corrupt: bool = False,
        side: int | None = None,
        val_share: float | None = None,
        progress: Callable | None = None,
    ) -> DataSet:
        """What the function returns, copied as `objects.from_objects` does, whose options these are. root: what the
        function is called with, if it is given. Raises OwnCodeError with what the code did wrong."""
        question = {
            "do": "copy",
            "name": Path(self.own.main).stem,
            "root": str(user_path(root).resolve()) if root else None,
            "side": side,
            "val_share": val_share,
            "skip_corrupt": skip_corrupt,
        }

        def report(done: int, total: int) -> None:
            if progress:
                progress("reading images", done, total)

        process = start(self.own, {})
        try:
            with tempfile.TemporaryDirectory(prefix="lineup-dataset-") as folder:
                said = process.ask({**question, "out": folder}, self.own.patience, report)
                splits = [_read_split(Path(folder), split) for split in ("train", "val")]  # open after it is removed
        finally:
            process.close()
        return DataSet(
            question["name"],
            _check_classes(said["classes"], splits),
            *splits,
            skipped=tuple(said["skipped"]),
            sizes=said["sizes"],
            notes=tuple(said["notes"]),
            code=self.own.provenance(),
        )


def is_own(what: str) -> bool:
    """Whether it names a function of the user's, or one that an installed package offers."""
    return own_code.is_place(what) or what in own_code.names(KIND)


def _read_split(folder: Path, split: str) -> Split:
    """What the process has written. Raises OwnCodeError where the code has spoilt it."""
    try:
        images, labels, index = (read_array(folder / f"{split}_{what}.npy") for what in ("images", "labels", "index"))
    except UserError as error:
        raise OwnCodeError(f"the images came back damaged ({str(error).split(' (')[0]}); try again") from None
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or not len(images) == len(labels) == len(index):
        raise OwnCodeError(f"the images came back as {images.dtype} {list(images.shape)}; try again")
    return Split(images, np.asarray(labels, np.int64), index=np.asarray(index, np.int64))


def _check_classes(classes: list, splits: list[Split]) -> list[str]:
    highest = max((int(split.labels.max(initial=-1)) for split in splits), default=-1)
    if not all(isinstance(name, str) for name in classes) or highest >= len(classes):
        raise OwnCodeError("the classes came back damaged; try again")
    return classes
