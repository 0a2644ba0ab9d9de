"""Pools of predictions, and judges weighed by their agreement: numbers worked out by hand."""

import numpy as np
import pytest

from attribution.metrics.pooling import FIRST_SHARE, MOST_LOADING, agreement_weights, log_linear_pool, normal_scores


def test_a_single_prediction_is_taken_to_the_likeliest_power():
    # Three of four labels are the likely class, which has 0.6 of 0.6 + 0.4: the power p makes it 0.75 where
    # p * log(0.6 / 0.4) = log 3.
    pooled, powers = log_linear_pool([np.full((4, 2), [0.6, 0.4])], np.array([0, 0, 0, 1]))
    assert powers[0] == pytest.approx(np.log(3) / np.log(1.5), rel=1e-3)
    assert np.exp(pooled[0]) == pytest.approx([0.75, 0.25], abs=1e-3)


def test_what_is_worse_than_nothing_has_no_power_and_unknown_rows_say_nothing():
    labels = np.arange(60) % 2
    right = np.where(np.eye(2, dtype=bool)[labels], 0.8, 0.2)
    right[:12] = right[:12, ::-1]
    pooled, powers = log_linear_pool([right, right[:, ::-1]], labels)
    assert powers[1] == pytest.approx(0, abs=1e-6) and powers[0] == pytest.approx(1, rel=1e-2)
    unknown = right.copy()
    unknown[59] = np.nan
    pooled, _ = log_linear_pool([unknown], labels)
    assert np.exp(pooled[59]) == pytest.approx([0.5, 0.5])


def test_normal_scores_of_ties():
    # Ranks 1.5, 1.5, 3 of 3: the quantiles at 1/3, 1/3 and 5/6.
    assert normal_scores(np.array([1, 1, 2])) == pytest.approx([-0.4307, -0.4307, 0.9674], abs=1e-3)


def test_weights_of_three_judges_by_hand():
    # First tenths of 1,000 images: A and B share 28, A and C 19, B and C 19, by chance 10. Beyond chance, of 90 that
    # could be: 0.2, 0.1 and 0.1. So the loadings are a = b = sqrt(0.2 * 0.1 / 0.1) = 0.447 and c = 0.1 / 0.447 = 0.224.
    count = round(1000 * FIRST_SHARE)
    a, b, c = (np.zeros(1000) for _ in range(3))
    a[:count] = 1
    b[[*range(28), *range(count, 2 * count - 28)]] = 1
    c[[*range(10, 28), 99, *range(count, count + 1), *range(2 * count, 3 * count - 20)]] = 1
    scores = np.stack([a, b, c])
    shared = [int((one * other).sum()) for one, other in ((a, b), (a, c), (b, c))]
    assert shared == [28, 19, 19] and scores.sum(1).tolist() == [count] * 3
    loading = np.array([0.2**0.5, 0.2**0.5, 0.1 / 0.2**0.5])
    weights = loading / (1 - loading**2)
    assert agreement_weights(scores) == pytest.approx(weights / weights.sum(), abs=1e-3)


def test_of_two_judges_nothing_can_be_told_and_equal_ones_do_not_weigh_all():
    rng = np.random.default_rng(0)
    assert agreement_weights(rng.normal(size=(2, 50))).tolist() == [0.5, 0.5]
    same = rng.normal(size=500)
    weights = agreement_weights(np.stack([same, same, rng.normal(size=500)]))
    assert weights[:2] == pytest.approx([0.5, 0.5], abs=0.02) and np.isfinite(weights).all()
    assert agreement_weights(np.stack([same, -same, rng.permutation(same)])).sum() == pytest.approx(1)
    assert MOST_LOADING < 1
