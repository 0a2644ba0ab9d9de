"""Stored rankings: dense and sparse, both ends, and the tail where a sparse regression leaves zeros."""

import json

import numpy as np
import pytest

from attribution import UserError, Workspace
from attribution.builds.halves import load_held_out_halves
from attribution.metrics import lds
from attribution.rankings.datamodels import zero_weight_tails
from attribution.rankings.stored import to_bytes
from tests import tiny


@pytest.fixture
def folder(tmp_path):
    tiny.write(tmp_path / "tiny")
    return tmp_path / "tiny"


def sparse(folder, weights, effects, length):
    """Writes `weights` [12, 60] as the ranking "datamodels-x" and opens it."""
    rows, columns = np.nonzero(weights)
    home = folder / "rankings" / "datamodels-x"
    home.mkdir()
    np.save(home / "data.npy", weights[rows, columns].astype(np.float16))
    np.save(home / "columns.npy", columns.astype(np.uint16))
    np.save(home / "starts.npy", np.searchsorted(rows, np.arange(13)))
    np.save(home / "tail.npy", zero_weight_tails(weights, effects, length))
    manifest = json.loads((folder / "workspace.json").read_text())
    manifest["parts"]["rankings/datamodels-x"] = {"method": "Datamodels", "signed": True, "about": "", "made_for": None}
    (folder / "workspace.json").write_text(json.dumps(manifest))
    return Workspace.open(folder).ranking("datamodels-x")


def test_dense(folder):
    trak = Workspace.open(folder).ranking("trak-10")
    top, bottom = trak.top(0, 60), trak.top(0, 60, end="harmful")
    assert top.ids.tolist() == bottom.ids.tolist()[::-1] and (np.diff(top.scores) <= 0).all()
    assert (trak.method, trak.signed, trak.live, trak.conditioned) == ("TRAK", True, False, False)
    assert trak.made_for["recipe"] == "demo-cnn" and trak.description == "10 models"
    assert trak.scores(0).tolist() == trak.score_row(0).tolist()
    among = trak.top(0, 60, "true").ids
    assert among.tolist() == [i for i in top.ids if i in set(trak.candidates(0, "true"))]


def test_sparse_is_the_matrix_it_came_from(folder):
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(12, 60)) * (rng.random((12, 60)) < 0.1)
    weights[5] = 0
    ranking = sparse(folder, weights, rng.normal(size=(12, 60)), 10)
    for target in range(12):
        assert np.array_equal(ranking.score_row(target), weights[target].astype(np.float16).astype(np.float32))


def test_the_order_goes_on_by_the_tail(folder):
    """Target 0: weights 3 and 1 for images 7 and 2, -2 for image 9; marginal effects fall with the index."""
    weights, effects = np.zeros((12, 60)), np.tile(-np.arange(60.0), (12, 1))
    weights[0, [7, 2, 9]] = 3, 1, -2
    ranking = sparse(folder, weights, effects, 6)
    found = ranking.top(0, 60)
    assert found.ids.tolist() == [7, 2, 0, 1, 3, 4, 5, 6] and found.scores.tolist() == [3, 1, 0, 0, 0, 0, 0, 0]
    assert ranking.top(0, 60, end="harmful").ids.tolist() == [9, 59, 58, 57, 56, 55, 54]
    for k in (1, 2, 3, 8):
        assert ranking.top(0, k).ids.tolist() == found.ids[:k].tolist(), "a shorter one begins a longer one"
    assert ranking.top(1, 3).ids.tolist() == [0, 1, 2]
    true = set(ranking.candidates(0, "true"))
    assert ranking.top(0, 60, "true").ids.tolist() == [i for i in found.ids if i in true]


def test_a_tail_longer_than_there_are_zeros_repeats_nothing(folder):
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(12, 60)) * (rng.random((12, 60)) < 0.5)
    ranking = sparse(folder, weights, rng.normal(size=(12, 60)), 60)
    for end, sign in (("helpful", 1), ("harmful", -1)):
        ids = ranking.top(3, 60, end=end).ids
        assert len(set(ids)) == len(ids) == (sign * weights[3] >= 0).sum()


@pytest.mark.parametrize("name", ["data", "columns", "starts"])
def test_an_array_that_is_missing(folder, name):
    ranking = sparse(folder, np.eye(12, 60), np.zeros((12, 60)), 5)
    (folder / "rankings" / "datamodels-x" / f"{name}.npy").unlink()
    with pytest.raises(UserError, match="do not score 60 training images"):
        ranking.top(0, 3)


def test_arrays_that_do_not_fit_each_other(folder):
    ranking = sparse(folder, np.eye(12, 60), np.zeros((12, 60)), 5)
    np.save(folder / "rankings" / "datamodels-x" / "columns.npy", np.full(12, 60))
    with pytest.raises(UserError, match="do not score 60 training images"):
        ranking.score_row(0)


def test_bytes_lose_next_to_nothing_of_the_lds():
    """Of the demo's TRAK, on every tenth target: 0.0005."""
    demo = Workspace.open()
    masks, margins = load_held_out_halves(demo)
    targets = np.arange(0, demo.n_val, 10)
    scores = np.array([demo.ranking("trak-10").scores(target) for target in targets])
    rounded, scales = to_bytes(scores)
    assert rounded.dtype == np.int8 and np.abs(rounded).max(axis=1).tolist() == [127] * len(targets)
    whole, bytes_ = (
        lds.lds(masks, margins, rows, targets, resamples=0).mean for rows in (scores, rounded * scales[:, None])
    )
    assert abs(whole - bytes_) < 0.001
    assert to_bytes(np.zeros((1, 3)))[0].tolist() == [[0, 0, 0]]


def test_bytes_without_their_scales_are_refused(folder):
    scores, scales = to_bytes(np.load(folder / "rankings" / "trak-10" / "scores.npy").astype(np.float32))
    np.save(folder / "rankings" / "trak-10" / "scores.npy", scores)
    with pytest.raises(UserError, match="do not score 60 training images"):
        Workspace.open(folder).ranking("trak-10").scores(0)
    np.save(folder / "rankings" / "trak-10" / "scales.npy", scales)
    assert Workspace.open(folder).ranking("trak-10").scores(0)[0] == pytest.approx(1, rel=1e-3)
