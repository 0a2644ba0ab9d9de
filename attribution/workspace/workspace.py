"""A workspace: a folder that holds one data set's images, features, rankings and results.

Anyone can read it without this library: `workspace.json` names every part with its provenance, tables are Parquet and
arrays are `.npy`, opened by memory map. No path in it is absolute.

It may hold predictions of several models. A model is a recipe whose base predictions are there; the parts that belong
to one model are, for all but the workspace's own recipe, kept under `models/<recipe>/`. `Workspace.with_model` gives
the same workspace as that model sees it: its parts stand under the names that they have for the own recipe.
"""

import copy
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
from attribution.files import APP, change_json, data_folder, read_array, read_table
from attribution.inputs import names
from attribution.training import all_recipes
from attribution.training.head.recipe import PREFIX, HeadRecipe, is_head
from attribution.training.recipes import Recipe, suited_to
from attribution.workspace import heads
from attribution.workspace.base_models import BaseModels
from attribution.workspace.fingerprint import DIGEST_BYTES
from attribution.workspace.manifest import MODEL_FOLDER, PART_PATTERN, read_manifest, read_user_parts
from attribution.workspace.models import PredictionsOnly, is_of_one_model

if TYPE_CHECKING:
    import pandas as pd

DEMO = APP / "assets" / "demo"

#: of the table that says where images are: SHA-256 of the bytes of each
DIGEST_COLUMN = "sha256"


@dataclass(frozen=True)
class FeatureSet:
    """One feature set: train [n_train, d] and val [n_val, d], of float16, float32 or float64, memory-mapped where
    stored."""

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
        #: of the model that is looked at, see `with_model`
        self.recipe: str = manifest["recipe"]
        #: the manifest's
        self.own_recipe: str = manifest["recipe"]
        #: recipe -> the workspace as that model sees it; all of them share this
        self._views: dict[str, Workspace] = {self.own_recipe: self}
        self.fingerprint: str = dataset["fingerprint"]
        self.classes: list[str] = dataset["classes"]
        self.n_train: int = dataset["n_train"]
        self.n_val: int = dataset["n_val"]
        self.planted: int = dataset.get("planted", 0)
        #: draw dark on light (255 - pixel), as Fashion-MNIST is best looked at
        self.greyscale_inverted: bool = dataset.get("inverted", False)

    def __repr__(self) -> str:
        images = f"{self.n_train:,} training and {self.n_val:,} validation images, {len(self.classes)} classes"
        return names.visible(f"<workspace {self.name}: {images}, at {self.path}>")

    @staticmethod
    def open(path: str | Path = DEMO, model: str | None = None) -> "Workspace":
        """Opens the workspace at `path`, as `with_model(model)` gives it. Raises UserError if it is missing,
        half-copied or of another schema, and for a model that it does not know.

        >>> ws = Workspace.open()  # the demo
        >>> ws.name, ws.n_train, ws.n_val
        ('demo', 5000, 1000)
        """
        path = Path(path).expanduser()
        workspace = Workspace(path, read_manifest(path))
        workspace._merge_user_parts()
        return workspace.with_model(model)

    # -- models

    @property
    def model(self) -> str | None:
        """The recipe of the model that is looked at; None where it is the workspace's own recipe."""
        return None if self.recipe == self.own_recipe else self.recipe

    def models(self) -> list[str]:
        """The recipes whose base predictions the workspace holds, its own first, and its heads.

        >>> Workspace.open().models()
        ['demo-cnn', 'head-moco', 'head-simclr', 'head-dino', 'head-supervised']
        """
        own, heads_here = self._views[self.own_recipe], heads.names(self)
        stored = (part.split("/") for part in own.manifest["parts"] if part.startswith(MODEL_FOLDER))
        others = {name for _, name, *part in stored if part == ["base"]} - {self.own_recipe, *heads_here}
        return [*([self.own_recipe] if own.has_base else []), *sorted(others), *heads_here]

    def with_model(self, name: str | None, new: bool = False) -> "Workspace":
        """The same workspace as the model of this recipe sees it; None: of the workspace's own recipe.

        `recipe`, `base` and every part that belongs to one model (`is_of_one_model`) are that model's, to read and to
        write; images, features and rankings are shared. Raises UserError for a recipe that is neither known on this
        machine nor one of `models`, unless it is to be a new one.
        """
        name = name or self.own_recipe
        if name not in self._views:
            if not new:
                self.get_recipe(name)
            self._views[name] = self._views[self.own_recipe]._seen_by(name)
        return self._views[name]

    def _seen_by(self, name: str) -> "Workspace":
        self._features, self._heads  # noqa: B018 - shared from now on, like what was read of images and labels
        view = copy.copy(self)
        for cached in ("base", "_rankings"):
            view.__dict__.pop(cached, None)
        view.recipe = name
        mine = f"{MODEL_FOLDER}{name}/"
        parts = {part: made for part, made in self.manifest["parts"].items() if not is_of_one_model(part)}
        parts |= {
            part.removeprefix(mine): made for part, made in self.manifest["parts"].items() if part.startswith(mine)
        }
        view.manifest = {**self.manifest, "recipe": name, "parts": parts}
        return view

    def stored_name(self, part: str) -> str:
        """Where a part of the model that is looked at, or a file in it, is kept: "models/resnet9/base" for "base"."""
        return f"{MODEL_FOLDER}{self.recipe}/{part}" if self.model and is_of_one_model(part) else part

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
        locations = read_table(self.path / "images" / f"{split}.parquet")
        return locations.drop(columns=DIGEST_COLUMN, errors="ignore")

    def image_digests(self, split: str) -> np.ndarray | None:
        """SHA-256 of each image of "train" or "val" at creation, uint8 [n, 32], where images are read in place. None
        where they are not, and where the workspace is from before December 2026."""
        if not self.manifest["dataset"].get("images"):
            return None
        file = self.path / "images" / f"{split}.parquet"
        digests = read_table(file).get(DIGEST_COLUMN)
        if digests is None:
            return None
        try:
            return np.frombuffer(b"".join(digests), np.uint8).reshape(len(digests), DIGEST_BYTES)
        except (TypeError, ValueError):
            raise UserError(f"{file} does not hold a digest of each image; copy the workspace again") from None

    def image_files(self, split: str) -> list[str] | None:
        """The file of each image of "train" or "val", as a path under the data set's folder, with slashes; None where
        images have no file each."""
        if not self.manifest["dataset"].get("images"):
            return None
        locations = self.image_locations(split)
        return locations["file"].astype(str).tolist() if "file" in locations else None

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
    def _train_table(self) -> "pd.DataFrame":
        return self._read_labels("train", self.n_train)

    @cached_property
    def _val_table(self) -> "pd.DataFrame":
        return self._read_labels("val", self.n_val)

    def _read_labels(self, split: str, n: int) -> "pd.DataFrame":
        file = self.path / f"{split}.parquet"
        table = read_table(file, "label", "source_index")
        if len(table) != n or not table["label"].isin(range(len(self.classes))).all():
            raise UserError(
                f"{file} does not hold {n} labels from 0 to {len(self.classes) - 1}; copy the workspace again"
            )
        return table

    @property
    def train_labels(self) -> np.ndarray:
        """The given labels, int64 [n_train]; planted errors included, as any method sees them."""
        return self._train_table["label"].to_numpy()

    @property
    def val_labels(self) -> np.ndarray:
        """The true labels of the validation images, int64 [n_val]."""
        return self._val_table["label"].to_numpy()

    @property
    def train_index(self) -> np.ndarray:
        """Index of each training image in the source data set, int64 [n_train]."""
        return self._train_table["source_index"].to_numpy()

    @property
    def val_index(self) -> np.ndarray:
        """Index of each validation image in the source data set, int64 [n_val]."""
        return self._val_table["source_index"].to_numpy()

    def truth(self) -> "pd.DataFrame | None":
        """Columns original (the true label) and planted (bool: another label is given) for each training image: what
        was planted, else what was imported (`import truth`); None where there is neither.

        For display and for evaluating detectors only: no feature, ranking or detector may call it (a test holds that).
        """
        file = self.path / "truth.parquet"
        if not file.exists() and "truth" in self.manifest["parts"]:
            file = self.folder("truth") / "truth.parquet"
        return read_table(file, "original", "planted") if file.exists() else None

    # -- recipes

    def get_recipe(
        self, name: str | None = None, recipe_hash: str | None = None
    ) -> all_recipes.AnyRecipe | HeadRecipe | PredictionsOnly:
        """The recipe `name`, that of the model looked at if not given, as it is here and suits these images
        (`recipes.suited_to`), or as it was under `recipe_hash`; of a model that was only imported, and whose recipe
        this machine does not know, a `PredictionsOnly`. Raises UserError naming the known ones.

        >>> Workspace.open().get_recipe().hash
        'c5aeb1565251'
        """
        name = name or self.recipe
        if is_head(name):
            recipe = heads.find_recipe(self, name)
            if recipe_hash not in (None, recipe.hash):
                raise UserError(f"the features of {name} have changed since this was asked for; ask again")
            return recipe
        try:
            found = all_recipes.get_recipe(name, recipe_hash)
        except UserError:
            made = self._base_provenance(name)
            if made is None:
                raise
        else:
            return suited_to(self.train_labels, found) if isinstance(found, Recipe) else found
        here = [other for other in self.models() if other != name and other in self.recipe_names()]
        others = [other for other in here if not is_head(other)] or here[:1]
        return PredictionsOnly(name, made.get("hash") or made.get("digest") or "unknown", tuple(others))

    def _base_provenance(self, name: str) -> dict | None:
        """The provenance of a model's base predictions; None where there are none."""
        own = self._views[self.own_recipe]
        if name == self.own_recipe:
            return own.manifest["parts"].get("base", {} if own.has_base else None)
        return own.manifest["parts"].get(f"{MODEL_FOLDER}{name}/base")

    def recipe_names(self) -> list[str]:
        """Names of the recipes that can be asked for here: built in, those that a person added, and heads."""
        return [*all_recipes.names(), *heads.names(self)]

    def head(self, features: str) -> "heads.FittedHead":
        """The head on a feature set, fitted to all training images when first asked for: seconds. Raises UserError as
        `heads.fit`."""
        recipe = heads.find_recipe(self, PREFIX + features)
        with heads.FITTING:
            if recipe.hash not in self._heads:
                self._heads[recipe.hash] = heads.fit(self, recipe.name)
        return self._heads[recipe.hash]

    @cached_property
    def _heads(self) -> "dict[str, heads.FittedHead]":
        return {}

    # -- parts

    @property
    def has_base(self) -> bool:
        """True where there are base models; without them there are no predictions."""
        return is_head(self.recipe) or self._probabilities.exists()

    @property
    def _probabilities(self) -> Path:
        home = Path(self.manifest["parts"].get("base", {}).get("home") or self.path)
        return home / self.stored_name("base/probabilities.npy")

    def check_base(self) -> None:
        """Raises UserError where there are no base models."""
        if not self.has_base:
            others = ", ".join(name for name in self.models() if name != self.recipe and not is_head(name))
            raise UserError(
                f"the workspace {self.name} has no base models {f'of {self.recipe} ' if others else ''}yet"
                + (f"; say --model to look at those of {others}, or" if others else ";")
                + f" train them with: python -m attribution base train{self.options()}"
            )

    def options(self) -> str:
        """The options of a command line that lead to this workspace and model, a blank first."""
        model = f" --model {shlex.quote(self.model)}" if self.model else ""
        return f" --workspace {shlex.quote(str(self.path))}{model}"

    @cached_property
    def base(self) -> BaseModels:
        """Predictions of the base models. Raises UserError when there are none yet."""
        self.check_base()
        if is_head(self.recipe):
            return BaseModels(self.head(self.recipe.removeprefix(PREFIX)).probabilities[None], self.val_labels)
        return BaseModels(read_array(self._probabilities, None, self.n_val, len(self.classes)), self.val_labels)

    def features(self) -> list[str]:
        """Names of the feature sets, pixels last.

        >>> Workspace.open().features()
        ['moco', 'simclr', 'dino', 'supervised', 'pixels']
        """
        names = [part.split("/")[1] for part in self.manifest["parts"] if part.startswith("features/")]
        order = ["moco", "simclr", "dino", "supervised", "patches", "pixels"]
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
        return Path(self.manifest["parts"][part].get("home") or self.path) / self.stored_name(part)

    def new_folder(self, part: str) -> Path:
        """The folder that a part is written to, see `user_folder`."""
        return self.user_folder / self.stored_name(part)

    @property
    def supports_file(self) -> Path:
        """The table of supports that comes with the workspace; it need not be there."""
        return self.path / self.stored_name("supports.parquet")

    def can_add(self, part: str) -> bool:
        """False where a part of that name came with a workspace that may not be written to."""
        return part not in self.manifest["parts"] or self.folder(part) == self.new_folder(part)

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
        """As `record_part`, for a user's part, whose files are in its `new_folder`. Raises ValueError for a name with
        which the workspace could not be opened again."""
        if not PART_PATTERN.fullmatch(self.stored_name(part)):
            raise ValueError(f"no part can be called {part!r}")
        self._clear_caches(part)
        stored = [self.stored_name(file) for file in files]
        self._write_part(self.user_folder, part, with_file_digests(self.user_folder, provenance, stored))

    def lists_file(self, part: str, file: str) -> bool:
        """Whether the manifest lists `file` (a path inside) among those of a part."""
        return self.stored_name(file) in self.manifest["parts"][part].get("files", {})

    def list_file(self, part: str, file: str) -> None:
        """Lists a report beside what a part holds with the size that it has now, or not where it is not there. The
        part's digest stays: what rests on what it holds is as good as before."""
        made, stored = self.manifest["parts"][part], self.stored_name(file)
        home = Path(made.get("home") or self.path)
        files = {name: size for name, size in made.get("files", {}).items() if name != stored}
        if (home / stored).exists():
            files[stored] = (home / stored).stat().st_size
        self._write_part(home, part, {key: made[key] for key in made if key != "home"} | {"files": files})

    def _write_part(self, home: Path, part: str, provenance: dict | None) -> None:
        """Writes the provenance of one part into the file that lists the parts in `home`, or removes it (None). What
        other processes wrote there meanwhile stays."""
        is_own, stored = home == self.path, self.stored_name(part)

        def replace(parts: dict, name: str, value: dict | None) -> None:
            parts.pop(name, None)
            if value is not None:
                parts[name] = value

        def change(content: dict) -> dict:
            replace(content["parts"] if is_own else content, stored, provenance)
            return content

        change_json(home / ("workspace.json" if is_own else "parts.json"), change)
        made = None if provenance is None else provenance if is_own else {**provenance, "home": str(home)}
        replace(self.manifest["parts"], part, made)
        own = self._views[self.own_recipe]
        if own is not self:
            replace(own.manifest["parts"], stored, made)
        for name in [name for name, view in self._views.items() if view not in (own, self)]:
            del self._views[name]  # opened again when it is asked for: what is shared may have changed

    def remove_part(self, part: str) -> None:
        """Removes a user's part with its files. Raises UserError for a part that came with a workspace that may not be
        written to."""
        home = self.folder(part)
        if home != self.new_folder(part):
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
        if part == "base":
            self.__dict__.pop("base", None)

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
