"""Maps, on features whose map is known."""

import importlib.util
import json
import sys

import numpy as np
import pytest

from attribution import UserError, Workspace
from attribution import __main__ as cli
from attribution.features import projection
from tests.unit.features.far_from_zero import far_from_zero

NEEDS = pytest.mark.skipif(not importlib.util.find_spec("openTSNE"), reason="openTSNE is not installed")


def test_components_by_hand():
    # most spread along the second axis, then along the first, none along the third
    train = np.float32([[1, 4, 7], [-1, 4, 7], [1, -4, 7], [-1, -4, 7]])
    found, val = projection.pca(train, np.float32([[0, 2, 9]]))
    np.testing.assert_allclose(found, [[4, 1], [4, -1], [-4, 1], [-4, -1]], atol=1e-6)
    np.testing.assert_allclose(val, [[2, 0]], atol=1e-6)


def test_features_of_one_number_lie_on_a_line():
    found, _ = projection.pca(np.float32([[1], [3]]), np.zeros((0, 1), np.float32))
    np.testing.assert_allclose(found, [[-1, 0], [1, 0]])


@pytest.mark.parametrize("method", ["pca", pytest.param("tsne", marks=NEEDS)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_features_far_from_zero_are_mapped_by_what_differs(ws, method, dtype):
    features, val, labels, val_labels = far_from_zero(dtype)
    np.save(ws.path / "features" / "moco" / "train.npy", features)
    np.save(ws.path / "features" / "moco" / "val.npy", val)
    found = projection.project(Workspace.open(ws.path), "moco", method)
    distances = np.linalg.norm(found.val[:, None].astype(float) - found.train, axis=2)
    assert (labels[distances.argmin(1)] == val_labels).all()
    if "trustworthiness" in found.provenance:
        assert found.provenance["trustworthiness"]["mean"] > 0.8


def test_rounding_alone_is_nothing_to_draw(ws):
    features = np.random.default_rng(0).uniform(0.99, 1.01, (60, 1)) * np.arange(1.0, 9)
    np.save(ws.path / "features" / "moco" / "train.npy", features)
    np.save(ws.path / "features" / "moco" / "val.npy", features[:12])
    with pytest.raises(UserError, match="nothing to draw"):
        projection.project(Workspace.open(ws.path), "moco", "pca")


def test_what_lies_in_a_polygon():
    corner = np.array([[0, 0], [4, 0], [4, 4], [2, 1], [0, 4]])  # a square with a bite from above
    points = np.array([[1, 1], [2, 0.5], [2, 3], [5, 1], [3.5, 2], [-1, 0]])
    assert projection.points_in_polygon(points, corner).tolist() == [True, True, False, False, True, False]
    assert projection.points_in_polygon(points, corner[::-1]).tolist() == [True, True, False, False, True, False]


@pytest.mark.parametrize("method", ["pca", pytest.param("tsne", marks=NEEDS)])
def test_a_map_keeps_classes_apart_and_comes_out_the_same_again(ws, method):
    found, again = (projection.project(ws, "moco", method) for _ in range(2))
    assert (found.train == again.train).all() and (found.val == again.val).all()
    assert found.train.shape == (60, 2) and found.val.shape == (12, 2) and found.train.dtype == np.float16
    assert np.abs(found.train).max() <= 1 and found.provenance["method"] == method
    # features are a corner of a triangle each, with little noise: the nearest training image is of the class
    truth = np.arange(60) % 3
    for val, label in zip(found.val.astype(float), np.arange(12) % 3):
        assert truth[np.square(found.train - val).sum(1).argmin()] == label
    if "trustworthiness" in found.provenance:
        assert 0.8 < found.provenance["trustworthiness"]["mean"] <= 1 and found.provenance["sample"] == 60


def test_what_is_kept_holds_while_the_features_do(ws):
    found = projection.project(ws, "moco", "pca")
    assert projection.load(ws, "moco") is None
    projection.save(ws, found, {"command": "x"})
    again = projection.load(Workspace.open(ws.path), "moco")
    assert (again.train == found.train).all() and again.provenance["method"] == "pca"
    ws.manifest["parts"]["features/moco"]["digest"] = "another"
    assert projection.load(ws, "moco") is None


def test_mistakes_are_told(ws, monkeypatch):
    with pytest.raises(UserError, match="no feature set 'none'"):
        projection.project(ws, "none", "pca")
    with pytest.raises(UserError, match="tsne or pca"):
        projection.project(ws, "moco", "globe")
    monkeypatch.setattr(projection, "MAX_DIM", 2)
    with pytest.raises(UserError, match="too large to be projected, 60 x 3"):
        projection.project(ws, "moco", "pca")


@pytest.mark.parametrize("method", ["pca", "tsne"])
@pytest.mark.parametrize(
    ("values", "said"),
    [(0.0, "the same moco features"), (2.0, "the same moco features"), (np.nan, "not finite"), (np.inf, "not finite")],
)
def test_features_without_a_map_are_told(ws, method, values, said):
    train = np.load(ws.path / "features" / "moco" / "train.npy")
    train[slice(None) if np.isfinite(values) else 0] = values
    np.save(ws.path / "features" / "moco" / "train.npy", train)
    with np.errstate(invalid="ignore"), pytest.raises(UserError, match=said):
        projection.project(Workspace.open(ws.path), "moco", method)


def test_without_opentsne_it_is_pca(ws, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert projection.default_method(ws) == "pca" and projection.project(ws, "moco").provenance == {
        "method": "pca",
        "seed": 0,
    }
    with pytest.raises(UserError, match="pip install"):
        projection.project(ws, "moco", "tsne")


def test_many_images_are_not_for_tsne(ws, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(projection, "MAX_IMAGES", 59)
    assert projection.default_method(ws) == "pca"
    with pytest.raises(UserError, match="takes hours"):
        projection.project(ws, "moco", "tsne")


def test_from_the_command_line(ws, monkeypatch, capfd):
    monkeypatch.setattr(
        sys,
        "argv",
        ["attribution", "features", "project", "moco", "--method", "pca", "--workspace", str(ws.path), "--json"],
    )
    with pytest.raises(SystemExit) as end:
        cli.main()
    answer = json.loads(capfd.readouterr().out)
    assert not end.value.code and answer["features"] == "moco" and answer["method"] == "pca"
    again = Workspace.open(ws.path)
    assert projection.load(again, "moco") and again.features() == ["moco"]
