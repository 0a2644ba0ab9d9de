"""Supervised features: the 128-d penultimate layer of a classifier trained on the given labels.

A comparison with the paper's features, which see no labels.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from attribution.training import recipes
from attribution.training.trainer import LIBRARY, Trainer

if TYPE_CHECKING:
    from attribution.workspace.workspace import Workspace

DIM = 128


def network(shape, classes):
    """The convolutions of demo-cnn, a linear layer of DIM, and one of `classes`; shape: (channels, height, width)."""
    body = recipes.get_recipe("demo-cnn").network(shape, DIM)
    return nn.Sequential(*body, nn.GELU(), nn.Linear(DIM, classes))


def train(workspace: Workspace, out_dir: Path, seed: int = 0) -> dict:
    """Trains on the workspace's given labels, writes the weights to `out_dir` and returns provenance, ready for JSON:
    dim, seed, epochs, recipe (its hash), seconds, device, library and threads."""
    recipe = replace(recipes.get_recipe("demo-cnn"), name="supervised", network=network)
    trainer = Trainer(workspace, recipe)
    outcome = trainer.run(seed=seed)
    out_dir.mkdir(parents=True, exist_ok=True)
    torch.save(
        {
            "mean": trainer.mean,
            "spread": trainer.std,
            "shape": tuple(trainer.train_images.shape[1:]),
            "classes": trainer.classes,
            "state": outcome.network.state_dict(),
        },
        out_dir / "weights.pt",
    )
    return {
        "dim": DIM,
        "seed": seed,
        "epochs": recipe.epochs,
        "recipe": trainer.recipe.hash,
        "seconds": round(outcome.seconds, 1),
        "device": trainer.device.type,
        "library": LIBRARY,
        "threads": recipe.threads,
    }


@torch.no_grad()
def embed(out_dir: Path, images: np.ndarray) -> np.ndarray:
    """Features float32 [n, 128] of uint8 images [n, H, W] or [n, H, W, 3]."""
    saved = torch.load(out_dir / "weights.pt", weights_only=True)
    model = network(saved["shape"], saved["classes"])
    model.load_state_dict(saved["state"])
    model = model[:-1].eval()
    pixels = torch.as_tensor(np.array(images), dtype=torch.float32)
    pixels = pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)
    return torch.cat([model(batch) for batch in ((pixels / 255 - saved["mean"]) / saved["spread"]).split(500)]).numpy()
