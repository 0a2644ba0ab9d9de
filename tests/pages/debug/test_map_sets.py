"""A set of images chosen on the map."""

import numpy as np

from attribution.explore import image_sets
from attribution.features import projection
from pages.debug import map_sets
from pages.ui import state
from tests.pages.page import open_page, texts

WHOLE = np.array([[-2, -2], [2, -2], [2, 2], [-2, 2]])


def test_a_lasso_takes_all_that_lie_in_it_and_match(drawn):
    points, everything = projection.load(drawn, "moco"), np.ones(60, bool)
    train, val = map_sets.inside(points, WHOLE, np.array([2, 5]), everything, np.ones(12, bool))
    assert len(train) == 60 and val.tolist() == [2, 5]
    train, val = map_sets.inside(points, WHOLE, np.arange(12), drawn.train_labels == 1, drawn.val_labels == 1)
    assert train.tolist() == np.flatnonzero(drawn.train_labels == 1).tolist() and val.tolist() == [1, 4, 7, 10]
    assert map_sets.inside(points, WHOLE + 9, np.arange(12), everything, np.ones(12, bool))[0].tolist() == []


def test_a_set_is_said(drawn):
    train, val = np.array([3, 7]), np.array([2])
    assert map_sets.set_text(drawn, train, val) == "2 training images (1 Box <b>, 1 Dot) and 1 validation image"


def test_the_validation_image_nearest_to_a_set(drawn):
    points = projection.load(drawn, "moco")
    assert map_sets.nearest_target(points, np.array([1, 4, 7]))[0] % 3 == 1  # among the Boxes


def test_a_set_is_kept_opened_and_deleted(drawn):
    app = open_page(session={state.MAP_SET: ([3, 7], [2])}, target="1", picker="map")
    assert not app.exception and "2 training images (1 Box <b>, 1 Dot) and 1 validation image" in texts(app)
    app.button(key="remove set").click().run()
    assert not app.exception and "verdict" in app.query_params["panel"]
    assert app.text_input(key=state.IDS).value == "3, 7"
    app.button(key="keep set").click().run()
    assert "is no name for a set" in texts(app)
    app.text_input(key=state.SET_NAME).set_value("odd ones").run()
    app.button(key="keep set").click().run()
    assert image_sets.load_sets(drawn)["odd ones"].train.tolist() == [3, 7]

    app = open_page(target="2", set="odd ones")
    assert not app.exception and not app.warning and app.caption[0].value == "1–1 of 1 match (12 images)"
    app = open_page(target="1", picker="map")
    assert "Drag a lasso" in texts(app)
    app.selectbox(key="open a set").set_value("odd ones").run()
    assert not app.exception and "2 training images (1 Box <b>, 1 Dot)" in texts(app)
    app.button(key="delete set").click().run()
    assert not app.exception and not image_sets.load_sets(drawn) and "Drag a lasso" in texts(app)
