import numpy as np
import pytest

from attribution.metrics.group_change import change_of_group, change_of_rest, mean_ranks


def test_mean_ranks_over_lists_of_other_lengths():
    # image 1 is first and second; 3 is second in the first list, and comes after the one of two images: (2 + 3) / 2
    assert mean_ranks([np.array([1, 3, 0]), np.array([2, 1])], 4).tolist() == [3.0, 1.5, 2.5, 2.5]


def test_a_group_beside_random_edits():
    before, after = np.array([-1.0, -1.0, -2.0, 1.0]), np.array([1.0, -0.5, 1.0, 2.0])
    controls = np.array([[-1.0, 1.0, -2.0, 1.0], [-1.0, -1.0, -2.0, -1.0]])
    change = change_of_group(before, after, controls)
    assert (change["n"], change["before"], change["after"]) == (4, 3, 1)
    assert change["control"] == {"mean": 3.0, "low": 2, "high": 4}
    # errors change by -1, 0, -1, 0; by random edits by 0, -1/2, 0, 1/2
    assert change["error_rate"]["mean"] == -0.5 and change["error_rate_difference"]["mean"] == -0.5
    # margins by 2, 0.5, 3, 1; by random edits by 0, 1, 0, -1
    assert change["margin"]["mean"] == 1.625 and change["margin_difference"]["mean"] == 1.625
    low, high = change["margin"]["ci"]
    assert 0.5 <= low < 1.625 < high <= 3 and change["margin"]["n"] == 4


def test_the_rest():
    before, after = np.array([1.0, 1.0, -1.0, 2.0]), np.array([-1.0, -1.0, 1.0, 2.0])
    controls = np.array([[1.0, 1.0, 1.0, 2.0], [1.0, -1.0, -1.0, -2.0]])
    change = change_of_rest(before, after, controls)
    assert (change["n"], change["newly_wrong"], change["newly_right"], change["net"]) == (4, 2, 1, 1)
    assert change["control"] == {"mean": 0.5, "low": -1, "high": 2}
    assert change_of_rest(*np.zeros((2, 0)), np.zeros((3, 0)))["control"]["mean"] == 0


def test_margins_of_other_members_are_refused():
    for after, controls in (
        (np.ones(2), np.ones((1, 3))),
        (np.ones(3), np.ones((1, 2))),
        (np.ones(3), np.ones((0, 3))),
    ):
        with pytest.raises(ValueError, match="not of the same members"):
            change_of_group(np.ones(3), after, controls)
