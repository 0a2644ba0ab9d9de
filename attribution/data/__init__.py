"""Data sets: a loader a file, each returning images and labels; images are read in place where that is possible."""

import importlib
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attribution.errors import UserError
from attribution.files import user_path

if TYPE_CHECKING:
    import pandas as pd

#: Name on the command line -> module of this folder. It has `load(root: Path | None, **options) -> DataSet` and, where
#: images are read in place, `reopen_images(source, root, locations) -> Images`.
NAMES = {
    "cifar10": "cifar10",
    "cifar100": "cifar100",
    "fashion-mnist": "fashion_mnist",
    "image-folder": "image_folder",
    "csv": "csv_table",
    "npz": "npz",
    "parquet": "parquet",
    "hf-disk": "hf_disk",
    "webdataset": "webdataset",
}


class Images(ABC):
    """The images of a split, decoded when they are indexed; behaves like an array uint8 [n, H, W] or [n, H, W, 3].

    images[i] is an image, images[ids or slice] several, uint8 [m, H, W(, 3)]; np.asarray(images) decodes all of them.
    """

    shape: tuple[int, ...]
    dtype = np.dtype(np.uint8)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @abstractmethod
    def _decode(self, ids: np.ndarray) -> np.ndarray:
        """uint8 [len(ids), ...] of the images `ids` (int64)."""

    @abstractmethod
    def fingerprint_bytes(self, ids: np.ndarray) -> bytes:
        """What the data fingerprint hashes of the images `ids`: digests of their bytes on disk, so that no decoder's
        version matters."""

    @abstractmethod
    def paths(self) -> list[Path]:
        """The files that the images are read from, each once."""

    def __getitem__(self, which):
        ids = np.arange(len(self))[which]
        images = self._decode(np.atleast_1d(ids).astype(np.int64))
        return images[0] if np.ndim(ids) == 0 else images

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[:], dtype)


@dataclass(frozen=True)
class Split:
    """The training or the validation images, and their labels, int64 [n].

    source: what `reopen_images` needs, beside `locations`, to find the images under the data set's root folder (JSON,
    file names relative to it); None where the images are to be stored in the workspace. locations: columns of a table
    with a row for each image that says where it is. index: int64 [n], numbers of the images in the source's own order;
    None for 0 .. n - 1.
    """

    images: Images | np.ndarray
    labels: np.ndarray
    source: dict | None = None
    locations: dict | None = None
    index: np.ndarray | None = None


@dataclass(frozen=True)
class DataSet:
    """name: for people. inverted: looks best dark on light. skipped: what was left out, and why. sizes: of the
    pictures before they were resized, as `encoded.sizes_of` has them; None where they were not. notes: clauses on how
    it was read, such as which files were taken for what. root: the folder that file names in `Split.source` are
    relative to, where it is another than `root_folder` gives. code: provenance of the user's code that made it."""

    name: str
    classes: list[str]
    train: Split
    val: Split
    inverted: bool = False
    skipped: tuple[str, ...] = ()
    sizes: dict | None = None
    notes: tuple[str, ...] = ()
    root: Path | None = None
    code: dict | None = None


def get_loader(name: str):
    """The module that loads the data set `name`. Raises UserError for an unknown name, listing the known ones."""
    if name not in NAMES:
        raise UserError(
            f"no data set {name!r}; there is {', '.join(NAMES)}, or name a function of yours as FILE:FUNCTION"
        )
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


def depth(dataset: dict) -> str:
    """One clause on how grey pictures of 16 bits are read, from the manifest's "dataset"; "" where there are none, or
    where the workspace was created before this was noted."""
    bits = images_json(dataset)["bits"]
    return f"grey images of 16 bits use {bits} of them: {2**bits - 1:,} is shown white" if bits else ""


def images_json(dataset: dict) -> dict:
    """What `--json` says of a workspace's pictures, from the manifest's "dataset": shape, sizes (see `resizing`) and
    bits (see `depth`), each None where it is not noted."""
    source = (dataset.get("images") or {}).get("train") or {}
    bits = source.get("bits")
    is_depth = isinstance(bits, int) and 8 <= bits <= 16  # anything may stand there
    return {"shape": dataset.get("shape"), "sizes": dataset.get("sizes"), "bits": bits if is_depth else None}


def root_folder(root: Path | str) -> Path:
    """The absolute folder that the file names in a `source` are relative to: `root`, or the folder of the file `root`.
    Raises UserError where `root` does not exist."""
    root = Path(os.path.realpath(user_path(root)))  # `resolve` raises for a link in a circle
    if not root.exists():
        raise UserError(f"there is nothing at {root}; check --root")
    return root if root.is_dir() else root.parent


def reopen_images(source: dict, root: Path, locations: "pd.DataFrame") -> Images:
    """The images of a `Split` under the folder `root`, from its `source` and the table of its `locations`.

    Raises UserError where these are not valid. Whether the files still exist shows when an image is decoded.
    """
    try:
        return get_loader(source["kind"]).reopen_images(source, Path(root), locations)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"where the images are is not as it should be in workspace.json ({type(error).__name__}: "
            f"{error}); copy the workspace again"
        ) from None
