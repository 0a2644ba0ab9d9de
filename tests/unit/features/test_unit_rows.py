import numpy as np
import pytest

from attribution.features.unit_rows import centred_unit_rows, unit_rows
from tests.unit.features.far_from_zero import far_from_zero


def test_lengths_do_not_count_and_zeros_stay():
    rows = unit_rows(np.float16([[3, 4], [0, 0], [0, 2]]))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0], [0, 1]], atol=1e-3)
    assert rows.dtype == np.float32


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_the_very_small_and_the_very_large_have_a_length_of_one_too(size):
    np.testing.assert_allclose(unit_rows(size * np.array([[3.0, 4.0]]), np.float64), [[0.6, 0.8]])


def test_what_is_not_far_from_zero_stays_as_it_is():
    train, val = np.random.default_rng(0).normal(1, 1, (2, 30, 4))
    assert all((a == b).all() for a, b in zip(centred_unit_rows(train, val), (unit_rows(train), unit_rows(val))))


def test_distances_far_from_zero_are_those_of_the_unit_rows_times_a_constant():
    train, val, _, _ = far_from_zero(np.float64)
    centred, centred_val = centred_unit_rows(train, val)
    exact = np.linalg.norm(unit_rows(train, np.float64)[:, None] - unit_rows(val, np.float64), axis=2)
    ratio = np.linalg.norm(centred[:, None] - centred_val, axis=2) / exact
    assert centred.dtype == np.float32 and np.ptp(ratio) < 1e-4 * ratio.mean()
