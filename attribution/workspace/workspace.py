"""A workspace: a folder that holds one data set's images, features, rankings and results.

Anyone can read it without this library: `workspace.json` names every part with its provenance, tables are Parquet and
arrays are `.npy`, opened by memory map. No path in it is absolute.
"""

import hashlib
import os
import shlex
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attribution.data import Images, reopen_images, roots
from attribution.data.thumbnails import Thumbnails
from attribution.errors import UserError
from attribution.files import ROOT, change_json, data_folder, read_array, read_table
from attribution.training import all_recipes
from attribution.workspace.base_models import BaseModels
from attribution.workspace.manifest import PART_PATTERN, read_manifest, read_user_parts

if TYPE_CHECKING:
    import pandas as pd

DEMO = ROOT / "assets" / "demo"


@dataclass(frozen=True)
class FeatureSet:
    """One feature set: train [n_train, d] and val [n_val, d], of float16 or float32, memory-mapped where stored."""

    name: str
    train: np.ndarray
    val: np.ndarray


class Workspace:
    """An opened workspace. Use `Workspace.open`; arrays are read when first used."""

    def __init__(self, path: Path, manifest: dict):
        self.path = path
        self.manifest = manifest
        dataset = manifest["dataset"]
        self.name: str = manifest["name"]
        self.recipe: str = manifest["recipe"]
        self.fingerprint: str = dataset["fingerprint"]
        self.classes: list[str] = dataset["classes"]
        self.n_train: int = dataset["n_train"]
        self.n_val: int = dataset["n_val"]
        self.planted: int = dataset.get("planted", 0)
        #: draw dark on light (255 - pixel), as Fashion-MNIST is best looked at
        self.greyscale_inverted: bool = dataset.get("inverted", False)

    @staticmethod
    def open(path: str | Path = DEMO) -> "Workspace":
        """Opens the workspace at `path`. Raises UserError if it is missing, half-copied or of another schema.

        >>> ws = Workspace.open()  # the demo
        >>> ws.name, ws.n_train, ws.n_val
        ('demo', 5000, 1000)
        """
        path = Path(path).expanduser()
        workspace = Workspace(path, read_manifest(path))
        workspace._merge_user_parts()
        return workspace

    # -- images and labels

    @cached_property
    def train_images(self) -> np.ndarray | Images:
        """uint8 [n_train, H, W] (grey) or [n_train, H, W, 3]: an array, or where they are read in place Images that
        stand for one. Raises UserError where they are not on this machine."""
        return self._images("train", self.n_train)

    @cached_property
    def val_images(self) -> np.ndarray | Images:
        """uint8 [n_val, H, W] (grey) or [n_val, H, W, 3], as `train_images`."""
        return self._images("val", self.n_val)

    def _images(self, split: str, n: int) -> np.ndarray | Images:
        images = self.read_images(split)
        if not isinstance(images, Images):
            return images
        digest = self.manifest["dataset"].get("digests", {}).get(split)  # the fingerprint covers a sample alone
        name = f"{split}-{digest[:16]}.thumbnails" if digest else f"{split}.thumbnails"
        return Thumbnails(images, data_folder() / self.fingerprint[:16] / name)

    def read_images(self, split: str) -> np.ndarray | Images:
        """The images of "train" or "val" as they are on the disk now. Raises UserError where they are not there."""
        if self.manifest["dataset"].get("images"):
            return self.open_images(self.images_root, split)
        n = {"train": self.n_train, "val": self.n_val}[split]
        return read_array(self.path / "images" / f"{split}.npy", n, None, None)

    def image_paths(self, split: str) -> list[Path]:
        """The files that the images of "train" or "val" are read from."""
        if self.manifest["dataset"].get("images"):
            return self.open_images(self.images_root, split).paths()
        return [self.path / "images" / f"{split}.npy"]

    def check_images(self) -> None:
        """Raises UserError where the images are not those the workspace was created with, or not those that the results
        rest on; see `image_check`."""
        from attribution.workspace import image_check

        if problem := image_check.problem(self, image_check.check_images(self)):
            raise UserError(problem)

    @property
    def images_root(self) -> Path:
        """The folder with the images that are read in place. Raises UserError where they are not on this machine."""
        root = roots.find_root(self.path, self.fingerprint)
        if root is None:
            raise UserError(
                f"the images of {self.name} are not on this machine, or not where they were; say where: "
                f"python -m attribution workspace locate --workspace {shlex.quote(str(self.path))} "
                "--root DIR"
            )
        return root

    def image_locations(self, split: str) -> "pd.DataFrame":
        """Where each image of "train" or "val" lies that is read in place: columns as the data set's kind has them."""
        return read_table(self.path / "images" / f"{split}.parquet")

    def open_images(self, root: Path, split: str) -> Images:
        """The images of "train" or "val" that are read in place, in the folder `root`. Raises UserError where the
        workspace does not say which; whether they are there shows when one is asked for."""
        n = {"train": self.n_train, "val": self.n_val}[split]
        images = reopen_images(self.manifest["dataset"]["images"].get(split), root, self.image_locations(split))
        if images.shape != (n, *self.manifest["dataset"]["shape"]):
            raise UserError(
                f"{self.path / 'images' / f'{split}.parquet'} does not say where the {n} images are; "
                "copy the workspace again"
            )
        return images

    @cached_property
    def _tables(self) -> "dict[str, pd.DataFrame]":
        tables = {}
        for split, n in (("train", self.n_train), ("val", self.n_val)):
            file = self.path / f"{split}.parquet"
            tables[split] = read_table(file, "label", "source_index")
            if len(tables[split]) != n or not tables[split]["label"].isin(range(len(self.classes))).all():
                raise UserError(
                    f"{file} does not hold {n} labels from 0 to {len(self.classes) - 1}; copy the workspace again"
                )
        return tables

    @property
    def train_labels(self) -> np.ndarray:
        """The given labels, int64 [n_train]; planted errors included, as any method sees them."""
        return self._tables["train"]["label"].to_numpy()

    @property
    def val_labels(self) -> np.ndarray:
        """The true labels of the validation images, int64 [n_val]."""
        return self._tables["val"]["label"].to_numpy()

    @property
    def train_index(self) -> np.ndarray:
        """Index of each training image in the source data set, int64 [n_train]."""
        return self._tables["train"]["source_index"].to_numpy()

    @property
    def val_index(self) -> np.ndarray:
        """Index of each validation image in the source data set, int64 [n_val]."""
        return self._tables["val"]["source_index"].to_numpy()

    def truth(self) -> "pd.DataFrame | None":
        """Columns original (label) and planted (bool) for each training image, or None where nothing was planted.

        For display and for evaluating detectors only: no feature, ranking or detector may call it (a test holds that).
        """
        file = self.path / "truth.parquet"
        return read_table(file, "original", "planted") if file.exists() else None

    # -- recipes

    def get_recipe(self, name: str | None = None) -> all_recipes.AnyRecipe:
        """The recipe `name` as it is here, the workspace's own if not given. Raises UserError naming the known ones.

        >>> Workspace.open().get_recipe().hash
        'c5aeb1565251'
        """
        return all_recipes.get_recipe(name or self.recipe)

    def recipe_names(self) -> list[str]:
        """Names of the recipes that can be asked for here: built in, and those that a person added."""
        return all_recipes.names()

    # -- parts

    @property
    def has_base(self) -> bool:
        """True where there are base models; without them there are no predictions."""
        return self._probabilities.exists()

    @property
    def _probabilities(self) -> Path:
        return Path(self.manifest["parts"].get("base", {}).get("home") or self.path) / "base" / "probabilities.npy"

    def check_base(self) -> None:
        """Raises UserError where there are no base models."""
        if not self.has_base:
            raise UserError(
                f"the workspace {self.name} has no base models yet; train them with: "
                f"python -m attribution base train --workspace {shlex.quote(str(self.path))}"
            )

    @cached_property
    def base(self) -> BaseModels:
        """Predictions of the base models. Raises UserError when there are none yet."""
        self.check_base()
        return BaseModels(read_array(self._probabilities, None, self.n_val, len(self.classes)), self.val_labels)

    def features(self) -> list[str]:
        """Names of the feature sets, pixels last.

        >>> Workspace.open().features()
        ['moco', 'simclr', 'dino', 'supervised', 'pixels']
        """
        names = [part.split("/")[1] for part in self.manifest["parts"] if part.startswith("features/")]
        order = ["moco", "simclr", "dino", "supervised", "pixels"]
        return sorted(names, key=lambda name: (order.index(name) if name in order else -1, name))

    def feature(self, name: str) -> FeatureSet:
        """The feature set `name`. Raises UserError naming the known ones."""
        if name not in self.features():
            raise UserError(f"no feature set {name!r} in {self.name}; it has {', '.join(self.features()) or 'none'}")
        if name not in self._features:  # cached, since several rankings share a set
            if name == "pixels":
                train, val = (
                    np.asarray(images).reshape(len(images), -1) / np.float32(255)
                    for images in (self.train_images, self.val_images)
                )
            else:
                folder = self.folder(f"features/{name}")
                train = read_array(folder / "train.npy", self.n_train, None)
                val = read_array(folder / "val.npy", self.n_val, train.shape[1])
            self._features[name] = FeatureSet(name, train, val)
        return self._features[name]

    @cached_property
    def _features(self) -> dict[str, FeatureSet]:
        return {}

    def rankings(self) -> list[str]:
        """Names of all rankings: those computed when asked (similarity in each feature set) and the stored ones."""
        from attribution.rankings import names

        return names(self)

    def ranking(self, name: str):
        """The ranking `name`, an `attribution.rankings.base.Ranking`. Raises UserError naming the known ones.

        >>> Workspace.open().ranking("trak-10").top(44, k=3).ids.tolist()
        [3786, 2338, 1833]
        """
        from attribution.rankings import load

        if name not in self._rankings:
            self._rankings[name] = load(self, name)
        return self._rankings[name]

    @cached_property
    def _rankings(self) -> dict:
        return {}

    def check_target(self, target) -> int:
        """`target` as an int. Raises UserError when it is not the number of a validation image."""
        try:
            number = int(target)
        except (TypeError, ValueError):
            raise UserError(
                f"target {target!r} is not a number; give a validation image, 0 to {self.n_val - 1}"
            ) from None
        if not 0 <= number < self.n_val:
            raise UserError(f"target {number} is out of range; give a validation image, 0 to {self.n_val - 1}")
        return number

    @property
    def user_folder(self) -> Path:
        """Where a user's parts go: the workspace itself, or for the demo and a workspace that may not be written to, a
        folder in the data folder."""
        can_write = self.path.resolve() != DEMO.resolve() and os.access(self.path, os.W_OK)
        return self.path if can_write else data_folder() / self.fingerprint[:16] / "added"

    def folder(self, part: str) -> Path:
        """The folder of a part such as "rankings/trak-10", in the workspace or among the user's parts."""
        return Path(self.manifest["parts"][part].get("home") or self.path) / part

    def can_add(self, part: str) -> bool:
        """False where a part of that name came with a workspace that may not be written to."""
        return part not in self.manifest["parts"] or self.folder(part) == self.user_folder / part

    def check_can_add(self, part: str) -> None:
        """Raises UserError where a part of that name cannot be added."""
        if not self.can_add(part):
            raise UserError(
                f"{self.name} brings a part called {part.split('/')[-1]}, which cannot be replaced; "
                "give another name, or work in a workspace of your own"
            )

    def record_part(self, part: str, provenance: dict, files: list[str] = ()) -> None:
        """Writes the provenance of `part` into workspace.json, with the sizes of its `files` (paths inside) and, where
        there are any, the `digest` of what they hold."""
        self._write_part(self.path, part, with_file_digests(self.path, provenance, files))

    def unrecord_part(self, part: str) -> None:
        """Removes the provenance that `record_part` wrote, before the files of `part` change."""
        self._write_part(self.path, part, None)

    def add_part(self, part: str, provenance: dict, files: list[str] = ()) -> None:
        """As `record_part`, for a user's part, whose files are in `user_folder`. Raises ValueError for a name with
        which the workspace could not be opened again."""
        if not PART_PATTERN.fullmatch(part):
            raise ValueError(f"no part can be called {part!r}")
        self._clear_caches(part)
        self._write_part(self.user_folder, part, with_file_digests(self.user_folder, provenance, files))

    def _write_part(self, home: Path, part: str, provenance: dict | None) -> None:
        """Writes the provenance of one part into the file that lists the parts in `home`, or removes it (None). What
        other processes wrote there meanwhile stays."""
        is_own = home == self.path

        def change(content: dict) -> dict:
            parts = content["parts"] if is_own else content
            parts.pop(part, None)
            if provenance is not None:
                parts[part] = provenance
            return content

        change_json(home / ("workspace.json" if is_own else "parts.json"), change)
        self.manifest["parts"].pop(part, None)
        if provenance is not None:
            self.manifest["parts"][part] = provenance if is_own else {**provenance, "home": str(home)}

    def remove_part(self, part: str) -> None:
        """Removes a user's part with its files. Raises UserError for a part that came with a workspace that may not be
        written to."""
        home = self.folder(part)
        if home != self.user_folder / part:
            raise UserError(
                f"{part.split('/')[-1]} came with {self.name} and cannot be taken out; choose one that was added"
            )
        self.drop_part(part)
        shutil.rmtree(home, ignore_errors=True)

    def drop_part(self, part: str) -> None:
        """Removes the provenance of a user's part, if there is one, before its files change."""
        self._clear_caches(part)
        if part in self.manifest["parts"]:
            self._write_part(self.user_folder, part, None)

    def _clear_caches(self, part: str) -> None:
        """Forgets the cached features of a part that is about to change, and all rankings, which may rest on it."""
        self._features.pop(part.split("/")[-1], None)
        self._rankings.clear()

    def _merge_user_parts(self) -> None:
        try:
            if self.user_folder == self.path:
                return
        except UserError:  # there is no data folder, and so nothing in it
            return
        for part, provenance in read_user_parts(self.user_folder / "parts.json").items():
            # another workspace of this data set may share that folder, so this workspace's own part goes first
            self.manifest["parts"].setdefault(part, {**provenance, "home": str(self.user_folder)})


def with_file_digests(home: Path, provenance: dict, files: list[str]) -> dict:
    """`provenance` with the sizes and the digest of `files` (paths inside `home`)."""
    sizes = {name: (home / name).stat().st_size for name in files}
    digest = hashlib.sha256()
    for name in sorted(files):
        with (home / name).open("rb") as stream:
            while block := stream.read(1 << 22):
                digest.update(block)
    return {**provenance, **({"digest": digest.hexdigest()[:16]} if files else {}), "files": sizes}


def data_fingerprint(
    images: np.ndarray | Images, labels: np.ndarray, val_images: np.ndarray | Images, val_labels: np.ndarray
) -> str:
    """Hex digest of labels, their order, and of 1,000 to 2,000 evenly spaced images of each split, or all: of pixels,
    or where images are read in place of the bytes they are decoded from, which no decoder's version changes."""
    digest = hashlib.sha256()
    for pixels, given in ((images, labels), (val_images, val_labels)):
        digest.update(np.asarray(given, "<i8").tobytes())
        digest.update(repr(pixels.shape).encode())
        step = max(1, len(pixels) // 1000)
        if isinstance(pixels, Images):
            digest.update(pixels.fingerprint_bytes(np.arange(0, len(pixels), step)))
        else:
            digest.update(np.ascontiguousarray(pixels[::step]).tobytes())
    return digest.hexdigest()
