"""A workspace: a folder that holds one data set's images, features, rankings and results.

Anyone can read it without this library: `workspace.json` names every part with its provenance, tables are Parquet and
arrays are `.npy`, opened by memory map. No path in it is absolute.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attribution.errors import UserError
from attribution.files import read_array, read_table, write_json

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
DEMO = Path(__file__).resolve().parent.parent / "assets" / "demo"


@dataclass(frozen=True)
class Features:
    """One feature set: train float32 [n_train, d], val float32 [n_val, d]."""

    name: str
    train: np.ndarray
    val: np.ndarray


class BaseModels:
    """What the unedited recipe predicts, over models that differ in the seed alone.

    probabilities: float32 [models, n_val, classes]; labels: the true label of each validation image, int [n_val].
    """

    def __init__(self, probabilities: np.ndarray, labels: np.ndarray):
        self.probabilities = np.asarray(probabilities, np.float32)
        self.labels = labels
        self.models, n_val, classes = self.probabilities.shape
        #: uint8 [models, n_val]
        self.predicted = self.probabilities.argmax(2).astype(np.uint8)
        votes = np.stack([(self.predicted == c).sum(0) for c in range(classes)], 1)
        #: int [n_val], the class most models predict; ties go to the larger mean probability
        self.prediction = (votes + 1e-3 * self.mean).argmax(1)
        #: float [n_val], mean probability of `prediction`
        self.confidence = self.mean[np.arange(n_val), self.prediction]
        #: int [n_val], how many models predict the true label
        self.right = (self.predicted == labels).sum(0)
        ranks = (-self.probabilities).argsort(2).argsort(2).mean(0)
        ranks[np.arange(n_val), labels] = np.inf
        #: int [n_val], the most likely wrong class: best mean rank over the models (protocol.md, section 2)
        self.runner_up = ranks.argmin(1)

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean probability over the models, float32 [n_val, classes]."""
        return self.probabilities.mean(0)

    def status(self, target: int) -> str:
        """"stable" (right in at least 9 of 10 models), "already_wrong" (at most 5 of 10) or "unstable" (between)."""
        share = self.right[target] / self.models
        return "stable" if share >= 0.9 else "already_wrong" if share <= 0.5 else "unstable"


class Workspace:
    """An opened workspace. Make one with `Workspace.open`; arrays are read when first asked for."""

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
        """Opens the workspace at `path`. Raises UserError if it is missing, half-copied or of another schema."""
        path = Path(path).expanduser()
        try:
            manifest = json.loads((path / "workspace.json").read_text())
        except (FileNotFoundError, NotADirectoryError):
            raise UserError(f"there is no workspace at {path}: no workspace.json in it; check the path") from None
        except (OSError, ValueError) as error:
            raise UserError(f"{path / 'workspace.json'} cannot be read ({error}); copy the workspace again") from None
        if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
            found = manifest.get("schema") if isinstance(manifest, dict) else None
            raise UserError(f"the workspace at {path} has schema version {found}, and this Lineup reads {SCHEMA}; "
                            "open it with the Lineup that made it, or build it again")
        try:
            for part, about in manifest["parts"].items():
                for name, size in about.get("files", {}).items():
                    file = path / name
                    if not file.is_file() or file.stat().st_size != size:
                        state = "is missing" if not file.is_file() else f"has not the {size} bytes it should have"
                        raise UserError(f"the workspace at {path} is incomplete: {name} ({part}) {state}; "
                                        "copy it again")
            return Workspace(path, manifest)
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path / 'workspace.json'} is not as it should be ({type(error).__name__}: {error}); "
                            "copy the workspace again") from None

    # -- images and labels

    @cached_property
    def train_images(self) -> np.ndarray:
        """uint8 [n_train, H, W] (grey) or [n_train, H, W, 3]."""
        return read_array(self.path / "images" / "train.npy", self.n_train, None, None)

    @cached_property
    def val_images(self) -> np.ndarray:
        """uint8 [n_val, H, W] (grey) or [n_val, H, W, 3]."""
        return read_array(self.path / "images" / "val.npy", self.n_val, None, None)

    @cached_property
    def _tables(self) -> "dict[str, pd.DataFrame]":
        tables = {}
        for split, n in (("train", self.n_train), ("val", self.n_val)):
            file = self.path / f"{split}.parquet"
            tables[split] = read_table(file, "label", "source_index")
            if len(tables[split]) != n or not tables[split]["label"].isin(range(len(self.classes))).all():
                raise UserError(f"{file} does not hold {n} labels from 0 to {len(self.classes) - 1}; "
                                "copy the workspace again")
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

    # -- parts

    @cached_property
    def base(self) -> BaseModels:
        """Predictions of the base models. Raises UserError when there are none yet."""
        file = self.path / "base" / "probabilities.npy"
        if not file.exists():
            raise UserError(f"the workspace {self.name} has no base models yet; train them before asking "
                            "for predictions")
        return BaseModels(read_array(file, None, self.n_val, len(self.classes)), self.val_labels)

    def features(self) -> list[str]:
        """Names of the feature sets, pixels last."""
        names = [part.split("/")[1] for part in self.manifest["parts"] if part.startswith("features/")]
        order = ["moco", "simclr", "dino", "supervised", "pixels"]
        return sorted(names, key=lambda name: (order.index(name) if name in order else -1, name))

    def feature(self, name: str) -> Features:
        """The feature set `name`. Raises UserError naming the known ones."""
        if name not in self.features():
            raise UserError(f"no feature set {name!r} in {self.name}; it has {', '.join(self.features()) or 'none'}")
        if name not in self._features:  # kept: three rankings share one set
            if name == "pixels":
                train, val = (images.reshape(len(images), -1) / np.float32(255)
                              for images in (self.train_images, self.val_images))
            else:
                folder = self.path / "features" / name
                train = read_array(folder / "train.npy", self.n_train, None).astype(np.float32)
                val = read_array(folder / "val.npy", self.n_val, train.shape[1]).astype(np.float32)
            self._features[name] = Features(name, train, val)
        return self._features[name]

    @cached_property
    def _features(self) -> dict[str, Features]:
        return {}

    def rankings(self) -> list[str]:
        """Names of all rankings: those computed when asked (similarity in each feature set) and the stored ones."""
        from attribution.rankings import names

        return names(self)

    def ranking(self, name: str):
        """The ranking `name`, an `attribution.rankings.Ranking`. Raises UserError naming the known ones."""
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
            raise UserError(f"target {target!r} is not a number; "
                            f"give a validation image, 0 to {self.n_val - 1}") from None
        if not 0 <= number < self.n_val:
            raise UserError(f"target {number} is out of range; give a validation image, 0 to {self.n_val - 1}")
        return number

    def record(self, part: str, about: dict, files: list[str] = ()) -> None:
        """Writes the provenance of `part` into workspace.json, with the sizes of its `files` (paths inside) and, where
        there are any, the `digest` of what they hold."""
        sizes = {name: (self.path / name).stat().st_size for name in files}
        held = hashlib.sha256(b"".join((self.path / name).read_bytes() for name in sorted(files)))
        digest = {"digest": held.hexdigest()[:16]} if files else {}
        self.manifest["parts"][part] = {**about, **digest, "files": sizes}
        write_json(self.path / "workspace.json", self.manifest)


def fingerprint(images: np.ndarray, labels: np.ndarray, val_images: np.ndarray, val_labels: np.ndarray) -> str:
    """Hex digest of labels, their order and the pixels of at most 1,000 evenly spaced images of each split."""
    digest = hashlib.sha256()
    for pixels, given in ((images, labels), (val_images, val_labels)):
        digest.update(np.asarray(given, "<i8").tobytes())
        digest.update(repr(pixels.shape).encode())
        step = max(1, len(pixels) // 1000)
        digest.update(np.ascontiguousarray(pixels[::step]).tobytes())
    return digest.hexdigest()
