"""Base models: what models of the unedited training set predict, and how far they agree."""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from attribution.training.head.recipe import is_head
from attribution.workspace import heads

if TYPE_CHECKING:
    from attribution.workspace.workspace import Workspace


class BaseModels:
    """Predictions of models trained on the unedited training set, which differ in the seed alone.

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
        return float(np.sqrt(_log_margins(self.probabilities, self.labels).var(0, ddof=1).mean()))

    @cached_property
    def statuses(self) -> np.ndarray:
        """`agreement_status` of every target, str [n_val]."""
        return agreement_status(self.n_right, self.n_models)

    def target_status(self, target: int) -> str:
        """ "stable" (right in at least 9 of 10 models), "already_wrong" (at most 5 of 10) or "unstable" (between)."""
        return str(self.statuses[target])


def made_by(workspace: "Workspace") -> tuple[str, str | None]:
    """Name and hash of the recipe that made the base models of the model looked at; the hash is None where it is not
    recorded, and the name, too, is then only what they were taken for."""
    made = workspace.manifest["parts"].get("base", {})
    named = made.get("recipe")
    return (named if isinstance(named, str) else workspace.recipe), made.get("hash")


def base_of_recipe(workspace: "Workspace", recipe: str, recipe_hash: str) -> BaseModels | None:
    """Base models of the workspace that this recipe made, as its hash says where one is recorded; None where there are
    none."""
    for name in dict.fromkeys([workspace.recipe, *workspace.models()]):
        seen = workspace.with_model(name)
        made, made_hash = made_by(seen)
        if seen.has_base and made == recipe and made_hash in (None, recipe_hash):
            return seen.base
    return None


def describe_models(workspace: "Workspace") -> list[dict]:
    """What there is to say of each model of a workspace, its own first: {"recipe", "hash" (None where it is not
    recorded), "models" (how many networks), "accuracy" (None of a head that was not fitted yet, which takes seconds),
    "imported" (the names of its files, None where it was trained here), "how" it came, "made", "halves" (how many
    held-out halves), "warning": see `recipe_warning`}."""
    described = []
    for name in workspace.models():
        view = workspace.with_model(name)
        made, lds = (view.manifest["parts"].get(part, {}) for part in ("base", "lds"))
        described.append(
            {
                "recipe": name,
                "hash": view.get_recipe().hash if is_head(name) else made.get("hash"),
                "models": 1 if is_head(name) else view.base.n_models,
                "accuracy": _accuracy(view, name),
                "imported": made.get("sources") if made.get("imported") else None,
                "how": "fitted when asked" if is_head(name) else "imported" if made.get("imported") else "trained here",
                "made": made.get("made"),
                "halves": lds.get("masks", 0),
                "warning": recipe_warning(view) or None,
            }
        )
    return described


def _accuracy(workspace: "Workspace", name: str) -> float | None:
    if is_head(name):
        found = heads.measured(workspace, name)
        return found and round(found["accuracy"], 4)
    return round(float((workspace.base.predicted == workspace.val_labels).mean()), 4)


def recipe_warning(workspace: "Workspace", recipe: str | None = None) -> str:
    """Why base predictions of the model looked at say nothing certain of retrainings, a sentence without a full stop;
    "" where the recipe that retrains has made them. recipe: that retrains, by name, the model's own if not given."""
    if not workspace.has_base:
        return ""
    made, made_hash = made_by(workspace)
    retrains = workspace.get_recipe(recipe)
    if recipe in (None, made) and made == workspace.recipe and retrains.problem:
        return retrains.problem
    if made != retrains.name:
        return f"the base predictions are of {made}, and retraining is by {retrains.name}, another network or training"
    if made_hash not in (None, retrains.hash):
        return (
            f"the base predictions are of {made} {made_hash}, and that recipe has changed since: retraining is by "
            f"{retrains.name} {retrains.hash}"
        )
    return ""


def agreement_status(n_right, n_models: int) -> np.ndarray:
    """Status of targets that `n_right` (int, any shape) of `n_models` models predict right, str of that shape; see
    `BaseModels.target_status`."""
    share = np.asarray(n_right) / n_models
    return np.where(share >= 0.9, "stable", np.where(share <= 0.5, "already_wrong", "unstable"))


def mean_base_margins(workspace: "Workspace") -> np.ndarray:
    """Mean margin of the base models for each validation image, float64 [n_val]."""
    return _log_margins(workspace.base.probabilities.astype(float), workspace.val_labels).mean(0)


def _log_margins(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Log probability of the label minus that of the likeliest other class, [models, n_val], of probabilities [models,
    n_val, classes]."""
    logs = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    rows = np.arange(len(labels))
    correct = logs[:, rows, labels].copy()
    logs[:, rows, labels] = -np.inf
    return correct - logs.max(2)
