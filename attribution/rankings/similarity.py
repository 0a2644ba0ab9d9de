"""Similarity rankings in a feature set, computed when asked: exemplar SVM, L2 and cosine.

The method of "A Simple and Efficient Baseline for Data Attribution on Images" (arXiv 2311.03386), section 3. None of
the three knows the model, and none has a harmful end.
"""

from functools import cached_property

import numpy as np

from attribution.rankings import Ranking
from attribution.rankings.exemplar_svm import scores as exemplar_scores


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
        return self.similarity(np.asarray(self.features.train[candidates]), np.asarray(self.features.val[target]))

    def similarity(self, train: np.ndarray, query: np.ndarray) -> np.ndarray:
        """train float32 [n, d], query float32 [d] -> float32 [n], larger is more similar."""
        raise NotImplementedError


class L2(Similarity):
    """Minus the Euclidean distance."""

    prefix, method = "l2", "L2"

    def similarity(self, train, query):
        return -np.linalg.norm(train - query, axis=1)


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

    def all_scores(self):
        labels = self.workspace.val_labels
        dense = np.zeros((len(labels), self.workspace.n_train), np.float32)
        for label in np.unique(labels):
            targets = np.flatnonzero(labels == label)
            pool = self.candidates(targets[0])
            if len(pool):
                found = exemplar_scores(self.features.train[pool], self.features.val[targets])
                dense[np.ix_(targets, pool)] = found - found.min(1, keepdims=True)
        return iter(dense)


METHODS = {"esvm": ExemplarSVM, "l2": L2, "cosine": Cosine}
