"""What the map draws."""

import base64

import numpy as np
import pytest

from attribution import UserError
from attribution.audit import detectors
from attribution.features import projection
from pages.debug import map_points, map_words
from tests.pages.page import open_page


def drawing(ws, by="class", target=1, marked=(1, 4), harmful=False, targets=None):
    points = projection.load(ws, "moco")
    targets = np.arange(ws.n_val) if targets is None else targets
    return map_points.map_data(ws, points, by, targets, target, np.array(marked, int), "top 2 of trak-10", harmful)


def read(part, name):
    return np.frombuffer(base64.b64decode(part[name]), "<u4" if name == "id" else "<u2")


def test_points_are_the_images_where_the_map_has_them(drawn):
    points, data = projection.load(drawn, "moco"), drawing(drawn)
    assert data["train"]["n"] == 60 and data["val"]["n"] == 12
    assert np.array_equal(read(data["train"], "label"), drawn.train_labels)
    places = np.stack([read(data["train"], "x"), read(data["train"], "y")], 1)
    assert np.allclose(map_points.from_grid(places), points.train, atol=1e-4)
    assert data["marked"]["places"] == places[[1, 4]].tolist() and data["marked"]["text"] == "top 2 of trak-10"
    assert data["target"]["id"] == 1 and [entry["text"] for entry in data["names"]] == drawn.classes


def test_only_the_targets_that_match_are_drawn_and_nothing_moves(drawn):
    whole, some = drawing(drawn), drawing(drawn, targets=np.array([2, 5]))
    assert read(some["val"], "id").tolist() == [2, 5]
    assert read(some["val"], "x").tolist() == read(whole["val"], "x")[[2, 5]].tolist()
    assert some["train"] == whole["train"]


def test_colours_by_error(drawn):
    data = drawing(drawn, "error")
    legend = [entry["name"] for entry in data["legend"]]
    assert legend == ["training images", "predicted right", "predicted wrong"]
    assert np.flatnonzero(read(data["val"], "code") == 2).tolist() == [1] and not read(data["train"], "code").any()


def test_colours_by_suspicion(drawn):
    assert map_points.colourings(drawn) == ["class", "error"]
    detectors.build_detectors(drawn, ["knn-moco"])
    assert map_points.colourings(drawn) == ["class", "error", "suspicion"]
    codes = read(drawing(drawn, "suspicion")["train"], "code")
    scores = detectors.load(drawn, "knn-moco").scores
    assert scores[codes == 3].min() >= scores[codes < 3].max() and (codes == 3).sum() == 3
    assert np.bincount(codes).tolist() == [30, 18, 9, 3]


def test_of_many_images_a_sample_is_drawn(drawn, monkeypatch):
    monkeypatch.setattr(map_points, "MAX_POINTS", {"train": 10, "val": 5})
    data = drawing(drawn)
    assert data["val"]["n"] == 5 and {1, 4} <= set(read(data["train"], "id").tolist())
    assert "Drawn are 10 of 60 training images" in map_words.provenance_text(drawn, projection.load(drawn, "moco"))


def test_many_classes_are_one_colour_but_one(drawn, monkeypatch):
    monkeypatch.setattr(map_points, "COLOURS", map_points.COLOURS[:2])
    data = drawing(drawn, target=2)
    assert [entry["name"] for entry in data["legend"]] == ["other classes", "Dot"] and not data["names"]
    assert np.array_equal(read(data["train"], "code") == 1, drawn.train_labels == 2)
    assert not open_page(picker="map", target="1").exception


@pytest.mark.parametrize("corners", [None, [[1]], ["x", "y"], [[1, 2, 3]]])
def test_what_is_no_lasso_is_refused(corners):
    with pytest.raises(UserError, match="corners"):
        map_points.from_grid(corners)
