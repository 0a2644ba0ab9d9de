"""Sets of images with a name: chosen on the map, kept beside the workspace's added parts, and looked through again."""

import time
from dataclasses import dataclass

import numpy as np

from attribution.errors import UserError
from attribution.files import change_json, read_json
from attribution.inputs.limits import shortened
from attribution.workspace.workspace import Workspace

FILE = "sets.json"
MAX_NAME = 60  # characters
MAX_SETS = 200


@dataclass(frozen=True)
class ImageSet:
    """Training and validation images, int64 ascending. created: seconds since 1970."""

    name: str
    train: np.ndarray
    val: np.ndarray
    created: float


def load_sets(workspace: Workspace) -> dict[str, ImageSet]:
    """The sets of a workspace by name, the newest first. Raises UserError where the file is damaged."""
    file = workspace.user_folder / FILE
    if not file.exists():
        return {}
    stored = read_json(file)
    try:
        sets = [_read(workspace, name, entry) for name, entry in stored.items()]
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        raise UserError(f"{file} holds no sets of images of {workspace.name}; put it aside to begin anew") from None
    return {found.name: found for found in sorted(sets, key=lambda found: -found.created)}


def save_set(workspace: Workspace, name: str, train, val) -> None:
    """Keeps a set under a name, in place of another of that name. Raises UserError for a name that is none, an empty
    set, and where there are too many sets."""
    name = _check_name(name)
    if not len(train) and not len(val):
        raise UserError("a set needs at least one image")
    load_sets(workspace)  # raises where what is there would be lost
    entry = {"train": [int(i) for i in train], "val": [int(i) for i in val], "created": time.time()}

    def change(stored: dict) -> dict:
        if name not in stored and len(stored) >= MAX_SETS:
            raise UserError(f"there are {MAX_SETS} sets already; delete one first")
        return stored | {name: entry}

    change_json(workspace.user_folder / FILE, change)


def delete_set(workspace: Workspace, name: str) -> None:
    """Forgets a set; nothing where there is none of that name."""
    change_json(
        workspace.user_folder / FILE, lambda stored: {other: entry for other, entry in stored.items() if other != name}
    )


def _check_name(name: str) -> str:
    name = name.strip()
    if not name.isprintable() or not 1 <= len(name) <= MAX_NAME:
        raise UserError(f"{shortened(name)!r} is no name for a set; give 1 to {MAX_NAME} printable characters")
    return name


def _read(workspace: Workspace, name: str, entry: dict) -> ImageSet:
    train, val = (np.unique(np.array(entry[split], np.int64)) for split in ("train", "val"))
    for ids, count in ((train, workspace.n_train), (val, workspace.n_val)):
        if len(ids) and not 0 <= ids[0] <= ids[-1] < count:
            raise ValueError(name)
    return ImageSet(_check_name(name), train, val, float(entry["created"]))
