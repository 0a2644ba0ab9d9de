"""The derivative of targets' margins by the weights that a training ended with."""

import torch
from torch import Tensor, nn

from attribution.rankings.unrolled.gradients import logit_gradients, norms
from attribution.rankings.unrolled.training import Training, as_training
from attribution.rankings.unrolled.trajectory import flatten, trained_weights
from attribution.training.trainer import Trainer

BATCH = 64  # targets whose derivatives are computed at once


def margin_gradients(
    trainer: Trainer | Training, network: nn.Module, targets: Tensor, fast: bool | None = None
) -> Tensor:
    """Derivatives [K, P] of the margins of `targets` (int64 [K]) over the recipe's test views, by the weights that
    training changes: directly, and by way of batch norm's statistics, which follow the weights. network: trained, in
    evaluation mode.

    Statistics are taken as those of `Trainer.refresh_norms`, also where a recipe averages no weights and keeps the
    running ones, which then are of steps so small that they hardly differ.
    """
    training = as_training(trainer)
    by_weights, by_norms = zip(*(_block(training, network, part, fast) for part in targets.split(BATCH)))
    result, by_statistics = torch.cat(by_weights), torch.cat(by_norms)
    count = by_statistics.shape[1]
    if not count:
        return result
    if len(targets) <= count:  # a pass back for each target, or for each statistic, whichever are fewer
        return result + norm_gradients(training, network, by_statistics)
    each = torch.eye(count, dtype=result.dtype, device=result.device)
    return result.addmm_(by_statistics, norm_gradients(training, network, each))


def _block(training, network, targets, fast):
    """Derivatives of some targets' margins by weights, with the statistics as they are, and by the statistics."""
    labels = training.val_labels[targets].to(training.device)
    views = training.val_views(targets)
    with torch.no_grad():
        logits = torch.stack([training.outputs(network, view) for view in views]).mean(0)
    correct = nn.functional.one_hot(labels, training.classes).to(logits.dtype)
    best = logits.masked_fill(correct.bool(), -torch.inf).argmax(1)
    direction = (correct - nn.functional.one_hot(best, training.classes).to(logits.dtype))[:, None] / len(views)
    parts = [logit_gradients(network, view, direction, fast) for view in views]
    return tuple(torch.stack(side).sum(0)[:, 0] for side in zip(*parts))


def norm_gradients(training: Training, network: nn.Module, rows: Tensor) -> Tensor:
    """Derivatives [R, P] of rows . statistics by the weights that training changes, where statistics are those that
    `Training.refresh_norms` would set: means and variances of one batch norm after the other. rows: [R, Q]. Leaves the
    network in evaluation mode, with the statistics that it had."""
    weights, layers = trained_weights(network), norms(network)
    batches = training.norm_batches()
    result = rows.new_zeros((len(rows), sum(weight.numel() for weight in weights)))
    before = [(norm.momentum, norm.running_mean.clone(), norm.running_var.clone()) for norm in layers]
    given: dict[nn.Module, Tensor] = {}
    hooks = [norm.register_forward_pre_hook(lambda norm, inputs: given.update({norm: inputs[0]})) for norm in layers]
    network.train()
    for batch in batches:
        training.outputs(network, batch)
        statistics = [part for norm in layers for part in (given[norm].mean((0, 2, 3)), given[norm].var((0, 2, 3)))]
        for row, result_row in zip(rows, result):
            parts = row.split([len(part) for part in statistics])
            # of layers that count: going back from the first ones alone is quick
            chosen = [(part, share) for part, share in zip(statistics, parts) if share.any()]
            if chosen:
                outputs, shares = zip(*chosen)
                slopes = torch.autograd.grad(outputs, weights, shares, retain_graph=True, allow_unused=True)
                known = [torch.zeros_like(w) if slope is None else slope for w, slope in zip(weights, slopes)]
                result_row += flatten(known) / len(batches)
    for hook in hooks:
        hook.remove()
    network.eval()
    for norm, (momentum, mean, var) in zip(layers, before):
        norm.momentum = momentum
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(var)
    return result
