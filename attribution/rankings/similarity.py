"""Similarity rankings in a feature set, computed on demand: exemplar SVM, L2, cosine, ridge, and signed cosine.

The first three are from "A Simple and Efficient Baseline for Data Attribution on Images" (arXiv 2311.03386), section 3.
None depends on the model. Only signed cosine has a harmful end, which is a heuristic.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from attribution.errors import UserError
from attribution.metrics.precision import precision_of, sample_rows
from attribution.rankings.base import RankedImages, Ranking, check_k, top_k
from attribution.rankings.exemplar_svm import scores as exemplar_scores

if TYPE_CHECKING:
    from attribution.workspace.workspace import Workspace

#: from this many candidates on, L2 searches in two steps
MIN_TWO_STEP = 100_000
ROWS = 16_384  # that are worked on at a time
#: the widest features that ridge takes, since it holds a matrix of this squared; and the most images that go into it
MAX_RIDGE_DIM = 4096
MAX_RIDGE_IMAGES = 50_000


class Similarity(Ranking):
    """A ranking by similarity to the target in a feature set, among the images of its true class, as published."""

    conditioned = True
    live = True
    prefix: str

    def __init__(self, workspace: Workspace, feature: str):
        super().__init__(workspace)
        self.name = f"{self.prefix}-{feature}"
        self.feature = feature
        self.description = f"{feature} features · same class · live"

    @cached_property
    def features(self):
        """The feature set it is computed in."""
        return self.workspace.feature(self.feature)

    @cached_property
    def precision(self) -> type:
        """float32, or float64 where that would round away what tells images apart."""
        return precision_of(self.features.train)

    @property
    def version(self):
        """See `Ranking.version`."""
        return self.workspace.manifest["parts"][f"features/{self.feature}"].get("digest")

    def values(self, target, candidates):
        """See `Ranking.values`."""
        train = _take_rows(self.features.train, candidates).astype(self.precision, copy=False)
        return self.similarity(train, self.features.val[target].astype(self.precision))

    def similarity(self, train: np.ndarray, query: np.ndarray) -> np.ndarray:
        """Similarities [n] of train, [n, d], to query, [d], all of `precision`; larger is more similar."""
        raise NotImplementedError


class L2(Similarity):
    """Minus the Euclidean distance."""

    prefix, method = "l2", "L2"

    def similarity(self, train, query):
        """See `Similarity.similarity`."""
        return -np.linalg.norm(train - query, axis=1)

    def top(self, target, k, candidates=None, end="helpful"):
        """As `Ranking.top`. Among very many images a matrix-vector product finds those that may be among the first k,
        and only their distances are computed: the differences x - q would be a copy of all features.

        With c in the middle of the features, -|x - q|^2 is 2 x.(q - c) - |x - c|^2 and what all images share. How far
        rounding may move it is known (Higham 2002, section 3.1), so that no image of the first k is missed."""
        pool = self.candidates(self.workspace.check_target(target), candidates)
        if len(pool) < MIN_TWO_STEP or len(pool) < self.workspace.n_train or end != "helpful":
            return super().top(target, k, candidates, end)
        with np.errstate(over="ignore", invalid="ignore"):
            squares, lengths, centre = self._centred
            query = (self.features.val[target] - centre).astype(centre.dtype)
            nearness = 2 * self._product(query) - squares
        if not np.isfinite([nearness.min(), nearness.max()]).all():  # beyond what these floats hold
            return super().top(target, k, candidates, end)
        first = np.flatnonzero(nearness >= _kth_largest(nearness, min(check_k(k), len(pool))))
        rounding = (len(query) + 4) * float(np.finfo(centre.dtype).eps) / 2
        along = 2 * rounding * float(np.linalg.norm(query))
        reach = (nearness[first] - along * lengths[first] - rounding * squares[first]).min()
        nearness += along * lengths
        nearness += rounding * squares
        near = np.flatnonzero(nearness >= reach)
        values = np.concatenate([self.values(target, block) for block in _row_blocks(near)])
        order = top_k(values, k)
        return RankedImages(near[order], values[order])

    def _product(self, query) -> np.ndarray:
        train = self.features.train
        if train.dtype == query.dtype:
            return train @ query
        return np.concatenate([block.astype(query.dtype) @ query for block in _row_blocks(train)])

    @cached_property
    def _centred(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Squared distances [n_train] of the features from a point in their middle, their lengths [n_train], and that
        point [d]: float32, or float64 where the features are."""
        train = self.features.train
        dtype = np.promote_types(train.dtype, np.float32)
        centre = sample_rows(train).mean(0).astype(dtype)
        squares, lengths = np.empty(len(train), dtype), np.empty(len(train), dtype)
        for at, block in zip(range(0, len(train), ROWS), _row_blocks(train)):
            away = block - centre
            np.einsum("ij,ij->i", away, away, out=squares[at : at + ROWS])
            lengths[at : at + ROWS] = np.linalg.norm(block.astype(dtype, copy=False), axis=1)
        return squares, lengths, centre


class Cosine(Similarity):
    """The cosine of the angle; 0 where a feature vector is all zero."""

    prefix, method = "cosine", "Cosine"

    def similarity(self, train, query):
        """See `Similarity.similarity`."""
        lengths = np.linalg.norm(train, axis=1) * np.linalg.norm(query)
        return np.divide(train @ query, lengths, out=np.zeros(len(train), train.dtype), where=lengths > 0)


class ExemplarSVM(Similarity):
    """The decision value of a linear SVM with the target as its one positive and the candidates as negatives."""

    prefix, method = "esvm", "ESVM"

    def similarity(self, train, query):
        """See `Similarity.similarity`."""
        return exemplar_scores(train, query[None])[0]

    def all_scores(self, candidates=None):
        """See `Ranking.all_scores`."""
        batches: dict[bytes, list[int]] = {}  # targets that share their candidates
        for target in self.targets.tolist():
            batches.setdefault(self.candidates(target, candidates).tobytes(), []).append(target)
        dense = np.zeros((self.workspace.n_val, self.workspace.n_train), np.float32)
        for targets in batches.values():
            pool = self.candidates(targets[0], candidates)
            if len(pool):
                scores = exemplar_scores(
                    self.features.train[pool].astype(self.precision), self.features.val[targets].astype(self.precision)
                )
                dense[np.ix_(targets, pool)] = scores - scores.min(1, keepdims=True)
        return iter(dense)


class Ridge(Similarity):
    """The inner product phi_t (Phi^T Phi + lambda I)^-1 phi_i, over the features Phi of all training images.

    In a ridge regression on these features it is the effect of image i of the same class on the target's output, up to
    its residual: directions that all images share count less than in the plain inner product. lambda is the mean
    eigenvalue of Phi^T Phi, chosen before any measurement: stronger directions are whitened, weaker ones stay nearly as
    they are. The sign of the inner product says similar or dissimilar, not helpful or harmful, so this is a similarity
    like the others. Phi has at most MAX_RIDGE_IMAGES training images, evenly spaced.
    """

    prefix, method = "ridge", "Ridge"

    def similarity(self, train, query):
        """See `Similarity.similarity`."""
        return train @ (self._inverse @ query)

    @cached_property
    def _inverse(self) -> np.ndarray:
        """(Phi^T Phi + lambda I)^-1 times lambda, so that scores do not depend on how many images there are: [d, d] of
        `precision`. Raises UserError for more than MAX_RIDGE_DIM dimensions."""
        train = self.features.train
        width = train.shape[1]
        if width > MAX_RIDGE_DIM:
            raise UserError(
                f"{self.feature} features are {width:,} wide, and ridge takes at most {MAX_RIDGE_DIM:,}; choose "
                "another feature set"
            )
        sample = np.linspace(0, len(train) - 1, min(len(train), MAX_RIDGE_IMAGES)).astype(np.int64)
        product = np.zeros((width, width))
        for block in _row_blocks(sample):
            rows: np.ndarray = _take_rows(train, block).astype(self.precision, copy=False)
            product += rows.T @ rows
        mean = np.trace(product) / width or 1.0  # 1 where all features are zero
        return np.linalg.inv(product / mean + np.eye(width)).astype(self.precision)


class SignedCosine(Similarity):
    """A similarity with a harmful end, by a heuristic: similar images of the target's class help, similar images of
    other classes harm.

    The score is the cosine of the features minus the training images' mean, so that 0 is the similarity of unrelated
    images. Negative cosines count as 0, at neither end. For images of another class than the target's true one the
    score is negated. No model is involved: the sign is a guess.
    """

    prefix, method = "signed", "Signed cosine"
    signed, conditioned = True, False

    def __init__(self, workspace, feature):
        super().__init__(workspace, feature)
        self.description = f"{feature} features · the sign is a heuristic: other classes harm · live"

    def values(self, target, candidates):
        """See `Ranking.values`."""
        query = self.features.val[target].astype(self.precision) - self._mean
        along = _inner_products(self.features.train, candidates, query) - self._mean @ query
        lengths = self._lengths[candidates] * np.linalg.norm(query)
        cosine = np.divide(along, lengths, out=np.zeros(len(candidates), self.precision), where=lengths > 0)
        same = self.workspace.train_labels[candidates] == self.workspace.val_labels[target]
        return np.where(same, 1, -1).astype(self.precision) * np.maximum(cosine, 0)

    def image_scores(self, image):
        """As `Ranking.image_scores`, by a product with the features of all validation images."""
        query = self.features.train[image].astype(self.precision) - self._mean
        cosines = []
        for block in _row_blocks(self.features.val):
            centred = block - self._mean
            lengths = np.linalg.norm(centred, axis=1) * np.linalg.norm(query)
            cosines.append(
                np.divide(centred @ query, lengths, out=np.zeros(len(block), self.precision), where=lengths > 0)
            )
        same = self.workspace.val_labels == self.workspace.train_labels[image]
        return np.where(same, 1, -1).astype(self.precision) * np.maximum(np.concatenate(cosines), 0)

    def top(self, target, k, candidates=None, end="helpful"):
        """See `Ranking.top`."""
        ranked = super().top(target, k, candidates, end)
        at_end = (ranked.scores if end == "helpful" else -ranked.scores) > 0
        return RankedImages(ranked.ids[at_end], ranked.scores[at_end])

    @cached_property
    def _mean(self) -> np.ndarray:
        """Mean of the training images' features, [d] of `precision`."""
        train = self.features.train
        return (sum(block.sum(0, dtype=np.float64) for block in _row_blocks(train)) / len(train)).astype(self.precision)

    @cached_property
    def _lengths(self) -> np.ndarray:
        """Lengths of the centred features, [n_train] of `precision`."""
        return np.concatenate(
            [np.linalg.norm(block - self._mean, axis=1) for block in _row_blocks(self.features.train)]
        )


def _kth_largest(values, k: int):
    """The k-th largest of `values` [n], k <= n. Of many, the largest of each stretch are looked at first: the k-th of
    these is at most as large."""
    size = len(values) // (8 * k)
    if size > 1:
        heads = values[: len(values) // size * size].reshape(-1, size).max(1)
        values = values[values >= np.partition(heads, -k)[-k]]
    return np.partition(values, -k)[-k]


def _inner_products(train, candidates, query) -> np.ndarray:
    """Inner products of the rows `candidates` with a vector, [n] of its type, without a copy of all features."""
    if train.dtype == query.dtype and len(candidates) == len(train):
        return train @ query
    blocks = (_take_rows(train, block).astype(query.dtype, copy=False) @ query for block in _row_blocks(candidates))
    return np.concatenate([np.zeros(0, query.dtype), *blocks])


def _take_rows(array, ids) -> np.ndarray:
    """The rows `ids` (ascending) of an array; a view where they are consecutive, as the images of a class in a folder
    of class folders are."""
    if len(ids) and ids[-1] - ids[0] + 1 == len(ids):
        return array[ids[0] : ids[-1] + 1]
    return array[ids]


def _row_blocks(array, size: int = ROWS):
    return (array[at : at + size] for at in range(0, len(array), size))


METHODS = {"esvm": ExemplarSVM, "l2": L2, "cosine": Cosine, "ridge": Ridge, "signed": SignedCosine}


def names(workspace: Workspace) -> list[str]:
    """Names of the similarity rankings of a workspace: all methods in each feature set, except ridge where the features
    are known to have more than MAX_RIDGE_DIM dimensions."""
    return [
        f"{method}-{feature}"
        for feature in workspace.features()
        for method in METHODS
        if method != "ridge" or feature_dim(workspace, feature) <= MAX_RIDGE_DIM
    ]


def load(workspace: Workspace, name: str) -> Similarity:
    """The ranking `name`, one of `names`."""
    method, _, feature = name.partition("-")
    return METHODS[method](workspace, feature)


def feature_dim(workspace: Workspace, feature: str) -> int:
    """Dimensions of a feature set as the manifest says, 0 where it does not."""
    dim = workspace.manifest["parts"][f"features/{feature}"].get("dim")
    if dim is None and feature == "pixels":
        dim = np.prod(workspace.manifest["dataset"].get("shape", [0]))
    return int(dim or 0)
