"""The course of a training, against what its steps predict; and that watching changes nothing."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from attribution.audit.detectors import available, build_detectors, load  # noqa: E402
from attribution.audit.detectors.dynamics import compute, watch  # noqa: E402
from attribution.training import augmentation  # noqa: E402
from attribution.training.edits import no_edit  # noqa: E402
from attribution.training.trainer import Trainer  # noqa: E402
from attribution.workspace import parts  # noqa: E402


def quiet(*at):
    pass


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


def test_of_a_workspace(ws):
    assert available(ws)["aum"] == "" and "watches the training" in available(ws.with_model("head-moco"))["aum"]
    said = []
    made = build_detectors(ws, ["aum", "forgetting"], lambda *at: said.append(at))
    detector = load(type(ws).open(ws.path), "aum")
    assert detector.family == "training" and made["aum"]["models"] == 2 and detector.suggestion.max() < len(ws.classes)
    assert ("training 2 of 2: epochs", ws.get_recipe().epochs, ws.get_recipe().epochs) in said


def test_a_training_that_was_watched_is_not_watched_again(ws, monkeypatch):
    first = compute(ws, ["aum"], quiet)["aum"].scores
    monkeypatch.setattr("attribution.audit.detectors.dynamics.watch", lambda *_: pytest.fail("it was watched"))
    assert np.array_equal(compute(ws, ["aum"], quiet)["aum"].scores, first)
    assert len(list(parts.scratch_folder(ws, "dynamics").iterdir())) == 2
