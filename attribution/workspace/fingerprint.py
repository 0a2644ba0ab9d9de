"""What a data set is known by: digests of its images and labels."""

import hashlib
from collections.abc import Callable

import numpy as np

from attribution.data import Images

BLOCK = 1000  # images read at a time
DIGEST_BYTES = 32  # of SHA-256

Progress = Callable[[str, int, int], None]


def data_fingerprint(digests: dict[str, str], train_labels: np.ndarray, val_labels: np.ndarray) -> str:
    """SHA-256, in hex, over every image and label in their order. digests: `image_digest` of "train" and "val"; labels:
    int [n]."""
    digest = hashlib.sha256()
    for split, labels in (("train", train_labels), ("val", val_labels)):
        digest.update(np.asarray(labels, "<i8").tobytes())
        digest.update(bytes.fromhex(digests[split]))
    return digest.hexdigest()


def sampled_fingerprint(
    images: np.ndarray | Images, labels: np.ndarray, val_images: np.ndarray | Images, val_labels: np.ndarray
) -> str:
    """The fingerprint of workspaces made before December 2026: over labels, their order, and 1,000 to 2,000 evenly
    spaced images of each split, or all. What is stored under it stays valid, since their digests stand beside it."""
    digest = hashlib.sha256()
    for pixels, given in ((images, labels), (val_images, val_labels)):
        digest.update(np.asarray(given, "<i8").tobytes())
        digest.update(repr(pixels.shape).encode())
        step = max(1, len(pixels) // 1000)
        if isinstance(pixels, Images):
            digest.update(pixels.fingerprint_bytes(np.arange(0, len(pixels), step)))
        else:
            digest.update(np.ascontiguousarray(pixels[::step]).tobytes())
    return digest.hexdigest()


def image_digest(images: np.ndarray | Images) -> str:
    """SHA-256 over the number, the shape and every image of a split, in hex: of its pixels, or where images are read in
    place of the bytes they are decoded from, which no decoder's version changes."""
    if isinstance(images, Images):
        return combine(images.shape, each_digest(images))
    digest = _begin(images.shape)
    for start in range(0, len(images), BLOCK):
        digest.update(np.ascontiguousarray(images[start : start + BLOCK]).tobytes())
    return digest.hexdigest()


def each_digest(images: np.ndarray | Images, ids: np.ndarray | None = None, progress: Progress | None = None):
    """SHA-256 of each image of a split, or of those of `ids`: uint8 [m, 32]; of what `image_digest` is over."""
    ids = np.arange(len(images)) if ids is None else np.asarray(ids)
    found = np.empty((len(ids), DIGEST_BYTES), np.uint8)
    for start in range(0, len(ids), BLOCK):
        block = ids[start : start + BLOCK]
        if isinstance(images, Images):
            text = images.fingerprint_bytes(block)
        else:
            text = b"".join(hashlib.sha256(np.ascontiguousarray(images[i]).tobytes()).digest() for i in block)
        found[start : start + len(block)] = np.frombuffer(text, np.uint8).reshape(-1, DIGEST_BYTES)
        if progress:
            progress("comparing images", start + len(block), len(ids))
    return found


def combine(shape: tuple[int, ...], digests: np.ndarray) -> str:
    """`image_digest` of images that are read in place, from those of each, uint8 [n, 32]. shape: of all, [n, ...]."""
    digest = _begin(shape)
    digest.update(np.ascontiguousarray(digests).tobytes())
    return digest.hexdigest()


def _begin(shape: tuple[int, ...]):
    return hashlib.sha256(repr(tuple(shape)).encode())
