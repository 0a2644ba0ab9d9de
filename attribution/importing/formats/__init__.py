"""Files of other libraries: one format a module, each a `Format`. What they read is data, never code.

Libraries differ in orientation, sign and index base, and the shape of a square matrix says nothing about them. So
either the format fixes these, or the person who imports the file declares them (`Declaration`).
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from attribution import own_code
from attribution.errors import UserError
from attribution.files import user_path

#: Name on the command line -> module here, in the order in which a file is tried (`detect_format`).
NAMES = {
    "traker": "traker",
    "datamodels": "datamodels",
    "datamodels-store": "datamodels_store",
    "kronfluence": "kronfluence",
    "bergson": "bergson",
    "feldman-zhang": "feldman_zhang",
    "parquet": "parquet",
    "csv": "csv_scores",
    "topk": "topk",
    "tensor": "tensor",
}
ORIENTATIONS = ("train-first", "target-first")
SIGNS = ("helpful", "harmful", "unsigned")


@dataclass(frozen=True)
class Declaration:
    """What a person declares about a file; None where nothing is declared. `load` raises UserError for what it needs.

    orientation: "train-first" [n_train, n_target] or "target-first". sign: what a positive score means, "helpful" or
    "harmful", or "unsigned" where only the order counts (larger is first). index_base: 0 or 1, of training and target
    numbers in the file. targets, train: files of whole numbers (.npy) that say which validation images, and which
    training images, the file's rows are about, where it has not all of them. part: which of several the file holds
    (traker's experiment, kronfluence's module or scores name).
    """

    orientation: str | None = None
    sign: str | None = None
    index_base: int | None = None
    targets: Path | None = None
    train: Path | None = None
    part: str | None = None


@dataclass(frozen=True)
class DataSetSizes:
    """What a file has to fit: the numbers of training and validation images, and their labels (int64)."""

    train_labels: np.ndarray
    val_labels: np.ndarray

    @property
    def n_train(self) -> int:
        """How many training images there are."""
        return len(self.train_labels)

    @property
    def n_val(self) -> int:
        """How many validation images there are."""
        return len(self.val_labels)


@dataclass(frozen=True)
class ForeignRanking:
    """A foreign ranking, opened and checked against the data set's sizes, and not yet read.

    method: "TRAK", "Datamodels", ... for people; "" where a file does not say, and the name it is given serves.
    signed: scores below zero mean harm. targets: int64 [T], the validation images that it ranks for, in the file's
    order, without doubles. Either
    read_scores(start, stop) -> float [stop - start, len(train) or n_train] for targets[start:stop], larger is more
    helpful; train: int64 [m], the training images that its columns are, or None for all in order; or
    read_lists(start, stop) -> (ids int64 [stop - start, k], best first, -1 after the end of a list; scores float of
    that shape, or None).
    precision: of the scores, float64 where float32 would round them.
    zero_is_none: exact zeros are "no influence found", not a place in the order (sparse regressions).
    provenance: what was read in the file or declared, and what follows from it.
    Both readers raise UserError for what is not finite.
    """

    method: str
    signed: bool
    targets: np.ndarray
    read_scores: Callable[[int, int], np.ndarray] | None = None
    read_lists: Callable[[int, int], tuple[np.ndarray, np.ndarray | None]] | None = None
    train: np.ndarray | None = None
    zero_is_none: bool = False
    precision: np.dtype = np.dtype(np.float32)
    provenance: dict = field(default_factory=dict)


class Format(Protocol):
    """What each module in NAMES has. MEMORY: times the size of its files that it may take, where three are too few."""

    #: one line for people: which library writes it, and what the file is
    DESCRIPTION: str

    def sniff(self, path: Path) -> bool:
        """Whether `path`, a file or folder, looks like this format; cheap, and raises nothing but OSError."""

    def load(self, path: Path, declared: Declaration, sizes: DataSetSizes) -> ForeignRanking:
        """The ranking in `path`, not yet read. Raises UserError for what is missing, corrupt, undeclared or unfit."""


def known_names() -> list[str]:
    """The names of all formats: those here, and those that installed packages offer."""
    return [*NAMES, *(name for name in own_code.names("format") if name not in NAMES)]


def get_format(name: str) -> Format:
    """The format `name`, or that of the user's own at "FILE:CLASS". Raises UserError naming the known ones."""
    if name in NAMES:
        return importlib.import_module(f"attribution.importing.formats.{NAMES[name]}")
    if not own_code.is_place(name) and name not in known_names():
        raise UserError(f"no format {name!r}; there is {', '.join(known_names())}, or name one of yours as FILE:CLASS")
    from attribution.importing.formats.own import OwnFormat

    return OwnFormat(name)


def detect_format(path: Path) -> str:
    """The name of the format that `path` looks like. Raises UserError where none fits or nothing is there."""
    path = user_path(path)
    if not path.exists():
        raise UserError(f"there is nothing at {path}; check the path")
    for name in NAMES:
        try:
            if get_format(name).sniff(path):
                return name
        except OSError:  # a folder that may not be looked into
            continue
    raise UserError(f"{path} looks like none of {', '.join(NAMES)}; name its format with `import FORMAT {path}`")
