"""The heads of a workspace: linear classifiers on its feature sets, fitted when first asked for and kept.

What takes seconds, the choice of the penalty and the first fit, is kept in the data folder by the head's hash.
"""

import hashlib
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from attribution.errors import UserError
from attribution.files import data_folder, read_json, write_json
from attribution.training.head import Head
from attribution.training.head.recipe import PREFIX, HeadRecipe, HeadTrainer, head_recipe, softmax

if TYPE_CHECKING:
    from attribution.workspace.workspace import Workspace


@dataclass(frozen=True)
class FittedHead:
    """A head of a workspace. probabilities: of the validation images, float32 [n_val, classes]; accuracy: on these;
    seconds: of a fit to all training images."""

    recipe: HeadRecipe
    head: Head
    probabilities: np.ndarray
    accuracy: float
    seconds: float


def names(workspace: "Workspace") -> list[str]:
    """The heads that can be asked for: one a feature set, but not on pixels, which are a control."""
    return [PREFIX + name for name in workspace.features() if name != "pixels"]


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
        head = Head.fit(train, labels, len(workspace.classes), known and known["penalty"])
    seconds = time.perf_counter() - start
    logits = head.logits(head.weights, val)
    accuracy = float((logits.argmax(1) == workspace.val_labels).mean())
    if known is None:
        chosen = {str(tried): share for tried, share in head.choice.accuracies.items()}
        found = {"penalty": head.penalty, "accuracies": chosen, "accuracy": accuracy, "seconds": seconds}
        with suppress(OSError):  # a full disk: it is chosen again next time
            write_json(_file(workspace, recipe), found)
    return FittedHead(recipe, head, softmax(logits), accuracy, seconds)


def measured(workspace: "Workspace", name: str) -> dict | None:
    """{"penalty", "accuracies" (of the penalties tried), "accuracy" (on the validation images), "seconds"} of a head
    that was fitted before; else None."""
    try:
        found = read_json(_file(workspace, find_recipe(workspace, name)))
        return {**found, **{key: float(found[key]) for key in ("penalty", "accuracy", "seconds")}}
    except (OSError, UserError, KeyError, TypeError, ValueError):
        return None


def make_trainer(workspace: "Workspace", name: str) -> HeadTrainer:
    """What refits the head `name`. Raises UserError as `fit`."""
    fitted = workspace.head(name.removeprefix(PREFIX))
    features = workspace.feature(fitted.recipe.features)
    return HeadTrainer(fitted.recipe, fitted.head, features.train, features.val, workspace.val_labels)


def _file(workspace: "Workspace", recipe: HeadRecipe) -> Path:
    return data_folder() / workspace.fingerprint[:16] / "heads" / f"{recipe.hash}.json"


def _features_digest(workspace: "Workspace", features: str) -> str:
    """The digest of a feature set's vectors, as its provenance says, else computed."""
    if digest := workspace.manifest["parts"].get(f"features/{features}", {}).get("digest"):
        return digest
    vectors, digest = workspace.feature(features), hashlib.sha256()
    for array in (vectors.train, vectors.val):
        digest.update(np.ascontiguousarray(array[:]).tobytes())
    return digest.hexdigest()[:16]
