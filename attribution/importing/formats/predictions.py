"""Predictions of a network trained elsewhere: one file a model, logits or probabilities, images by classes.

.npy, .npz, .pt, .safetensors   [images, classes], or [models, images, classes], in the order of the workspace's
                                images and classes
.csv, .tsv, .parquet            a row an image in any order: a column `image` (or file, path, index, source_index)
                                that names it, and a column a class, by its name or its number from 0
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attribution.data import image_folder
from attribution.data.foreign import check_file, check_unpacked, open_file, open_parquet, split_csv_line
from attribution.errors import UserError
from attribution.importing.formats.arrays import FileArray, names_text, npz_array, npz_shapes, open_arrays, shape_text
from attribution.inputs.limits import MAX_SEEDS

KINDS = ("logits", "probabilities")
TABLES = (".csv", ".tsv", ".parquet")
#: columns that name the image, looked for in this order
#: of tables as text, in the order in which they are taken where a header may be split by several
DELIMITERS = (",", ";", "\t")
IMAGE_COLUMNS = (
    *("image", "file", "path", "filepath", "filename", "file_name"),
    *("image_id", "index", "id", "source_index", "name"),
)
#: of these, those whose numbers are names of files where the images have such
FILE_COLUMNS = ("file", "path", "filepath")
LOGITS_ADVICE = "say --kind logits if that is what they are"
#: times the size of the files that reading them may take in memory: a table's text and its numbers, and the answer
MEMORY = 8
#: how far from 1 the probabilities of an image may add up to, which float16 needs
TOLERANCE = 1e-3
BLOCK = 1 << 22  # numbers that are looked at, at a time
MAX_LINE = 1 << 22  # bytes of the names of a table's columns
NUMBER_BYTES, ROW_BYTES = 64, 1 << 14  # that a number, and what else is in a row, may have in a text file


@dataclass(frozen=True)
class ImageNames:
    """The images that a file of predictions is about. what: "validation" or "training", for people; source_index: their
    numbers in the source data set, int64 [n]; files: their paths under the data set's folder, None where they have
    none."""

    what: str
    source_index: np.ndarray
    files: list[str] | None

    @property
    def n(self) -> int:
        """How many there are."""
        return len(self.source_index)


@dataclass(frozen=True)
class Predictions:
    """What was read. probabilities: float32 [models, n, classes]; files: the name of each model's file; matched:
    whether every file says which row is of which image."""

    probabilities: np.ndarray
    files: list[str]
    matched: bool


def load_predictions(
    paths: list[Path], kind: str, images: ImageNames, classes: list[str], advice: str = LOGITS_ADVICE
) -> Predictions:
    """The predictions in these files, checked, as probabilities in the order of images and classes.

    kind: one of KINDS. advice: what to do where probabilities are expected and logits come. Raises UserError for a file
    that cannot be read, has another number of images or classes, names images that there are not, leaves some out, or
    holds what is no prediction of that kind.
    """
    if kind not in KINDS:
        raise UserError(f"kind {kind!r} is not known; say {' or '.join(KINDS)}: what the numbers of the file are")
    models, files = [], []
    for path in paths:
        table = path.suffix.lower() in TABLES
        for values in (
            [_read_table(path, kind, images, classes)] if table else _read_arrays(path, kind, images, classes)
        ):
            models.append(_probabilities(path, kind, values, images.what, advice))
            files.append(path.name)
            if len(models) > MAX_SEEDS:
                raise UserError(f"more than {MAX_SEEDS:,} models are too many; give fewer of them")
    return Predictions(np.stack(models), files, all(path.suffix.lower() in TABLES for path in paths))


def from_array(values: np.ndarray, images: ImageNames, classes: list[str]) -> Predictions:
    """The predictions in an array, [n, classes] or [models, n, classes], of logits; or of probabilities, where all its
    rows are such. Raises UserError as `load_predictions`."""
    path = Path("logits")
    _check_shape(path, values.shape, images, classes)
    models = np.asarray(values, np.float64).reshape(-1, *values.shape[-2:])
    if len(models) > MAX_SEEDS:
        raise UserError(f"more than {MAX_SEEDS:,} models are too many; give fewer of them")
    is_share = bool((models >= 0).all() and (np.abs(models.sum(2) - 1) <= TOLERANCE).all())
    kind = "probabilities" if is_share else "logits"
    found = [_probabilities(path, kind, model, images.what) for model in models]
    return Predictions(np.stack(found), ["logits"] * len(found), matched=False)


def _probabilities(path: Path, kind: str, values: np.ndarray, what: str, advice: str = LOGITS_ADVICE) -> np.ndarray:
    """float32 [n, classes] of the numbers in a file, by blocks. Raises UserError for those that cannot be."""
    probabilities = np.empty(values.shape, np.float32)
    step = max(1, BLOCK // values.shape[1])
    like_probabilities = kind == "logits"
    for at in range(0, len(values), step):
        block = np.asarray(values[at : at + step], np.float64)
        wrong = ~np.isfinite(block).all(1)
        if wrong.any():
            raise UserError(
                f"{path} holds NaN or infinite values, the first for {what} image {at + int(wrong.argmax())}; compute "
                "the predictions again"
            )
        sums = block.sum(1)
        outside = ((block < -TOLERANCE) | (block > 1 + TOLERANCE)).any(1)
        if kind == "logits":
            like_probabilities &= not outside.any() and bool((np.abs(sums - 1) <= TOLERANCE).all())
            block = np.exp(block - block.max(1, keepdims=True))
            block /= block.sum(1, keepdims=True)
        else:
            if outside.any():
                row = int(outside.argmax())
                raise UserError(
                    f"{path} has values beyond 0 to 1, the first for {what} image {at + row}, which are no "
                    f"probabilities; {advice}"
                )
            wrong = np.abs(sums - 1) > TOLERANCE
            if wrong.any():
                row = int(wrong.argmax())
                raise UserError(
                    f"the probabilities of {what} image {at + row} in {path} add up to {sums[row]:.4g} and not to 1; "
                    "bring those of all classes, after the softmax"
                )
            block = np.clip(block, 0, None)
        probabilities[at : at + step] = block
    if like_probabilities and values.shape[1] > 1:
        raise UserError(f"the values of {path} are probabilities: they add up to 1; say --kind probabilities")
    return probabilities


# -- arrays


def _read_arrays(path: Path, kind: str, images: ImageNames, classes: list[str]) -> list[np.ndarray]:
    """The models of an array file, each float or whole numbers [n, classes]."""
    if path.suffix.lower() == ".npz":
        name = _choose_array(path, kind, npz_shapes(path))
        shape = npz_shapes(path)[name]
        _check_shape(path, shape, images, classes)
        values = npz_array(path, name, *shape)
        return list(values if values.ndim == 3 else values[None])
    arrays = open_arrays(path)
    array = arrays[_choose_array(path, kind, {name: array.shape for name, array in arrays.items()})]
    _check_shape(path, array.shape, images, classes)
    if len(array.shape) == 2:
        return [array.read_block(slice(None))]
    return [FileArray(path, bits, array.bfloat16).read_block(slice(None)) for bits in array.bits]


def _choose_array(path: Path, kind: str, shapes: dict[str, tuple[int, ...]]) -> str:
    """The array of a file that holds the predictions: the only one, or the one called as its kind."""
    fitting = [name for name, shape in shapes.items() if len(shape) in (2, 3)] or list(shapes)
    named = [name for name in fitting if name in (kind, kind.removesuffix("s"), "probs" if kind != "logits" else kind)]
    if len(fitting) == 1 or len(named) == 1:
        return (named or fitting)[0]
    if not fitting:
        raise UserError(f"{path} holds no array of numbers; save the {kind} as one array")
    raise UserError(f"{path} has several arrays, {names_text(fitting)}; save the {kind} alone, or call theirs {kind!r}")


def _check_shape(path: Path, shape: tuple[int, ...], images: ImageNames, classes: list[str]) -> None:
    """Raises UserError for any shape but [n, classes] and [models, n, classes]."""
    n, count = images.n, len(classes)
    if len(shape) in (2, 3) and shape[-2:] == (n, count) and shape[0]:
        return
    expected = f"{n} {images.what} images x {count} classes"
    if len(shape) == 1:
        advice = "one number an image is no prediction of all classes: bring a number for each class"
    elif len(shape) in (2, 3) and shape[-2:] == (count, n):
        advice = "it looks transposed: save its transpose"
    elif shape[-1] != count:
        advice = f"bring a number for each of the classes {names_text(classes)}"
    else:
        advice = "bring one row for each of these images, in their order, or a table that names them"
    raise UserError(f"{path} is {shape_text(shape)}, and {expected} are expected; {advice}")


# -- tables


def _read_table(path: Path, kind: str, images: ImageNames, classes: list[str]) -> np.ndarray:
    """The model of a table, float64 [n, classes] in the order of images and classes."""
    read = _read_parquet if path.suffix.lower() == ".parquet" else _read_csv
    try:
        column, keys, values = read(path, lambda names: _choose_columns(path, names, classes), images, len(classes))
    except UserError:
        raise
    except Exception as error:  # pyarrow meets a broken file with errors of many types
        why = re.split(r"[\n;]|\.\s", str(error).strip())[0].strip(" .:")[:100]
        raise UserError(f"{path} cannot be read as a table ({why or type(error).__name__}); write it again") from None
    _check_rows(path, len(keys), images)
    rows = np.empty_like(values)
    rows[match_images(path, column, keys, images)] = values
    return rows


def _check_rows(path: Path, count: int, images: ImageNames) -> None:
    if count != images.n:
        raise UserError(
            f"{path} has {count:,} rows, and there are {images.n:,} {images.what} images; bring one row for each"
        )


def _choose_columns(path: Path, names: list[str], classes: list[str]) -> tuple[str, list[str]]:
    """The column that names the image, and one a class in the order of `classes`: by the classes' names or, where these
    are not there, by numbers from 0, bare or behind one word such as `class_0`."""
    if doubled := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"{path} has the column {doubled[0]!r} twice; name each once")
    columns = classes if len(set(classes)) == len(classes) and set(classes) <= set(names) else None
    if columns is None:
        by_word: dict[str, set[int]] = {}
        for name in names:
            if match := re.fullmatch(r"(.*?)(0|[1-9]\d{0,6})", name):
                by_word.setdefault(match[1], set()).add(int(match[2]))
        words = [word for word, numbers in by_word.items() if numbers == set(range(len(classes)))]
        if len(words) != 1:
            absent = [name for name in classes if name not in names]
            raise UserError(
                f"{path} has no column for the class {(absent or classes)[0]!r}; its columns are {names_text(names)}: "
                f"name one after each class, or number them 0 to {len(classes) - 1}"
            )
        columns = [f"{words[0]}{number}" for number in range(len(classes))]
    others = [name for name in names if name not in set(columns)]
    called = [name for name in IMAGE_COLUMNS for other in others if other == name]
    if not called and len(others) != 1:
        raise UserError(
            f"{path} does not say which row is of which image; add a column `image` with the file's name or the "
            "image's number"
        )
    return (called or others)[0], columns


def _read_parquet(path: Path, choose: Callable, images: ImageNames, count: int) -> tuple[str, list, np.ndarray]:
    with open_parquet(path) as file:
        _check_rows(path, file.metadata.num_rows, images)  # before anything is unpacked
        column, classes = choose(file.schema_arrow.names)
        check_unpacked(file, path)
        return _columns(path, column, classes, file.read(columns=[column, *classes], use_threads=False))


def _read_csv(path: Path, choose: Callable, images: ImageNames, count: int) -> tuple[str, list, np.ndarray]:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    check_file(path, images.n * (NUMBER_BYTES * count + ROW_BYTES) + MAX_LINE)
    with open_file(path) as stream:
        head = stream.readline(MAX_LINE).decode("utf-8-sig")
    heads = {mark: split_csv_line(path, head, mark) for mark in DELIMITERS}
    delimiter = max(heads, key=lambda mark: len(heads[mark]))
    column, classes = choose(heads[delimiter])

    def read(decimal_point: str):
        with open_file(path) as stream:
            return arrow_csv.read_csv(
                stream,
                read_options=arrow_csv.ReadOptions(use_threads=False),
                parse_options=arrow_csv.ParseOptions(delimiter=delimiter),
                convert_options=arrow_csv.ConvertOptions(
                    column_types={column: pa.string(), **dict.fromkeys(classes, pa.float64())},
                    include_columns=[column, *classes],
                    decimal_point=decimal_point,
                ),
            )

    try:
        table = read(".")
    except pa.ArrowInvalid:
        if delimiter != ";":  # which spreadsheets write where a comma stands for the decimal point, and nowhere else
            raise
        table = read(",")
    return _columns(path, column, classes, table)


def _columns(path: Path, column: str, classes: list[str], table) -> tuple[str, list, np.ndarray]:
    """The name of the image column, its values, and those of the classes' columns, float64 [rows, classes]."""
    values = np.empty((len(table), len(classes)))
    for place, name in enumerate(classes):
        numbers = table.column(name).to_numpy()
        if numbers.dtype.kind not in "iuf":
            raise UserError(f"the column {name!r} of {path} holds no numbers, or has gaps; write a number in each row")
        values[:, place] = numbers
    return column, table.column(column).to_pylist(), values


def match_images(path: Path, column: str, keys: list, images: ImageNames) -> np.ndarray:
    """The image of each row, int64 [rows]. keys: what the table at `path` has in its column `column`: numbers from 0
    or, where the images have files, their paths. Raises UserError for an image that there is not, or that comes
    twice."""
    texts = ["" if key is None else str(key).strip() for key in keys]
    by_file = images.files is not None and column in FILE_COLUMNS
    if all(re.fullmatch(r"\d{1,18}", text) for text in texts) and not by_file:
        numbers = np.array(texts, np.int64)
        known = images.source_index if column == "source_index" else np.arange(images.n)
        order = np.argsort(known, kind="stable")
        at = np.minimum(np.searchsorted(known[order], numbers), images.n - 1)
        matched = order[at]
        absent = known[matched] != numbers
        if absent.any():
            raise UserError(
                f"{path} has the number {numbers[absent.argmax()]} in its column {column}, which is none of the "
                f"{images.n:,} {images.what} images; number them from 0, or give their files' names"
            )
    elif images.files is None:
        raise UserError(
            f"the images here have no file names, and {path} names {texts[0]!r} in its column {column}; number the "
            f"{images.what} images from 0 to {images.n - 1}"
        )
    else:
        matched = image_folder.match_lines(images.files, texts, path, 2)
    counts = np.bincount(matched, minlength=images.n)
    if counts.max() > 1:
        raise UserError(f"{path} has {images.what} image {counts.argmax()} twice; give each image one row")
    return matched
