import time
from types import SimpleNamespace

import numpy as np
import pytest

from attribution import UserError
from attribution.explore.targets import choose_targets, previous_and_next, ranked_targets
from attribution.workspace.base_models import BaseModels
from tests import tiny


@pytest.fixture(scope="module")
def ws(tmp_path_factory):
    return tiny.write(tmp_path_factory.mktemp("workspace"))


def test_kinds(ws):
    assert len(choose_targets(ws)) == 12
    assert choose_targets(ws, "wrong").tolist() == [1]
    assert choose_targets(ws, "unstable").tolist() == [2]
    assert choose_targets(ws, "tested").tolist() == [] and choose_targets(
        ws, "tested", label=0, tested={0, 4, 9}
    ).tolist() == [0, 9]
    assert len(choose_targets(ws, "right")) == 11  # an unstable one is right by majority


def test_classes_and_confidence(ws):
    assert choose_targets(ws, label=1).tolist() == [1, 4, 7, 10]
    assert choose_targets(ws, predicted=2).tolist() == [1, 2, 5, 8, 11]
    assert choose_targets(ws, label=1, predicted=2).tolist() == [1]
    assert choose_targets(ws, confidence=(0.0, 0.75)).tolist() == [1, 2]
    assert len(choose_targets(ws, "right", label=0, confidence=(0.99, 1.0))) == 0


def test_unknown_kind(ws):
    with pytest.raises(UserError, match="all, right, wrong, unstable"):
        choose_targets(ws, "odd")


def test_neighbours():
    targets = np.array([2, 5, 9])
    assert previous_and_next(targets, 5) == (2, 9)
    assert previous_and_next(targets, 2) == (None, 5)
    assert previous_and_next(targets, 7) == (5, 9)  # the one on view need not fit the filter
    assert previous_and_next(np.array([], int), 3) == (None, None)


def test_without_base_models_nothing_can_be_asked_of_predictions(tmp_path):
    ws = tiny.write(tmp_path / "tiny", base=False)
    assert choose_targets(ws, label=1).tolist() == [1, 4, 7, 10] and len(choose_targets(ws)) == 12
    for asked in ({"kind": "right"}, {"kind": "unstable"}, {"predicted": 2}, {"confidence": (0.5, 1.0)}):
        with pytest.raises(UserError, match="python -m attribution base train --workspace"):
            choose_targets(ws, **asked)


def test_the_targets_that_a_ranking_was_made_for(ws, monkeypatch):
    assert ranked_targets(ws).tolist() == list(range(12)) == choose_targets(ws, "ranked").tolist()
    monkeypatch.setattr(ws.ranking("trak-10"), "targets", np.array([3, 4, 5]), raising=False)
    monkeypatch.setattr(type(ws.ranking("random")), "targets", np.array([4, 5, 6]))
    assert ranked_targets(ws).tolist() == [4, 5] and choose_targets(ws, "ranked", label=2).tolist() == [5]


def test_all_targets_are_sifted_at_once():
    n = 50_000
    labels = np.arange(n) % 2
    probabilities = np.full((10, n, 2), 0.1, np.float32)
    for model in range(10):  # target t is read right by t % 11 of them
        probabilities[model, np.arange(n), (labels + (np.arange(n) % 11 <= model)) % 2] = 0.9
    ws = SimpleNamespace(n_val=n, val_labels=labels, base=BaseModels(probabilities, labels))
    start = time.process_time()
    found = choose_targets(ws, "unstable")
    assert time.process_time() - start < 0.1, "a loop over the targets"
    assert set(found % 11) == {6, 7, 8}
    assert [ws.base.status(t) for t in (0, 5, 6, 8, 9, 10)] == ["already_wrong"] * 2 + ["unstable"] * 2 + ["stable"] * 2
