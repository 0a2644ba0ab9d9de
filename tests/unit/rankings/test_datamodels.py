"""Datamodels: a planted sparse model is found again, and the tail orders what LASSO leaves at zero."""

import numpy as np
import pytest

from attribution.rankings.datamodels import fit_lasso, marginal_effects, zero_weight_tails


@pytest.fixture(scope="module")
def planted():
    """Margins of 3 targets that are sums over 400 half masks of 50 images, of which 4 count; the third is constant."""
    rng = np.random.default_rng(0)
    masks = rng.permuted(np.tile(np.arange(50) < 25, (400, 1)), axis=1)
    weights = np.zeros((3, 50))
    weights[0, [3, 11, 20, 41]] = 2, 1, -1, -2
    weights[1, [0, 7, 30, 49]] = 1, 1, -1, -1
    margins = masks @ weights.T + rng.normal(0, 0.3, (400, 3))
    margins[:, 2] = 1.5
    return masks, margins, weights


def test_a_planted_model_is_found_again(planted):
    masks, margins, weights = planted
    done = []
    found = fit_lasso(masks, margins, 0.1, done.append)
    assert found.shape == (3, 50) and found.dtype == np.float32 and done == [1, 2, 3]
    assert np.array_equal(np.sign(found), np.sign(weights))
    assert np.abs(found - weights).max() < 0.3, "shrunk, but near"


def test_a_penalty_of_one_leaves_nothing(planted):
    masks, margins, _ = planted
    assert not fit_lasso(masks, margins, 1.01).any()
    assert (fit_lasso(masks, margins, 0.5) != 0).sum() <= (fit_lasso(masks, margins, 0.01) != 0).sum()


def test_marginal_effects_by_hand():
    masks = np.array([[1, 1, 0], [1, 0, 1], [0, 1, 1], [0, 0, 0]], bool)
    margins = np.array([[4.0], [2.0], [0.0], [2.0]])
    assert marginal_effects(masks, margins).tolist() == [[2, 0, -2]]


def test_the_tail_leaves_out_what_has_a_weight():
    weights = np.array([[0, 0.5, 0, 0, -1, 0]])
    effects = np.array([[0.1, 9, -0.3, 0.4, -9, 0.2]])
    helpful, harmful = zero_weight_tails(weights, effects, 4)[0]
    assert helpful.tolist() == [3, 5, 0, 2] and harmful.tolist() == [2, 0, 5, 3]
    assert zero_weight_tails(weights, effects).dtype == np.uint16


@pytest.mark.parametrize("scale, shift", [(1e-9, 0), (1e5, 0), (1, 5000), (1e-30, 0)])
def test_weights_go_with_the_margins_wherever_these_lie(scale, shift):
    rng = np.random.default_rng(0)
    masks = rng.random((80, 12)) < 0.5
    margins = masks @ rng.normal(size=(12, 3)) + 0.1 * rng.normal(size=(80, 3))
    plain = fit_lasso(masks, margins, 0.1), marginal_effects(masks, margins)
    moved = margins * scale + shift
    found = fit_lasso(masks, moved, 0.1), marginal_effects(masks, moved)
    for one, other in zip(plain, found):
        assert np.allclose(one, other / scale, atol=1e-3 * np.abs(one).max())
