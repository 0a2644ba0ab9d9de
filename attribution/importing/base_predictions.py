"""Base predictions of a network trained elsewhere: checked against the labels, and kept as a model of the workspace."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attribution.errors import UserError
from attribution.files import write_array
from attribution.importing.agreement import check_agreement
from attribution.importing.formats.predictions import ImageNames, Predictions
from attribution.importing.importing import staged_folder
from attribution.training.head.recipe import is_head

if TYPE_CHECKING:
    from attribution.workspace.workspace import Workspace

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
OUT_OF_SUBSET = "out_of_subset"
TRAIN_FILE = "train"  # what models that saw them say of the training images: an array of the part "base"


def image_names(workspace: "Workspace", split: str) -> ImageNames:
    """What names the images of "train" or "val" in a table of predictions."""
    files = workspace.image_files(split)
    if split == "val":
        return ImageNames("validation", workspace.val_index, files)
    return ImageNames("training", workspace.train_index, files)


def check_model_name(workspace: "Workspace", name: str) -> "Workspace":
    """The workspace as the model of this recipe sees it, whose base predictions can be written. Raises UserError where
    it is no name for a recipe, or its base models came with a workspace that may not be written to."""
    if not NAME_PATTERN.fullmatch(name):
        raise UserError(
            f"{name[:80]!r} cannot be the name of a recipe; give at most 64 letters, digits, dots, dashes and "
            "underscores, a letter or digit first"
        )
    if is_head(name):
        raise UserError(f"{name} is the name of a head, which is fitted here to its features; give another name")
    view = workspace.with_model(name, new=True)
    if not view.can_add("base"):
        raise UserError(
            f"{workspace.name} brings base models of {name}, which cannot be replaced; say another --recipe, or work "
            "in a workspace of your own"
        )
    return view


def check_order(predictions: Predictions, labels: np.ndarray, classes: list[str]) -> np.ndarray:
    """The accuracy of each model, float [models]. Raises UserError as `check_agreement`. labels: int [n]."""
    return np.array(
        [
            check_agreement(file, probabilities.argmax(1), labels, classes, matched=predictions.matched)
            for file, probabilities in zip(predictions.files, predictions.probabilities)
        ]
    )


def import_predictions(
    workspace: "Workspace",
    recipe: str,
    predictions: Predictions,
    provenance: dict | None = None,
    *,
    train: Predictions | None = None,
    out_of_sample: bool = False,
    force: bool = False,
) -> dict:
    """Keeps the base predictions of a model of this recipe, and returns their provenance; `replaced` in it says what
    stood there before, None where nothing.

    train: what models of the recipe say of the training images; out_of_sample: each image by models that did not see
    it, which detectors read as such. Raises UserError as `check_model_name` and, without `force`, `check_order` do;
    then nothing has changed.
    """
    view = check_model_name(workspace, recipe)
    if train and out_of_sample and not view.can_add(OUT_OF_SUBSET):
        raise UserError(f"{workspace.name} brings out-of-sample probabilities of {recipe}, which cannot be replaced")
    labels = workspace.val_labels
    accuracy = (
        (predictions.probabilities.argmax(2) == labels).mean(1)
        if force
        else check_order(predictions, labels, workspace.classes)
    )
    before = view.manifest["parts"].get("base")
    record = {
        "recipe": recipe,
        "hash": _hash(view),
        "imported": True,
        "models": len(accuracy),
        "accuracy": round(float(accuracy.mean()), 4),
        "accuracy_std": round(float(accuracy.std(ddof=1)), 4) if len(accuracy) > 1 else None,
        "measured_on": "the validation images",
        "sources": list(dict.fromkeys(predictions.files)),
        "train": None if train is None else "out of sample" if out_of_sample else "in sample",
        **(provenance or {}),
    }
    arrays = {"probabilities": predictions.probabilities}
    if train and not out_of_sample:
        arrays[TRAIN_FILE] = train.probabilities
    with staged_folder(view.new_folder("base")) as folder:
        for name, array in arrays.items():
            write_array(folder / f"{name}.npy", array)
        view.drop_part("base")
        if view.manifest["parts"].get(OUT_OF_SUBSET, {}).get("imported"):  # they came with what is replaced
            view.drop_part(OUT_OF_SUBSET)
    view.add_part("base", record, [f"base/{name}.npy" for name in arrays])
    if train and out_of_sample:
        _save_out_of_sample(view, train, record)
    return record | {"replaced": before and {name: before.get(name) for name in ("models", "accuracy", "made")}}


def remove_model(workspace: "Workspace", recipe: str) -> list[str]:
    """Takes out a model with all parts that belong to it; returns their names. Raises UserError where there is none,
    and where it came with a workspace that may not be written to."""
    if recipe not in workspace.models():
        raise UserError(f"no model {recipe!r} in {workspace.name}; it has {', '.join(workspace.models()) or 'none'}")
    view = workspace.with_model(recipe)
    if is_head(recipe):
        raise UserError(f"{recipe} is fitted when asked and not kept; remove its features instead")
    if not view.can_add("base"):
        raise UserError(f"{recipe} came with {workspace.name} and cannot be taken out; choose one that was added")
    parts = [part for part in view.manifest["parts"] if view.stored_name(part) != part] if view.model else []
    parts = parts or [part for part in ("base", "lds", OUT_OF_SUBSET) if part in view.manifest["parts"]]
    for part in parts:
        view.remove_part(part)
    return parts


def _save_out_of_sample(view: "Workspace", train: Predictions, record: dict) -> None:
    sums = train.probabilities.sum(0, dtype=np.float32)
    with staged_folder(view.new_folder(OUT_OF_SUBSET)) as folder:
        write_array(folder / "sums.npy", sums)
        write_array(folder / "counts.npy", np.full(len(sums), len(train.probabilities), np.int64))
        view.drop_part(OUT_OF_SUBSET)
    made = {name: record[name] for name in ("recipe", "hash", "imported", "command", "made") if name in record}
    files = [f"{OUT_OF_SUBSET}/sums.npy", f"{OUT_OF_SUBSET}/counts.npy"]
    view.add_part(OUT_OF_SUBSET, {**made, "sources": list(dict.fromkeys(train.files))}, files)


def _hash(view: "Workspace") -> str | None:
    """The hash of the recipe as it is on this machine; None where it is not known here."""
    from attribution.training import all_recipes

    return view.get_recipe().hash if view.recipe in all_recipes.names() else None


def model_files(paths: list[Path]) -> str:
    """The names of the files, at most three, for people."""
    names = [path.name for path in paths]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
