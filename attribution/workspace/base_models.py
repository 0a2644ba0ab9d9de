"""Base models: what models of the unedited training set predict, and how sure their verdicts are."""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    pass


class BaseModels:
    """What the unedited recipe predicts, over models that differ in the seed alone.

    probabilities: float32 [models, n_val, classes]; labels: the true label of each validation image, int [n_val].
    """

    def __init__(self, probabilities: np.ndarray, labels: np.ndarray):
        self.probabilities = np.asarray(probabilities, np.float32)
        self.labels = labels
        self.n_models, n_val, classes = self.probabilities.shape
        #: uint8 [models, n_val], uint16 where there are more than 256 classes
        self.predicted = self.probabilities.argmax(2).astype(np.min_scalar_type(classes - 1))
        votes = np.stack([(self.predicted == c).sum(0) for c in range(classes)], 1)
        #: int [n_val], the class most models predict; ties go to the larger mean probability
        self.prediction = (votes + 1e-3 * self.mean_probabilities).argmax(1)
        #: float [n_val], mean probability of `prediction`
        self.confidence = self.mean_probabilities[np.arange(n_val), self.prediction]
        #: int [n_val], how many models predict the true label
        self.n_right = (self.predicted == labels).sum(0)
        ranks = (-self.probabilities).argsort(2).argsort(2).mean(0)
        ranks[np.arange(n_val), labels] = np.inf
        #: int [n_val], the most likely wrong class: best mean rank over the models (docs/protocol.md, section 2)
        self.likeliest_wrong_class = ranks.argmin(1)
        #: int [n_val], the class that a target is mistaken for: what most models predict where that is wrong, else
        #: `likeliest_wrong_class`
        self.confused_class = np.where(self.prediction != labels, self.prediction, self.likeliest_wrong_class)

    @cached_property
    def mean_probabilities(self) -> np.ndarray:
        """Mean probability over the models, float32 [n_val, classes]."""
        return self.probabilities.mean(0)

    @cached_property
    def noise(self) -> float:
        """Standard deviation of a margin (correct logit minus the best other) over seeds: root mean variance over the
        validation images; 0 for one model."""
        if self.n_models < 2:
            return 0.0
        found = np.log(np.maximum(self.probabilities, np.finfo(np.float32).tiny))
        at = np.arange(len(self.labels))
        correct = found[:, at, self.labels].copy()
        found[:, at, self.labels] = -np.inf
        return float(np.sqrt((correct - found.max(2)).var(0, ddof=1).mean()))

    @cached_property
    def statuses(self) -> np.ndarray:
        """`agreement_status` of every target, str [n_val]."""
        return agreement_status(self.n_right, self.n_models)

    def target_status(self, target: int) -> str:
        """ "stable" (right in at least 9 of 10 models), "already_wrong" (at most 5 of 10) or "unstable" (between)."""
        return str(self.statuses[target])


def agreement_status(right, models: int) -> np.ndarray:
    """What so many right of so many models say of a target, str: "stable", "already_wrong" or "unstable", see
    `BaseModels.target_status`. right: int, any shape."""
    share = np.asarray(right) / models
    return np.where(share >= 0.9, "stable", np.where(share <= 0.5, "already_wrong", "unstable"))


def mean_base_margins(workspace) -> np.ndarray:
    """Mean margin of the base models for each validation image: log probability of its class less that of the most
    likely other, float64 [n_val]."""
    logs = np.log(np.maximum(workspace.base.probabilities.astype(float), np.finfo(np.float32).tiny))
    at = np.arange(workspace.n_val)
    correct = logs[:, at, workspace.val_labels].copy()
    logs[:, at, workspace.val_labels] = -np.inf
    return (correct - logs.max(2)).mean(0)
