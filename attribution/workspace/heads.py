"""The heads of a workspace: linear classifiers on its feature sets, fitted when first asked for and kept.

What takes seconds, the choice of the penalty and the weights of the first fit, is kept in the data folder by the head's
hash. A workspace may bring it as a part, so that its first visitor does not wait for it.
"""

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from attribution.errors import UserError
from attribution.files import data_folder, read_array, read_json, write_array, write_json
from attribution.training.head import Head
from attribution.training.head.recipe import PREFIX, HeadRecipe, HeadTrainer, head_recipe, is_head
from attribution.training.probabilities import probabilities_of
from attribution.workspace.manifest import MODEL_FOLDER

if TYPE_CHECKING:
    from attribution.workspace.workspace import Workspace

FITTING = threading.Lock()  # who asks for a head that another thread fits waits for that one
PART = "head"  # of a head's own: what a workspace brings of its fit


@dataclass(frozen=True)
class FittedHead:
    """A head of a workspace. probabilities: of the validation images, float32 [n_val, classes]; accuracy: on these;
    seconds: of a fit to all training images."""

    recipe: HeadRecipe
    head: Head
    probabilities: np.ndarray
    accuracy: float
    seconds: float

    @property
    def record(self) -> dict:
        """What `measured` says of it, for JSON."""
        chosen = {str(tried): share for tried, share in self.head.choice.accuracies.items()}
        return {
            "penalty": self.head.penalty,
            "accuracies": chosen,
            "accuracy": self.accuracy,
            "seconds": self.seconds,
        }


def names(workspace: "Workspace") -> list[str]:
    """The heads that can be asked for: one a feature set, but not on pixels, which are a control."""
    return [PREFIX + name for name in workspace.features() if name != "pixels"]


def check_seen(workspace: "Workspace", why: str) -> None:
    """Raises UserError where the workspace is not seen by a head. why: only a head will do, a clause."""
    if not is_head(workspace.recipe):
        other = next(iter(names(workspace)), f"{PREFIX}moco")
        raise UserError(f"{workspace.recipe} is no head, and {why}; choose one: --model {other}")


def find_recipe(workspace: "Workspace", name: str) -> HeadRecipe:
    """The recipe of the head `name`. Raises UserError naming those there are."""
    features = name.removeprefix(PREFIX)
    if features not in workspace.features():
        there = ", ".join(names(workspace)) or "none, since it has no features yet"
        raise UserError(f"no head {name!r} in {workspace.name}; there is {there}")
    return head_recipe(features, _features_digest(workspace, features))


def fit(workspace: "Workspace", name: str) -> FittedHead:
    """Fits the head `name` to all training images. Raises UserError as `find_recipe` and `Head.fit`."""
    recipe, known = find_recipe(workspace, name), measured(workspace, name)
    features, labels = workspace.feature(recipe.features), np.asarray(workspace.train_labels)
    train, val = np.asarray(features.train[:]), np.asarray(features.val[:])
    start = time.perf_counter()
    with threadpool_limits(1):  # the products are small: BLAS threads would mostly wait for each other
        head = Head.fit(
            train, labels, len(workspace.classes), known and known["penalty"], _kept_weights(workspace, recipe)
        )
    seconds = time.perf_counter() - start
    logits = head.logits(head.weights, val)
    accuracy = float((logits.argmax(1) == workspace.val_labels).mean())
    fitted = FittedHead(recipe, head, probabilities_of(logits), accuracy, seconds)
    if known is None:
        with suppress(OSError):  # a full disk: it is chosen again next time
            write_array(_own_folder(workspace) / f"{recipe.hash}.npy", head.weights)
            write_json(_own_folder(workspace) / f"{recipe.hash}.json", fitted.record)
    return fitted


def measured(workspace: "Workspace", name: str) -> dict | None:
    """{"penalty", "accuracies" (of the penalties tried), "accuracy" (on the validation images), "seconds"} of a head
    that was fitted before; else None."""
    with suppress(UserError):
        recipe = find_recipe(workspace, name)
        for file in _kept_files(workspace, recipe, ".json"):
            with suppress(OSError, UserError, KeyError, TypeError, ValueError):
                found = read_json(file)
                return {**found, **{key: float(found[key]) for key in ("penalty", "accuracy", "seconds")}}
    return None


def make_trainer(workspace: "Workspace", name: str) -> HeadTrainer:
    """What refits the head `name`. Raises UserError as `fit`."""
    fitted = workspace.head(name.removeprefix(PREFIX))
    features = workspace.feature(fitted.recipe.features)
    return HeadTrainer(fitted.recipe, fitted.head, features.train, features.val, workspace.val_labels)


def _own_folder(workspace: "Workspace") -> Path:
    """Where fits are kept that were made here."""
    return data_folder() / workspace.fingerprint[:16] / "heads"


def _kept_files(workspace: "Workspace", recipe: HeadRecipe, ending: str) -> Iterator[Path]:
    """Where the record of an earlier fit (".json") or its weights (".npy") may be: made here, or brought along."""
    for folder in (_own_folder(workspace), workspace.path / MODEL_FOLDER / recipe.name / PART):
        yield folder / f"{recipe.hash}{ending}"


def _kept_weights(workspace: "Workspace", recipe: HeadRecipe) -> np.ndarray | None:
    """The weights of an earlier fit, to begin with; None where there are none that could be."""
    width = workspace.feature(recipe.features).train.shape[1] + 1
    for file in _kept_files(workspace, recipe, ".npy"):
        with suppress(OSError, UserError, ValueError):
            weights = np.asarray(read_array(file))
            if (
                weights.dtype == np.float64
                and weights.shape == (width, len(workspace.classes))
                and np.isfinite(weights).all()
            ):
                return weights
    return None


def _features_digest(workspace: "Workspace", features: str) -> str:
    """The digest of a feature set's vectors, as its provenance says, else computed."""
    if digest := workspace.manifest["parts"].get(f"features/{features}", {}).get("digest"):
        return digest
    vectors, digest = workspace.feature(features), hashlib.sha256()
    for array in (vectors.train, vectors.val):
        digest.update(np.ascontiguousarray(array[:]).tobytes())
    return digest.hexdigest()[:16]
