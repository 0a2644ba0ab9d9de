"""Subclass detection on lists worked out by hand."""

import numpy as np
import pytest

from attribution.metrics.subclass_detection import subclass_chance, subclass_share


def test_the_share_of_the_targets_subclass():
    listed = np.array([[4, 4, 7, 4], [7, 4, 4, 4], [4, 7, -1, -1], [-1, -1, -1, -1]])
    # three of four; one of four; one of the two there are; nothing is listed
    assert subclass_share(listed, np.array([4, 7, 4, 4])) == pytest.approx([0.75, 0.25, 0.5, np.nan], nan_ok=True)
    assert subclass_share(listed[:3, :1], np.array([4, 4, 4])).tolist() == [1, 0, 1]  # quanda's, of the first image


def test_chance_is_the_share_of_the_superclass():
    labels = np.array([0] * 6 + [1] * 2 + [2] * 5)  # 0 and 1 are merged: 6 and 2 of 8
    chance = subclass_chance(labels, np.array([0, 0, 1, 2]), np.array([0, 1, 2, 3]))
    assert chance == pytest.approx([0.75, 0.25, 1, np.nan], nan_ok=True)  # and of the last class there is no image
