"""Disagreement of the nearest images, against the sum written out."""

import numpy as np
import pytest

from attribution.audit.detectors.knn import label_disagreement
from attribution.features.knn import nearest_neighbours
from tests.unit.features.far_from_zero import far_from_zero


@pytest.mark.parametrize("block", [7, 100])
def test_the_nearest_others_by_cosine(block):
    features = np.random.default_rng(0).normal(size=(30, 4)) * np.arange(1, 31)[:, None]
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -2)
    expected = np.argsort(-cosine, axis=1)[:, :5]
    starts, ids, cosines = zip(*nearest_neighbours(features, 5, block))
    assert list(starts) == list(range(0, 30, block)) and np.array_equal(np.concatenate(ids), expected)
    assert np.allclose(np.concatenate(cosines), np.take_along_axis(cosine, expected, 1), atol=1e-5)


def test_an_image_is_not_its_own_neighbour_however_many_copies_there_are():
    features = np.vstack([np.tile([1.0, 0.0], (6, 1)), [[0.0, 1.0]]])
    ((_, ids, cosine),) = nearest_neighbours(features, 3)
    assert ids.shape == (7, 3) and not (ids == np.arange(7)[:, None]).any() and ids.max() < 7
    assert np.allclose(cosine[:6], 1) and np.allclose(cosine[6], 0)


def test_few_images_have_few_neighbours():
    ((_, ids, _),) = nearest_neighbours(np.eye(3), 20)
    assert ids.shape == (3, 2)


def test_disagreement_is_weighted_by_likeness():
    angles = np.radians([0, 10, 30, 100])
    features, labels = np.stack([np.cos(angles), np.sin(angles)], 1), np.array([1, 0, 0, 1])
    scores, suggestion = label_disagreement(features, labels, 3, k=3)
    weights = (1 + np.cos(angles[:, None] - angles)) / 2
    differs = np.where(labels[:, None] == labels, -1, 1)
    expected = ((weights * differs).sum(1) - (weights * differs).diagonal()) / 3
    assert np.allclose(scores, expected, atol=1e-6) and scores.dtype == np.float32
    assert suggestion.tolist() == [0, 1, 1, 0], "two of three others are of that class"


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(1)
    features, labels = rng.normal(size=(50, 5)), rng.integers(0, 4, 50)
    whole = label_disagreement(features, labels, 4)
    monkeypatch.setattr("attribution.audit.detectors.knn.BLOCK", 7)
    calls = []
    parts = label_disagreement(features, labels, 4, lambda *at: calls.append(at))
    assert all(np.allclose(one, other, atol=1e-6) for one, other in zip(whole, parts))
    assert calls[-1] == (50, 50) and len(calls) == 8
    assert len(np.unique(whole[0])) == 50, "hardly any ties"


def test_a_wrong_label_far_from_zero_is_suspected_and_set_right():
    features, _, labels, _ = far_from_zero()
    given = labels.copy()
    given[[4, 30]] = [2, 1]
    scores, suggestion = label_disagreement(features, given, 3, k=10)
    assert set(np.argsort(-scores)[:2].tolist()) == {4, 30} and suggestion.tolist() == labels.tolist()
