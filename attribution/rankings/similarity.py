"""Similarity rankings in a feature set, computed when asked: exemplar SVM, L2 and cosine.

The method of "A Simple and Efficient Baseline for Data Attribution on Images" (arXiv 2311.03386), section 3. None of
the three knows the model, and none has a harmful end.
"""

from functools import cached_property

import numpy as np

from attribution.rankings import Ranked, Ranking, check_k, first
from attribution.rankings.exemplar_svm import scores as exemplar_scores

#: from this many candidates on, distances are looked for in two steps; how many more than k the first one finds, since
#: in float32 its order can differ by a little
MANY = 100_000
SPARE = 64


class Similarity(Ranking):
    """What the three share: a feature set, and candidates of the target's true class as published."""

    conditioned = True
    live = True
    prefix: str

    def __init__(self, workspace, feature: str):
        super().__init__(workspace)
        self.name = f"{self.prefix}-{feature}"
        self.feature = feature
        self.about = f"{feature} features · same class · live"

    @cached_property
    def features(self):
        return self.workspace.feature(self.feature)

    @property
    def version(self):
        return self.workspace.manifest["parts"][f"features/{self.feature}"].get("digest")

    def values(self, target, candidates):
        train = _rows(self.features.train, candidates).astype(np.float32, copy=False)
        return self.similarity(train, self.features.val[target].astype(np.float32))

    def similarity(self, train: np.ndarray, query: np.ndarray) -> np.ndarray:
        """train float32 [n, d], query float32 [d] -> float32 [n], larger is more similar."""
        raise NotImplementedError


class L2(Similarity):
    """Minus the Euclidean distance."""

    prefix, method = "l2", "L2"

    def similarity(self, train, query):
        return -np.linalg.norm(train - query, axis=1)

    def top(self, target, k, candidates=None, end="helpful"):
        """As `Ranking.top`. Among very many images one matrix-vector product finds a few more than k, by
        |x|^2 - 2 x.q, and only these are measured: the difference itself would be a copy of all features."""
        pool = self.candidates(self.workspace.check_target(target), candidates)
        if len(pool) < MANY or len(pool) < self.workspace.n_train or end != "helpful":
            return super().top(target, k, candidates, end)
        query = self.features.val[target].astype(np.float32)
        near = np.sort(first(2 * self._product(query) - self._squares, check_k(k) + SPARE))
        values = self.values(target, near)
        order = first(values, k)
        return Ranked(near[order], values[order])

    def _product(self, query) -> np.ndarray:
        train = self.features.train
        if train.dtype == np.float32:
            return train @ query
        return np.concatenate([block.astype(np.float32) @ query for block in _blocks(train)])

    @cached_property
    def _squares(self) -> np.ndarray:
        """Squared lengths of the features, float32 [n_train]."""
        return np.concatenate([np.einsum("ij,ij->i", block, block, dtype=np.float32)
                               for block in _blocks(self.features.train)])


class Cosine(Similarity):
    """The cosine of the angle; 0 where a feature vector is all zero."""

    prefix, method = "cosine", "Cosine"

    def similarity(self, train, query):
        lengths = np.linalg.norm(train, axis=1) * np.linalg.norm(query)
        return np.divide(train @ query, lengths, out=np.zeros(len(train), np.float32), where=lengths > 0)


class ExemplarSVM(Similarity):
    """The decision value of a linear SVM with the target as its one positive and the candidates as negatives."""

    prefix, method = "esvm", "ESVM"

    def similarity(self, train, query):
        return exemplar_scores(train, query[None])[0]

    def all_scores(self, candidates=None):
        together: dict[bytes, list[int]] = {}  # targets that share their candidates
        for target in self.targets.tolist():
            together.setdefault(self.candidates(target, candidates).tobytes(), []).append(target)
        dense = np.zeros((self.workspace.n_val, self.workspace.n_train), np.float32)
        for targets in together.values():
            pool = self.candidates(targets[0], candidates)
            if len(pool):
                found = exemplar_scores(self.features.train[pool].astype(np.float32),
                                        self.features.val[targets].astype(np.float32))
                dense[np.ix_(targets, pool)] = found - found.min(1, keepdims=True)
        return iter(dense)


def _rows(array, ids) -> np.ndarray:
    """The rows `ids` (ascending) of an array: not a copy where they follow each other, as a class does in a folder of
    class folders."""
    if len(ids) and ids[-1] - ids[0] + 1 == len(ids):
        return array[ids[0] : ids[-1] + 1]
    return array[ids]


def _blocks(array, size: int = 16_384):
    return (array[at : at + size] for at in range(0, len(array), size))


METHODS = {"esvm": ExemplarSVM, "l2": L2, "cosine": Cosine}
