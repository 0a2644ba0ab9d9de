"""The true labels of the training images, one an image: a table, or an array of whole numbers.

.npy, .npz, .pt, .safetensors   [n_train], classes by number from 0, in the order of the images
.csv, .tsv, .parquet, .json     a row an image, with a column `true_label` (or truth, original, label, class), classes
                                by name or number
"""

from pathlib import Path

import numpy as np

from attribution.errors import UserError
from attribution.importing.formats import image_table
from attribution.importing.formats.arrays import names_text, open_arrays, shape_text
from attribution.importing.formats.predictions import ImageNames

COLUMNS = ("true_label", "truth", "original", "label", "class")


def load_true_labels(path: Path, images: ImageNames, classes: list[str]) -> tuple[np.ndarray, bool]:
    """The true class of each image, int64 [n], and whether the file names its images. Raises UserError for a file that
    cannot be read, leaves images out, or holds what is no class."""
    if path.suffix.lower() not in image_table.SUFFIXES:
        return _read_array(path, images, classes), False
    table = image_table.load_table(path, images, COLUMNS)
    column = table.first(COLUMNS)
    if column is None:
        raise UserError(f"{path} has no column with the true labels; call it `true_label`")
    if len(table.images) != images.n:
        raise UserError(
            f"{path} has {len(table.images):,} rows, and there are {images.n:,} {images.what} images; bring the true "
            "label of each"
        )
    labels = np.empty(images.n, np.int64)
    labels[table.images] = table.classes(column, classes)
    if (labels < 0).any():
        raise UserError(
            f"{path} has no class for {images.what} image {int((labels < 0).argmax())} in its column {column}; bring "
            "the true label of each"
        )
    return labels, table.named


def _read_array(path: Path, images: ImageNames, classes: list[str]) -> np.ndarray:
    arrays = open_arrays(path)
    if len(arrays) > 1:
        raise UserError(f"{path} has several arrays, {names_text(arrays)}; save the true labels alone")
    (array,) = arrays.values()
    if array.shape != (images.n,):
        raise UserError(
            f"{path} is {shape_text(array.shape)}, and {images.n} true labels are expected, one for each "
            f"{images.what} image; bring those of this data set, as one row of numbers"
        )
    numbers, count = np.asarray(array.read_block(slice(None), ...), np.float64), len(classes)
    if not np.isfinite(numbers).all() or (numbers != np.round(numbers)).any():
        raise UserError(f"{path} holds what are no whole numbers; write each class by its number from 0 to {count - 1}")
    if numbers.min() >= 1 and numbers.max() == count:
        raise UserError(f"the classes in {path} seem to be numbered from 1; number them from 0 to {count - 1}")
    if numbers.min() < 0 or numbers.max() >= count:
        wrong = numbers.min() if numbers.min() < 0 else numbers.max()
        raise UserError(
            f"{path} has the class {wrong:.0f}, and classes are 0 to {count - 1}; bring those of this data set"
        )
    return numbers.astype(np.int64)
