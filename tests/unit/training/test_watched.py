"""The course of a training, against what its steps predict; and that watching changes nothing."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from attribution.training import augmentation  # noqa: E402
from attribution.training.edits import no_edit  # noqa: E402
from attribution.training.trainer import Trainer  # noqa: E402
from attribution.training.watched import watch  # noqa: E402


def test_it_is_what_each_step_predicts(ws, monkeypatch):
    recipe, plain = ws.get_recipe(), Trainer(ws, ws.get_recipe())
    found = watch(ws, recipe, 400)
    steps = []

    def keep(network, batch, logits):
        if network.training:
            steps.append(logits.detach().float().numpy())

    shown = []
    untrained = plain.untrained

    def hooked(seed):
        network = untrained(seed)
        network.register_forward_hook(keep)
        return network

    monkeypatch.setattr(plain, "untrained", hooked)
    network = plain.train(no_edit(), 400, on_step=lambda step, _: shown.append(step.shown[:, augmentation.IMAGE]))
    steps = steps[: len(shown)]  # what follows refreshes batch norm
    right = {image: [] for image in range(ws.n_train)}
    margin = np.zeros(ws.n_train)
    for ids, logits in zip(shown, steps, strict=True):
        for image, row in zip(ids.tolist(), logits):
            label = ws.train_labels[image]
            gap = row[label] - np.delete(row, label).max()
            margin[image] += gap
            right[image].append(gap > 0)
    assert np.allclose(found["margin"], margin, atol=1e-4)
    assert found["shown"].tolist() == [len(times) for times in right.values()]
    for image, times in right.items():
        expected = sum(a and not b for a, b in zip(times, times[1:])) if any(times) else recipe.epochs + 1
        assert found["forgotten"][image] == expected
    again = Trainer(ws, recipe).train(no_edit(), 400)
    for one, other in zip(network.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
