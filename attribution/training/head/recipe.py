"""Heads as recipes: which there are, and what their hash covers; and the trainer of one."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from attribution.errors import UserError
from attribution.training.edits import Edit, no_edit
from attribution.training.head import head as head_module
from attribution.training.head.head import Head, margins_of
from attribution.training.probabilities import check_finite, probabilities_of

PREFIX = "head-"


@dataclass(frozen=True)
class HeadRecipe:
    """Multinomial logistic regression on the feature set `features`. hash: covers the features' digest, the rule that
    chooses the penalty, and the solver's version."""

    name: str
    features: str
    hash: str

    kind = "head"
    deterministic = True  # one training stands for all seeds
    epochs = threads = 1
    problem = ""


def head_recipe(features: str, digest: str) -> HeadRecipe:
    """The recipe of the head on a feature set. digest: of its vectors."""
    covered = {"features": digest, "version": head_module.VERSION, "penalties": list(head_module.PENALTIES)}
    digest = hashlib.sha256(json.dumps(covered, sort_keys=True).encode()).hexdigest()[:12]
    return HeadRecipe(PREFIX + features, features, digest)


def is_head(name: str) -> bool:
    """Whether a recipe's name is that of a head."""
    return name.startswith(PREFIX)


@dataclass(frozen=True)
class HeadOutcome:
    """As `attribution.training.trainer.TrainingOutcome`; weights: of `Head.refit`; margins float64."""

    predicted: np.ndarray
    margins: np.ndarray
    probabilities: np.ndarray
    seconds: float
    weights: np.ndarray
    device: str = "cpu"
    library: str = f"head {head_module.VERSION}, numpy {np.__version__}"


class HeadTrainer:
    """Refits one head, as often as asked. train, val: its features, float [n, d]; val_labels: the true ones."""

    def __init__(self, recipe: HeadRecipe, head: Head, train: np.ndarray, val: np.ndarray, val_labels: np.ndarray):
        self.recipe, self.head, self.val_labels = recipe, head, np.asarray(val_labels)
        self.train, self.val = train, np.asarray(val)

    def run(
        self, edit: Edit | None = None, seed: int = 0, on_epoch: Callable[[int, int], None] | None = None
    ) -> HeadOutcome:
        """The head without what the edit removes, or with its labels. The seed changes nothing. Raises UserError where
        the edit leaves no image, and where predictions are no numbers."""
        keep, labels = (edit or no_edit()).apply(self.head.labels)
        if not len(keep):
            raise UserError("the edit removes every training image; leave some")
        start = time.perf_counter()
        weights = self.head.refit(keep, labels)
        logits = self.head.logits(weights, self.val)
        check_finite(logits, self.recipe.name)
        predicted = logits.argmax(1).astype(np.min_scalar_type(logits.shape[1] - 1))
        margins = margins_of(logits, self.val_labels)
        return HeadOutcome(predicted, margins, probabilities_of(logits), time.perf_counter() - start, weights)

    def train_probabilities(self, outcome: HeadOutcome, ids) -> np.ndarray:
        """Class probabilities of the training images `ids`, float32 [len(ids), classes]."""
        return probabilities_of(self.head.logits(outcome.weights, self.train[np.asarray(ids, np.int64)]))
