"""All detectors together: each family once."""

import numpy as np
import pytest
from scipy.stats import rankdata

from attribution.audit.detectors import combined
from attribution.audit.detectors.base import Detector

LABELS = np.array([0, 0, 1, 2, 2])


def detector(name, family, scores, suggestion=None):
    suggestion = None if suggestion is None else np.array(suggestion)
    return Detector(name, family, "", False, np.array(scores, np.float32), suggestion, None)


def test_the_mean_rank_over_families():
    a, b, c = [5, 1, 2, 3, 4], [1, 1, 1, 9, 9], [0.1, 0.5, 0.3, 0.2, 0.4]
    scores, suggestion = combined.combine(
        [detector("a", "x", a), detector("b", "x", b), detector("c", "y", c)], LABELS, 3
    )
    assert np.allclose(scores, ((rankdata(a) + rankdata(b)) / 2 + rankdata(c)) / 2 / 5)
    assert np.array_equal(suggestion, LABELS), "nobody suggests anything"


def test_a_vote_a_family():
    members = [
        detector("a", "x", [0] * 5, [1, 1, 1, 1, 1]),
        detector("b", "x", [0] * 5, [1, 2, 1, 1, 1]),
        detector("c", "y", [0] * 5, [2, 2, 1, 1, 0]),
        detector("d", "z", [0] * 5),
        detector("e", "w", [0] * 5, [2, 0, 1, 1, 0]),
    ]
    _, suggestion = combined.combine(members, LABELS, 3)
    # image 1: class 1 has half a vote, class 2 one and a half, class 0 one
    assert suggestion.tolist() == [2, 2, 1, 1, 0]


@pytest.mark.parametrize(
    ("out_of_sample", "expected"), [([1, 1, 1, 1, 1], [1, 1, 1, 1, 1]), ([2, 2, 2, 2, 2], [2, 2, 2, 2, 2])]
)
def test_equal_votes_go_to_the_models_that_did_not_see_the_image(out_of_sample, expected):
    other = [3 - label for label in out_of_sample]
    members = [
        detector("knn-moco", "knn", [0] * 5, other),
        detector("out-of-subset", "held-out", [0] * 5, out_of_sample),
    ]
    assert combined.combine(members, LABELS, 3)[1].tolist() == expected


def test_else_to_the_given_label():
    members = [detector("a", "x", [0] * 5, [2, 1, 2, 1, 0]), detector("b", "y", [0] * 5, [0, 2, 1, 2, 1])]
    assert combined.combine(members, LABELS, 3)[1].tolist() == [0, 1, 1, 2, 0]


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 300, 40)
    members = [detector(str(n), str(n % 3), rng.normal(size=40), rng.integers(0, 300, 40)) for n in range(5)]
    whole = combined.combine(members, labels, 300)
    monkeypatch.setattr(combined, "BLOCK", 7)
    assert all(np.array_equal(a, b) for a, b in zip(whole, combined.combine(members, labels, 300)))
