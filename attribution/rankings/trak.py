"""TRAK (Park et al., arXiv 2303.14186) by the library dattri: projected gradients of log(p / (1 - p)), averaged over
independently trained checkpoints and weighted by the mean of 1 - p. Positive scores are helpful.

The expensive part, `compute_factors`, is computed for each checkpoint and can be stored; `scores` are products of
factors, so that the whole matrix of targets and training images need not be in memory.
"""

from collections.abc import Callable

import numpy as np
import torch
from dattri.algorithm.trak import TRAKAttributor
from dattri.task import AttributionTask
from torch.utils.data import DataLoader, Dataset, TensorDataset

BATCH = 500
#: between the projections' seeds of two checkpoints: as dattri counts them where it is given several at once
SEED_STEP = 100_000


def compute_factors(
    trainer,
    network,
    val_labels: np.ndarray,
    dim: int,
    number: int = 0,
    regularization: float = 0.0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, np.ndarray]:
    """The factors of TRAK's scores under a checkpoint, float32: "train" [dim, n_train], the projected gradients times
    the inverse of their kernel; "val" [dim, n_val], the projected gradients; "doubt" [n_train], 1 - p of the training
    images.

    trainer: the `training.trainer.Trainer` that trained `network`, or what stands for one: its device, train_labels,
    untrained, and train_images and val_images, which may be read when they are indexed by numbers. val_labels: int
    [n_val]. dim: dimensions of the random projection. number: of the checkpoint; it seeds the projection. Gradients are
    in float32, without augmentation, with batch norm's stored statistics. progress(images done, images in all).
    """
    total = len(trainer.train_labels) + len(val_labels)
    attributor, loader = _attributor(trainer, network, dim, number, regularization, total, progress)
    attributor.cache(loader(trainer.train_images, trainer.train_labels))
    train, doubt = attributor.inv_XTX_XT_list[0], attributor.Q
    # with the identity as kernel and doubt 1, attribute() returns the validation images' projected gradients
    device = trainer.device
    attributor.inv_XTX_XT_list, attributor.Q = [torch.eye(dim, device=device)], torch.ones(dim, device=device)
    with torch.no_grad():
        val = attributor.attribute(loader(trainer.val_images, val_labels))
    if progress:
        progress(total, total)
    return {name: part.float().cpu().numpy() for name, part in (("train", train), ("val", val), ("doubt", doubt))}


def self_influence(
    trainer,
    network,
    dim: int,
    number: int = 0,
    regularization: float = 0.0,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """The TRAK score of each training image for itself under a checkpoint, float32 [n_train]; arguments as of
    `compute_factors`."""
    attributor, loader = _attributor(trainer, network, dim, number, regularization, len(trainer.train_labels), progress)
    with torch.no_grad():
        influence = attributor.self_attribute(loader(trainer.train_images, trainer.train_labels))
    if progress:
        progress(len(trainer.train_labels), len(trainer.train_labels))
    return influence[:, 0].float().cpu().numpy()


def _attributor(trainer, network, dim, number, regularization, total, progress):
    """dattri's attributor for a checkpoint, and loader(images, labels), which reports progress of `total` images."""
    model = trainer.untrained(0).float().eval()

    def output(parameters, data):
        """log(p / (1 - p)) of the correct class for an (image, label)."""
        return log_odds(logits(parameters, data), data[1])

    def probability(parameters, data):
        probabilities = logits(parameters, data).softmax(0)
        return (
            probabilities * _label_mask(data[1], probabilities)
        ).sum()  # a scalar: self_attribute broadcasts an axis

    def logits(parameters, data):
        return torch.func.functional_call(model, parameters, data[0][None])[0]

    done = 0

    def loader(images, labels):
        labels = torch.as_tensor(np.array(labels))
        held = isinstance(images, torch.Tensor)
        pairs = TensorDataset(images.float().cpu(), labels) if held else _Pairs(images, labels)
        return DataLoader(pairs, batch_size=BATCH, shuffle=False, collate_fn=batch)

    def batch(pairs):
        """Collates (image, label) pairs; called when the batch before is done."""
        nonlocal done
        if progress:
            progress(done, total)
        done += len(pairs)
        return [torch.stack(part) for part in zip(*pairs)]

    task = AttributionTask(loss_func=output, model=model, checkpoints=[network.state_dict()])
    projector = {"proj_dim": dim, "proj_max_batch_size": BATCH, "proj_seed": SEED_STEP * number}
    return TRAKAttributor(
        task, probability, device=str(trainer.device), regularization=regularization, projector_kwargs=projector
    ), loader


class _Pairs(Dataset):
    """(image, label) pairs of images that are read a batch at a time."""

    def __init__(self, images, labels: torch.Tensor):
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, numbers: list[int]) -> list[tuple[torch.Tensor, torch.Tensor]]:
        return list(zip(self.images[numbers].float().cpu(), self.labels[numbers]))


def scores(checkpoints: list[dict[str, np.ndarray]], start: int, stop: int) -> np.ndarray:
    """Scores float32 [stop - start, n_train] of the targets from `start` to `stop`. checkpoints: the result of
    `compute_factors` for each. Their scale is arbitrary: only ranks and correlations have a meaning."""
    influence = sum(part["val"][:, start:stop].T @ part["train"] for part in checkpoints) / len(checkpoints)
    return influence * np.mean([part["doubt"] for part in checkpoints], axis=0)


def log_odds(logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """log(p / (1 - p)): the correct logit minus the log-sum-exp of the others, a scalar. logits: [classes]; label: a
    scalar."""
    correct = _label_mask(label, logits)
    return (logits * correct).sum() - logits.masked_fill(correct, -torch.inf).logsumexp(0)


def _label_mask(label, logits):
    # neither one_hot nor indexing by a tensor works under vmap
    return torch.arange(len(logits), device=logits.device) == label
