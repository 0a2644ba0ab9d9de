"""Means, intervals and corrections, by hand and against theory."""

import numpy as np
import pytest

from attribution.metrics.statistics import bootstrap_interval, holm_correction, mean_with_interval, resampled_means


def test_means():
    assert mean_with_interval(np.array([np.nan, np.nan])) == {"mean": None, "ci": None, "n": 0}
    assert mean_with_interval(np.array([0.5, np.nan])) == {"mean": 0.5, "ci": None, "n": 1}
    assert mean_with_interval(np.array([0.5, 0.5]))["ci"] == [0.5, 0.5]
    ci = mean_with_interval(np.random.default_rng(0).normal(3, 1, 400))["ci"]
    assert ci[1] - ci[0] == pytest.approx(2 * 1.96 / 20, rel=0.15)


def test_interval_by_hand():
    # Two targets, 0 and 1: a resample's mean is 0, 1/2, 1 with probability 1/4, 1/2, 1/4
    assert bootstrap_interval([0, 1]) == (0, 1)
    assert bootstrap_interval([0, 1], level=0.4) == (0.5, 0.5)  # from the 30th to the 70th percentile
    assert bootstrap_interval([0.3, 0.3, 0.3]) == pytest.approx((0.3, 0.3))
    assert bootstrap_interval([0.3]) is None


def test_interval_is_that_of_a_mean_and_repeats():
    sample = np.random.default_rng(0).random(400)
    low, high = bootstrap_interval(sample)
    standard_error = sample.std() / 20
    assert (high - low) / 2 == pytest.approx(1.96 * standard_error, rel=0.05)
    assert bootstrap_interval(sample) == (low, high) != bootstrap_interval(sample, seed=1)


def test_samples_resampled_together_are_resampled_as_each_alone():
    sizes = np.random.default_rng(1).integers(0, 129, size=(3, 30)).astype(float)
    means = resampled_means(sizes, 1200, seed=5)
    drawn = np.random.default_rng(5).integers(30, size=(1200, 30))
    assert means.shape == (3, 1200) and np.array_equal(means, sizes[:, drawn].mean(-1))
    assert np.array_equal(resampled_means(sizes[1], 1200, seed=5), means[1])


def test_holm_by_hand():
    # sorted .01 .02 .03 .04 times 4 3 2 1 = .04 .06 .06 .04, and never falling: .04 .06 .06 .06
    assert holm_correction([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm_correction([0.6, 0.9]) == [1, 1]
    assert holm_correction([]) == []
