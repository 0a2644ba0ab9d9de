"""Images that are read in place: pictures as they lie on disk, decoded at one shape when they are looked at."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from attribution.data import Images, Split, folder
from attribution.data.decoding import Unreadable, decode, look
from attribution.errors import UserError

#: pixels: images of one size up to this keep it; others are shown and trained on at this side unless told otherwise
SIDE = 64
SIDES = range(8, 513)
VAL_SHARE, SPLIT_SEED = 0.1, 20240307
LOCATE = "python -m attribution workspace locate --workspace DIR --root DIR"
NAMED = 5  # how many unreadable pictures an error lists
BLOCK = 200  # pictures between two reports of progress


class Contents(ABC):
    """Encoded pictures in a row. numbers: int64 [n], of each in the source's own order; source, places: as in Split."""

    numbers: np.ndarray
    source: dict

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    @abstractmethod
    def places(self) -> dict:
        """As in Split."""

    @abstractmethod
    def read(self, i: int) -> bytes:
        """The bytes of one picture. Raises Unreadable where that one cannot be had, UserError where none can."""

    @abstractmethod
    def name(self, i: int) -> str:
        """What a person would look for."""

    @abstractmethod
    def take(self, ids: np.ndarray) -> "Contents":
        """Those `ids` alone, in this order."""


class Encoded(Images):
    """The pictures of `contents` at the shape of one image, (H, W) or (H, W, 3). Whatever reads them raises UserError
    for one that is not there (any more) or cannot be decoded."""

    def __init__(self, contents: Contents, shape: tuple[int, ...]):
        if shape[2:] not in ((), (3,)) or not all(0 < side <= SIDES[-1] for side in shape[:2]):
            raise ValueError(f"images of shape {shape}")
        self.contents = contents
        self.shape = (len(contents), *shape)

    def _decode(self, ids):
        found = np.empty((len(ids), *self.shape[1:]), np.uint8)
        for at in np.argsort(ids):  # neighbours on disk one after the other
            found[at] = self._one(int(ids[at]), lambda content: decode(content, self.shape[1:]))
        return found

    def sample(self, ids):
        return b"".join(self._one(int(i), lambda content: hashlib.sha256(content).digest()) for i in ids)

    def _one(self, i: int, use: Callable):
        try:
            return use(self.contents.read(i))
        except Unreadable as error:
            raise UserError(
                f"the image {self.contents.name(i)} cannot be read ({error}); put back the file that the workspace was "
                f"created from, or say where it is: {LOCATE}"
            ) from None


#: pictures and their labels, int64 [n]
Labelled = tuple[Contents, np.ndarray]


def required(root: Path | None) -> Path:
    """`root`, absolute. Raises UserError where it is not given or nothing is there."""
    if root is None:
        raise UserError("this data set is read from files; say where they are with --root")
    folder(root)
    return Path(root).expanduser().resolve()


def splits(
    train: Labelled,
    val: Labelled | None,
    side: int | None,
    val_share: float | None,
    skip_corrupt: bool,
    progress: Callable | None,
) -> tuple[Split, Split, list[str]]:
    """Training and validation split from pictures and their labels (int64 [n]), and what was left out, and why.

    Decodes every picture once. side: pixels, None for what suits them. val_share: where there is no `val`, the share of
    each class that becomes it. progress(text, done, total). Raises UserError for pictures that cannot be read unless
    they are to be skipped.
    """
    share = VAL_SHARE if val_share is None else val_share
    if side is not None and side not in SIDES:
        raise UserError(f"images cannot be made {side} pixels wide; choose a side from {SIDES[0]} to {SIDES[-1]}")
    if not 0 < share < 1:
        raise UserError(f"a validation share of {share} leaves no images in one part; choose one between 0 and 1")
    if val is not None and val_share is not None:
        raise UserError("this data set has its own validation images; leave out --val-share")
    parts, looks, broken = _readable([train] if val is None else [train, val], skip_corrupt, progress)
    shape = shape_of(looks, side)
    if val is None:
        contents, labels = parts[0]
        chosen = held_out(labels, share)
        parts = [(contents.take(np.flatnonzero(part)), labels[part]) for part in (~chosen, chosen)]
    train, val = (
        Split(
            Encoded(contents, shape),
            labels,
            {**contents.source, "shape": list(shape)},
            contents.places,
            contents.numbers,
        )
        for contents, labels in parts
    )
    return train, val, broken


def shape_of(looks: np.ndarray, side: int | None) -> tuple[int, ...]:
    """The shape of one image: (H, W) where all are grey, of one size and small, (H, W, 3) where they are coloured, else
    (side, side, 3). looks: int [n, 3], width, height, grey."""
    width, height = looks[0, :2]
    if side is None and (looks[:, :2] == looks[0, :2]).all() and max(width, height) <= SIDE:
        return (int(height), int(width)) if looks[:, 2].all() else (int(height), int(width), 3)
    return side or SIDE, side or SIDE, 3


def held_out(labels: np.ndarray, share: float) -> np.ndarray:
    """Which images become validation images: bool [n], `share` of each class, at least one and not all of it; none of a
    class of one image. The same on every machine."""
    rng = np.random.default_rng(SPLIT_SEED)
    chosen = np.zeros(len(labels), bool)
    for class_ in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == class_))
        chosen[members[: min(max(1, round(share * len(members))), len(members) - 1)]] = True
    return chosen


def _readable(
    parts: list[Labelled], skip: bool, progress: Callable | None
) -> tuple[list[Labelled], np.ndarray, list[str]]:
    """What of `parts` can be read, width, height and grey of each picture (int [n, 3]), and a line for each other."""
    looks, kept, broken, done, total = [], [], [], 0, sum(len(contents) for contents, _ in parts)
    for contents, labels in parts:
        found = []
        for one in _looks(contents):
            found.append(one)
            done += 1
            if progress and (done % BLOCK == 0 or done == total):
                progress("reading images", done, total)
        ids = np.array([i for i, one in enumerate(found) if not isinstance(one, Unreadable)], np.int64)
        broken += [f"{contents.name(i)} ({one})" for i, one in enumerate(found) if isinstance(one, Unreadable)]
        looks += [found[i] for i in ids]
        kept.append((contents.take(ids), labels[ids]))
    if broken and not skip:
        more = f" and {len(broken) - NAMED:,} more" if len(broken) > NAMED else ""
        raise UserError(
            f"{len(broken):,} of {total:,} images cannot be read: {', '.join(broken[:NAMED])}{more}; "
            "mend or remove them, or leave them out with --skip-corrupt"
        )
    if not looks:
        raise UserError("there is no image that can be read; check --root")
    return kept, np.array(looks), broken


def _looks(contents: Contents) -> Iterator[tuple[int, int, bool] | Unreadable]:
    """What `look` says of each picture, in order."""

    def one(i: int):
        try:
            return look(contents.read(i))
        except Unreadable as error:
            return error

    def block(start: int):
        return [one(i) for i in range(start, min(start + BLOCK, len(contents)))]

    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(contents), BLOCK * threads):
            for found in pool.map(block, range(start, min(start + BLOCK * threads, len(contents)), BLOCK)):
                yield from found
