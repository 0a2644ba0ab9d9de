"""LDS on cases small enough to work out by hand, and on simulated models whose answer is known."""

import json

import numpy as np
import pytest
from scipy.stats import spearmanr

from attribution.errors import UserError
from attribution.metrics import lds

# Four subsets of three training images, and one target whose margin went 5, 1, 3, 4 (seed means)
MASKS = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0], [1, 1, 1]], dtype=bool)
MARGINS = np.array([[4, 6], [1, 1], [2, 4], [4, 4]], dtype=float)[:, :, None]


def simulated(signal, subsets=100, targets=60, seeds=5, train=200, rng=0):
    """Masks, true scores [T, n_train] and margins that are linear in the mask plus a seed's noise.

    `signal` is the correlation between the margins of two seeds.
    """
    rng = np.random.default_rng(rng)
    masks = rng.random((subsets, train)) < 0.5
    scores = rng.normal(size=(targets, train))
    expected = masks @ scores.T / np.sqrt(train / 4)  # unit variance: each mask entry has variance 1/4
    noise = rng.normal(size=(subsets, seeds, targets))
    return masks, scores, np.sqrt(signal) * expected[:, None] + np.sqrt(1 - signal) * noise


def test_by_hand():
    # scores 2, 1, -1: predictions 3, 1, 2, 2 with ranks 4, 1, 2.5, 2.5; margins' ranks 4, 1, 2, 3
    # centred: (1.5, -1.5, 0, 0) and (1.5, -1.5, -.5, .5): 4.5 / sqrt(4.5 * 5) = 0.9487
    one = lds.lds(MASKS, MARGINS, lambda target: np.array([2, 1, -1]), resamples=0)
    assert one.per_target == pytest.approx([4.5 / np.sqrt(22.5)])
    assert (one.mean, one.ci, one.n_constant) == (pytest.approx(0.9486833), None, 0)
    # the opposite scores predict the opposite
    assert lds.lds(MASKS, MARGINS, lambda target: np.array([-2, -1, 1]), resamples=0).mean == pytest.approx(-0.9486833)


def test_is_scipys_spearman_of_sums_for_each_target():
    masks, scores, margins = simulated(0.3, targets=70)
    targets = np.arange(69, 0, -2)
    noisy = scores + np.random.default_rng(1).normal(size=scores.shape)
    one = lds.lds(masks, margins, noisy.__getitem__, targets, resamples=0)
    for value, target in zip(one.per_target, targets, strict=True):
        sums = [noisy[target][mask].sum() for mask in masks]
        assert value == pytest.approx(spearmanr(sums, margins[:, :, target].mean(axis=1)).statistic)
    assert one.mean == pytest.approx(one.per_target.mean())


def test_scores_may_come_from_an_iterator():
    masks, scores, margins = simulated(0.3, targets=70)
    called = lds.lds(masks, margins, scores.__getitem__, [5, 2, 60], resamples=0)
    iterated = lds.lds(masks, margins, (scores[t] for t in (5, 2, 60)), [5, 2, 60], resamples=0)
    assert called.per_target.tolist() == iterated.per_target.tolist()


def test_constant_scores_count_as_zero():
    masks, scores, margins = simulated(0.5, targets=4)
    margins[:, :, 3] = 1  # and so do margins that never change
    scores[0], scores[1] = 0, 0.1
    one = lds.lds(masks, margins, scores.__getitem__, resamples=20)
    assert one.n_constant == 3
    assert one.per_target[[0, 1, 3]].tolist() == [0, 0, 0]
    assert one.per_target[2] > 0.5
    assert one.mean == pytest.approx(one.per_target[2] / 4)


def test_sums_that_differ_by_rounding_alone_tie():
    # 0.1 + 0.2 and 0.3 differ in the last bit; as ties the ranks are 1.5, 1.5, 3 against 1, 2, 3: 1.5 / sqrt(1.5 * 2)
    masks = np.array([[1, 1, 0, 0], [0, 0, 1, 0], [1, 1, 1, 1]], dtype=bool)
    margins = np.array([2.0, 1.0, 3.0])[:, None, None]
    one = lds.lds(masks, margins, lambda target: np.array([0.1, 0.2, 0.3, 0.5]), resamples=0)
    assert one.mean == pytest.approx(1.5 / np.sqrt(3))


def test_half_precision_memory_maps_will_do(tmp_path):
    masks, scores, margins = simulated(0.5, targets=5)
    np.save(tmp_path / "margins.npy", margins.astype(np.float16))
    mapped = np.load(tmp_path / "margins.npy", mmap_mode="r")
    exact = lds.lds(masks, margins, scores.__getitem__, resamples=0)
    assert lds.lds(masks, mapped, scores.__getitem__, resamples=0).mean == pytest.approx(exact.mean, abs=0.005)


def test_resampled_ranks_are_those_of_the_resample():
    rng = np.random.default_rng(0)
    predicted = rng.integers(0, 6, size=(12, 3)).astype(float)  # many ties
    measured = rng.normal(size=(12, 3))
    rows = rng.integers(12, size=12)
    drawn = np.bincount(rows, minlength=12).astype(np.float32)[:, None]
    x, y = (lds._resampled_ranks(side, drawn)[:, :, 0] for side in (predicted, measured))
    for target in range(3):
        want = spearmanr(predicted[rows, target], measured[rows, target]).statistic
        got = (drawn[:, 0] * x[target] * y[target]).sum()
        got /= np.sqrt((drawn[:, 0] * x[target] ** 2).sum() * (drawn[:, 0] * y[target] ** 2).sum())
        assert got == pytest.approx(want, rel=1e-5)


def test_resampled_means_follow_the_same_draws():
    rng = np.random.default_rng(0)
    predicted, measured = rng.integers(0, 9, size=(20, 40)).astype(float), rng.normal(size=(20, 40))
    measured += predicted / 4
    means = lds._resampled_means(predicted, measured, 5, np.random.default_rng(3))
    rng = np.random.default_rng(3)
    rows = [np.repeat(np.arange(20), count) for count in rng.multinomial(20, np.full(20, 1 / 20), size=5)]
    columns = [np.repeat(np.arange(40), count) for count in rng.multinomial(40, np.full(40, 1 / 40), size=5)]
    for mean, r, c in zip(means, rows, columns, strict=True):
        assert mean == pytest.approx(np.mean([spearmanr(predicted[r, t], measured[r, t]).statistic for t in c]))


def test_interval_varies_subsets_and_targets():
    masks, scores, margins = simulated(0.3)
    one = lds.lds(masks, margins, scores.__getitem__, resamples=200)
    assert one.ci[0] < one.mean < one.ci[1]
    assert lds.lds(masks, margins, scores.__getitem__, resamples=200).ci == one.ci
    # One target copied: targets do not vary, subsets do.
    copied = lds.lds(masks, margins, scores.__getitem__, [0] * 30, resamples=200)
    assert copied.ci[1] - copied.ci[0] > 0.05
    # Exact predictions on some targets, exactly wrong ones on others: subsets do not matter, targets do.
    sums = (masks @ scores.T)[:, None]
    mixed = lds.lds(masks, sums, lambda t: scores[t] * (-1) ** t, resamples=200)
    assert mixed.mean == 0
    assert mixed.ci == pytest.approx((-0.253, 0.253), abs=0.06)  # 1.96 / sqrt(60 targets)


def test_interval_is_centred():
    # With 12 subsets a resample holds many twice, and these ties take some 0.04 off its correlations.
    masks, scores, margins = simulated(0.3, subsets=12, targets=200)
    one = lds.lds(masks, margins, scores.__getitem__, level=0)
    assert one.ci == pytest.approx((one.mean, one.mean), abs=0.01)


@pytest.mark.parametrize("seeds", [2, 3, 5, 8])
def test_ceiling_is_what_the_true_scores_reach(seeds):
    # Spearman-Brown: the mean of R seeds has reliability R r / (1 + (R - 1) r); ranks lose a few hundredths of it
    signal = 0.3
    masks, scores, margins = simulated(signal, seeds=seeds, targets=200)
    noise = lds.noise_ceiling(margins)
    assert noise.mean == pytest.approx(np.sqrt(seeds * signal / (1 + (seeds - 1) * signal)), abs=0.03)
    assert noise.mean == pytest.approx(lds.lds(masks, margins, scores.__getitem__, resamples=0).mean, abs=0.02)
    assert noise.signal == pytest.approx(signal, abs=0.03)


def test_ceiling_by_hand():
    # Two seeds, three subsets: ranks 1 2 3 and 1 3 2 correlate 1/2; Spearman-Brown 2 * .5 / 1.5 = 2/3
    first = np.array([[1, 1], [2, 3], [3, 2]], dtype=float)[:, :, None]
    assert lds.noise_ceiling(first) == lds.NoiseCeiling(pytest.approx(np.sqrt(2 / 3)), pytest.approx(0.5))
    # A second target whose seeds disagree, -1: its ceiling is 0, its signal is counted as it is
    both = np.concatenate([first, np.array([[1, 3], [2, 2], [3, 1]], dtype=float)[:, :, None]], axis=2)
    assert lds.noise_ceiling(both) == lds.NoiseCeiling(pytest.approx(np.sqrt(2 / 3) / 2), pytest.approx(-0.25))
    assert lds.noise_ceiling(both, [0]) == lds.noise_ceiling(first)


def test_one_seed_has_no_ceiling():
    assert lds.noise_ceiling(np.ones((5, 1, 3))) == lds.NoiseCeiling(None, None)


def test_halves_never_overlap():
    assert [len(lds._seed_halves(seeds)) for seeds in (2, 3, 4, 5, 6, 7, 20)] == [1, 3, 3, 15, 10, 50, 50]
    for seeds in (2, 5, 7, 20):
        for a, b in lds._seed_halves(seeds):
            assert len(set(a) | set(b)) == 2 * (seeds // 2) == len(a) + len(b)


def test_evaluate_is_json():
    masks, scores, margins = simulated(0.3, targets=20)
    rankings = {"true": scores.__getitem__, "zero": lambda t: np.zeros(200)}
    result = json.loads(
        json.dumps(lds.evaluate_rankings(masks, margins, rankings, [3, 4, 9], resamples=50), allow_nan=False)
    )
    assert result.keys() == {"alpha", "masks", "seeds", "ceiling", "signal", "rankings"}
    assert result["alpha"] == pytest.approx(0.5, abs=0.01)
    assert (result["masks"], result["seeds"]) == (100, 5)
    assert result["rankings"]["true"]["lds"] > 0.7
    assert result["ceiling"] == lds.noise_ceiling(margins, [3, 4, 9]).mean != lds.noise_ceiling(margins).mean
    assert result["rankings"]["zero"] == {"lds": 0, "ci": [0, 0], "n_targets": 3, "n_constant": 3}


def test_mistakes_are_named():
    masks, scores, margins = simulated(0.3, targets=4)
    with pytest.raises(UserError, match="same subsets"):
        lds.lds(masks[1:], margins, scores.__getitem__)
    with pytest.raises(UserError, match="at least 3"):
        lds.lds(masks[:2], margins[:2], scores.__getitem__)
    with pytest.raises(UserError, match="one target"):
        lds.lds(masks, margins, scores.__getitem__, [])
    with pytest.raises(UserError, match="one row of 200"):
        lds.lds(masks, margins, iter(scores[:3]))
    with pytest.raises(UserError, match=r"targets \[2\]"):
        lds.lds(masks, margins, lambda t: scores[t] * (np.nan if t == 2 else 1))
    margins[7, 1, 2] = np.inf
    for function in (lambda: lds.lds(masks, margins, scores.__getitem__), lambda: lds.noise_ceiling(margins)):
        with pytest.raises(UserError, match=r"Subsets \[7\]"):
            function()
    assert lds.lds(masks, margins, scores.__getitem__, [0, 1, 3], resamples=0).mean > 0


@pytest.mark.parametrize("scale, shift", [(1, 5000), (1e-9, 0), (1e5, 0), (1e-30, 0), (1e30, 0), (1, -1e9), (1e-6, 1)])
@pytest.mark.parametrize("side", ["margins", "scores"])
def test_numbers_far_from_one(side, scale, shift):
    """LDS is of ranks: where margins or scores lie, and how large they are, changes nothing."""
    rng = np.random.default_rng(1)
    masks = np.stack([rng.permutation(20) < 10 for _ in range(40)])
    scores = rng.normal(size=(4, 20))
    margins = (masks @ scores.T)[:, None]
    moved = {"margins": margins, "scores": scores}
    moved[side] = moved[side] * scale + shift
    assert lds.lds(masks, moved["margins"], moved["scores"], resamples=0).mean == pytest.approx(1, abs=1e-3)


def test_what_all_images_share_counts_by_the_size_of_the_subset():
    """Scores that are all 3 but for their order: a larger subset has the larger sum."""
    masks = np.tri(6, 8, 1, dtype=bool)
    margins = masks.sum(1)[:, None, None].astype(float)
    assert lds.lds(masks, margins, [3 + 1e-3 * np.arange(8)[::-1]], resamples=0).mean == 1
    assert lds.lds(masks, margins, [np.full(8, 3.0)], resamples=0).n_constant == 1


def test_scores_are_read_once_for_several_draws():
    masks, scores, margins = simulated(0.3, targets=40)
    other, _, more = simulated(0.3, subsets=30, targets=40, rng=1)
    rows = iter(scores)
    both = lds.predict([masks, other], rows, np.arange(40))
    for predicted, alone, measured in zip(both, (masks, other), (margins, more)):
        judged = lds.judge(predicted, measured, np.arange(40), resamples=50)
        wanted = lds.lds(alone, measured, scores.__getitem__, resamples=50)
        assert (judged.mean, judged.ci) == (wanted.mean, wanted.ci)
    with pytest.raises(UserError, match="at least one target"):
        lds.predict([masks], [], np.array([], int))


def test_a_difference_is_paired():
    # predictions 3, 1, 2, 2 and their opposite: 0.9487 and -0.9487
    [first] = lds.predict([MASKS], [[2, 1, -1]], np.array([0]))
    [second] = lds.predict([MASKS], [[-2, -1, 1]], np.array([0]))
    above = lds.difference(first, second, MARGINS, np.array([0]), resamples=0)
    assert (above.mean, above.ci) == (pytest.approx(2 * 0.9486833), None)
    masks, scores, margins = simulated(0.3, targets=40)
    targets = np.arange(40)
    [good] = lds.predict([masks], scores, targets)
    noise = np.random.default_rng(2).normal(size=scores.shape)
    [less] = lds.predict([masks], scores + 0.3 * noise, targets)
    same = lds.difference(good, good, margins, targets)
    assert (same.mean, same.ci) == (0, (0, 0))
    above = lds.difference(good, less, margins, targets)
    reached = [lds.judge(one, margins, targets) for one in (good, less)]
    assert above.mean == pytest.approx(reached[0].mean - reached[1].mean)
    low, high = above.ci
    assert 0 < low < above.mean < high
    apart = np.hypot(*(one.ci[1] - one.ci[0] for one in reached))
    assert high - low < 0.6 * apart, "what both share does not widen it"
