"""Data sets: one loader a file, each returning images and labels; images are read in place where they can be."""

import importlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attribution.errors import UserError
from attribution.files import user_path

if TYPE_CHECKING:
    import pandas as pd

#: Name on the command line -> module here that has `load(root: Path | None, **options) -> DataSet`
#: and, where images are read in place, `reopen(source, root, places) -> Images`.
NAMES = {
    "cifar10": "cifar10",
    "cifar100": "cifar100",
    "fashion-mnist": "fashion_mnist",
    "image-folder": "image_folder",
    "parquet": "parquet",
}


class Images(ABC):
    """The images of one split, decoded when asked; stands where an array uint8 [n, H, W(, 3)] stands.

    shape: (n, H, W) or (n, H, W, 3). images[i] is one, images[ids or slice] uint8 [m, H, W(, 3)]; np.asarray(images)
    decodes all of them.
    """

    shape: tuple[int, ...]
    dtype = np.dtype(np.uint8)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @abstractmethod
    def _decode(self, ids: np.ndarray) -> np.ndarray:
        """uint8 [len(ids), ...] of the images `ids` (int64)."""

    @abstractmethod
    def sample(self, ids: np.ndarray) -> bytes:
        """What the fingerprint takes of the images `ids`: their bytes as they are on disk, whatever decodes them."""

    def __getitem__(self, which):
        ids = np.arange(len(self))[which]
        found = self._decode(np.atleast_1d(ids).astype(np.int64))
        return found[0] if np.ndim(ids) == 0 else found

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[:], dtype)


@dataclass(frozen=True)
class Split:
    """images: Images or an array, labels int64 [n].

    source: how `reopen` finds the images again under the data set's root folder (JSON, file names relative to it), or
    None where they have to be stored in the workspace. places: one value an image that says where it lies there, by
    column, beside `source`. index: int64 [n], numbers of the images in the source's own order; None for 0 .. n - 1.
    """

    images: Images | np.ndarray
    labels: np.ndarray
    source: dict | None = None
    places: dict | None = None
    index: np.ndarray | None = None


@dataclass(frozen=True)
class DataSet:
    """name: for people. inverted: looks best dark on light. skipped: what was left out, and why. sizes: of the
    pictures before they were resized, as `encoded.sizes_of` has them; None where they were not."""

    name: str
    classes: list[str]
    train: Split
    val: Split
    inverted: bool = False
    skipped: tuple[str, ...] = ()
    sizes: dict | None = None


def get(name: str):
    """The loader `name`. Raises UserError naming the known ones."""
    if name not in NAMES:
        raise UserError(f"no data set {name!r}; there is {', '.join(NAMES)}")
    return importlib.import_module(f"attribution.data.{NAMES[name]}")


def resizing(dataset: dict) -> str:
    """One clause on how a workspace's pictures were resized, from the manifest's "dataset"; "" where they were not, or
    where the workspace was created before this was noted."""
    sizes = dataset.get("sizes")
    if not sizes:
        return ""
    low, high, shown = (f"{w:,} x {h:,}" for w, h in (sizes["smallest"], sizes["largest"], dataset["shape"][1::-1]))
    before = f"{sizes['count']:,} sizes, from {low} to {high}; all" if sizes["count"] > 1 else f"all are {low} and"
    cropped = ", cropped to the middle where the proportions differ" if sizes["cropped"] else ""
    return f"{before} are shown and trained at {shown}{cropped}"


def folder(root: Path | str) -> Path:
    """What the file names in a `source` are relative to: the folder `root`, absolute, or the one of the file `root`.
    Raises UserError where nothing is there."""
    root = user_path(root).resolve()
    if not root.exists():
        raise UserError(f"there is nothing at {root}; check --root")
    return root if root.is_dir() else root.parent


def reopen(source: dict, root: Path, places: "pd.DataFrame") -> Images:
    """The images of a `Split` under the folder `root`, from its `source` and the table of its `places`.

    Raises UserError where these make no sense; whether the files are (still) there shows when an image is asked for.
    """
    try:
        return get(source["kind"]).reopen(source, Path(root), places)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"where the images are is not as it should be in workspace.json ({type(error).__name__}: "
            f"{error}); copy the workspace again"
        ) from None
