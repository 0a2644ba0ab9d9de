"""The alignment check: what passes, and each way in which a matrix is silently wrong."""

import numpy as np
import pytest

from attribution.alignment import align

CLASSES = 10


@pytest.fixture
def square():
    """Scores [300, 300] of 300 targets, target-first, that prefer their own class; labels in no order."""
    rng = np.random.default_rng(0)
    train, val = rng.integers(0, CLASSES, 300), rng.integers(0, CLASSES, 300)
    return rng.normal(size=(300, 300)) + 3 * (train == val[:, None]), train, val


def checked(scores, train, val):
    return align(scores.argmax(1), np.arange(len(val)), train, val, scores.argmin(1))


def test_a_ranking_of_these_images_passes(square):
    found = checked(*square)
    assert found.warning is None and found.top1_same_class > 0.9 and found.n == 300
    assert found.chance == pytest.approx(np.mean([(square[1] == label).mean() for label in square[2]]))


def test_a_transposed_square_matrix_is_caught(square):
    scores, train, val = square
    assert "transposed" in checked(scores.T, train, val).warning


def test_a_negated_matrix_is_caught_and_named(square):
    scores, train, val = square
    found = checked(-scores, train, val)
    assert "the sign looks turned round" in found.warning and found.bottom1_same_class > 0.9


def test_a_shuffled_index_is_caught(square):
    scores, train, val = square
    shuffled = scores[:, np.random.default_rng(1).permutation(300)]
    assert "another order" in checked(shuffled, train, val).warning


def test_two_classes_have_a_bar_that_can_be_passed():
    train, val = np.arange(40) % 2, np.arange(20) % 2
    right = align(val, np.arange(20), train, val)
    assert right.bar == pytest.approx(0.75) and right.warning is None
    assert align(1 - val, np.arange(20), train, val).warning


def test_targets_without_a_first_image_do_not_count():
    first = np.array([0, -1, -1, 1])
    found = align(first, np.array([0, 1, 2, 3]), np.array([0, 1]), np.array([0, 0, 1, 0]))
    assert (found.n, found.top1_same_class) == (2, 0.5)
    assert align(first[1:2], np.array([1]), np.array([0, 1]), np.array([0, 0])).n == 0


def test_what_the_manifest_keeps(square):
    kept = checked(*square).to_json()
    assert set(kept) == {"top1_same_class", "chance", "n", "bottom1_same_class", "warning"}
