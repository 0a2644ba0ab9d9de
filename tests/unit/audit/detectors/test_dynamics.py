"""The course of a training as evidence of a wrong label; what was watched once is kept."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from attribution.audit.detectors import available, build_detectors, load  # noqa: E402
from attribution.audit.detectors.dynamics import compute  # noqa: E402
from attribution.workspace import parts  # noqa: E402


def quiet(*at):
    pass


def test_of_a_workspace(ws):
    assert available(ws)["aum"] == "" and "watches the training" in available(ws.with_model("head-moco"))["aum"]
    said = []
    made = build_detectors(ws, ["aum", "forgetting"], lambda *at: said.append(at))
    detector = load(type(ws).open(ws.path), "aum")
    assert detector.family == "training" and made["aum"]["models"] == 2 and detector.suggestion.max() < len(ws.classes)
    assert ("training 2 of 2: epochs", ws.get_recipe().epochs, ws.get_recipe().epochs) in said


def test_a_training_that_was_watched_is_not_watched_again(ws, monkeypatch):
    first = compute(ws, ["aum"], quiet)["aum"].scores
    monkeypatch.setattr("attribution.training.watched.watch", lambda *_: pytest.fail("it was watched"))
    assert np.array_equal(compute(ws, ["aum"], quiet)["aum"].scores, first)
    assert len(list(parts.scratch_folder(ws, "dynamics").iterdir())) == 2
