"""Agreement of two orders, by hand and against the definition."""

import numpy as np
import pytest

from attribution.metrics.rank_agreement import (
    image_ranks,
    jaccard,
    mean_shared,
    rank_biased_overlap,
    spearman_over_union,
)


def test_jaccard():
    assert jaccard(np.array([1, 2, 3]), np.array([3, 4, 5])) == pytest.approx(1 / 5)
    assert jaccard(np.array([1, 2]), np.array([2, 1])) == 1
    assert jaccard(np.array([1, 2]), np.array([3])) == 0


def test_rank_biased_overlap_by_hand():
    # overlaps of the first 1, 2, 3: 0, 1/2, 2/3; p = 1/2, what follows as the last
    overlap = rank_biased_overlap(np.array([1, 2, 3]), np.array([2, 4, 1]), p=0.5)
    weights = [0.5, 0.25, 0.125]
    assert overlap == pytest.approx(0 * weights[0] + 1 / 2 * weights[1] + 2 / 3 * weights[2] + 2 / 3 * 0.125)
    assert rank_biased_overlap(np.arange(50), np.arange(50)) == pytest.approx(1)
    assert rank_biased_overlap(np.arange(50), np.arange(50, 100)) == 0


def test_rank_biased_overlap_weighs_the_top_more():
    base = np.arange(20)
    early, late = base.copy(), base.copy()
    early[[0, 5]], late[[14, 19]] = [5, 0], [19, 14]
    assert rank_biased_overlap(base, early) < rank_biased_overlap(base, late) < 1


def test_rank_biased_overlap_against_its_definition():
    rng = np.random.default_rng(0)
    a, b, p = rng.permutation(30), rng.permutation(30), 0.8
    share = [len(set(a[:d]) & set(b[:d])) / d for d in range(1, 31)]
    plain = share[-1] * p**30 + (1 - p) * sum(s * p ** (d - 1) for d, s in enumerate(share, 1))
    assert rank_biased_overlap(a, b, p) == pytest.approx(plain)


def test_spearman_over_the_union():
    a, b = np.array([0, 1, 2]), np.array([2, 1, 0])
    assert spearman_over_union(a, b, image_ranks(a, 5), image_ranks(b, 5)) == pytest.approx(-1)
    assert spearman_over_union(a, a, image_ranks(a, 5), image_ranks(a, 5)) == pytest.approx(1)
    c = np.array([3, 4])  # nothing shared: what is first here ties at the end there
    assert spearman_over_union(a, c, image_ranks(a, 5), image_ranks(c, 5)) < -0.7
    assert np.isnan(spearman_over_union(a[:1], a[:1], image_ranks(a, 5), image_ranks(a, 5)))


def test_shared_images_are_counted_over_pairs():
    first, second, third = np.array([4, 2, 7, 1]), np.array([7, 4, 9, 8]), np.array([1, 2, 4, 7])
    assert mean_shared([first, second, third]) == pytest.approx((2 + 4 + 2) / 3)
    assert mean_shared([first, third]) == 4  # whatever their order
    assert mean_shared([first]) is None and mean_shared([]) is None
