"""TRAK (Park et al., arXiv 2303.14186) by the library dattri: projected gradients of log(p / (1 - p)), averaged over
independently trained checkpoints and weighted by the mean of 1 - p. Positive scores are helpful.

The work is a checkpoint's own (`factors`), which may be kept; scores are products of these (`scores`), so that a matrix
of all targets and training images need never exist.
"""

from collections.abc import Callable

import numpy as np
import torch
from dattri.algorithm.trak import TRAKAttributor
from dattri.task import AttributionTask
from torch.utils.data import DataLoader, TensorDataset

BATCH = 500


def factors(
    trainer,
    network,
    val_labels: np.ndarray,
    dim: int,
    number: int = 0,
    regularization: float = 0.0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, np.ndarray]:
    """What TRAK needs of one checkpoint, float32: "train" [dim, n_train], the projected gradients times the inverse of
    their kernel; "val" [dim, n_val], the projected gradients; "doubt" [n_train], 1 - p of the training images.

    trainer: the `attribution.train.Trainer` that trained `network`. dim: dimensions of the random projection, whose
    seed is `number`: another one for each checkpoint. Gradients are taken in float32, without augmentation, batch norm
    at its stored statistics. progress(images done, in all).
    """
    total = len(trainer.given) + len(val_labels)
    attributor, loader = _attributor(trainer, network, dim, number, regularization, total, progress)
    attributor.cache(loader(trainer.train_images, trainer.given))
    train, doubt = attributor.inv_XTX_XT_list[0], attributor.Q
    # With the identity and without doubts, attribute() gives the validation images' own projected gradients
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
    """The score of each training image for itself under one checkpoint, float32 [n_train]; arguments as of
    `factors`."""
    attributor, loader = _attributor(trainer, network, dim, number, regularization, len(trainer.given), progress)
    with torch.no_grad():
        found = attributor.self_attribute(loader(trainer.train_images, trainer.given))
    if progress:
        progress(len(trainer.given), len(trainer.given))
    return found[:, 0].float().cpu().numpy()


def _attributor(trainer, network, dim, number, regularization, total, progress):
    """dattri's attributor for one checkpoint, and loader(images, labels) of what it is to look at, `total` in all."""
    model = trainer.untrained(0).float().eval()

    def output(parameters, data):
        """log(p / (1 - p)) of the correct class for one (image, label)."""
        return margin(logits(parameters, data), data[1])

    def probability(parameters, data):
        said = logits(parameters, data).softmax(0)
        return (said * _is(data[1], said)).sum()  # no axis of its own, which self_attribute would spread

    def logits(parameters, data):
        return torch.func.functional_call(model, parameters, data[0][None])[0]

    done = 0

    def loader(images, labels):
        pairs = TensorDataset(images.float().cpu(), torch.as_tensor(np.array(labels)))
        return DataLoader(pairs, batch_size=BATCH, shuffle=False, collate_fn=batch)

    def batch(pairs):
        """A batch of (image, label), asked for when the one before is done."""
        nonlocal done
        if progress:
            progress(done, total)
        done += len(pairs)
        return [torch.stack(part) for part in zip(*pairs)]

    task = AttributionTask(loss_func=output, model=model, checkpoints=[network.state_dict()])
    projector = {"proj_dim": dim, "proj_max_batch_size": BATCH, "proj_seed": number}
    return TRAKAttributor(
        task, probability, device=str(trainer.device), regularization=regularization, projector_kwargs=projector
    ), loader


def scores(checkpoints: list[dict[str, np.ndarray]], start: int, stop: int) -> np.ndarray:
    """Scores float32 [stop - start, n_train] of the targets from start to stop, of the `factors` of some checkpoints.
    Their scale is arbitrary: ranks and correlations only."""
    influence = sum(one["val"][:, start:stop].T @ one["train"] for one in checkpoints) / len(checkpoints)
    return influence * np.mean([one["doubt"] for one in checkpoints], axis=0)


def margin(logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """log(p / (1 - p)): the correct logit minus the log-sum-exp of the others; logits [classes], one label."""
    correct = _is(label, logits)
    return (logits * correct).sum() - logits.masked_fill(correct, -torch.inf).logsumexp(0)


def _is(label, logits):
    # neither one_hot nor indexing by a tensor works under vmap
    return torch.arange(len(logits), device=logits.device) == label
