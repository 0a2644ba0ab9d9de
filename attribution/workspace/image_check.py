"""Whether a workspace's images are those it was created with, byte for byte.

The digests of all images stand in workspace.json, and where images are read in place, that of each beside where it is.
For a workspace that was created without them, they are recorded in the result store when it is first asked, which is
said. What was read once is read again where a file's size, time or place on the disk has changed: that file alone,
where the digest of each image is known.
"""

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attribution.errors import UserError
from attribution.files import write_array
from attribution.store.results import ResultStore
from attribution.workspace import fingerprint

if TYPE_CHECKING:
    from attribution.workspace.workspace import Workspace

SPLITS = ("train", "val")
MAX_NAMED = 3  # changed images that a sentence names
QUICK = 512 * 2**20  # bytes that are read for a person who waits, in about two seconds


@dataclass(frozen=True)
class ImageCheck:
    """What is known of a workspace's images. changed: the splits whose images are not those of before. foreign: those
    whose images are not the ones that the results rest on, which are another data set's of the same fingerprint.
    recorded: when those of before were, the day, where it was after the workspace was created; "" where it was then.
    images: split -> the numbers of those that have changed, int64, where that is known."""

    changed: list[str]
    foreign: list[str]
    recorded: str
    images: dict[str, np.ndarray] = field(default_factory=dict)


def check_images(
    workspace: "Workspace", at_most: int | None = None, progress: Callable[[str, int, int], None] | None = None
) -> ImageCheck:
    """Compares the images with those of before, and remembers what it has read. at_most: bytes that it may read, for
    who cannot wait; where it would take more, nothing is compared. progress(text, done, total). Raises UserError where
    images cannot be read, and where the result store cannot be used."""
    before = workspace.manifest["dataset"].get("digests") or {}
    changed, foreign, recorded, images = [], [], "", {}
    with ResultStore.for_workspace(workspace) as store:
        for split in SPLITS:
            reading = _Reading(workspace, split, store)
            now = reading.digest(at_most, progress)
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
                if (ids := reading.changed(at_most, progress)) is not None:
                    images[split] = ids
            elif now != known:
                foreign.append(split)
    return ImageCheck(changed, foreign, recorded, images)


def remember_images(workspace: "Workspace", states: dict[str, np.ndarray]) -> None:
    """Remembers that a new workspace's images need not be read again where their files are as they were before they
    were read at its creation. states: split -> `file_states`."""
    with ResultStore.for_workspace(workspace) as store:
        for split in SPLITS:
            reading = _Reading(workspace, split, store)
            if np.array_equal(states[split], reading.states):
                reading.remember(workspace.manifest["dataset"]["digests"][split])


def problem(workspace: "Workspace", checked: ImageCheck) -> str:
    """A sentence without a full stop on images that nothing may be trained on; "" where all is well."""
    where = " and ".join(_place(workspace, split) for split in checked.changed or checked.foreign)
    if checked.changed:
        which = "; ".join(
            f"{len(ids):,} of {_place(workspace, split)}: {_names(workspace, split, ids)}"
            for split, ids in checked.images.items()
        )
        return (
            f"the images of {workspace.name} have changed since its results were computed ({which or where}); put back "
            "those it was created with, or create a new workspace from these: it is another data set, and `workspace "
            "carry-over` takes along what was decided about images that are the same"
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


def file_states(files: list[Path]) -> np.ndarray:
    """Size, time and place on the disk of each file: int64 [files, 3]. Raises UserError where one is not there."""
    states = np.empty((len(files), 3), np.int64)
    for i, file in enumerate(files):
        try:
            status = file.stat()
        except OSError:
            raise UserError(f"{file} is not there any more; put it back, or create the workspace again") from None
        states[i] = status.st_size, status.st_mtime_ns, status.st_ino & (2**63 - 1)
    return states


class _Reading:
    """What is known of a split's images on this machine.

    known: the digest of each as it was at creation, uint8 [n, 32], or None where the workspace does not say.
    """

    def __init__(self, workspace: "Workspace", split: str, store: ResultStore):
        self.workspace, self.split, self.store = workspace, split, store
        self.path = f"{Path(workspace.path).resolve()} {split}"
        self.files = workspace.image_paths(split)
        self.states = file_states(self.files)
        self.known = workspace.image_digests(split)
        name = hashlib.sha256(self.path.encode(errors="replace")).hexdigest()[:16]
        self.file = ResultStore.folder_of(workspace) / "image_files" / f"{name}.npy"

    def digest(self, at_most: int | None, progress: Callable | None) -> str | None:
        """The digest of the images as they are now, from what was read before where no file has changed since; None
        where more than `at_most` bytes would have to be read."""
        found = self.store.read_file(self.path, self._state())
        if found is not None:
            return found
        suspect = self._suspect_files()
        if at_most is not None and int(self.states[suspect, 0].sum()) > at_most:
            return None
        images = self.workspace.read_images(self.split)
        if self.known is None:
            found = fingerprint.image_digest(images)
        else:
            now = self.known.copy()
            ids = self._images_in(suspect)
            now[ids] = fingerprint.each_digest(images, ids, progress)
            found = fingerprint.combine(images.shape, now)
        if np.array_equal(file_states(self.files), self.states):  # nothing changed while it was read
            self.remember(found)
        return found

    def changed(self, at_most: int | None, progress: Callable | None) -> np.ndarray | None:
        """The numbers of the images that are not as they were at creation, int64; None where the workspace does not
        say how they were, and where more than `at_most` bytes would have to be read."""
        suspect = self._suspect_files()
        if self.known is None or (at_most is not None and int(self.states[suspect, 0].sum()) > at_most):
            return None
        ids = self._images_in(suspect)
        now = fingerprint.each_digest(self.workspace.read_images(self.split), ids, progress)
        return ids[(now != self.known[ids]).any(1)]

    def remember(self, digest: str) -> None:
        """Remembers the digest of all images as their files are now, and where they are those of creation, each
        file's state."""
        self.store.remember_file(self.path, self._state(), digest)
        if self.known is not None and digest == self.workspace.manifest["dataset"]["digests"][self.split]:
            write_array(self.file, self.states)

    def _state(self) -> str:
        digest = hashlib.sha256(self.states.tobytes())
        for file in self.files:
            digest.update(os.fsencode(file) + b"\n")
        return digest.hexdigest()

    def _suspect_files(self) -> np.ndarray:
        """Which files may hold other images than at creation, bool [files]: all where that was never looked at."""
        try:
            before = np.load(self.file, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            before = None
        if self.known is None or before is None or before.shape != self.states.shape:
            return np.ones(len(self.states), bool)
        return (before != self.states).any(1)

    def _images_in(self, files: np.ndarray) -> np.ndarray:
        """The numbers of the images that these files hold, bool [files]; of all where it is not known which."""
        numbers = self.workspace.read_images(self.split).file_numbers()
        return np.flatnonzero(files[numbers]) if numbers is not None else np.arange(len(self.known))


def _names(workspace: "Workspace", split: str, ids: np.ndarray) -> str:
    """The first of the images that have changed, by the names that a person finds them by."""
    images = workspace.read_images(split)
    first = ", ".join(images.describe(int(i)) for i in ids[:MAX_NAMED])
    return first + (", ..." if len(ids) > MAX_NAMED else "")


def _place(workspace: "Workspace", split: str) -> str:
    in_place = workspace.manifest["dataset"].get("images")
    return f"the {'training' if split == 'train' else 'validation'} images" if in_place else f"images/{split}.npy"
