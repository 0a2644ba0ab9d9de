"""Creates a workspace from a data set: labels, the images or where they are, and bundled rankings if there are any."""

import inspect
import os
import shlex
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from attribution import data
from attribution.data import DataSet, Images, Split, roots
from attribution.data.foreign import check_name, printable
from attribution.errors import UserError
from attribution.files import user_path, write_array, write_json, write_table
from attribution.importing.importing import staged_folder
from attribution.training import all_recipes
from attribution.workspace import bundled
from attribution.workspace.image_check import image_digest
from attribution.workspace.manifest import SCHEMA
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import Workspace, data_fingerprint

#: pixels are a feature set where an image has at most so many numbers, and all training images so many together (each
#: takes four bytes of memory): beyond these they are no control worth its price
PIXELS_PER_IMAGE, MAX_PIXELS = 64 * 64, 100_000_000


def create(
    path: Path | str,
    dataset: str | DataSet,
    root: Path | str | None = None,
    *,
    name: str | None = None,
    recipe: str = "demo-cnn",
    skip_corrupt: bool = False,
    side: int | None = None,
    val_share: float | None = None,
    follow_links: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> Workspace:
    """Writes a workspace of the data set `dataset`, one of `data.NAMES` or one that is loaded already, into the new
    folder `path`.

    root: where the data set's files are; it may be left out where they can be downloaded. skip_corrupt, side,
    val_share, follow_links: as in the loader, which has to know them. progress(text, done, total). A killed creation
    leaves no half workspace.
    Raises UserError where the data set cannot be had or is not fit, and where `path` is not new or no UTF-8.
    """
    path = Path(os.path.abspath(user_path(path)))
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise UserError(f"{path} is there already and not an empty folder; choose another")
    check_name(path)
    all_recipes.get_recipe(recipe)
    start = time.perf_counter()
    options = {
        "skip_corrupt": skip_corrupt or None,
        "side": side,
        "val_share": val_share,
        "follow_links": follow_links or None,
    }
    given = {option: value for option, value in options.items() if value is not None}
    data_set = dataset if isinstance(dataset, DataSet) else _load_data_set(dataset, root, given, progress)
    _check_data_set(data_set)
    with staged_folder(path) as partial:
        workspace = _write_workspace(partial, data_set, printable(name or path.name), recipe)
        asked = "objects" if data_set is dataset else dataset
        _write_parts(workspace, data_set, asked, options, time.perf_counter() - start)
        if data_set.train.source:
            roots.save_root(path, workspace.fingerprint, data_set.root or data.root_folder(root))
        bundled.import_bundled(workspace)
    return Workspace.open(path)


def locate_images(workspace: Workspace, root: Path | str) -> None:
    """Records that the images of `workspace` are in the folder `root` of this machine.

    Raises UserError where that folder holds other images, and where the workspace contains its images itself.
    """
    if not workspace.manifest["dataset"].get("images"):
        raise UserError(f"the workspace {workspace.name} has its images with it; there is nothing to locate")
    folder = data.root_folder(root)
    train, val = (workspace.open_images(folder, split) for split in ("train", "val"))
    if data_fingerprint(train, workspace.train_labels, val, workspace.val_labels) != workspace.fingerprint:
        raise UserError(
            f"the images in {folder} are not those of {workspace.name}; name the folder it was created from"
        )
    roots.save_root(workspace.path, workspace.fingerprint, folder)


def _load_data_set(dataset: str, root, options: dict, progress: Callable | None) -> DataSet:
    loader = data.get_loader(dataset)
    parameters = inspect.signature(loader.load).parameters
    for option in options:
        if option not in parameters:
            raise UserError(f"{dataset} knows no --{option.replace('_', '-')}; leave it out")
    return loader.load(root, **options, **({"progress": progress} if "progress" in parameters else {}))


def _check_data_set(data_set: DataSet) -> None:
    """Raises UserError where there is nothing to learn from: a split without images, one class, images all alike."""
    for split, part in (("training", data_set.train), ("validation", data_set.val)):
        if not len(part.labels):
            raise UserError(
                f"the data set {data_set.name} has no {split} images; add some, or take another share of them"
            )
    seen = np.unique(data_set.train.labels)
    if unseen := sorted(set(np.unique(data_set.val.labels)) - set(seen)):
        raise UserError(
            f"the class {data_set.classes[unseen[0]]} has validation images and no training images; add some, or "
            "remove it"
        )
    if len(seen) == 1:
        raise UserError(
            f"all training images of {data_set.name} are of one class, {data_set.classes[seen[0]]}, and there is "
            "nothing to learn; name with --root the folder that holds a folder for each class, mostly one further up "
            "or down, or add another class"
        )
    if _all_alike(data_set.train.images):
        raise UserError(
            f"the training images of {data_set.name} are all of one and the same colour, and there is nothing to "
            "learn; look at the files, and save them anew with 8 bits a channel"
        )


def _all_alike(images: np.ndarray | Images) -> bool:
    """Whether all pixels of all images are the same; mostly the first image says no."""
    first = images[0][0, 0]
    return all((images[i] == first).all() for i in range(len(images)))


def _write_workspace(folder: Path, data_set: DataSet, name: str, recipe: str) -> Workspace:
    """The workspace without its parts."""
    fingerprint = data_fingerprint(
        data_set.train.images, data_set.train.labels, data_set.val.images, data_set.val.labels
    )
    sources = {split: part.source for split, part in (("train", data_set.train), ("val", data_set.val)) if part.source}
    description = {
        "name": data_set.name,
        "classes": data_set.classes,
        "n_train": len(data_set.train.labels),
        "n_val": len(data_set.val.labels),
        "shape": list(data_set.train.images.shape[1:]),
        "planted": 0,
        "inverted": data_set.inverted,
        "fingerprint": fingerprint,
        "digests": {"train": image_digest(data_set.train.images), "val": image_digest(data_set.val.images)},
        **({"images": sources} if sources else {}),
        **({"sizes": data_set.sizes} if data_set.sizes else {}),
    }
    write_json(
        folder / "workspace.json",
        {"schema": SCHEMA, "name": name, "recipe": recipe, "parts": {}, "steps": {}, "dataset": description},
    )
    return Workspace.open(folder)


def _write_parts(workspace: Workspace, data_set: DataSet, dataset: str, options: dict, seconds: float) -> None:
    """Writes labels and images, and the provenance of both."""
    files = []
    for split, part in (("train", data_set.train), ("val", data_set.val)):
        files += [f"{split}.parquet", _write_images(workspace.path, split, part)]
        index = np.arange(len(part.labels)) if part.index is None else part.index
        write_table(workspace.path / files[-2], pd.DataFrame({"source_index": index, "label": part.labels}))
    arguments = [
        f"--{option.replace('_', '-')}" + ("" if value is True else f" {value}")
        for option, value in options.items()
        if value is not None
    ]
    provenance = command_provenance(" ".join(["workspace create --dataset", shlex.quote(dataset), *arguments]))
    workspace.record_part(
        "data",
        {
            **provenance,
            "skipped": list(data_set.skipped),
            "notes": list(data_set.notes),
            "seconds": round(seconds, 1),
        },
        files,
    )
    size = int(np.prod(data_set.train.images.shape[1:]))
    if size <= PIXELS_PER_IMAGE and size * workspace.n_train <= MAX_PIXELS:
        workspace.record_part("features/pixels", {**provenance, "name": "pixels", "dim": size, "seconds": 0.0})


def _write_images(folder: Path, split: str, part: Split) -> str:
    """Writes the images, or where they are, and returns the name of the file."""
    if part.source:
        write_table(folder / "images" / f"{split}.parquet", pd.DataFrame(part.locations))
        return f"images/{split}.parquet"
    write_array(folder / "images" / f"{split}.npy", np.asarray(part.images))
    return f"images/{split}.npy"
