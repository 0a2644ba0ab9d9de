"""The optional methods of a user's recipe, tried on a model in a worker: a finding each, as `recipe_check` has them."""

from pathlib import Path
from typing import Any

import numpy as np

from attribution.errors import UserError

IMAGES = 200  # validation images that are looked at
CLOSE = 1e-3  # logits of two ways to compute them that differ by no more, in shares of the largest, are the same
AGREE = 0.95  # of predictions: beyond that other logits may be meant, as where logits takes the mean over views


def try_optional(trainer: Any, model: Any) -> list[dict]:
    """{"check", "state", "text"} of each optional method that the recipe has. trainer: an `OwnTrainer`; model: of its
    `fit`."""
    ids = np.arange(min(IMAGES, len(trainer.val_labels)))
    logits = trainer.logits(model, "val", ids)
    found = []
    for check, methods, look in (
        ("module", ("module", "inputs"), _try_module),
        ("save", ("save", "load"), _try_save),
        ("features", ("features",), _try_features),
        ("trajectory", ("trajectory", "module"), _try_trajectory),
    ):
        if any(trainer.has(method) for method in methods):
            try:
                state, text = look(trainer, model, logits)
            except UserError as error:
                state, text = "problem", str(error)
            found.append({"check": check, "state": state, "text": text})
    return found


def _try_module(trainer, model, logits: np.ndarray) -> tuple[str, str]:
    from attribution.training.own.network import OwnNetwork

    if not trainer.has("module"):
        return "note", "it has inputs and no module, and inputs serves that alone"
    network = OwnNetwork(trainer, model)
    network.check_gradients()
    others = network.logits("val", np.arange(len(logits)))
    apart = float(np.abs(others - logits).max())
    if apart <= CLOSE * max(1.0, float(np.abs(logits).max())):
        return "ok", "module gives the same logits, and a gradient for each image"
    agree = float((others.argmax(1) == logits.argmax(1)).mean())
    text = f"module gives logits that differ from those of logits by up to {apart:.2g}"
    if agree < AGREE:
        return "problem", (
            f"{text}, and {agree:.0%} of its predictions are the same; have inputs(split, ids) return what the network "
            "was trained on"
        )
    return "note", f"{text}; {agree:.0%} of its predictions are the same, and TRAK speaks of module's"


def _try_save(trainer, model, logits: np.ndarray) -> tuple[str, str]:
    if missing := [method for method in ("save", "load") if not trainer.has(method)]:
        return "note", f"it has no {missing[0]}, and models are kept only where there are both save and load"
    file = Path.cwd() / "saved" / "check.model"
    trainer.save(model, file)
    size = file.stat().st_size
    try:
        apart = float(np.abs(trainer.logits(trainer.load(file), "val", np.arange(len(logits))) - logits).max())
    finally:
        file.unlink()
    if apart > CLOSE:
        return "problem", (
            f"a model that was saved and loaded has logits that differ by up to {apart:.2g}; save all that logits needs"
        )
    return "ok", f"a model that was saved, {size / 2**20:.1f} MiB, and loaded is the same"


def _try_features(trainer, model, logits: np.ndarray) -> tuple[str, str]:
    train = trainer.features(model, "train", np.arange(min(IMAGES, len(trainer.train_labels))))
    val = trainer.features(model, "val", np.arange(len(logits)))
    if train.shape[1] != val.shape[1]:
        return "problem", (
            f"features have {train.shape[1]} dimensions for training images and {val.shape[1]} for validation images; "
            "return as many for both"
        )
    if not train.std(0).any():
        return "problem", "features are the same for all images; return what tells images apart"
    return "ok", f"features have {train.shape[1]:,} dimensions"


def _try_trajectory(trainer, model, logits: np.ndarray) -> tuple[str, str]:
    if trainer.recipe.not_unrolled:
        return "note", f"{trainer.recipe.not_unrolled}; Unrolled is for others"
    from attribution.rankings.unrolled import task

    return task.try_out(trainer, logits, Path.cwd() / "saved" / "steps")
