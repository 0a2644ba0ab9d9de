import numpy as np
import pytest

from attribution.features.knn import knn_accuracy, knn_predict


def at(*degrees):
    """Unit vectors in the plane."""
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def test_the_majority_of_the_nearest_by_angle():
    train, labels = at(0, 10, 50, 55, 60), [2, 2, 0, 0, 0]
    assert knn_predict(train, labels, at(5), k=1).tolist() == [2]
    assert knn_predict(train, labels, at(5), k=3).tolist() == [2]
    assert knn_predict(train, labels, at(5), k=5).tolist() == [0]


def test_length_does_not_matter():
    train = at(0, 40) * [[100], [0.01]]
    assert knn_predict(train, [0, 1], 7 * at(30), k=1).tolist() == [1]


def test_a_tie_goes_to_the_nearer_class():
    assert knn_predict(at(0, 20, -25, 50), [0, 1, 0, 1], at(8, 15), k=4).tolist() == [0, 1]


def test_fewer_training_images_than_k_and_an_empty_image():
    assert knn_predict(at(0, 10), [1, 1], np.array([[0.0, 0.0], [1.0, 0.0]])).tolist() == [1, 1]


def test_accuracy_is_the_share_of_right_labels():
    assert knn_accuracy(at(0, 90), [0, 1], at(10, 80, 20, 30), [0, 1, 1, 0], k=1) == pytest.approx(0.75)
