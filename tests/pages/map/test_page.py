"""Map, run without a browser: what is drawn, and what a lasso hands on."""

import csv
import io

import numpy as np
import pytest

from attribution import Workspace, background, projection
from pages.map import chart, lasso, words
from pages.ui import state
from tests import tiny
from tests.pages.page import open_page, texts


@pytest.fixture
def drawn(ws):
    projection.keep(ws, projection.project(ws, "moco", "pca"), {"command": "x"})
    return Workspace.open(ws.path)


def opened(**link):
    app = open_page("map", **link)
    assert not app.exception, app.exception
    return app


def figure(ws, target=1, ids=(1, 4), harmful=False, label=None, val=True):
    return chart.figure(ws, projection.stored(ws, "moco"), target, np.array(ids), harmful, "trak-10", label, val)


def test_what_was_not_drawn_is_asked_for(ws, monkeypatch):
    asked = []
    monkeypatch.setattr(background, "start", lambda ws, words: asked.append(words))
    app = opened()
    assert "The map of moco has not been drawn yet" in texts(app)
    app.button(key="start features project moco").click().run()
    assert asked == [["features", "project", "moco"]] and not app.exception


def test_without_features_there_is_no_map(tmp_path, monkeypatch):
    (tmp_path / "v").mkdir()
    other = tiny.large(tmp_path / "v", 1)
    monkeypatch.setenv("LINEUP_WORKSPACE", str(other.path))
    assert "no feature set yet" in texts(opened())


def test_a_link_is_followed_and_what_it_cannot_have_is_said(drawn):
    app = opened(target="1", k="3", ranking="trak-10", features="moco")
    assert app.number_input(key=state.TARGET).value == 1 and app.number_input(key=state.K).value == 3
    assert not app.warning and "Draw a lasso" in texts(app)
    app = opened(target="99", features="none")
    assert "Target 99 is out of range" in texts(app) and "No feature set 'none'" in texts(app)
    assert app.number_input(key=state.TARGET).value == 0


def test_points_are_the_images_where_the_map_has_them(drawn):
    found, picture = projection.stored(drawn, "moco"), figure(drawn)
    assert [one.name for one in picture.data] == [
        "Bar",
        "Box &lt;b&gt;",
        "Dot",
        "validation images",
        "first 2 of trak-10",
        "target 1",
    ]
    assert sum(len(one.x) for one in picture.data[:3]) == 60
    box = picture.data[1]
    assert [one[1] for one in box.customdata] == np.flatnonzero(drawn.train_labels == 1).tolist()
    assert box.x[0] == np.float32(found.train[1, 0])
    assert picture.data[4].customdata[1][2] == "training image 4, Box &lt;b&gt;"
    assert (picture.data[5].x[0], picture.data[5].y[0]) == tuple(np.float32(found.val[1]))
    assert [one.text for one in picture.layout.annotations] == [
        "<b>Bar</b>",
        "<b>Box &lt;b&gt;</b>",
        "<b>Dot</b>",
        "target 1",
    ]
    assert [one.name for one in figure(drawn, val=False, harmful=True).data][3:] == [
        "most harmful 2 of trak-10",
        "target 1",
    ]


def test_many_classes_are_one_colour_but_one(drawn, monkeypatch):
    monkeypatch.setattr(chart, "COLOURS", chart.COLOURS[:2])
    picture = figure(drawn, label=2)
    assert [one.name for one in picture.data[:2]] == ["other classes", "Dot"]
    assert len(picture.data[1].x) == (drawn.train_labels == 2).sum() and len(picture.layout.annotations) == 1
    assert "3 classes are too many for colours" in words.provenance(drawn, projection.stored(drawn, "moco"))
    assert not opened().exception


def test_of_many_images_a_sample_is_drawn_and_a_lasso_takes_all(drawn, monkeypatch):
    monkeypatch.setattr(chart, "DRAWN", {"train": 10, "val": 5})
    picture, found = figure(drawn), projection.stored(drawn, "moco")
    assert sum(len(one.x) for one in picture.data[:3]) == 10 and len(picture.data[3].x) == 5
    assert {one[1] for one in picture.data[4].customdata} == {1, 4}  # the influencers are drawn whatever the sample
    assert "Drawn are 10 of 60 training images" in words.provenance(drawn, found)
    whole = {"points": [], "lasso": [], "box": [{"x": [-2, 2], "y": [-2, 2]}]}
    train, val = lasso.selected(drawn, found, whole)
    assert len(train) == 60 and len(val) == 12


def test_the_points_of_a_selection_are_a_set(drawn):
    found = projection.stored(drawn, "moco")
    points = [
        {"customdata": [split, image, ""]} for split, image in (("train", 7), ("val", 2), ("train", 3), ("train", 7))
    ]
    train, val = lasso.selected(drawn, found, {"points": points, "box": [{"x": [-2, 2], "y": [-2, 2]}], "lasso": []})
    assert train.tolist() == [3, 7] and val.tolist() == [2]
    assert lasso.set_text(drawn, train, val) == "2 training images (1 Box <b>, 1 Dot) and 1 validation image"
    assert [len(one) for one in lasso.selected(drawn, found, None)] == [0, 0]


def test_the_validation_image_nearest_to_a_set(drawn):
    found = projection.stored(drawn, "moco")
    assert lasso.nearest(found, np.array([1, 4, 7]))[0] % 3 == 1  # among the Boxes


def test_the_table_behind_it(drawn):
    found = projection.stored(drawn, "moco")
    rows = list(csv.DictReader(io.StringIO(words.to_csv(drawn, found))))
    assert len(rows) == 72 and rows[3] | {"x": "", "y": ""} == {
        "features": "moco",
        "method": "pca",
        "split": "train",
        "image": "3",
        "label": "Dot",
        "x": "",
        "y": "",
    }
    assert float(rows[60]["x"]) == pytest.approx(float(found.val[0, 0]), abs=1e-4)
