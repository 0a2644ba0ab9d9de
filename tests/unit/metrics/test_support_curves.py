"""Support curves on cases small enough to work out by hand; K = 10 throughout unless said otherwise."""

import json

import numpy as np
import pytest

from attribution.experiments.support_search import Support
from attribution.metrics import support_curves


def flipped(support, trainings=30, status="flipped"):
    return Support(status, support, support - 1, support, [], trainings)


def unstable(support):
    return flipped(support, status="unstable")


CENSORED = Support("censored", None, 10, None, [], 4)
WRONG = Support("already_wrong", None, None, None, [], 0)


def test_cdf_by_hand():
    # 4 targets: supports 1, 3, 3, censored
    y = support_curves.support_cdf([flipped(3), CENSORED, flipped(1), flipped(3)], 10)
    assert y.tolist() == [0, 0.25, 0.25] + [0.75] * 8


def test_already_wrong_and_unfinished_are_left_out():
    assert support_curves.support_cdf([flipped(1), WRONG, None], 2).tolist() == [0, 1, 1]
    assert support_curves.support_auc([flipped(1), WRONG, None], 10) == 0.9


def test_auc_by_hand():
    # areas: (10-1)/10 = 0.9, (10-3)/10 = 0.7 twice, censored 0: mean 2.3 / 4
    assert support_curves.support_auc([flipped(3), CENSORED, flipped(1), flipped(3)], 10) == pytest.approx(0.575)
    assert support_curves.support_auc([flipped(10)], 10) == support_curves.support_auc([CENSORED], 10) == 0
    assert support_curves.support_auc([WRONG, None], 10) is None


def test_auc_is_the_area_under_the_cdf():
    rng = np.random.default_rng(0)
    supports = [flipped(int(s)) for s in rng.integers(1, 129, 40)] + [CENSORED] * 10
    # the CDF holds its value from k to k + 1, so the area up to K leaves out the last value
    assert support_curves.support_auc(supports, 128) == pytest.approx(
        support_curves.support_cdf(supports, 128)[:-1].sum() / 128
    )


def test_a_support_beyond_k_max_counts_as_censored():
    assert support_curves.support_cdf([flipped(7)], 5).tolist() == [0] * 6
    row = support_curves.summarise_supports([flipped(7), flipped(2)], 5)
    assert (row["auc"], row["censored"], row["median"]) == (pytest.approx(0.3), 0.5, None)
    assert support_curves.compare_pair({0: flipped(7)}, {0: CENSORED}, 5)["tie"] == 1


def test_median_is_none_once_it_is_censored():
    assert support_curves.median_support([flipped(2), flipped(4), CENSORED], 10) == 4
    assert support_curves.median_support([flipped(2), flipped(5)], 10) == 3.5
    assert support_curves.median_support([flipped(2), CENSORED], 10) is None  # half way between 2 and beyond
    assert support_curves.median_support([WRONG], 10) is None


def test_summary_by_hand():
    row = support_curves.summarise_supports(
        [flipped(2, 40), unstable(4), CENSORED, CENSORED, flipped(6, 26), WRONG, WRONG, None], 10
    )
    assert row["auc"] == pytest.approx((0.8 + 0.6 + 0 + 0 + 0.4) / 5)
    assert row["auc_stable"] == pytest.approx((0.8 + 0 + 0 + 0.4) / 4)
    assert (row["median"], row["censored"], row["unstable"]) == (6, 0.4, 1)
    assert (row["already_wrong"], row["unfinished"], row["n"]) == (2, 1, 5)
    assert row["trainings_mean"] == pytest.approx((40 + 30 + 4 + 4 + 26) / 5)
    low, high = row["auc_ci"]
    assert 0 <= low < row["auc"] < high <= 0.8


def test_summary_of_nothing():
    row = support_curves.summarise_supports([WRONG, None], 10)
    assert {key for key, value in row.items() if value is None} == {
        "auc", "auc_ci", "auc_stable", "median", "censored", "trainings_mean"
    }  # fmt: skip
    assert row["n"] == 0
    assert np.isnan(support_curves.support_cdf([], 10)).all()


def test_band():
    # Finished: 2 and censored. Unfinished: nothing known; flipped at 8, survived at 4; survived at 5 on a short list.
    low, high = support_curves.cdf_band([flipped(2), CENSORED, WRONG], [(0, None), (4, 8), (5, None)], 10)
    #        k =  0  1  2  3  4  5  6  7  8  9  10
    assert (low * 5).tolist() == pytest.approx([0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2])
    assert (high * 5).tolist() == pytest.approx([0, 1, 2, 2, 2, 3, 4, 4, 4, 4, 4])


def test_band_closes_when_all_are_finished():
    low, high = support_curves.cdf_band([flipped(2), CENSORED], [], 10)
    assert low.tolist() == high.tolist() == support_curves.support_cdf([flipped(2), CENSORED], 10).tolist()


def test_versus_by_hand():
    a = {1: flipped(2), 2: flipped(5), 3: CENSORED, 4: flipped(9), 5: CENSORED, 6: WRONG, 7: None}
    b = {1: flipped(4), 2: flipped(5), 3: CENSORED, 4: CENSORED, 5: flipped(3), 6: WRONG, 7: flipped(1), 9: flipped(1)}
    a[10], b[10] = flipped(1), None
    # 1 win, 2 tie, 3 tie (both censored), 4 win, 5 loss; 6 has no support, 7 and 10 are unfinished, 9 is one-sided
    one = support_curves.compare_pair(a, b, 10)
    assert (one["win"], one["tie"], one["loss"], one["n"]) == (2, 2, 1, 5)
    # sign test, 2 of 3: P(0 or 1 or 2 or 3 wins) = 1
    assert one["p"] == 1
    # areas a: .8 .5 0 .1 0; b: .6 .5 0 0 .7: differences .2 0 0 .1 -.7
    assert one["auc_difference"] == pytest.approx(-0.4 / 5)


def test_sign_test_by_hand():
    a = {t: flipped(1) for t in range(6)}
    b = {t: flipped(2) for t in range(6)}
    # 6 of 6: 2 * (1/2)**6
    assert support_curves.compare_pair(a, b, 10)["p"] == pytest.approx(2 / 64)
    assert support_curves.compare_pair(b, a, 10)["p"] == pytest.approx(2 / 64)
    # 5 of 6: 2 * (1 + 6) / 64, and a tie more changes nothing
    b[0] = flipped(1)
    a[0] = flipped(2)
    a[6] = b[6] = CENSORED
    assert support_curves.compare_pair(a, b, 10)["p"] == pytest.approx(14 / 64)


def test_paired_bootstrap_p():
    same = {t: flipped(t + 1) for t in range(9)}
    assert support_curves.compare_pair(same, same, 10)["auc_difference_p"] == 1
    better = {t: flipped(t + 1) for t in range(20)}
    worse = {t: flipped(t + 2) for t in range(20)}
    # All 20 differ the same way, so no resample crosses 0: 2 * (0 + 1) / (10,000 + 1)
    assert support_curves.compare_pair(better, worse, 50)["auc_difference_p"] == pytest.approx(2 / 10_001)
    # Three targets cannot show less than 2 / 2**3, however they agree
    assert support_curves.compare_pair({t: better[t] for t in range(3)}, worse, 50)["auc_difference_p"] == 0.25
    # Pairing is what tells: the areas spread over 0.38, the difference is 0.02 in every target
    assert support_curves.compare_pair(better, worse, 50)["auc_difference_ci"] == pytest.approx((0.02, 0.02))
    # Differences -0.1, 0, 0.1 and as many resamples either side
    level = support_curves.compare_pair(
        {0: flipped(1), 1: flipped(2), 2: flipped(3)}, {t: flipped(2) for t in range(3)}, 10
    )
    assert level["auc_difference_p"] == 1


def test_table_is_json_and_mirrors():
    a = {t: flipped(t + 1) for t in range(8)}
    b = {t: flipped(t + 3) for t in range(8)} | {8: CENSORED}
    c = {t: flipped(8 - t) for t in range(8)} | {9: WRONG}
    result = json.loads(json.dumps(support_curves.compare_rankings({"a": a, "b": b, "c": c}, 12), allow_nan=False))
    assert set(result["rankings"]["a"]) >= {
        "auc", "auc_ci", "median", "censored", "unstable", "already_wrong", "n", "trainings_mean"
    }  # fmt: skip
    assert result["rankings"]["b"]["n"] == 9
    ab, ba = result["wins"]["a"]["b"], result["wins"]["b"]["a"]
    assert (ab["win"], ab["loss"], ba["win"], ba["loss"]) == (8, 0, 0, 8)
    assert ab["p"] == ba["p"] == pytest.approx(2 / 2**8)
    assert ab["auc_difference"] == -ba["auc_difference"] == pytest.approx(2 / 12)
    ac, ca = result["wins"]["a"]["c"], result["wins"]["c"]["a"]
    assert ac["auc_difference_ci"] == [-end for end in reversed(ca["auc_difference_ci"])]
    # 8 differing targets: p is 2 / 2**8 at the least; the smallest of three pairs is multiplied by 3
    assert ab["auc_difference_p"] == pytest.approx(1 / 128)
    assert ab["auc_difference_p_holm"] == ba["auc_difference_p_holm"] == pytest.approx(3 / 128)
    assert support_curves.compare_rankings({"a": a}, 12)["wins"] == {"a": {}}


def test_what_was_right_already_is_left_out_and_counted():
    row = support_curves.summarise_supports(
        [flipped(3), Support("already_right", None, None, None, [], 0), CENSORED], 12
    )
    assert (row["n"], row["already_right"], row["already_wrong"]) == (2, 1, 0)
    repaired = Support("repaired", 3, 2, 3, [], 9)
    assert support_curves.support_auc([repaired], 12) == support_curves.support_auc([flipped(3)], 12)
