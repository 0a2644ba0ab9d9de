"""What is drawn on the map."""

import numpy as np

from attribution.features import projection
from pages.map import chart, words
from tests.pages.page import open_page


def figure(ws, target=1, ids=(1, 4), harmful=False, label=None, val=True):
    return chart.map_figure(ws, projection.load(ws, "moco"), target, np.array(ids), harmful, "trak-10", label, val)


def test_points_are_the_images_where_the_map_has_them(drawn):
    found, picture = projection.load(drawn, "moco"), figure(drawn)
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
    assert "3 classes are too many for colours" in words.provenance_text(drawn, projection.load(drawn, "moco"))
    assert not open_page("map").exception
