"""Images that are read in place: encoded pictures on disk, decoded to one shape when they are indexed."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from attribution.data import Images, Split, root_folder
from attribution.data.decoding import DEPTHS, Look, UnreadableError, decode, inspect_picture
from attribution.data.foreign import check_name
from attribution.errors import UserError

#: pixels: pictures of one size up to this keep it; others are resized to this side if no other is given
DEFAULT_SIDE = 64
ALLOWED_SIDES = range(8, 513)
VAL_SHARE, SPLIT_SEED = 0.1, 20240307
LOCATE = "python -m attribution workspace locate --workspace DIR --root DIR"
MAX_NAMED = 5  # how many unreadable pictures an error lists
BLOCK = 200  # pictures between two reports of progress


class PictureSource(ABC):
    """A sequence of encoded pictures. numbers: int64 [n], of each in the source's own order; source, locations: as in
    `Split`."""

    numbers: np.ndarray
    source: dict

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    @abstractmethod
    def locations(self) -> dict:
        """As in `Split`."""

    @abstractmethod
    def read(self, i: int) -> bytes:
        """The bytes of picture i. Raises UnreadableError where it cannot be read, UserError where no picture can."""

    @abstractmethod
    def describe(self, i: int) -> str:
        """A name by which a person finds picture i."""

    @abstractmethod
    def paths(self) -> list[Path]:
        """The files that the pictures are read from, each once."""

    @abstractmethod
    def select(self, ids: np.ndarray) -> "PictureSource":
        """The pictures `ids`, int [m], in this order."""


class EncodedImages(Images):
    """The pictures of `contents`, each decoded to `shape`, (H, W) or (H, W, 3), and `bits` as in `decoding.decode`.
    Reading one raises UserError where it is missing or cannot be decoded."""

    def __init__(self, contents: PictureSource, shape: tuple[int, ...], bits: int = DEPTHS[-1]):
        if not isinstance(bits, int) or bits not in DEPTHS:
            raise ValueError(f"grey values of {bits} bits")
        if shape[2:] not in ((), (3,)) or not all(0 < side <= ALLOWED_SIDES[-1] for side in shape[:2]):
            raise ValueError(f"images of shape {shape}")
        self.contents = contents
        self.shape = (len(contents), *shape)
        self.bits = bits

    @classmethod
    def reopened(cls, contents: PictureSource, source: dict) -> "EncodedImages":
        """The images of a `Split` with this `source`, as `split_data` made them. Raises KeyError, TypeError and
        ValueError where it is not valid."""
        return cls(contents, tuple(source["shape"]), source.get("bits", DEPTHS[-1]))

    def _decode(self, ids):
        images = np.empty((len(ids), *self.shape[1:]), np.uint8)
        for position in np.argsort(ids):  # in the order on disk
            images[position] = self._read(
                int(ids[position]), lambda content: decode(content, self.shape[1:], self.bits)
            )
        return images

    def fingerprint_bytes(self, ids):
        """See `Images.fingerprint_bytes`."""
        scale = b"" if self.bits == DEPTHS[-1] else b"%d bits" % self.bits  # other pixels of the same bytes

        def digest(content: bytes) -> bytes:
            hashed = hashlib.sha256(content)
            hashed.update(scale)
            return hashed.digest()

        return b"".join(self._read(int(i), digest) for i in ids)

    def paths(self):
        """See `Images.paths`."""
        return self.contents.paths()

    def _read(self, i: int, convert: Callable):
        try:
            return convert(self.contents.read(i))
        except UnreadableError as error:
            raise UserError(
                f"the image {self.contents.describe(i)} cannot be read ({error}); put back the file that the workspace "
                f"was created from, or say where it is: {LOCATE}"
            ) from None


#: pictures and their labels, int64 [n]
LabelledPictures = tuple[PictureSource, np.ndarray]


def check_root(root: Path | None) -> Path:
    """`root`, absolute. Raises UserError where it is not given, does not exist, or has a name that is no UTF-8."""
    if root is None:
        raise UserError("this data set is read from files; say where they are with --root")
    root_folder(root)
    check_name(path := os.path.realpath(Path(root).expanduser()))
    return Path(path)


def split_data(
    train: LabelledPictures,
    val: LabelledPictures | None,
    side: int | None,
    val_share: float | None,
    skip_corrupt: bool,
    progress: Callable | None,
) -> tuple[Split, Split, list[str], dict | None]:
    """Training and validation split from pictures and their labels (int64 [n]); what was left out, and why; and the
    sizes of the pictures as `sizes_of` says.

    Decodes every picture once. side: pixels of a side of the images, None for what `common_shape` chooses. val_share:
    where `val` is None, the share of each class that becomes the validation split. progress(text, done, total). How
    many bits grey values of 16 bits have is decided for all images together, and stands in their source. Raises
    UserError for options out of range, for pictures that cannot be read unless skip_corrupt, and for colours that would
    come out black.
    """
    share = VAL_SHARE if val_share is None else val_share
    if side is not None and side not in ALLOWED_SIDES:
        raise UserError(
            f"images cannot be made {side} pixels wide; choose a side from {ALLOWED_SIDES[0]} to {ALLOWED_SIDES[-1]}"
        )
    if not 0 < share < 1:
        raise UserError(f"a validation share of {share} leaves no images in one part; choose one between 0 and 1")
    if val is not None and val_share is not None:
        raise UserError("this data set has its own validation images; leave out --val-share")
    parts, looks, broken = _drop_unreadable([train] if val is None else [train, val], skip_corrupt, progress)
    shape, bits = common_shape(looks, side), _common_depth(looks)
    if val is None:
        contents, labels = parts[0]
        chosen = draw_validation(labels, share)
        parts = [(contents.select(np.flatnonzero(part)), labels[part]) for part in (~chosen, chosen)]
    train, val = (
        Split(
            EncodedImages(contents, shape, bits or DEPTHS[-1]),
            labels,
            {**contents.source, "shape": list(shape), **({"bits": bits} if bits else {})},
            contents.locations,
            contents.numbers,
        )
        for contents, labels in parts
    )
    return train, val, broken, sizes_of(looks, shape)


def sizes_of(looks: np.ndarray, shape: tuple[int, ...]) -> dict | None:
    """Sizes of the pictures, ready for JSON, or None where all are of `shape`, (H, W) or (H, W, 3), as they are.

    count: how many sizes there are; smallest, largest: [width, height] in pixels, by area; cropped: whether there are
    other proportions than those of `shape`. looks: int [n, 5], as `decoding.Look`.
    """
    height, width = shape[:2]
    sizes = sorted(map(tuple, np.unique(looks[:, :2], axis=0).tolist()), key=lambda size: (size[0] * size[1], size))
    if sizes == [(width, height)]:
        return None
    cropped = any(w * height != h * width for w, h in sizes)
    return {"count": len(sizes), "smallest": list(sizes[0]), "largest": list(sizes[-1]), "cropped": cropped}


def common_shape(looks: np.ndarray, side: int | None) -> tuple[int, ...]:
    """The shape that all images are decoded to. Pictures of one size up to DEFAULT_SIDE keep it: (H, W) if all are
    grey, else (H, W, 3). Others become (side, side, 3). looks: int [n, 5], as `decoding.Look`."""
    width, height = looks[0, :2]
    if side is None and (looks[:, :2] == looks[0, :2]).all() and max(width, height) <= DEFAULT_SIDE:
        return (int(height), int(width)) if looks[:, 2].all() else (int(height), int(width), 3)
    return side or DEFAULT_SIDE, side or DEFAULT_SIDE, 3


def _common_depth(looks: np.ndarray) -> int | None:
    """Bits of the largest value of all grey pictures of 16 bits, at least 8, so that it comes out at half of white or
    above; None where there are none. looks: int [n, 5], as `decoding.Look`. Raises UserError where the colours of
    pictures of 16 bits are all below half of white: their upper 8 bits alone can be read."""
    peaks, deep_peaks = looks[:, 3], looks[:, 4]
    if (deep_peaks >= 0).any() and deep_peaks.max() < 128:
        raise UserError(
            f"{(deep_peaks >= 0).sum():,} of {len(looks):,} images have colours of 16 bits, all below "
            f"{(int(deep_peaks.max()) + 1) * 256:,} of 65,536, and would come out dark or black; save them with 8 bits "
            "a channel"
        )
    return max(DEPTHS[0], int(peaks.max()).bit_length()) if peaks.any() else None


def draw_validation(labels: np.ndarray, share: float) -> np.ndarray:
    """Which images become validation images, bool [n]: `share` of each class, at least one image and never all; none of
    a class of one image. The draw is the same on every machine. labels: int [n]."""
    rng = np.random.default_rng(SPLIT_SEED)
    chosen = np.zeros(len(labels), bool)
    for class_ in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == class_))
        chosen[members[: min(max(1, round(share * len(members))), len(members) - 1)]] = True
    return chosen


def _drop_unreadable(
    parts: list[LabelledPictures], skip: bool, progress: Callable | None
) -> tuple[list[LabelledPictures], np.ndarray, list[str]]:
    """The readable pictures of `parts`; what each of them is (int [n, 5], as `Look`); a line for each other."""
    looks, readable, broken, done, total = [], [], [], 0, sum(len(contents) for contents, _ in parts)
    for contents, labels in parts:
        part_looks = []
        for result in _inspect_pictures(contents):
            part_looks.append(result)
            done += 1
            if progress and (done % BLOCK == 0 or done == total):
                progress("reading images", done, total)
        errors = {i: result for i, result in enumerate(part_looks) if isinstance(result, UnreadableError)}
        ids = np.array([i for i in range(len(part_looks)) if i not in errors], np.int64)
        broken += [f"{contents.describe(i)} ({error})" for i, error in errors.items()]
        looks += [part_looks[i] for i in ids]
        readable.append((contents.select(ids), labels[ids]))
    if broken and not skip:
        more = f" and {len(broken) - MAX_NAMED:,} more" if len(broken) > MAX_NAMED else ""
        raise UserError(
            f"{len(broken):,} of {total:,} images cannot be read: {', '.join(broken[:MAX_NAMED])}{more}; "
            "mend or remove them, or leave them out with --skip-corrupt"
        )
    if not looks:
        raise UserError("there is no image that can be read; check --root")
    return readable, np.array(looks), broken


def _inspect_pictures(contents: PictureSource) -> Iterator[Look | UnreadableError]:
    """`inspect_picture` of each picture, or why it cannot be read, in order; by as many threads as there are cores."""

    def look_at(i: int):
        try:
            return inspect_picture(contents.read(i))
        except UnreadableError as error:
            return error

    def block(start: int):
        return [look_at(i) for i in range(start, min(start + BLOCK, len(contents)))]

    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(contents), BLOCK * threads):
            for results in pool.map(block, range(start, min(start + BLOCK * threads, len(contents)), BLOCK)):
                yield from results
