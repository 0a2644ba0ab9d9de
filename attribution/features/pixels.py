"""Pixels as features: the baseline for self-supervised embeddings."""

from pathlib import Path

import numpy as np


def train(images: np.ndarray, out_dir: Path, seed: int, epochs: int | None, progress) -> dict:
    """Nothing to train. The signature is that of the other methods."""
    return {"name": "pixels", "dim": int(images[0].size), "seconds": 0.0}


def embed(checkpoint_dir: Path, images: np.ndarray) -> np.ndarray:
    """uint8 [n, H, W] or [n, H, W, 3] -> float32 [n, H * W (* 3)] in [0, 1]."""
    return images.reshape(len(images), -1).astype(np.float32) / 255
