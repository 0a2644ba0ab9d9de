"""Labels as people write them, text or numbers, to numbers of classes from 0."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from attribution.errors import UserError

MAX_NAMED = 3  # how many labels an error lists
MAX_CLASSES, MAX_CLASS_NAME = 2**16, 10_000  # what a workspace can hold; characters


def number_classes(
    labels: Iterable,
    classes: Sequence[str] | None = None,
    source: str = "the data set",
    describe: Callable[[int], str] = lambda i: f"image {i}",
) -> tuple[np.ndarray, list[str]]:
    """Numbers of the classes, int64 [n], and the classes' names.

    labels: a text or a number an image, or a row [classes] that is 1 at its class and 0 elsewhere (one-hot). classes:
    the names, where they are known; a label is then one of them or its number from 0. Else numbers from 0 are numbers
    of classes, called by them, and other labels are the classes' names, in order. source: what errors call the data;
    describe(i): what they call image i. Raises UserError for labels that are missing, no class at all, or not among
    `classes`.
    """
    values = [_plain(label) for label in labels]
    if missing := [number for number, value in enumerate(values) if value is None]:
        raise UserError(
            f"{len(missing):,} of {len(values):,} labels are missing in {source}, the first of {describe(missing[0])}; "
            "leave those images out of it"
        )
    if wrong := [value for value in values if isinstance(value, float)]:
        raise UserError(f"the label {wrong[0]:g} in {source} is no class; labels are text or whole numbers")
    values = _as_numbers(values, classes)
    if classes is not None:
        return _among(values, [str(name) for name in classes], source), [str(name) for name in classes]
    numbers = [value for value in values if isinstance(value, int)]
    if len(numbers) < len(values):
        values = [str(value) for value in values]
    elif numbers and min(numbers) < 0:
        raise UserError(
            f"the label {min(numbers)} stands in {source} for images that have none; leave those images out of it"
        )
    elif numbers and min(numbers) == 0 and max(numbers) < min(len(numbers), MAX_CLASSES):
        return np.array(numbers, np.int64), [str(number) for number in range(max(numbers) + 1)]
    names = sorted(set(values))
    longest = max((len(str(name)) for name in names), default=0)
    if len(names) > MAX_CLASSES or longest > MAX_CLASS_NAME:
        raise UserError(
            f"the labels in {source} are {len(names):,} different ones of up to {longest:,} letters, which can be no "
            "classes; check that these are the labels"
        )
    number_of = {name: number for number, name in enumerate(names)}
    return np.array([number_of[value] for value in values], np.int64), [str(name) for name in names]


def _plain(label):
    """A label as int, str or float; None where it is missing."""
    if hasattr(label, "detach"):  # a tensor
        label = label.detach().cpu().numpy()
    if isinstance(label, (list, tuple, np.ndarray)):
        label = np.asarray(label)
        if label.size == 1:
            label = label.reshape(-1)[0]
        elif label.ndim == 1 and label.dtype.kind in "biuf" and set(label.tolist()) == {0, 1} and label.sum() == 1:
            label = label.argmax()
        else:
            raise UserError(
                f"a label is {np.array2string(label, threshold=5)}, several numbers; one class an image is needed, as "
                "its number, its name or one-hot"
            )
    if isinstance(label, np.generic):
        label = label.item()
    if isinstance(label, bytes):
        label = label.decode(errors="replace")
    if isinstance(label, str):
        return label.strip() or None
    if isinstance(label, bool) or (isinstance(label, float) and label.is_integer()):
        return int(label)
    if label is None or label != label:
        return None
    return label if isinstance(label, (int, float)) else str(label)


def _as_numbers(values: list, classes: Sequence[str] | None) -> list:
    """`values`, text such as "3" or "3.0" as numbers where all are, and they are no names of `classes`."""
    texts = {value for value in values if isinstance(value, str)}
    if classes is not None and texts <= {str(name) for name in classes}:
        return values
    numbers = {text: _whole(text) for text in texts}
    if any(number is None for number in numbers.values()):
        return values
    return [numbers[value] if isinstance(value, str) else value for value in values]


def _whole(text: str) -> int | None:
    whole = text[:-2] if text.endswith(".0") else text
    return int(whole) if whole.removeprefix("-").isdecimal() and whole.isascii() and len(whole) < 19 else None


def _among(values: list, classes: list[str], source: str) -> np.ndarray:
    """The number of each value among the classes' names. Raises UserError for what is neither a name nor a number."""
    if twice := [name for name in classes if classes.count(name) > 1] if len(set(classes)) < len(classes) else []:
        raise UserError(f"two classes of {source} are called {twice[0]!r}; give each a name of its own")
    number_of = {name: number for number, name in enumerate(classes)}
    found = [value if isinstance(value, int) else number_of.get(value, -1) for value in values]
    wrong = [value for value, number in zip(values, found) if not 0 <= number < len(classes)]
    if wrong:
        listed = ", ".join(repr(value) for value in list(dict.fromkeys(wrong))[:MAX_NAMED])
        raise UserError(
            f"the label {listed} in {source} is none of its {len(classes):,} classes ({', '.join(classes[:MAX_NAMED])}"
            f"{', ...' if len(classes) > MAX_NAMED else ''}), which are numbered from 0; mend the label or the classes"
        )
    return np.array(found, np.int64)
