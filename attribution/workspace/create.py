"""Creates a workspace from a data set: labels, the images or where they are, and bundled rankings if there are any."""

import inspect
import os
import shlex
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd

from attribution import data
from attribution.data import DataSet, Images, Split, roots
from attribution.data.foreign import check_name, printable
from attribution.data.own import OwnLoader, is_own
from attribution.errors import UserError
from attribution.files import user_path, write_atomically, write_json, write_table
from attribution.importing.importing import staged_folder
from attribution.training import all_recipes
from attribution.workspace import bundled, copies
from attribution.workspace.fingerprint import combine, data_fingerprint, each_digest, image_digest, sampled_fingerprint
from attribution.workspace.image_check import SPLITS, file_states, remember_images
from attribution.workspace.manifest import SCHEMA
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import DIGEST_COLUMN, Workspace

#: pixels are a feature set where an image has at most so many numbers, and all training images so many together (each
#: takes four bytes of memory): beyond these they are no control worth its price
PIXELS_PER_IMAGE, MAX_PIXELS = 64 * 64, 100_000_000
BLOCK = 1000  # images that are written at a time


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
    """Writes a workspace of the data set `dataset`, one of `data.NAMES`, "FILE:FUNCTION" or one that is loaded already,
    into the new folder `path`.

    root: where the data set's files are; it may be left out where they can be downloaded. skip_corrupt, side,
    val_share, follow_links: as in the loader, which has to know them. progress(text, done, total). A killed creation
    leaves no half workspace.
    Raises UserError where the data set cannot be had or is not fit, and where `path` is not new or no UTF-8.
    """
    path = Path(os.path.abspath(user_path(path)))
    if path.is_symlink():  # it stays, and the folder that it leads to is replaced
        path = path.resolve()
    if os.path.ismount(path):
        raise UserError(f"{path} is where another disk begins, which nothing can replace; name a new folder in it")
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
    identity = _identify(data_set, progress)
    with staged_folder(path) as partial:
        workspace = _write_workspace(partial, data_set, identity, printable(name or path.name), recipe)
        asked = "objects" if data_set is dataset else dataset
        _write_parts(workspace, data_set, identity, asked, options, time.perf_counter() - start)
        if data_set.train.source:
            roots.save_root(path, workspace.fingerprint, data_set.root or data.root_folder(root))
        bundled.import_bundled(workspace)
    workspace = Workspace.open(path)
    if identity.states:
        remember_images(workspace, identity.states)
    return workspace


def earlier_workspaces(workspace: Workspace) -> list[Workspace]:
    """Those of this machine whose images were in the same folder as those of `workspace`, and are another data set."""
    if not workspace.manifest["dataset"].get("images"):
        return []
    found = []
    for path, fingerprint in roots.workspaces_at(workspace.images_root):
        with suppress(UserError):
            if fingerprint != workspace.fingerprint and Workspace.open(path).fingerprint == fingerprint:
                found.append(Workspace.open(path))
    return found


def locate_images(workspace: Workspace, root: Path | str) -> None:
    """Records that the images of `workspace` are in the folder `root` of this machine.

    Raises UserError where that folder holds other images, and where the workspace contains its images itself.
    """
    if not workspace.manifest["dataset"].get("images"):
        raise UserError(f"the workspace {workspace.name} has its images with it; there is nothing to locate")
    folder = data.root_folder(root)
    train, val = (workspace.open_images(folder, split) for split in ("train", "val"))
    if not _are_the_same(workspace, train, val):
        raise UserError(
            f"the images in {folder} are not those of {workspace.name}; name the folder it was created from"
        )
    roots.save_root(workspace.path, workspace.fingerprint, folder)


def _are_the_same(workspace: Workspace, train: Images, val: Images) -> bool:
    """Whether these are the images the workspace was created from; by a sample where it does not hold their digests."""
    digests = workspace.manifest["dataset"].get("digests")
    if digests:
        return all(image_digest(images) == digests[split] for split, images in (("train", train), ("val", val)))
    return workspace.fingerprint == sampled_fingerprint(train, workspace.train_labels, val, workspace.val_labels)


def _load_data_set(dataset: str, root, options: dict, progress: Callable | None) -> DataSet:
    loader = OwnLoader(dataset) if is_own(dataset) else data.get_loader(dataset)
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
    if _are_all_alike(data_set.train.images):
        raise UserError(
            f"the training images of {data_set.name} are all the same picture, and there is nothing to learn; look at "
            "the files, and where they are of one colour, save them anew with 8 bits a channel"
        )


def _are_all_alike(images: np.ndarray | Images) -> bool:
    """Whether every image is the first one, of one class or not; mostly the second says no."""
    first = images[0]
    return len(images) > 1 and all((images[i] == first).all() for i in range(1, len(images)))


@dataclass(frozen=True)
class _Identity:
    """digests: split -> `image_digest`; each: split -> the digest of each, uint8 [n, 32]. Where images are read in
    place, the states of their files before they were read."""

    digests: dict[str, str]
    each: dict[str, np.ndarray] = field(default_factory=dict)
    states: dict[str, np.ndarray] = field(default_factory=dict)


def _identify(data_set: DataSet, progress: Callable | None) -> _Identity:
    """Reads every image once."""
    identity = _Identity({})
    for split in SPLITS:
        part = getattr(data_set, split)
        images = part.images
        if part.source:
            identity.states[split] = file_states(images.paths())
        identity.each[split] = each_digest(images, progress=progress)
        whole = combine(images.shape, identity.each[split]) if part.source else image_digest(images)
        identity.digests[split] = whole
    return identity


def _write_workspace(folder: Path, data_set: DataSet, identity: _Identity, name: str, recipe: str) -> Workspace:
    """The workspace without its parts."""
    sources = {split: part.source for split, part in (("train", data_set.train), ("val", data_set.val)) if part.source}
    description = {
        "name": data_set.name,
        "classes": data_set.classes,
        "n_train": len(data_set.train.labels),
        "n_val": len(data_set.val.labels),
        "shape": list(data_set.train.images.shape[1:]),
        "planted": 0,
        "inverted": data_set.inverted,
        "fingerprint": data_fingerprint(identity.digests, data_set.train.labels, data_set.val.labels),
        "digests": identity.digests,
        **({"images": sources} if sources else {}),
        **({"sizes": data_set.sizes} if data_set.sizes else {}),
    }
    write_json(
        folder / "workspace.json",
        {"schema": SCHEMA, "name": name, "recipe": recipe, "parts": {}, "steps": {}, "dataset": description},
    )
    return Workspace.open(folder)


def _write_parts(
    workspace: Workspace, data_set: DataSet, identity: _Identity, dataset: str, options: dict, seconds: float
) -> None:
    """Writes labels and images, and the provenance of both."""
    files = []
    for split, part in (("train", data_set.train), ("val", data_set.val)):
        digests = identity.each[split] if part.source else None
        files += [f"{split}.parquet", _write_images(workspace.path, split, part, digests)]
        index = np.arange(len(part.labels)) if part.index is None else part.index
        write_table(workspace.path / files[-2], pd.DataFrame({"source_index": index, "label": part.labels}))
    arguments = [
        f"--{option.replace('_', '-')}" + ("" if value is True else f" {value}")
        for option, value in options.items()
        if value is not None
    ]
    shown = (
        f"{data_set.code['file']}:{data_set.code['object']}" if data_set.code else dataset
    )  # no path of this machine
    provenance = command_provenance(" ".join(["workspace create --dataset", shlex.quote(shown), *arguments]))
    workspace.record_part(
        "data",
        {
            **provenance,
            "skipped": list(data_set.skipped),
            "notes": list(data_set.notes),
            **({"code": data_set.code} if data_set.code else {}),
            "seconds": round(seconds, 1),
        },
        files,
    )
    copies.save(workspace, copies.find_exact(identity.each["train"], identity.each["val"]), None, provenance)
    size = int(np.prod(data_set.train.images.shape[1:]))
    if size <= PIXELS_PER_IMAGE and size * workspace.n_train <= MAX_PIXELS:
        workspace.record_part("features/pixels", {**provenance, "name": "pixels", "dim": size, "seconds": 0.0})


def _write_images(folder: Path, split: str, part: Split, digests: np.ndarray | None) -> str:
    """Writes the images, or where they are and the digest of each (uint8 [n, 32]); returns the name of the file."""
    if digests is not None:
        table = pd.DataFrame(part.locations).assign(**{DIGEST_COLUMN: [digest.tobytes() for digest in digests]})
        write_table(folder / "images" / f"{split}.parquet", table)
        return f"images/{split}.parquet"
    write_atomically(folder / "images" / f"{split}.npy", lambda stream: _save_images(stream, part.images))
    return f"images/{split}.npy"


def _save_images(stream: BinaryIO, images: np.ndarray | Images) -> None:
    """Writes images, uint8 [n, ...], as `.npy`; few are in memory at a time."""
    header = {"descr": "|u1", "fortran_order": False, "shape": tuple(images.shape)}
    np.lib.format.write_array_header_1_0(stream, header)
    for start in range(0, len(images), BLOCK):
        stream.write(np.ascontiguousarray(images[start : start + BLOCK]).tobytes())
