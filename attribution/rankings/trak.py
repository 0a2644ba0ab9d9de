"""TRAK (Park et al., arXiv 2303.14186) by the library dattri: projected gradients of log(p / (1 - p)), averaged over
independently trained checkpoints and weighted by the mean of 1 - p. Positive scores are helpful."""

import numpy as np
import torch
from dattri.algorithm.trak import TRAKAttributor
from dattri.task import AttributionTask
from torch.utils.data import DataLoader, TensorDataset

BATCH = 500


def build(trainer, networks: list, val_labels: np.ndarray, dim: int, regularization: float = 0.0) -> np.ndarray:
    """Scores float32 [n_val, n_train]. Their scale is arbitrary: ranks and correlations only.

    trainer: the `attribution.train.Trainer` that trained `networks`. dim: dimensions of the random projection.
    Gradients are taken in float32, without augmentation, batch norm at its stored statistics.
    """
    model = trainer.untrained(0).float().eval()

    def output(parameters, data):
        """log(p / (1 - p)) of the correct class for one (image, label)."""
        return margin(logits(parameters, data), data[1])

    def probability(parameters, data):
        said = logits(parameters, data).softmax(0)
        return (said * _is(data[1], said)).sum()[None]

    def logits(parameters, data):
        return torch.func.functional_call(model, parameters, data[0][None])[0]

    task = AttributionTask(loss_func=output, model=model, checkpoints=[network.state_dict() for network in networks])
    attributor = TRAKAttributor(task, probability, projector_kwargs={"proj_dim": dim, "proj_max_batch_size": BATCH},
                                device=str(trainer.device), regularization=regularization)
    attributor.cache(_loader(trainer.train_images, trainer.given))
    with torch.no_grad():
        scores = attributor.attribute(_loader(trainer.val_images, val_labels))
    return scores.T.float().cpu().numpy()


def margin(logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """log(p / (1 - p)): the correct logit minus the log-sum-exp of the others; logits [classes], one label."""
    correct = _is(label, logits)
    return (logits * correct).sum() - logits.masked_fill(correct, -torch.inf).logsumexp(0)


def _is(label, logits):
    # neither one_hot nor indexing by a tensor works under vmap
    return torch.arange(len(logits), device=logits.device) == label


def _loader(images, labels):
    labels = torch.as_tensor(np.array(labels))
    return DataLoader(TensorDataset(images.float().cpu(), labels), batch_size=BATCH, shuffle=False)
