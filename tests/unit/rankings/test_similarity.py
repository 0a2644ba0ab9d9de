"""Similarity rankings against the sum written out, and what all rankings have in common."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from attribution import UserError
from attribution.rankings import exemplar_svm, load, similarity
from attribution.rankings.base import top_k
from attribution.workspace.workspace import FeatureSet


def of_class(ws, target):
    return np.flatnonzero(ws.train_labels == ws.val_labels[target])


@pytest.mark.parametrize("method", ["l2", "cosine"])
def test_against_the_definition(ws, method):
    train, val = ws.feature("moco").train.astype(float), ws.feature("moco").val.astype(float)
    for target in range(4):
        pool = of_class(ws, target)
        near, query = train[pool], val[target]
        wanted = {
            "l2": -np.sqrt(((near - query) ** 2).sum(1)),
            "cosine": near @ query / np.sqrt((near**2).sum(1) * (query**2).sum()),
        }[method]
        found = ws.ranking(f"{method}-moco").top(target, 60)
        assert found.ids.tolist() == pool[np.argsort(-wanted, kind="stable")].tolist()
        assert np.allclose(found.scores, sorted(wanted, reverse=True), atol=1e-6) and found.scores.dtype == np.float32


def test_exemplar_svm_against_scikit_learn(ws):
    train, val = ws.feature("moco").train.astype(float), ws.feature("moco").val.astype(float)
    for target in (0, 2):
        pool = of_class(ws, target)
        svm = LinearSVC(class_weight="balanced", C=0.1, dual=False, tol=1e-8)
        svm.fit(np.vstack([val[target], train[pool]]), [1] + [0] * len(pool))
        wanted = svm.decision_function(train[pool])
        assert np.allclose(ws.ranking("esvm-moco").values(target, pool), wanted, atol=1e-4)
        assert ws.ranking("esvm-moco").top(target, 60).ids.tolist() == pool[np.argsort(-wanted)].tolist()


def test_ridge_against_the_definition(ws):
    train, val = ws.feature("moco").train.astype(float), ws.feature("moco").val.astype(float)
    product = train.T @ train
    inverse = np.linalg.inv(product + np.linalg.eigvalsh(product).mean() * np.eye(3))
    for target in range(4):
        pool = of_class(ws, target)
        wanted = np.linalg.eigvalsh(product).mean() * (train[pool] @ inverse @ val[target])
        found = ws.ranking("ridge-moco").top(target, 60)
        assert found.ids.tolist() == pool[np.argsort(-wanted, kind="stable")].tolist()
        assert np.allclose(found.scores, sorted(wanted, reverse=True), atol=1e-5) and found.scores.dtype == np.float32


def test_ridge_is_of_some_images_where_there_are_many_and_not_of_wide_features(ws, monkeypatch):
    whole = ws.ranking("ridge-moco")._inverse
    monkeypatch.setattr(similarity, "MAX_RIDGE_IMAGES", 45)
    assert np.allclose(similarity.Ridge(ws, "moco")._inverse, whole, atol=0.1)
    monkeypatch.setattr(similarity, "MAX_RIDGE_DIM", 2)
    with pytest.raises(UserError, match="moco features are 3 wide, and ridge takes at most 2"):
        similarity.Ridge(ws, "moco").top(0, 3)
    monkeypatch.setitem(ws.manifest["parts"], "features/moco", {"dim": 3})
    assert "ridge-moco" not in ws.rankings() and "l2-moco" in ws.rankings()


def test_signed_against_the_definition(ws):
    train, val = ws.feature("moco").train.astype(float), ws.feature("moco").val.astype(float)
    train, val = train - train.mean(0), val - ws.feature("moco").train.astype(float).mean(0)
    signed = ws.ranking("signed-moco")
    for target in range(4):
        cosine = train @ val[target] / np.linalg.norm(train, axis=1) / np.linalg.norm(val[target])
        same = ws.train_labels == ws.val_labels[target]
        wanted = np.where(same, 1, -1) * np.maximum(cosine, 0)
        assert np.allclose(signed.scores(target), wanted, atol=1e-5)
        helpful, harmful = signed.top(target, 5), signed.top(target, 5, end="harmful")
        assert same[helpful.ids].all() and (helpful.scores > 0).all() and (np.diff(helpful.scores) <= 0).all()
        assert not same[harmful.ids].any() and (harmful.scores < 0).all()
    assert signed.top(3, 1, end="harmful").ids.tolist() == [3], "the Bar that is called a Dot"
    assert "heuristic" in signed.description


def test_a_stored_ranking_is_not_hidden_by_a_computed_one(ws, monkeypatch):
    monkeypatch.setitem(ws.manifest["parts"], "rankings/ridge-moco", {"method": "mine"})
    assert ws.rankings().count("ridge-moco") == 1 and load(ws, "ridge-moco").method == "mine"


def test_a_vector_of_zeros_has_no_angle(ws):
    cosine = ws.ranking("cosine-moco")
    found = cosine.similarity(np.array([[0, 0], [1, 0], [-2, 0]], np.float32), np.array([3, 0], np.float32))
    assert found.tolist() == [0, 1, -1]
    assert cosine.similarity(np.ones((2, 2), np.float32), np.zeros(2, np.float32)).tolist() == [0, 0]


def test_candidates(ws):
    """Target 1 is a Box that every model reads as a Dot."""
    l2 = ws.ranking("l2-moco")
    labels = {which: set(ws.train_labels[l2.top(1, 60, which).ids]) for which in (None, "true", "predicted", "all")}
    assert labels == {None: {1}, "true": {1}, "predicted": {2}, "all": {0, 1, 2}}
    assert len(l2.top(1, 60, "all").ids) == 60 and len(l2.top(1, 5).ids) == 5
    assert set(ws.train_labels[ws.ranking("trak-10").top(1, 60).ids]) == {0, 1, 2}, "not conditioned as published"


@pytest.mark.parametrize("name", ["esvm-moco", "ridge-moco", "signed-moco", "random", "trak-10"])
def test_what_is_refused(ws, name):
    ranking = ws.ranking(name)
    for k in (0, -1, 2.0, True):
        with pytest.raises(UserError, match="is not a number of training images"):
            ranking.top(0, k)
    for ask, match in [
        ({"target": 12}, "out of range"),
        ({"target": "x"}, "is not a number"),
        ({"candidates": "none"}, "candidates 'none' is not known"),
        ({"end": "worst"}, "end 'worst'"),
    ]:
        with pytest.raises(UserError, match=match):
            ranking.top(**{"target": 0, "k": 3} | ask)


def test_the_harmful_end_belongs_to_signed_rankings(ws):
    for name in ("esvm-moco", "l2-moco", "cosine-moco", "ridge-moco", "random"):
        with pytest.raises(UserError, match="has no harmful scores"):
            ws.ranking(name).top(0, 3, end="harmful")


def test_a_class_without_training_images(ws, monkeypatch):
    monkeypatch.setattr(ws, "_train_table", ws._train_table.assign(label=1))
    for name in ("esvm-moco", "l2-moco", "ridge-moco", "random"):
        assert len(ws.ranking(name).top(0, 3).ids) == 0 and not ws.ranking(name).scores(0).any()


def test_scores_count_from_the_least_similar_candidate(ws):
    scores = ws.ranking("l2-moco").scores(0)
    pool = of_class(ws, 0)
    values = ws.ranking("l2-moco").values(0, pool)
    assert scores.shape == (60,) and scores.dtype == np.float32 and scores.min() == 0
    assert np.allclose(scores[pool], values - values.min()) and not np.delete(scores, pool).any()


def test_random_is_a_fixed_order_within_the_class(ws):
    ranking = ws.ranking("random")
    ids = [ranking.top(target, 60).ids.tolist() for target in (0, 3)]
    assert sorted(ids[0]) == sorted(ids[1]) == of_class(ws, 0).tolist() and ids[0] != ids[1]
    assert ranking.top(0, 5).ids.tolist() == ids[0][:5]
    everything = ranking.top(0, 60, "all").ids.tolist()
    assert [i for i in everything if i in set(ids[0])] == ids[0], "the same order among any candidates"


def test_the_first_of_equals_come_in_order():
    values = np.array([1, 3, 3, 0, 3, 2], np.float32)
    assert top_k(values, 2).tolist() == [1, 2] and top_k(values, 4).tolist() == [1, 2, 4, 5]
    assert top_k(values, 99).tolist() == [1, 2, 4, 5, 0, 3] and top_k(values[:0], 3).tolist() == []
    draw = np.random.default_rng(0).integers(0, 9, 200).astype(np.float32)
    for k in (1, 17, 100, 200):
        assert top_k(draw, k).tolist() == np.argsort(-draw, kind="stable")[:k].tolist()


class Far(SimpleNamespace):
    """A workspace of features alone, of two classes in turn."""

    def feature(self, name):
        return self.set

    def check_target(self, target):
        return target


def far(train, val):
    labels = {"train_labels": np.arange(len(train)) % 2, "val_labels": np.arange(len(val)) % 2}
    parts = {"parts": {"features/x": {}}}
    return Far(set=FeatureSet("x", train, val), n_train=len(train), n_val=len(val), manifest=parts, **labels)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    "shared, spread", [(0, 1), (30, 1), (4.2e6, 2e3), (1e9, 1e3), (0, 1e-9), (0, 1e-25), (0, 1e25)]
)
def test_l2_among_many_images_finds_the_nearest(monkeypatch, dtype, shared, spread):
    """In two steps, of which the first is a product: no image is missed, however far from zero the features lie."""
    rng = np.random.default_rng(0)
    train, val = (shared + spread * rng.normal(size=(n, 6)) for n in (3000, 4))
    if np.abs(train).max() > np.finfo(dtype).max or spread < 10 * np.finfo(dtype).tiny:
        return
    train, val = train.astype(dtype), val.astype(dtype)
    train[2990:] = train[:10]  # ties, the first of them first
    monkeypatch.setattr(similarity, "MIN_TWO_STEP", 100)
    for target in range(4):
        scale = spread or 1
        away = np.linalg.norm((train.astype(np.longdouble) - val[target]).astype(float) / scale, axis=1)
        for k in (1, 10, 3000):
            found = similarity.L2(far(train, val), "x").top(target, k, "all")
            wanted = np.sort(away)[:k]
            assert np.allclose(away[found.ids], wanted, rtol=1e-5) and len(set(found.ids.tolist())) == k
            assert np.allclose(-found.scores / scale, wanted, rtol=1e-5)


@pytest.mark.parametrize("method", ["l2", "cosine", "ridge", "signed", "esvm"])
def test_features_that_share_a_large_part(method):
    """All rankings see what tells such images apart: float32 sees one cosine."""
    rng = np.random.default_rng(4)
    train, val = ((4e6 + 2e3 * rng.normal(size=(n, 3))).astype(np.float32) for n in (400, 4))
    workspace, mean = far(train, val), train.astype(float).mean(0)
    x, same = train.astype(float), workspace.train_labels
    for target in range(4):
        q = val[target].astype(float)
        product = x.T @ x
        product /= np.trace(product) / 3
        wanted = {
            "l2": -np.linalg.norm(x - q, axis=1),
            "cosine": x @ q / np.linalg.norm(x, axis=1) / np.linalg.norm(q),
            "ridge": x @ np.linalg.inv(product + np.eye(3)) @ q,
            "signed": np.where(same == target % 2, 1, -1)
            * np.maximum((x - mean) @ (q - mean) / np.linalg.norm(x - mean, axis=1) / np.linalg.norm(q - mean), 0),
            "esvm": None if method != "esvm" else exemplar_svm.scores(x, q[None])[0],
        }[method]
        found = similarity.METHODS[method](workspace, "x").top(target, 12, "all")
        assert found.ids.tolist() == np.argsort(-wanted, kind="stable")[:12].tolist()
