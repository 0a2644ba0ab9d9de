"""In which precision features are computed with: by what they share, and by how large they are."""

import numpy as np
import pytest

from attribution.metrics.precision import precision_of

FEATURES = np.random.default_rng(0).normal(size=(5000, 8))


@pytest.mark.parametrize("shared", [0, 1, 10])
@pytest.mark.parametrize("scale", [1e-6, 1, 1e6])
def test_what_float32_holds(shared, scale):
    assert precision_of(((FEATURES + shared) * scale).astype(np.float32)) is np.float32


@pytest.mark.parametrize("features", [FEATURES + 100, FEATURES * 1e-15, FEATURES * 1e15, FEATURES + 1e9 * np.eye(8)[0]])
def test_what_it_does_not(features):
    assert precision_of(features) is np.float64


@pytest.mark.parametrize("features", [np.zeros((4, 3)), np.ones((4, 3)), np.zeros((0, 3)), np.full((1, 3), 7.5)])
def test_where_nothing_differs(features):
    assert precision_of(features) is np.float32
