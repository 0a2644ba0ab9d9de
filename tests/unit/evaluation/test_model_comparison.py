"""Two models side by side, on predictions that are known."""

import numpy as np
import pytest

from attribution import UserError, Workspace
from attribution.evaluation import model_comparison
from attribution.importing import base_predictions
from tests.unit.importing.test_base_predictions import predictions, soft


@pytest.fixture
def two(ws):
    """my-net: two networks that differ on image 4 alone; both read image 1 right, which demo-cnn reads as a Dot, and
    image 5 as a Bar."""
    said = ws.val_labels.copy()
    said[5] = 0
    other = said.copy()
    other[4] = 2
    base_predictions.import_predictions(ws, "my-net", predictions(soft(said, 0.9), soft(other, 0.8)))
    return Workspace.open(ws.path)


def test_where_they_differ(two):
    compared = model_comparison.compare(two, "demo-cnn", "my-net")
    assert compared.cells() == [(2, 0, 1), (2, 1, 1)]
    assert compared.images(2, 0).tolist() == [5] and compared.images(2, 1).tolist() == [1]
    assert compared.table.sum() == compared.n == 12 and compared.differ == pytest.approx(2 / 12)
    assert compared.right == (10, 1, 1, 0)
    assert compared.within[1] == pytest.approx(1 / 12)
    # three of ten networks of demo-cnn read image 2 as a Bar: 21 of 45 pairs differ on it
    assert compared.within[0] == pytest.approx(21 / 45 / 12)
    assert compared.across == pytest.approx((2 + 0.5 + 0.3) / 12)


def test_the_same_from_the_other_side(two):
    one, other = (model_comparison.compare(two, *names) for names in (("demo-cnn", "my-net"), ("my-net", "demo-cnn")))
    assert np.array_equal(one.table, other.table.T) and one.right[1:3] == other.right[2:0:-1]
    # and from whichever model's view it is asked
    assert model_comparison.compare(two.with_model("my-net"), "demo-cnn", "my-net").cells() == one.cells()


def test_one_network_has_nothing_to_differ_from(ws):
    base_predictions.import_predictions(ws, "my-net", predictions(soft(ws.val_labels)))
    compared = model_comparison.compare(Workspace.open(ws.path), "my-net", "demo-cnn")
    assert compared.within[0] is None
    said = compared.to_json(ws.classes)
    assert said["models"] == ["my-net", "demo-cnn"] and said["cells"] == [
        {"first": "Box <b>", "second": "Dot", "images": [1]}
    ]


def test_what_cannot_be_compared(two):
    with pytest.raises(UserError, match="no predictions of nobody; it has those of demo-cnn, my-net"):
        model_comparison.compare(two, "demo-cnn", "nobody")
    with pytest.raises(UserError, match="agrees with itself"):
        model_comparison.compare(two, "my-net", "my-net")
