import numpy as np
import pytest

from attribution import UserError
from attribution.targets import choose, neighbours
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
