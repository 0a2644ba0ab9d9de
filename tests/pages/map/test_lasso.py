"""A set of images chosen on the map."""

import numpy as np

from attribution.features import projection
from pages.map import chart, lasso, words
from tests.pages.map.test_chart import figure


def test_of_many_images_a_sample_is_drawn_and_a_lasso_takes_all(drawn, monkeypatch):
    monkeypatch.setattr(chart, "MAX_POINTS", {"train": 10, "val": 5})
    picture, found = figure(drawn), projection.load(drawn, "moco")
    assert sum(len(one.x) for one in picture.data[:3]) == 10 and len(picture.data[3].x) == 5
    assert {one[1] for one in picture.data[4].customdata} == {1, 4}  # the influencers are drawn whatever the sample
    assert "Drawn are 10 of 60 training images" in words.provenance_text(drawn, found)
    whole = {"points": [], "lasso": [], "box": [{"x": [-2, 2], "y": [-2, 2]}]}
    train, val = lasso.selected(drawn, found, whole)
    assert len(train) == 60 and len(val) == 12


def test_the_points_of_a_selection_are_a_set(drawn):
    found = projection.load(drawn, "moco")
    points = [
        {"customdata": [split, image, ""]} for split, image in (("train", 7), ("val", 2), ("train", 3), ("train", 7))
    ]
    train, val = lasso.selected(drawn, found, {"points": points, "box": [{"x": [-2, 2], "y": [-2, 2]}], "lasso": []})
    assert train.tolist() == [3, 7] and val.tolist() == [2]
    assert lasso.set_text(drawn, train, val) == "2 training images (1 Box <b>, 1 Dot) and 1 validation image"
    assert [len(one) for one in lasso.selected(drawn, found, None)] == [0, 0]


def test_the_validation_image_nearest_to_a_set(drawn):
    found = projection.load(drawn, "moco")
    assert lasso.nearest_target(found, np.array([1, 4, 7]))[0] % 3 == 1  # among the Boxes
