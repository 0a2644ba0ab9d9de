"""Detectors by the base models, which did see the image: how badly do they still fit the given label?"""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from attribution.audit.detectors.base import ComputedDetector, command_line, part_digest
from attribution.files import read_array
from attribution.importing.base_predictions import TRAIN_FILE
from attribution.workspace.parts import Progress, scratch_folder
from attribution.workspace.workspace import Workspace

FAMILY = "training"
LOSS_NAME, MARGIN_NAME = "loss", "margin"
BLOCK = 2000  # training images that are read at a time


def names(workspace: Workspace) -> list[str]:
    """The same two for every workspace."""
    return [LOSS_NAME, MARGIN_NAME]


def missing_requirement(workspace: Workspace, name: str) -> str:
    """The weights of the base models, or what imported ones say of the training images."""
    return "" if _imported(workspace).exists() else missing_weights(workspace, "logits")


def missing_weights(workspace: Workspace, what: str) -> str:
    """What to do where the weights of the base models are not kept, else "". what: of a user's recipe, whose models are
    loaded or trained again, a key of `builds.own_models.AXES`."""
    if workspace.get_recipe().kind == "own":
        from attribution.builds import own_models

        return own_models.missing_requirement(workspace, what)
    if "base" in workspace.manifest["parts"] and (workspace.folder("base") / "weights.npy").exists():
        return ""
    if problem := workspace.get_recipe().problem:
        return problem
    return f"it needs base models and their weights; train them with: {command_line(workspace, 'base train')}"


def source_digests(workspace: Workspace, name: str) -> dict:
    """The base models."""
    return {"base": part_digest(workspace, "base")}


def compute(workspace: Workspace, names: list[str], progress: Progress) -> dict[str, ComputedDetector]:
    """ "loss": the mean cross-entropy of the given label over the base models. "margin": minus the mean of
    log(p / (1 - p)), p the probability of the given label. Suggestion of both: the class with the greatest mean
    probability."""
    labels = np.asarray(workspace.train_labels)
    if _imported(workspace).exists():
        count, read_logits = _imported_logits(workspace)
    elif workspace.get_recipe().kind == "own":
        count, read_logits = _users_logits(workspace, progress)
    else:
        count, read_logits = _kept_logits(workspace)
    scores = {name: np.zeros(len(labels), np.float32) for name in (LOSS_NAME, MARGIN_NAME)}
    suggestion = np.zeros(len(labels), np.int64)
    for start in range(0, len(labels), BLOCK):
        rows = slice(start, start + BLOCK)
        progress("loss of the training images", start, len(labels))
        scores[LOSS_NAME][rows], scores[MARGIN_NAME][rows], suggestion[rows] = score_labels(
            read_logits(rows), labels[rows]
        )
    progress("loss of the training images", len(labels), len(labels))
    description, extra = f"{count} models that saw the image", {"models": count}
    return {name: ComputedDetector(scores[name], suggestion, description, extra=extra) for name in names}


def _imported(workspace: Workspace) -> Path:
    """The file with what imported models say of the training images that they saw; it need not be there."""
    parts = workspace.manifest["parts"]
    return (workspace.folder("base") if "base" in parts else workspace.path) / f"{TRAIN_FILE}.npy"


def _imported_logits(workspace: Workspace) -> tuple[int, Callable[[slice], np.ndarray]]:
    """How many models there are, and what reads their logits for some training images, float [models, m, classes]."""
    stored = read_array(_imported(workspace), None, workspace.n_train, len(workspace.classes))
    least = np.finfo(np.float32).tiny
    return len(stored), lambda rows: np.log(np.maximum(np.asarray(stored[:, rows], np.float64), least))


def _users_logits(workspace: Workspace, progress: Progress) -> tuple[int, Callable[[slice], np.ndarray]]:
    """As `_imported_logits`, of the models of a user's recipe, asked in workers."""
    from attribution.builds import own_models

    scratch = scratch_folder(workspace, "logits")
    computed = own_models.compute_with_base(workspace, "logits", None, scratch, progress, "loss, ")
    shutil.rmtree(scratch, ignore_errors=True)
    logits = np.stack([part["logits"] for part in computed])
    return len(logits), lambda rows: logits[:, rows]


def _kept_logits(workspace: Workspace) -> tuple[int, Callable[[slice], np.ndarray]]:
    """As `_imported_logits`, of the networks whose weights are kept."""
    from attribution.builds import base_models
    from attribution.training.trainer import Trainer

    trainer = Trainer(workspace, workspace.get_recipe())
    networks = base_models.load_base_networks(workspace, trainer)
    return len(networks), lambda rows: np.stack(
        [trainer.logits(network, trainer.train_images[rows]).numpy() for network in networks]
    )


def score_labels(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Loss float [n], minus log-odds float [n] and likeliest class int64 [n], over the models of logits [models, n,
    classes]; labels: int [n]."""
    from scipy.special import log_softmax, logsumexp

    logits = np.asarray(logits, np.float64)
    rows = np.arange(len(labels))
    log_probabilities = log_softmax(logits, axis=2)
    likeliest = np.exp(log_probabilities).mean(0).argmax(1)
    given = logits[:, rows, labels].copy()
    logits[:, rows, labels] = -np.inf
    return -log_probabilities[:, rows, labels].mean(0), -(given - logsumexp(logits, axis=2)).mean(0), likeliest
