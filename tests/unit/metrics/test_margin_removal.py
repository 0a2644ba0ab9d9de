"""Falls of margins beside those of random removals, worked out by hand."""

import numpy as np
import pytest

from attribution.metrics.margin_removal import compare_falls


def test_by_hand():
    falls = np.array([2.0, 1.0, 0.0, np.nan])
    controls = np.array([[0.0, 1.0], [0.5, 0.5], [-1.0, 0.0], [9.0, 9.0]])  # means 0.5, 0.5, -0.5; the last has no fall
    found = compare_falls(falls, controls)
    assert [found[key]["mean"] for key in ("fall", "control", "difference")] == pytest.approx([1, 0.5 / 3, 2.5 / 3])
    assert found["fall"]["n"] == found["control"]["n"] == found["difference"]["n"] == 3


def test_the_difference_is_paired():
    """Each target falls by exactly 1 more than its control: no interval, though both are spread widely."""
    falls = np.array([5.0, 1.0, -3.0, 8.0])
    found = compare_falls(falls, (falls - 1)[:, None])
    assert found["difference"] == {"mean": 1.0, "ci": [1.0, 1.0], "n": 4}
    low, high = found["fall"]["ci"]
    assert low < 2.75 < high and high - low > 2


def test_nothing_measured():
    assert compare_falls(np.array([np.nan]), np.zeros((1, 2)))["difference"] == {"mean": None, "ci": None, "n": 0}
