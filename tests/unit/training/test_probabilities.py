"""Probabilities of logits, also of those that differ by more than a float's exponent holds."""

import numpy as np
import pytest

from attribution.errors import UserError
from attribution.training.probabilities import check_finite, probabilities_of


def test_each_row_sums_to_one_and_keeps_its_order():
    logits = np.array([[3, 1, 0], [-80_000, 0, 80_000]], np.float32)
    found = probabilities_of(logits)
    assert found.dtype == np.float32 and np.allclose(found.sum(1), 1) and found[1].tolist() == [0, 0, 1]
    assert np.allclose(found[0], np.exp([3, 1, 0]) / np.exp([3, 1, 0]).sum())


def test_a_class_that_is_out_of_the_question_has_none():
    assert probabilities_of(np.array([[0, -np.inf, 0]])).tolist() == [[0.5, 0, 0.5]]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused(value):
    check_finite(np.array([[3, -80_000.0]]), "mine")
    with pytest.raises(UserError, match="a training of mine came to nothing: its predictions for 1 of 2 images"):
        check_finite(np.array([[0, 1.0], [2, value]]), "mine")
