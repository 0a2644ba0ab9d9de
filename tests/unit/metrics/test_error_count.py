"""Numbers of label errors, checked by hand."""

import numpy as np
import pytest

from attribution.metrics import error_count
from attribution.metrics.error_count import Counts


def test_the_interval_of_a_share():
    """None of 10: half of (1 - p)^10 is 0.025. One of 10, the lower end: P(more than 1) + P(1) / 2 is."""
    assert error_count.mid_p_interval(0, 10) == (0, pytest.approx(1 - 0.05**0.1))
    assert error_count.mid_p_interval(10, 10) == (pytest.approx(0.05**0.1), 1)
    low, high = error_count.mid_p_interval(1, 10)
    assert 1 - (1 - low) ** 10 - 5 * low * (1 - low) ** 9 == pytest.approx(0.025)
    assert (1 - high) ** 10 + 5 * high * (1 - high) ** 9 == pytest.approx(0.025)
    assert error_count.mid_p_interval(1, 1)[1] == 1


def test_what_was_found_is_known_and_the_rest_has_the_rate_of_the_sample():
    found = error_count.total_errors(Counts(5, 5), Counts(1, 9), 110)
    assert found["errors"] == 5 + 100 * 0.1
    high = error_count.mid_p_interval(1, 10)[1]
    assert found["ci"] == [5 + 1, pytest.approx(5 + 100 * high)], "one more is found in the sample itself"


def test_images_without_an_answer_count_both_ways():
    found = error_count.total_errors(Counts(4, 4, 2), Counts(1, 8, 1), 110)
    assert found["errors"] == pytest.approx(4 + 2 * 0.5 + 100 / 9)
    low, high = error_count.mid_p_interval(1, 10)[0], error_count.mid_p_interval(2, 10)[1]
    assert found["ci"] == pytest.approx([4 + max(1, 100 * low), 4 + 2 + 100 * high])


def test_where_all_was_looked_at_nothing_is_estimated():
    assert error_count.total_errors(Counts(3, 7), Counts(0, 0), 10) == {"errors": 3, "ci": [3, 3]}
    assert error_count.total_errors(Counts(3, 2), Counts(1, 4), 10) == {"errors": 4, "ci": [4, 4]}
    assert error_count.total_errors(Counts(3, 7), Counts(0, 0), 20) is None
    assert error_count.total_errors(Counts(3, 7), Counts(0, 0, 5), 20) is None


def test_what_comes_next():
    assert error_count.errors_ahead(np.zeros(19, bool)) is None
    none, every = error_count.errors_ahead(np.zeros(200, bool)), error_count.errors_ahead(np.ones(200, bool))
    assert none["errors"] < 0.5 and none["ci"][0] == 0 and none["ci"][1] <= 2
    assert every["errors"] > 95 and every["ci"][1] == 100
    steady = error_count.errors_ahead(np.arange(200) % 4 == 0)
    assert 17 < steady["errors"] < 25 and steady["ci"][0] < steady["errors"] < 25 < steady["ci"][1]
    falling = np.r_[np.ones(100, bool), np.arange(100) % 4 == 0]
    assert error_count.errors_ahead(falling)["errors"] < 15, "the trend goes on"
    assert error_count.errors_ahead(np.r_[falling, np.arange(200) % 4 == 0]) == steady, "what is long past is forgotten"


def test_how_long_a_decision_takes():
    assert error_count.seconds_each(range(0, 36, 4)) is None
    assert error_count.seconds_each([*range(0, 40, 4), 5000, 5004]) == 4
    assert error_count.seconds_each([0] * 50 + [50]) == 1, "a wall of fifty at once"
    assert error_count.seconds_each([100 * i for i in range(20)]) is None


def test_a_first_guess_by_the_joint():
    """Of ten images of class 0 two are, above that class's mean confidence, of class 1."""
    pytest.importorskip("cleanlab")
    labels = np.repeat([0, 1, 3], [10, 10, 1])
    probabilities = np.full((21, 4), 0.0)
    probabilities[np.arange(21), labels] = 0.9
    probabilities[np.arange(21), (labels + 1) % 4] = 0.1
    probabilities[:2] = [0.05, 0.95, 0, 0]
    found = error_count.guess_errors(labels, probabilities)
    assert found["errors"] == pytest.approx(2)
    assert [row["errors"] for row in found["classes"]] == pytest.approx([2, 0, 0, 0])
    assert [row["images"] for row in found["classes"]] == [10, 10, 0, 1]
    assert found["range"][0] <= 2 <= found["range"][1] <= 21
