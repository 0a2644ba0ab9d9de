"""The process that runs a user's ranking, feature extractor, detector, format or data set.

In: a question a line on stdin, as JSON; "open" comes first, and says which object. Out: events on the file descriptor
that the first argument names, so that the code may print what it likes. What comes back is checked by whoever asked.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TextIO

import numpy as np

from attribution.data.objects import from_objects
from attribution.errors import UserError
from attribution.files import read_array, write_array
from attribution.importing.formats import DataSetSizes, Declaration
from attribution.importing.formats.arrays import float_type
from attribution.own_code import OwnObject
from attribution.own_code.loading import load_object, one_line
from attribution.own_code.process import pack_array
from attribution.own_code.snapshots import digests
from attribution.training.own.trainer import RecipeData
from attribution.workspace.validation_split import validation_halves
from attribution.workspace.workspace import Workspace


class OwnData(RecipeData):
    """The data as a user's ranking or detector sees them: as a recipe does, and the parts among its `uses`."""

    def __init__(self, workspace: Workspace, uses: list[str]):
        super().__init__(workspace)
        self.uses = uses

    def features(self, name: str, split: str) -> np.ndarray:
        """A feature set of the workspace, float [n, d]."""
        self._check_use(f"features/{name}")
        found = self._workspace.feature(name)
        return np.asarray(found.train if self._is_train(split) else found.val)

    def predictions(self) -> np.ndarray:
        """What the base models say of the validation images, probabilities float32 [models, n_val, classes]."""
        self._check_use("base")
        return np.asarray(self._workspace.base.probabilities, np.float32)

    def _check_use(self, part: str) -> None:
        if part not in self.uses:
            raise ValueError(f"it reads {part}, which is not among its uses; write uses = {[*self.uses, part]}")


class DetectorData:
    """The data as a user's detector sees them: as `OwnData`; but of the validation images the first half, since the
    other is to judge by, and those only where it says `uses_val = True`."""

    def __init__(self, workspace: Workspace, uses: list[str], uses_val: bool):
        self._all, self._uses_val = OwnData(workspace, uses), uses_val
        self._half, self.classes = validation_halves(workspace)[0], self._all.classes

    def images(self, split: str):
        """As `RecipeData.images`."""
        return self._seen(split, self._all.images(split))

    def labels(self, split: str) -> np.ndarray:
        """As `RecipeData.labels`."""
        return self._seen(split, self._all.labels(split))

    def paths(self, split: str) -> list[Path] | None:
        """As `RecipeData.paths`."""
        files = self._all.paths(split)
        return None if files is None else list(self._seen(split, np.array(files, object)))

    def features(self, name: str, split: str) -> np.ndarray:
        """As `OwnData.features`."""
        return self._seen(split, self._all.features(name, split))

    def predictions(self) -> np.ndarray:
        """As `OwnData.predictions`."""
        return np.moveaxis(self._seen("val", np.moveaxis(self._all.predictions(), 1, 0)), 0, 1)

    def _seen(self, split: str, values):
        if split == "train":
            return values
        if not self._uses_val:
            raise ValueError("it reads validation images; write uses_val = True")
        return values[self._half]


class Server:
    """Answers questions about one object, which is made by the first. emit(event): tells who asks how far it is."""

    def __init__(self, emit: Callable[[dict], None]):
        self.emit = emit

    def answer(self, question: dict) -> dict:
        """The "done" event of a question. Raises UserError with what the code did wrong."""
        return {"event": "done", **getattr(self, f"do_{question['do']}")(question)}

    def do_open(self, question: dict) -> dict:
        """Makes the object and sets it up."""
        own = OwnObject(**{entry.name: question["own"][entry.name] for entry in fields(OwnObject)})
        folder = Path.cwd()  # where the guard has laid its files
        if digests(folder, own.files) != dict(own.files):
            raise UserError(f"the files of {own.name} in {own.snapshot} were changed; add it again")
        self.own = own
        made = load_object(folder / own.main, own.object, folder if own.form == "package" else None)
        if own.kind == "dataset":
            self.made = made
            return {}
        if own.kind == "features":
            device = "cuda" if os.environ.get("CUDA_VISIBLE_DEVICES") else "cpu"
            self.embed = self._call(made, own.object, Path(question["weights"]), device)
            if not callable(self.embed):
                raise UserError(f"{own.object} of {own.main} returned nothing that can be called with images")
        else:
            self.made = self._call(made, own.object)
        if "workspace" not in question:
            return {}
        self.workspace = Workspace.open(question["workspace"], question.get("model"))
        self.workspace.check_images()
        if own.kind in ("ranking", "detector"):
            uses = (self.workspace, own.uses)
            data = DetectorData(*uses, bool(own.about.get("uses_val"))) if own.kind == "detector" else OwnData(*uses)
            if "setup" in own.about["has"]:
                self._method("setup", data)
        return {}

    def do_scores(self, question: dict) -> dict:
        """Of a ranking: {"scores"} of all training images for a target. Of a detector: {"scores", "suggestions"}."""
        target = [int(question["target"])] if self.own.kind == "ranking" else []
        found = {"scores": self._numbers(self._method("scores", *target), "scores")}
        if self.own.kind == "detector" and "suggestions" in self.own.about["has"]:
            found["suggestions"] = self._numbers(self._method("suggestions"), "suggestions", np.int64)
        return {key: pack_array(array) for key, array in found.items()}

    def do_embed(self, question: dict) -> dict:
        """{"features"} of the images from `start` to `stop` of a split."""
        images = {"train": self.workspace.train_images, "val": self.workspace.val_images}[question["split"]]
        block = np.asarray(images[question["start"] : question["stop"]])
        return {"features": pack_array(self._numbers(self._call(self.embed, self.own.object, block), "features"))}

    def do_copy(self, question: dict) -> dict:
        """Of a data set: writes the images and labels of what it returns into the folder `out`, as arrays; {"classes",
        "sizes", "notes", "skipped"}."""
        given = self._call(self.made, self.own.object, *([Path(question["root"])] if question["root"] else []))
        train, val = given if isinstance(given, (tuple, list)) and len(given) == 2 else (given, None)

        def report(_: str, done: int, total: int) -> None:
            self.emit({"event": "epoch", "epoch": done, "epochs": total})

        options = {key: question[key] for key in ("side", "val_share", "skip_corrupt")}
        found = from_objects(train, val, name=question["name"], progress=report, **options)
        out = Path(question["out"])
        for split, part in (("train", found.train), ("val", found.val)):
            index = np.arange(len(part.labels)) if part.index is None else part.index
            for what, array in (("images", part.images), ("labels", part.labels), ("index", index)):
                write_array(out / f"{split}_{what}.npy", array)
        return {
            "classes": found.classes,
            "sizes": found.sizes,
            "notes": list(found.notes),
            "skipped": list(found.skipped),
        }

    def do_load(self, question: dict) -> dict:
        """Of a format: writes the arrays of what it returns into the folder `out`; {"method", "signed", "arrays"}."""
        out = Path(question["out"])
        sizes = DataSetSizes(*(read_array(out / f"{split}_labels.npy") for split in ("train", "val")))
        declared = {key: value and Path(value) if key in ("targets", "train") else value
                    for key, value in question["declared"].items()}  # fmt: skip
        found = self._method("load", Path(question["path"]), sizes, Declaration(**declared))
        arrays = {}
        if not isinstance(found, dict):
            raise UserError(f"{self.own.name}.load returned {type(found).__name__}, and a dict is needed")
        for key, dtype in (("scores", None), ("ranked", np.int64), ("targets", np.int64)):
            if found.get(key) is not None:
                arrays[key] = self._numbers(found[key], key, dtype)
        for key, array in arrays.items():
            write_array(out / f"{key}.npy", array)
        method = found.get("method", "")
        return {"method": str(method)[:100], "signed": bool(found.get("signed")), "arrays": sorted(arrays)}

    def _method(self, name: str, *values):
        return self._call(getattr(self.made, name), f"{self.own.name}.{name}", *values)

    def _call(self, function, name: str, *values):
        try:
            return function(*values)
        except BaseException as error:  # sys.exit, too
            traceback.print_exc()
            raise UserError(f"{name} raised {type(error).__name__}: {one_line(error)}") from None

    def _numbers(self, given, what: str, dtype=None) -> np.ndarray:
        """`given` as an array of float32, of float64 where that would round it, or of `dtype`."""
        if hasattr(given, "detach"):  # torch's, on any device; its library is not imported here
            given = given.detach().cpu().numpy()
        try:
            array = np.asarray(given)
        except (TypeError, ValueError) as error:
            raise UserError(f"{what} of {self.own.name} are no array ({one_line(error)}); return one") from None
        if array.dtype.kind not in ("biu" if dtype else "biuf"):
            kind = "whole numbers" if dtype else "numbers"
            raise UserError(f"{what} of {self.own.name} are {array.dtype}, and {kind} are needed")
        return array.astype(dtype or float_type(array.dtype))


def main(events: TextIO) -> None:
    """Serves until its guard ends it."""

    def emit(event: dict) -> None:
        events.write(json.dumps(event) + "\n")
        events.flush()

    server = Server(emit)
    for line in sys.stdin:
        try:
            event = server.answer(json.loads(line))
        except UserError as error:
            event = {"event": "failed", "message": str(error)}
        except Exception as error:
            traceback.print_exc()
            event = {"event": "failed", "message": f"{type(error).__name__}: {one_line(error)}"}
        emit(event)


if __name__ == "__main__":
    main(os.fdopen(int(sys.argv[1]), "w"))
