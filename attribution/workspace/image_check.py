"""Whether a workspace's images are those it was created with, byte for byte: the fingerprint covers only a sample.

The digests of all images stand in workspace.json. For a workspace that was created without them, they are recorded in
the result store when it is first asked, which is said. What was read once is read again where a file's size, time or
place on the disk has changed.
"""

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attribution.data import Images
from attribution.errors import UserError
from attribution.store.results import ResultStore

if TYPE_CHECKING:
    from attribution.workspace.workspace import Workspace

SPLITS = ("train", "val")
BLOCK = 1000  # images read at a time
QUICK = 512 * 2**20  # bytes that are read for a person who waits, in about two seconds


@dataclass(frozen=True)
class ImageCheck:
    """What is known of a workspace's images. changed: the splits whose images are not those of before. foreign: those
    whose images are not the ones that the results rest on, which are another data set's of the same fingerprint.
    recorded: when those of before were, the day, where it was after the workspace was created; "" where it was then."""

    changed: list[str]
    foreign: list[str]
    recorded: str


def image_digest(images: np.ndarray | Images) -> str:
    """SHA-256 over the number, the shape and every image of a split, in hex: of its pixels, or where images are read in
    place of the bytes they are decoded from, which no decoder's version changes."""
    digest = hashlib.sha256(repr(tuple(images.shape)).encode())
    for start in range(0, len(images), BLOCK):
        stop = min(start + BLOCK, len(images))
        if isinstance(images, Images):
            digest.update(images.fingerprint_bytes(np.arange(start, stop)))
        else:
            digest.update(np.ascontiguousarray(images[start:stop]).tobytes())
    return digest.hexdigest()


def check_images(workspace: "Workspace", at_most: int | None = None) -> ImageCheck:
    """Compares the images with those of before, and remembers what it has read. at_most: bytes that it may read, for
    who cannot wait; where it would take more, nothing is compared. Raises UserError where images cannot be read, and
    where the result store cannot be used."""
    before = workspace.manifest["dataset"].get("digests") or {}
    changed, foreign, recorded = [], [], ""
    with ResultStore.for_workspace(workspace) as store:
        for split in SPLITS:
            now = _digest(workspace, split, store, at_most)
            if now is None:
                continue
            known = store.identity(f"{split} images")  # of whoever used the store first
            if known is None and before.get(split, now) == now:
                store.set_identity(f"{split} images", known := now)
                store.set_identity("images recorded", time.strftime("%Y-%m-%d", time.gmtime()))
            if split not in before:
                recorded = store.identity("images recorded") or ""
            if now != before.get(split, known):
                changed.append(split)
            elif now != known:
                foreign.append(split)
    return ImageCheck(changed, foreign, recorded)


def problem(workspace: "Workspace", checked: ImageCheck) -> str:
    """A sentence without a full stop on images that nothing may be trained on; "" where all is well."""
    where = " and ".join(_place(workspace, split) for split in checked.changed or checked.foreign)
    if checked.changed:
        return (
            f"the images of {workspace.name} have changed since its results were computed ({where}); put back those it "
            "was created with, or create a new workspace from these"
        )
    if checked.foreign:
        return (
            f"the results in {ResultStore.folder_of(workspace)} were computed on other images than those of "
            f"{workspace.name}, although their fingerprint is the same ({where}); set LINEUP_DATA to a folder of its "
            "own for this workspace"
        )
    return ""


def recorded_text(checked: ImageCheck) -> str:
    """One clause for a workspace whose images were recorded after it was created; "" for any other."""
    if not checked.recorded:
        return ""
    return (
        f"it was created before Lineup recorded all images, so those of {checked.recorded} are what later ones are "
        "compared with"
    )


def file_states(workspace: "Workspace", split: str) -> str:
    """A digest of where the files of a split's images are, and of their sizes and times. Raises UserError where one is
    not there."""
    digest = hashlib.sha256()
    for file in workspace.image_paths(split):
        try:
            status = file.stat()
        except OSError:
            raise UserError(f"{file} is not there any more; put it back, or create the workspace again") from None
        digest.update(f"{file} {status.st_size} {status.st_mtime_ns} {status.st_ino}\n".encode(errors="replace"))
    return digest.hexdigest()


def _digest(workspace: "Workspace", split: str, store: ResultStore, at_most: int | None) -> str | None:
    """The digest of a split's images as they are now, from what was read before where no file has changed since; None
    where more than `at_most` bytes would have to be read."""
    path = f"{Path(workspace.path).resolve()} {split}"
    state = file_states(workspace, split)
    known = store.read_file(path, state)
    if known is None:
        if at_most is not None and sum(file.stat().st_size for file in workspace.image_paths(split)) > at_most:
            return None
        known = image_digest(workspace.read_images(split))
        if file_states(workspace, split) == state:  # nothing changed while it was read
            store.remember_file(path, state, known)
    return known


def _place(workspace: "Workspace", split: str) -> str:
    in_place = workspace.manifest["dataset"].get("images")
    return f"the {'training' if split == 'train' else 'validation'} images" if in_place else f"images/{split}.npy"
