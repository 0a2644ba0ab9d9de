"""Image features: pixels, the self-supervised embeddings of the paper (Singla et al., arXiv 2311.03386, section 4), and
random patches.

Importing this loads no torch; training and embedding with a network does.
"""

import importlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from attribution.errors import UserError
from attribution.files.libraries import install_command

#: Name -> what it is, for people. `pixels` is the baseline that the others must beat.
NAMES = {
    "pixels": "the pixels themselves",
    "moco": "MoCo: momentum contrast with a queue of negatives",
    "simclr": "SimCLR: contrast between the views of a batch",
    "dino": "DINO: self-distillation from a momentum teacher",
    "patches": "whitened random patches as filters, pooled: no labels and no training",
}


def train(
    name: str,
    images: np.ndarray,
    out_dir: Path | str,
    seed: int = 0,
    epochs: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict:
    """Trains a feature extractor on images without labels, or resumes a training that was interrupted.

    Args:
        name: one of NAMES.
        images: uint8 [n, H, W] or [n, H, W, 3].
        out_dir: the folder of the checkpoint, one for each name. A finished training is not repeated.
        epochs: None takes the method's own number; patches have none.
        progress: called with (epochs done, epochs in all) at the start or resumption and after each epoch. An exception
            from it stops the training, which the next call resumes.

    Returns:
        Provenance, ready for JSON: name, dim, seconds, and for networks seed, epochs, settings, device, threads,
        versions, resumed (how often).

    Raises:
        UserError: the name is unknown, the images have another shape or type, lightly is not installed, or `out_dir`
            holds a training with other settings.
    """
    return _load_method(name).train(_check_images(images), Path(out_dir), seed, epochs, progress)


def embed(name: str, checkpoint_dir: Path | str, images: np.ndarray) -> np.ndarray:
    """Features of images, float32 [n, dim]: dim is 128 for networks, at most 512 for patches and H * W
    (* 3) for pixels.

    Args:
        name: one of NAMES.
        checkpoint_dir: the `out_dir` of a finished training; not read for pixels.
        images: uint8 [n, H, W] or [n, H, W, 3], of the shape that was trained on.

    Raises:
        UserError: as in `train`, or the training in `checkpoint_dir` is missing or unfinished.
    """
    return _load_method(name).embed(Path(checkpoint_dir), _check_images(images))


def _load_method(name: str):
    if name not in NAMES:
        raise UserError(f"There are no features called {name!r}: choose one of {', '.join(NAMES)}.")
    try:
        return importlib.import_module(f"attribution.features.{name}")
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] in ("torch", "lightly"):
            raise UserError(f"{name} features need {error.name}: {install_command('train')}") from None
        raise


def _check_images(images: np.ndarray) -> np.ndarray:
    images = np.asarray(images)
    grey_or_colour = images.ndim == 3 or images.ndim == 4 and images.shape[3] == 3
    if images.dtype != np.uint8 or not grey_or_colour or not len(images):
        raise UserError(
            f"Features are made of uint8 images [n, H, W] or [n, H, W, 3], not of {images.dtype} {list(images.shape)}."
        )
    return images
