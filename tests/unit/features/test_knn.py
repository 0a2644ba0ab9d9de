import faiss
import numpy as np
import pytest

from attribution.features.knn import knn_accuracy, knn_predict, nearest_neighbours, neighbours, search
from tests.unit.features.far_from_zero import far_from_zero


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


@pytest.fixture
def features():
    """400 vectors with many copies, so that there are many ties, and some zeros."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 5)).astype(np.float32)
    features[rng.integers(0, 400, 150)] = features[0]
    features[50:200] = np.round(features[50:200])
    return features


def flat(features, queries, k):
    """What faiss's flat index of all features at once answers."""
    unit = [x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (features, queries)]
    index = faiss.IndexFlatIP(features.shape[1])
    index.add(unit[0])
    return index.search(unit[1], k)


def test_a_search_is_the_flat_index_s_ties_included(features):
    for k in (1, 20, 400):
        cosines, ids = search(features, features[:30], k)
        wanted, order = flat(features, features[:30], k)
        assert np.array_equal(ids, order) and np.array_equal(cosines, wanted)
    assert search(features[:3], features, 5)[1].shape == (400, 3) and search(features[:3], features, 5)[1].min() >= 0


def test_a_search_in_blocks_finds_the_same_cosines(features):
    wanted, _ = search(features, features[:30], 20)
    cosines, ids = search(features, features[:30], 20, block=7)
    assert np.allclose(cosines, wanted, atol=1e-6) and all(len(set(row)) == 20 for row in ids.tolist())


def test_neighbours_of_all_and_of_some_agree_ties_included(features):
    _, order = flat(features, features, 21)
    wanted = [([i for i in row if i != image] + row)[:20] for image, row in enumerate(order.tolist())]
    all_at_once = np.concatenate([ids for _, ids, _ in nearest_neighbours(features, 20, 400)])
    assert all_at_once.tolist() == wanted
    assert neighbours(features, np.arange(400), 20, 1000).tolist() == wanted


def test_what_is_not_finite_is_like_nothing(features):
    features[3] = np.nan
    cosines, ids = search(features, features, 20)
    assert ids.min() >= 0 and np.isfinite(cosines).all() and not cosines[3].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("block", [None, 7])
def test_features_far_from_zero_are_told_apart(dtype, block, monkeypatch):
    monkeypatch.setattr("attribution.features.knn.PRECISE_QUERIES", 5)
    train, val, labels, val_labels = far_from_zero(dtype)
    precise = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (train.astype(float), val.astype(float))]
    wanted = precise[1] @ precise[0].T
    cosines, ids = search(train, val, 10, block)
    assert np.allclose(cosines, -np.sort(-wanted)[:, :10], rtol=0, atol=1e-14)
    assert (labels[ids] == val_labels[:, None]).all(), "in float32 all cosines are 1, and the first rows are taken"
    assert knn_accuracy(train, labels, val, val_labels) == 1
    assert (labels[neighbours(train, np.arange(60), 10, 7)] == labels[:, None]).all()
