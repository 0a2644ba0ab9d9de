"""Nearest neighbours by cosine, exact; and kNN accuracy: how good features are without training on them.

faiss searches, in float32; features that share so large a part that all of them have one cosine in float32 are compared
in float64, by NumPy.

The paper reports kNN accuracy for its features (Singla et al., arXiv 2311.03386, section 4). One K and one distance
serve all feature sets, so that no set is flattered by a choice of its own.

Features that are not finite count as zeros, which are similar to nothing (cosine 0).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import faiss
import numpy as np

from attribution.features.unit_rows import unit_rows
from attribution.metrics.precision import precision_of
from attribution.rankings.base import top_k

if TYPE_CHECKING:
    from attribution.workspace.workspace import Workspace

N_NEIGHBOURS = 20
#: numbers in the training features up to which `measure_knn` measures
MAX_VALUES = 250_000_000
PRECISE_QUERIES = 256  # that are compared at a time in float64: with 100,000 images in 200 MB


def knn_predict(train: np.ndarray, labels: np.ndarray, features: np.ndarray, k: int = N_NEIGHBOURS) -> np.ndarray:
    """The majority label of the k training images with the greatest cosine similarity.

    A tie goes to the class whose neighbours are the more similar in sum.

    Parameters
    ----------
    train : float [n_train, d]
    labels : int [n_train], from 0
    features : float [n, d]
    k : int
        At most n_train are taken.

    Returns
    -------
    int64 [n]
    """
    labels = np.asarray(labels, np.int64)
    cosines, ids = search(train, features, k)
    votes = np.zeros((len(ids), labels.max() + 1))
    # a vote counts 1, and cosines, which lie in [-1, 1], can only decide between equal counts
    np.add.at(votes, (np.arange(len(ids))[:, None], labels[ids]), 1 + cosines / (4 * ids.shape[1]))
    return votes.argmax(1)


def knn_accuracy(
    train: np.ndarray, train_labels: np.ndarray, features: np.ndarray, labels: np.ndarray, k: int = N_NEIGHBOURS
) -> float:
    """The share of `features` [n, d] whose `knn_predict` is their label [n], in [0, 1]."""
    return float((knn_predict(train, train_labels, features, k) == np.asarray(labels)).mean())


def nearest_neighbours(
    train: np.ndarray, k: int = N_NEIGHBOURS, block: int = 2000
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """The k nearest other images of every training image, a block of images at a time.

    Parameters
    ----------
    train : float [n, d], n > 1
    k : int
        At most n - 1 are taken.
    block : int
        Images whose neighbours are yielded at a time.

    Yields
    ------
    first : int
        The block's first image.
    ids : int64 [b, k]
        Nearest first.
    cosines : float [b, k]
    """
    train = _finite_unit_rows(train, precision_of(train))
    k = min(k, len(train) - 1)
    for start in range(0, len(train), block):
        queries = train[start : start + block]
        cosines, ids = _largest_products(queries, train, k + 1)
        other = _is_other(ids, np.arange(start, start + len(ids)))
        yield start, ids[other].reshape(-1, k), cosines[other].reshape(-1, k)


def neighbours(train: np.ndarray, images: np.ndarray, k: int, block: int) -> np.ndarray:
    """The k nearest other training images of the training images `images`: int64 [m, k], nearest first.

    At most n - 1 are taken. train: float [n, d]; images: int [m]; block: as in `search`.
    """
    images, k = np.asarray(images), min(k, len(train) - 1)
    _, ids = search(train, train[images], k + 1, block)
    return ids[_is_other(ids, images)].reshape(len(images), k)


def search(train: np.ndarray, queries: np.ndarray, k: int, block: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The k most similar rows of `train` for each query.

    Parameters
    ----------
    train : float [n_train, d]
    queries : float [m, d]
    k : int
        At most n_train are taken, so that faiss's label for a missing neighbour, -1, never comes up.
    block : int, optional
        Rows of `train` that are normalised and searched at a time, all if not given: it bounds the memory.

    Returns
    -------
    cosines : float [m, min(k, n_train)]
        Largest first. Ties within a block come as faiss has them, an earlier block's before a later one's.
    ids : int64 [m, min(k, n_train)]
    """
    precision, block = precision_of(train), block or max(len(train), 1)
    queries = _finite_unit_rows(queries, precision)
    cosines, ids = np.zeros((len(queries), 0), precision), np.zeros((len(queries), 0), np.int64)
    for start in range(0, len(train), block):
        rows = _finite_unit_rows(train[start : start + block], precision)
        block_cosines, block_ids = _largest_products(queries, rows, min(k, len(rows)))
        cosines, ids = np.hstack([cosines, block_cosines]), np.hstack([ids, block_ids + start])
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
        cosines, ids = np.take_along_axis(cosines, order, 1), np.take_along_axis(ids, order, 1)
    return cosines, ids


def measure_knn(workspace: Workspace, train: np.ndarray, val: np.ndarray) -> dict:
    """What is stored of a feature set that has no other images to be judged on: its kNN accuracy on the validation
    images.

    train: float [n_train, d]; val: float [n_val, d]. Returns knn_accuracy (in [0, 1]), knn_k and measured_on; an empty
    dict where `train` holds more than MEASURED numbers, since faiss needs a copy of it.
    """
    if train.size > MAX_VALUES:
        return {}
    accuracy = knn_accuracy(np.asarray(train), workspace.train_labels, np.asarray(val), workspace.val_labels)
    return {"knn_accuracy": round(accuracy, 4), "knn_k": N_NEIGHBOURS, "measured_on": "the validation images"}


def _finite_unit_rows(features: np.ndarray, precision: type) -> np.ndarray:
    """`unit_rows`, with zeros for what is not finite."""
    return unit_rows(np.nan_to_num(np.array(features, precision), posinf=0, neginf=0), precision)


def _largest_products(queries: np.ndarray, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k largest inner products of each query [m, d] with the rows [n, d], k <= n, largest first, and which rows
    these are, int64: both [m, k]."""
    if rows.dtype == np.float32:
        return faiss.knn(queries, rows, k, metric=faiss.METRIC_INNER_PRODUCT)
    products, ids = np.empty((len(queries), k)), np.empty((len(queries), k), np.int64)
    for start in range(0, len(queries), PRECISE_QUERIES):
        for at, row in enumerate(queries[start : start + PRECISE_QUERIES] @ rows.T, start):
            ids[at] = top_k(row, k)
            products[at] = row[ids[at]]
    return products, ids


def _is_other(ids: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Which of the neighbours `ids` int [m, k + 1] are not the image itself, `images` [m]: bool, k of each row."""
    other = ids != images[:, None]
    other[other.all(1), -1] = False  # the image has k + 1 copies before itself
    return other
