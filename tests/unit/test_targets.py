import time
from types import SimpleNamespace

import numpy as np
import pytest

from attribution import UserError
from attribution.targets import choose, neighbours, ranked
from attribution.workspace import BaseModels
from tests import tiny


@pytest.fixture(scope="module")
def ws(tmp_path_factory):
    return tiny.write(tmp_path_factory.mktemp("workspace"))


def test_kinds(ws):
    assert len(choose(ws)) == 12
    assert choose(ws, "wrong").tolist() == [1]
    assert choose(ws, "unstable").tolist() == [2]
    assert choose(ws, "tested").tolist() == [] and choose(ws, "tested", label=0, tested={0, 4, 9}).tolist() == [0, 9]
    assert len(choose(ws, "right")) == 11  # an unstable one is right by majority


def test_classes_and_confidence(ws):
    assert choose(ws, label=1).tolist() == [1, 4, 7, 10]
    assert choose(ws, predicted=2).tolist() == [1, 2, 5, 8, 11]
    assert choose(ws, label=1, predicted=2).tolist() == [1]
    assert choose(ws, confidence=(0.0, 0.75)).tolist() == [1, 2]
    assert len(choose(ws, "right", label=0, confidence=(0.99, 1.0))) == 0


def test_unknown_kind(ws):
    with pytest.raises(UserError, match="all, right, wrong, unstable"):
        choose(ws, "odd")


def test_neighbours():
    targets = np.array([2, 5, 9])
    assert neighbours(targets, 5) == (2, 9)
    assert neighbours(targets, 2) == (None, 5)
    assert neighbours(targets, 7) == (5, 9)  # the one on view need not fit the filter
    assert neighbours(np.array([], int), 3) == (None, None)


def test_without_base_models_nothing_can_be_asked_of_predictions(tmp_path):
    ws = tiny.write(tmp_path / "tiny", base=False)
    assert choose(ws, label=1).tolist() == [1, 4, 7, 10] and len(choose(ws)) == 12
    for asked in ({"kind": "right"}, {"kind": "unstable"}, {"predicted": 2}, {"confidence": (0.5, 1.0)}):
        with pytest.raises(UserError, match="python -m attribution base train --workspace"):
            choose(ws, **asked)


def test_the_targets_that_a_ranking_was_made_for(ws, monkeypatch):
    assert ranked(ws).tolist() == list(range(12)) == choose(ws, "ranked").tolist()
    monkeypatch.setattr(ws.ranking("trak-10"), "targets", np.array([3, 4, 5]), raising=False)
    monkeypatch.setattr(type(ws.ranking("random")), "targets", np.array([4, 5, 6]))
    assert ranked(ws).tolist() == [4, 5] and choose(ws, "ranked", label=2).tolist() == [5]


def test_all_targets_are_sifted_at_once():
    n = 50_000
    labels = np.arange(n) % 2
    probabilities = np.full((10, n, 2), 0.1, np.float32)
    for model in range(10):  # target t is read right by t % 11 of them
        probabilities[model, np.arange(n), (labels + (np.arange(n) % 11 <= model)) % 2] = 0.9
    ws = SimpleNamespace(n_val=n, val_labels=labels, base=BaseModels(probabilities, labels))
    start = time.process_time()
    found = choose(ws, "unstable")
    assert time.process_time() - start < 0.1, "a loop over the targets"
    assert set(found % 11) == {6, 7, 8}
    assert [ws.base.status(t) for t in (0, 5, 6, 8, 9, 10)] == ["already_wrong"] * 2 + ["unstable"] * 2 + ["stable"] * 2
