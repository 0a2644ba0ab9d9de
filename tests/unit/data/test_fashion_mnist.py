import gzip
import struct

import numpy as np
import pytest

from attribution.data import fashion_mnist
from attribution.errors import UserError


def write(root, n=5):
    for prefix in ("train", "t10k"):
        pixels = np.arange(n * 784).reshape(n, 28, 28).astype(np.uint8)
        for name, array in (("images-idx3", pixels), ("labels-idx1", np.arange(n, dtype=np.uint8))):
            head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape)
            (root / f"{prefix}-{name}-ubyte.gz").write_bytes(gzip.compress(head + array.tobytes()))
    return pixels


def test_images_and_labels(tmp_path):
    pixels = write(tmp_path)
    found = fashion_mnist.load(tmp_path)
    assert found.name == "Fashion-MNIST" and found.inverted and len(found.classes) == 10
    for split in (found.train, found.val):
        assert (split.images == pixels).all() and split.labels.tolist() == [0, 1, 2, 3, 4] and split.source is None


@pytest.mark.parametrize(
    "content", [b"", b"no gzip", gzip.compress(b"\x00\x00\x08\x01", mtime=0), gzip.compress(b"", mtime=0)]
)
def test_a_broken_file_is_refused(tmp_path, content):
    write(tmp_path)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(content)
    with pytest.raises(UserError, match="cannot be read"):
        fashion_mnist.load(tmp_path)
