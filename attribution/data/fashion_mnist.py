"""Fashion-MNIST (Xiao, Rasul and Vollgraf, arXiv 1708.07747; MIT licence): 60,000 + 10,000 grey images of 28 x 28."""

import gzip
import zlib
from pathlib import Path

import numpy as np

from attribution.data import DataSet, Split
from attribution.data.foreign import open_file
from attribution.errors import UserError

CLASSES = ["T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
#: folder of the files of Debian's package dataset-fashion-mnist
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
MAX_BYTES = 16 + 60_000 * 28 * 28  # of the largest of its files, unpacked
LICENCE = """The Fashion-MNIST data set is

Copyright (c) 2017 Zalando SE, https://tech.zalando.com

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def load(root: Path | None = None) -> DataSet:
    """All images, as arrays uint8 [n, 28, 28]. root and errors: as in `read`."""
    train, val = (Split(*read(split, root)) for split in ("train", "test"))
    return DataSet("Fashion-MNIST", CLASSES, train, val, inverted=True)


def read(split: str, root: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [n, 28, 28] and labels int64 [n]; split "train" (60,000) or "test" (10,000), in the original order.

    root: a folder with the four idx.gz files; without one, Debian's package or torchvision's download is used.
    Raises UserError where the files are missing and cannot be downloaded.
    """
    prefix = {"train": "train", "test": "t10k"}[split]
    folder = Path(root) if root else DEBIAN_FOLDER if DEBIAN_FOLDER.is_dir() else _download()
    try:
        images = _read(folder / f"{prefix}-images-idx3-ubyte.gz", 3)
        labels = _read(folder / f"{prefix}-labels-idx1-ubyte.gz", 1)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise UserError(
            f"Fashion-MNIST cannot be read from {folder} ({error}); give a folder with its four idx.gz files"
        ) from None
    return images, labels.astype(np.int64)


def _read(file: Path, dimensions: int) -> np.ndarray:
    """Unsigned bytes in the idx format: magic 0, 0, 8, dimensions; then sizes, big-endian; then the data."""
    with open_file(file, MAX_BYTES) as packed, gzip.open(packed) as stream:
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"{file.name} unpacks to more than the data set's {MAX_BYTES:,} bytes")
    if data[:4] != bytes([0, 0, 8, dimensions]):
        raise ValueError(f"{file.name} is not an idx file of {dimensions} dimensions")
    return np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions).reshape(np.frombuffer(data, ">i4", dimensions, 4))


def _download() -> Path:
    from torchvision.datasets import FashionMNIST

    from attribution.files import data_folder

    root = data_folder() / "datasets"
    try:
        FashionMNIST(root, download=True)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"Fashion-MNIST could not be downloaded ({error}); install Debian's package "
            "dataset-fashion-mnist, or give a folder with its four idx.gz files"
        ) from None
    return root / "FashionMNIST" / "raw"
