"""Data sets that are objects in memory: arrays, datasets of torch and of Hugging Face, and lists of picture files.

Whatever they are, the images are copied, one after another, to uint8 of one shape (`pixels.PixelCollector`).
"""

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from attribution.data import DataSet, Split
from attribution.data.decoding import UnreadableError, to_pixels
from attribution.data.encoded import VAL_SHARE, draw_validation
from attribution.data.foreign import open_file
from attribution.data.labels import number_classes
from attribution.data.pixels import PixelCollector, select
from attribution.errors import UserError

#: Keys of an item that is a dict, or columns, in the order in which they are looked for.
IMAGE_KEYS = ("image", "img", "images", "pixel_values", "pixels", "picture", "x")
LABEL_KEYS = ("label", "labels", "fine_label", "target", "targets", "class", "y")
VAL_KEYS = ("val", "valid", "validation", "test")
CHANNELS = (1, 3, 4)
MAX_PICTURE = 256 << 20  # bytes of a picture's file
BLOCK = 1000  # images between two reports of progress, and at most of an array that are looked at together
BLOCK_BYTES = 64 << 20  # of an array that are looked at together; at least one image
READ_AGAIN = 16  # images that are read twice, to see whether they are the same


def from_objects(
    train,
    val=None,
    classes: Sequence[str] | None = None,
    name: str = "data",
    progress: Callable[[str, int, int], None] | None = None,
    *,
    side: int | None = None,
    val_share: float | None = None,
    skip_corrupt: bool = False,
) -> DataSet:
    """The data set that two objects are, the training and the validation images.

    Each may be a pair (images, labels), of arrays or tensors [n, H, W], [n, H, W, C] or [n, C, H, W] or of a list of
    picture files; or anything with a length and items (image, label), such as a Dataset of torchvision or of Hugging
    Face, whose images are of Pillow, arrays or tensors. Pixels are whole numbers from 0 to 255 or fractions from 0 to
    1. train may be a dict of both, as a DatasetDict is.

    val: None to hold `val_share` of each class back, or a tenth. classes: names; None for those that the objects know,
    else as `number_classes` finds them. side: pixels of a side of the images, None for what `encoded.common_shape`
    says. skip_corrupt: leave out images that cannot be read, or hold NaN or infinity. progress(text, done, total).
    Raises UserError for what is no such object, for such images otherwise, for pixels of another scale, for images that
    are not the same when they are read again, and for labels that are no classes.
    """
    if isinstance(train, Mapping) and val is None:
        train, val = _parts_of(train)
    if val is not None and val_share is not None:
        raise UserError("there are validation images; leave out the share of training images that would be held back")
    share = VAL_SHARE if val_share is None else val_share
    if not 0 < share < 1:
        raise UserError(f"a validation share of {share} leaves no images in one part; choose one between 0 and 1")
    parts = [_open(given, what) for given, what in ((train, "training"), (val, "validation")) if given is not None]
    if not parts:
        raise UserError("there are no training images; give an object that has them")
    if empty := [part.what for part in parts if not len(part)]:
        raise UserError(f"there are no {empty[0]} images; give some")
    collector, labels, places, notes, broken = PixelCollector(side), [], [], [], []
    done, total = 0, sum(len(part) for part in parts)
    for part in parts:
        for i, (image, label) in enumerate(part.read(skip_corrupt)):
            if isinstance(image, BrokenError):
                broken.append(f"{part.what} image {i} ({image.why})")
            else:
                collector.add(image)
                labels.append(label)
                places.append((part, i))
            done += 1
            if progress and (done % BLOCK == 0 or done == total):
                progress("reading images", done, total)
        notes += part.notes()
    if not labels:
        raise UserError(f"no image can be read, {broken[0]} the first of them; mend the data set")
    n_train = sum(part is parts[0] for part, _ in places)
    index = np.array([i for _, i in places])

    def describe(row: int) -> str:
        part, i = places[row]
        return f"{part.what} image {i}"

    known = next((names for part in parts if (names := part.classes())), None)
    numbers, names = number_classes(labels, known if classes is None else classes, name, describe)
    images, sizes = collector.finish()
    if val is None:
        chosen = draw_validation(numbers, share)
        splits = [
            Split(select(images, ids), numbers[ids], index=index[ids])
            for ids in (np.flatnonzero(~chosen), np.flatnonzero(chosen))
        ]
    else:
        splits = [
            Split(images[rows], numbers[rows], index=index[rows]) for rows in (slice(n_train), slice(n_train, None))
        ]
    return DataSet(name, names, *splits, skipped=tuple(broken), sizes=sizes, notes=tuple(dict.fromkeys(notes)))


class BrokenError(UserError):
    """An image that cannot be read, and could be left out. why: in a few words."""

    def __init__(self, sentence: str, why: str):
        super().__init__(sentence)
        self.why = why


class Scale:
    """What pixel values that are no bytes mean: fractions from 0 to 1, or whole numbers to 255. The first value above 0
    decides it for all that follow; source: what errors call the images."""

    def __init__(self, source: str):
        self.source = source
        self.fractions: bool | None = None

    def to_bytes(self, pixels: np.ndarray) -> np.ndarray:
        """`pixels` as uint8, of the same shape. Raises UserError for values out of range, and NaN."""
        if pixels.dtype == np.uint8 or not pixels.size:
            return pixels.astype(np.uint8, copy=False)
        if pixels.dtype == bool:
            return pixels * np.uint8(255)
        if pixels.dtype.kind not in "iuf":
            raise UserError(f"pixels of {self.source} are {pixels.dtype}; give whole numbers from 0 to 255")
        low, high = pixels.min(), pixels.max()
        if not (low >= 0 and high <= 255):
            raise self._error(low, high)
        if pixels.dtype.kind != "f":
            return pixels.astype(np.uint8)
        if self.fractions is None and high > 0:
            self.fractions = bool(high <= 1)
        if self.fractions and high <= 1:
            return np.rint(pixels * 255).astype(np.uint8)
        if self.fractions or (pixels != np.rint(pixels)).any():
            raise UserError(
                f"pixels of {self.source} are fractions up to {high:.4g}; give whole numbers from 0 to 255 or "
                "fractions from 0 to 1, before any normalisation"
            )
        return pixels.astype(np.uint8)

    def _error(self, low, high) -> UserError:
        """What to do with pixels from `low` to `high`, which are neither."""
        if not (np.isfinite(low) and np.isfinite(high)):
            return self.broken_error()
        pixels = f"pixels of {self.source} are from {low:.4g} to {high:.4g}"
        if low < 0:
            return UserError(
                f"{pixels}, as after a normalisation; take it out of the dataset's transforms (torchvision: Normalize) "
                "or undo it (times the standard deviation, plus the mean), so that they are from 0 to 1"
            )
        return UserError(
            f"{pixels}; divide them by the largest value that they may have (65,535 of 16 bits, 4,095 of 12), so that "
            "they are fractions from 0 to 1, or read them from a folder of picture files, where 16 bits are known"
        )

    def broken_error(self) -> "BrokenError":
        """For an image with a pixel that is no number."""
        said = "NaN or infinity"
        return BrokenError(f"pixels of {self.source} hold {said}; mend those images, or leave them out", said)

    def notes(self) -> list[str]:
        """A line on what was assumed of the pixels; none for bytes."""
        if self.fractions is None:
            return []
        return [f"pixels of {self.source} are fractions from 0 to 1, taken times 255"] if self.fractions else []


def to_image(pixels: np.ndarray, source: str, channels_first: bool = False) -> np.ndarray:
    """One image, uint8 [H, W] or [H, W, 3], of [H, W], [H, W, C] or [C, H, W] with 1, 3 or 4 channels; the fourth is
    how opaque it is, on white. channels_first: what is taken where both may be meant. Raises UserError for another
    shape."""
    if pixels.ndim == 3:
        last, first = (pixels.shape[axis] in CHANNELS for axis in (-1, 0))
        if first and (channels_first or not last):
            pixels = np.moveaxis(pixels, 0, -1)
        elif not last:
            pixels = pixels[:0]
    if pixels.ndim not in (2, 3) or not pixels.size:
        raise UserError(
            f"images of {source} have the shape {list(pixels.shape)}; give [height, width], or with 1, 3 or 4 "
            "channels last or first"
        )
    if pixels.ndim == 3 and pixels.shape[-1] == 4:
        return to_pixels(Image.fromarray(np.ascontiguousarray(pixels), "RGBA"))
    return pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels


class _Arrays:
    """A pair of arrays, images and labels. what: "training" or "validation"."""

    def __init__(self, images, labels: Sequence, what: str):
        self.what, self._source = what, f"the {what} images"
        self._scale = Scale(self._source)
        self._images, self._labels = to_array(images), labels
        self._channels_first = hasattr(images, "detach")
        if self._images.ndim not in (3, 4) or 0 in self._images.shape[1:]:
            raise UserError(
                f"{self._source} have the shape {list(self._images.shape)}; give [n, height, width], or with 1, 3 or 4 "
                "channels last or second"
            )

    def __len__(self) -> int:
        return len(self._labels)

    def read(self, skip_corrupt: bool) -> Iterator[tuple["np.ndarray | BrokenError", object]]:
        """Images, uint8 [H, W] or [H, W, 3], and labels as they were given; with skip_corrupt, the error in place of an
        image that cannot be read."""
        is_float = self._images.dtype.kind == "f"
        if is_float:  # decided by all images: a dark one may have no value above 1
            highest = max(block.max(initial=0, where=np.isfinite(block)) for block in self._blocks())
            self._scale.fractions = bool(highest <= 1)
        labels = iter(self._labels)
        for block in self._blocks():
            broken = ~np.isfinite(block).reshape(len(block), -1).all(1) if is_float and skip_corrupt else []
            if np.any(broken):
                block = np.where(broken.reshape(-1, *[1] * (block.ndim - 1)), 0, block)
            for i, (pixels, label) in enumerate(zip(self._scale.to_bytes(block), labels)):
                if np.any(broken) and broken[i]:
                    yield self._scale.broken_error(), label
                else:
                    yield to_image(pixels, self._source, self._channels_first), label

    def _blocks(self) -> Iterator[np.ndarray]:
        size = math.prod(self._images.shape[1:]) * self._images.dtype.itemsize
        step = max(1, min(BLOCK, BLOCK_BYTES // size))
        for start in range(0, len(self), step):
            yield np.asarray(self._images[start : start + step])

    def classes(self) -> list[str] | None:
        """None: arrays have no names."""
        return None

    def notes(self) -> list[str]:
        """What was assumed of the pixels, once they were read."""
        return self._scale.notes()


class _Items:
    """Anything with a length and items. what: "training" or "validation"."""

    def __init__(self, items, what: str):
        self._items, self.what = items, what
        self._scale = Scale(f"the {what} images")
        try:
            self._count = len(items)
        except TypeError:
            self._count = -1
        if self._count < 0 or not hasattr(items, "__getitem__"):
            inner = "; give its .dataset" if hasattr(items, "dataset") else ""
            raise UserError(
                f"the {what} images are {type(items).__name__}, which has no length and no items{inner or _NEEDED}"
            )
        self._keys = _columns(items)

    def __len__(self) -> int:
        return self._count

    def read(self, skip_corrupt: bool) -> Iterator[tuple["np.ndarray | BrokenError", object]]:
        """As `_Arrays.read`."""
        first = {}
        for i in range(len(self)):
            try:
                image, label = self._item(i)
            except BrokenError as error:
                if not skip_corrupt:
                    raise
                yield error, None
                continue
            if i < READ_AGAIN:
                first[i] = image
            yield image, label
        for i, image in first.items():
            again, _ = self._item(i)
            if image.shape != again.shape or (image != again).any():
                raise UserError(
                    f"{self.what} image {i} is another one each time it is read; take random transforms, such as "
                    "crops and flips, out of its dataset"
                )

    def _item(self, i: int) -> tuple[np.ndarray, object]:
        where = f"{self.what} image {i}"
        try:
            item = self._items[i]
        except Exception as error:
            words = (str(error).splitlines() or ["without a word"])[0]
            why = f"{type(error).__name__}: {words}"
            raise BrokenError(f"{where} cannot be read ({why}); mend the dataset", why) from error
        if isinstance(item, Mapping):
            self._keys = self._keys or tuple(_first_of(keys, item) for keys in (IMAGE_KEYS, LABEL_KEYS))
            if None in self._keys or not set(self._keys) <= set(item):
                raise UserError(
                    f"{where} is a dict of {', '.join(map(str, item))}; call the image image and the label label"
                )
            image, label = (item[key] for key in self._keys)
        elif isinstance(item, (tuple, list)) and len(item) >= 2:
            image, label = item[:2]
        else:
            raise UserError(f"{where} is {type(item).__name__}{_NEEDED}")
        return self._to_image(image, where), label

    def _to_image(self, image, where: str) -> np.ndarray:
        if isinstance(image, Mapping):  # of Hugging Face, not decoded
            image = image.get("bytes") or image.get("path")
        if isinstance(image, (str, os.PathLike)):
            return self._scale.to_bytes(_read_file(image))
        if isinstance(image, (bytes, Image.Image)):
            try:
                return self._scale.to_bytes(to_pixels(image))
            except UnreadableError as error:
                raise BrokenError(f"{where} cannot be read ({error}); leave it out", str(error)) from None
        pixels = self._scale.to_bytes(to_array(image))
        return to_image(pixels, self._scale.source, hasattr(image, "detach"))

    def classes(self) -> list[str] | None:
        """The names that the dataset knows, or the one that it is a subset of or begins with."""
        owner = self._items
        while owner is not None:
            if self._keys and (names := _feature_names(owner, self._keys[1])):
                return names
            names = getattr(owner, "classes", None)
            if isinstance(names, (list, tuple)) and names:
                return [str(entry[0]) if isinstance(entry, tuple) else str(entry) for entry in names]
            owner = getattr(owner, "dataset", None) or next(iter(getattr(owner, "datasets", ())), None)
        return None

    def notes(self) -> list[str]:
        """As `_Arrays.notes`."""
        return self._scale.notes()


_NEEDED = "; give a pair (images, labels), or a dataset of (image, label)"


def to_array(values) -> np.ndarray:
    """A tensor, an array or a list of numbers as an array. Raises UserError for anything else."""
    if hasattr(values, "detach"):  # torch's, on any device; its library is not imported here
        values = values.detach().cpu()
        values = (values.float() if "bfloat16" in str(values.dtype) else values).numpy()
    try:
        is_array = isinstance(getattr(values, "dtype", None), np.dtype) and hasattr(values, "ndim")
        array = values if is_array else np.asarray(values)
    except (TypeError, ValueError) as error:
        raise UserError(f"images are no array ({str(error).splitlines()[0]}){_NEEDED}") from None
    if array.dtype.kind not in "biuf":
        raise UserError(f"{type(values).__name__} is no array of numbers{_NEEDED}")
    return array


def _open(given, what: str) -> _Arrays | _Items:
    if isinstance(given, Mapping):  # {"images": ..., "labels": ...}
        keys = [_first_of(names, given) for names in (IMAGE_KEYS, LABEL_KEYS)]
        if None in keys:
            raise UserError(f"the {what} images are a dict of {', '.join(map(str, given))}{_NEEDED}")
        given = tuple(given[key] for key in keys)
    if _is_array(given):
        raise UserError(f"the {what} images have no labels{_NEEDED}")
    if not _is_pair(given):
        return _Items(given, what)
    images, labels = given
    labels = list(to_array(labels) if hasattr(labels, "detach") else labels)
    if len(images) != len(labels):
        raise UserError(f"there are {len(images):,} {what} images and {len(labels):,} labels; give one label an image")
    if _is_array(images) and getattr(images.dtype, "kind", "") not in ("O", "U"):
        return _Arrays(images, labels, what)
    return _Items(list(zip(list(images), labels)), what)  # of files, of Pillow, or of arrays of several sizes


def _is_pair(given) -> bool:
    """Whether it is images and their labels, and not a list of two items, each an image and its label."""
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        return False
    return _is_array(given[0]) or (isinstance(given[0], list) and (isinstance(given, tuple) or _holds_files(given[0])))


def _is_array(value) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _holds_files(images: list) -> bool:
    return bool(images) and isinstance(images[0], (str, os.PathLike))


def _parts_of(given: Mapping) -> tuple:
    """The training and the validation images in a dict of both; the latter None where it has only one."""
    if "train" not in given:
        if _first_of(IMAGE_KEYS, given):
            return given, None
        raise UserError(f"the data are a dict of {', '.join(map(str, given))}; call the training images train")
    key = _first_of(VAL_KEYS, given)
    return given["train"], None if key is None else given[key]


def _first_of(names: Sequence[str], keys) -> str | None:
    return next((name for name in names if name in keys), None)


def find_columns(kinds: Mapping[str, str], place: str = "the data set") -> tuple[str, str]:
    """The columns of images and of labels. kinds: column -> the type that Hugging Face's features have, "Image" and
    "ClassLabel" among them. place: what errors call the data. Raises UserError where there is none."""
    found = []
    for kind, names, what in (("Image", IMAGE_KEYS, "image"), ("ClassLabel", LABEL_KEYS, "label")):
        of_kind = [key for key in kinds if kinds[key] == kind]
        column = _first_of(names, of_kind) or _first_of(names, kinds) or next(iter(of_kind), None)
        if column is None:
            raise UserError(f"{place} has no column of {what}s among {', '.join(kinds)}; rename it to {what}")
        found.append(column)
    return tuple(found)


def _columns(items) -> tuple[str, str] | None:
    """The columns of a Dataset of Hugging Face; None for any other."""
    features = getattr(items, "features", None)
    if not isinstance(features, Mapping):
        return None
    return find_columns({key: type(feature).__name__ for key, feature in features.items()})


def _feature_names(owner, label: str) -> list[str] | None:
    features = getattr(owner, "features", None)
    names = getattr(features.get(label), "names", None) if isinstance(features, Mapping) else None
    return [str(name) for name in names] if names else None


def _read_file(file) -> np.ndarray:
    try:
        with open_file(Path(file).expanduser(), MAX_PICTURE) as stream:
            return to_pixels(stream.read())
    except (UnreadableError, OSError) as error:
        why = f"{file}: {error}"
        raise BrokenError(f"the image {file} cannot be read ({error}); mend it or leave it out", why) from None
