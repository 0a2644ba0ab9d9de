"""Edits of the training set: remove images, relabel images, both at once, or leave it as it is."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from attribution.errors import UserError
from attribution.inputs.limits import read_whole, shortened

REMOVED = -1  # stands for the new label of a removed image where an edit relabels others


@dataclass(frozen=True)
class Edit:
    """A canonical change of the training set, as `no_edit`, `remove`, `relabel` and `correct` return it.

    kind: "none", "remove", "relabel" or "correct", which does both. indices: training indices in ascending order,
    without repeats. labels: the new label of each, for "relabel" and "correct"; there REMOVED for those that go.
    Two edits that do the same are equal and share one `hash`, whatever order they were asked for in.
    """

    kind: str
    indices: tuple[int, ...] = ()
    labels: tuple[int, ...] = ()

    @property
    def k(self) -> int:
        """How many training images it touches."""
        return len(self.indices)

    @property
    def hash(self) -> str:
        """Hex SHA-256 of the canonical form."""
        digest = hashlib.sha256(self.kind.encode())
        digest.update(np.asarray(self.indices, "<i8").tobytes())
        digest.update(np.asarray(self.labels, "<i8").tobytes())
        return digest.hexdigest()

    def apply(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The training indices that stay [n_kept], ascending, and the labels of all images [n_train] after the edit.

        labels: the given labels, int [n_train]; not changed. Raises UserError where the edit does not fit them.
        """
        self.check(len(labels))
        labels = np.array(labels)
        keep = np.ones(len(labels), bool)
        if self.kind == "remove":
            keep[list(self.indices)] = False
        elif self.kind == "relabel":
            labels[list(self.indices)] = self.labels
        elif self.kind == "correct":
            indices, new = np.array(self.indices), np.array(self.labels)
            keep[indices[new == REMOVED]] = False
            labels[indices[new != REMOVED]] = new[new != REMOVED]
        return np.flatnonzero(keep), labels

    def check(self, n: int) -> None:
        """Raises UserError where the edit names an image that is none of `n`."""
        if self.indices and not 0 <= self.indices[0] <= self.indices[-1] < n:
            raise UserError(f"the edit names a training image outside 0..{n - 1}; give indices in that range")

    def restricted_to(self, indices: Iterable[int]) -> "Edit":
        """The same edit of those of its images that are among `indices` (any order, repeats ignored)."""
        among = {int(i) for i in indices}
        new = {i: label for i, label in zip(self.indices, self.labels or (REMOVED,) * self.k) if i in among}
        relabelled = {i: label for i, label in new.items() if label != REMOVED}
        return correct(relabelled, new.keys() - relabelled.keys())

    def to_json(self) -> dict:
        """A JSON-serialisable form; `from_json` reads it back."""
        return {"kind": self.kind, "indices": list(self.indices), "labels": list(self.labels)}

    @staticmethod
    def from_json(data: dict) -> "Edit":
        """The edit that `to_json` wrote."""
        return Edit(data["kind"], tuple(data["indices"]), tuple(data["labels"]))


def no_edit() -> Edit:
    """The edit that changes nothing: the control of every probe."""
    return Edit("none")


def remove(indices: Iterable[int]) -> Edit:
    """Remove the training images `indices` (any order, repeats ignored). An empty list is `no_edit()`.

    >>> remove([3, 1, 3]).indices
    (1, 3)
    """
    indices = tuple(sorted({int(i) for i in indices}))
    return Edit("remove", indices) if indices else no_edit()


def relabel(indices, labels) -> Edit:
    """Give training image indices[j] the label labels[j]; one label stands for all of them.

    Raises UserError when one image is given two labels, or the lengths differ.
    """
    indices = [int(i) for i in indices]
    labels = [int(labels)] * len(indices) if np.ndim(labels) == 0 else [int(label) for label in labels]
    if len(labels) != len(indices):
        raise UserError(f"{len(indices)} images but {len(labels)} new labels; give one label for each image")
    pairs = sorted(set(zip(indices, labels)))
    if not pairs:
        return no_edit()
    indices, labels = zip(*pairs)
    if len(set(indices)) != len(indices):
        raise UserError("one training image is given two different labels; name each image once")
    return Edit("relabel", indices, labels)


def correct(relabelled: dict[int, int], removed: Iterable[int]) -> Edit:
    """Give each image of `relabelled` its new label and remove the images `removed`, in one edit. Where it does only
    one of these it is `relabel` or `remove`, where neither `no_edit()`.

    Raises UserError when an image is in both, and for a new label below 0.
    """
    relabelled, removed = {int(i): int(label) for i, label in relabelled.items()}, {int(i) for i in removed}
    both = removed & set(relabelled)
    if both:
        raise UserError(f"training image {min(both)} is both relabelled and removed; do one of these")
    if any(label < 0 for label in relabelled.values()):
        raise UserError("a new label is below 0; give the number of a class")
    if not relabelled or not removed:
        return remove(removed) if removed else relabel(relabelled, list(relabelled.values()))
    labels = relabelled | dict.fromkeys(removed, REMOVED)
    return Edit("correct", tuple(sorted(labels)), tuple(labels[i] for i in sorted(labels)))


def parse_image_numbers(text: str, n: int, split: str = "training") -> list[int]:
    """Images named by hand: "3, 7 10-12" -> [3, 7, 10, 11, 12], in the order given, each once.

    Raises UserError for anything else than whole numbers and ranges within 0 .. n - 1, and for none at all.
    """
    numbers: dict[int, None] = {}
    for part in re.split(r"[\s,;]+", text.strip()):
        if not part:
            continue
        match = re.fullmatch(r"([0-9]+)(?:[-–]([0-9]+))?", part)
        if not match:
            raise UserError(f"{part!r} is not a {split} image; write numbers and ranges such as 3, 7, 10-12")
        first, last = read_whole(match[1]), read_whole(match[2] or match[1])
        if first is None or last is None or not first <= last < n:
            raise UserError(
                f"{shortened(part)} is out of range; {split} images are 0 to {n - 1}, and a range goes upwards"
            )
        numbers |= dict.fromkeys(range(first, last + 1))
    if not numbers:
        raise UserError(f"no {split} image is named; write their numbers, such as 3, 7, 10-12")
    return list(numbers)
