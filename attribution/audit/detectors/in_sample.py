"""Detectors by the base models, which did see the image: how badly do they still fit the given label?"""

import numpy as np

from attribution.audit.detectors.base import ComputedDetector, command_line, part_digest
from attribution.workspace.parts import Progress
from attribution.workspace.workspace import Workspace

FAMILY = "training"
LOSS_NAME, MARGIN_NAME = "loss", "margin"
BLOCK = 2000  # training images that are read at a time


def names(workspace: Workspace) -> list[str]:
    """The same two for every workspace."""
    return [LOSS_NAME, MARGIN_NAME]


def missing_requirement(workspace: Workspace, name: str) -> str:
    """The weights of the base models."""
    return missing_weights(workspace)


def missing_weights(workspace: Workspace) -> str:
    """What to do where the weights of the base models are not kept, else ""."""
    if "base" in workspace.manifest["parts"] and (workspace.folder("base") / "weights.npy").exists():
        return ""
    return f"it needs base models and their weights; train them with: {command_line(workspace, 'base train')}"


def source_digests(workspace: Workspace, name: str) -> dict:
    """The base models."""
    return {"base": part_digest(workspace, "base")}


def compute(workspace: Workspace, names: list[str], progress: Progress) -> dict[str, ComputedDetector]:
    """ "loss": the mean cross-entropy of the given label over the base models. "margin": minus the mean of
    log(p / (1 - p)), p the probability of the given label. Suggestion of both: the class with the greatest mean
    probability."""
    from attribution.builds import base_models
    from attribution.training.trainer import Trainer

    trainer = Trainer(workspace, workspace.get_recipe())
    networks, labels = base_models.load_base_networks(workspace, trainer), np.asarray(workspace.train_labels)
    scores = {name: np.zeros(len(labels), np.float32) for name in (LOSS_NAME, MARGIN_NAME)}
    suggestion = np.zeros(len(labels), np.int64)
    for start in range(0, len(labels), BLOCK):
        rows = slice(start, start + BLOCK)
        progress("loss of the training images", start, len(labels))
        logits = np.stack([trainer.logits(network, trainer.train_images[rows]).numpy() for network in networks])
        scores[LOSS_NAME][rows], scores[MARGIN_NAME][rows], suggestion[rows] = score_labels(logits, labels[rows])
    progress("loss of the training images", len(labels), len(labels))
    description, extra = f"{len(networks)} models that saw the image", {"models": len(networks)}
    return {name: ComputedDetector(scores[name], suggestion, description, extra=extra) for name in names}


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
