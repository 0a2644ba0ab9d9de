"""Leave-one-out correlation on rows worked out by hand."""

import numpy as np
import pytest

from attribution.metrics.leave_one_out import leave_one_out_correlation

FALLS = np.array([[0.4, 0.1, 0.3, 0.2]])  # ranks 4, 1, 3, 2


def test_by_hand():
    # ranks 1, 2, 4, 3: they differ by 3, -1, -1, -1, so 1 - 6 * 12 / (4 * 15) = -0.2
    assert leave_one_out_correlation(FALLS, np.array([[10.0, 20, 40, 30]])) == pytest.approx([-0.2])


def test_ties_have_their_middle_rank():
    # ranks 1.5, 1.5, 3, 4; centred (1.5, -1.5, 0.5, -0.5) . (-1, -1, 0.5, 1.5) = -0.5, over the root of 5 * 4.5
    assert leave_one_out_correlation(FALLS, np.array([[0.0, 0, 1, 2]])) == pytest.approx([-0.5 / 22.5**0.5])


def test_among_some_images_alone():
    # without the last: ranks 3, 1, 2 and 1, 2, 3 differ by 2, -1, -1, so 1 - 6 * 6 / (3 * 8) = -0.5
    scores = np.array([[10.0, 20, 40, 30]])
    assert leave_one_out_correlation(FALLS, scores, np.array([[True, True, True, False]])) == pytest.approx([-0.5])


def test_nothing_to_order():
    falls, scores = np.tile(FALLS, (2, 1)), np.array([[1.0, 1, 1, 1], [1, 2, 3, 4]])
    assert np.isnan(leave_one_out_correlation(falls, scores)).tolist() == [True, False]
    assert np.isnan(leave_one_out_correlation(falls, scores, np.eye(2, 4, dtype=bool))).all()
