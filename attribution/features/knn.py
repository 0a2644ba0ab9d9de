"""kNN accuracy: how good features are, judged without training anything on them.

The paper reports it for its features (Singla et al., arXiv 2311.03386, section 4). One K and one distance serve all
feature sets, so that no set is flattered by a choice of its own.
"""

import faiss
import numpy as np

K = 20
#: numbers in the training features up to which `measured` measures
MEASURED = 250_000_000


def knn_predict(train: np.ndarray, labels: np.ndarray, features: np.ndarray, k: int = K) -> np.ndarray:
    """The majority label of the k training images with the greatest cosine similarity.

    A tie goes to the class whose neighbours are the more similar in sum.

    Args:
        train: float [n_train, d].
        labels: int [n_train], from 0.
        features: float [n, d].
        k: at most n_train are taken.

    Returns:
        int64 [n].
    """
    train, features = _unit(train), _unit(features)
    labels = np.asarray(labels, np.int64)
    k = min(k, len(train))
    index = faiss.IndexFlatIP(train.shape[1])
    index.add(train)
    similarity, nearest = index.search(features, k)
    row = np.arange(len(nearest))[:, None]
    votes = np.zeros((len(nearest), labels.max() + 1))
    # a vote counts 1, and similarities, which lie in [-1, 1], can only decide between equal counts
    np.add.at(votes, (row, labels[nearest]), 1 + similarity / (4 * k))
    return votes.argmax(1)


def knn_accuracy(
    train: np.ndarray, train_labels: np.ndarray, features: np.ndarray, labels: np.ndarray, k: int = K
) -> float:
    """The share of `features` [n, d] whose `knn_predict` is their label [n], in [0, 1]."""
    return float((knn_predict(train, train_labels, features, k) == np.asarray(labels)).mean())


def nearest(train: np.ndarray, k: int = K, block: int = 2000):
    """The k nearest other images of each training image by cosine, a block of images at a time: yields (the block's
    first image, ids int64 [b, k], cosines float32 [b, k]), nearest first. train: float [n, d], n > 1; at most n - 1 are
    taken."""
    train = _unit(train)
    k = min(k, len(train) - 1)
    index = faiss.IndexFlatIP(train.shape[1])
    index.add(train)
    for start in range(0, len(train), block):
        cosine, ids = index.search(train[start : start + block], k + 1)
        other = ids != np.arange(start, start + len(ids))[:, None]
        other[other.all(1), -1] = False  # as many copies stand before the image itself
        yield start, ids[other].reshape(-1, k), cosine[other].reshape(-1, k)


def measured(workspace, train: np.ndarray, val: np.ndarray) -> dict:
    """What a workspace says of a feature set, [n_train, d] and [n_val, d], that has no other images to be judged on:
    knn_accuracy, knn_k, measured_on; nothing where it is so large that a copy of it for faiss would be too much."""
    if train.size > MEASURED:
        return {}
    accuracy = knn_accuracy(np.asarray(train), workspace.train_labels, np.asarray(val), workspace.val_labels)
    return {"knn_accuracy": round(accuracy, 4), "knn_k": K, "measured_on": "the validation images"}


def _unit(features: np.ndarray) -> np.ndarray:
    features = np.asarray(features, np.float32)
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
