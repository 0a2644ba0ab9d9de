"""The Algorithms tab of Methods."""

import csv
import io

import numpy as np
import pytest

from attribution.evaluation import model_diff
from attribution.training import recipes
from pages.compare import model_diff as drawn
from tests import tiny
from tests.pages.compare.tabs import opened_topic
from tests.pages.page import texts

OTHER = "demo-cnn-plain"


def made(ws) -> model_diff.InfluenceChange:
    rng = np.random.default_rng(0)
    ids = np.array(
        [
            [rng.permutation(tiny.TRAIN)[: model_diff.IMAGES_PER_LIST] for _ in model_diff.LIST_NAMES]
            for _ in range(tiny.VAL)
        ]
    )
    one = {"mean": 0.5, "ci": [0.4, 0.6]}
    about = {
        "models": 5,
        "dim": 512,
        "k": model_diff.IMAGES_PER_LIST,
        "accuracy": [0.9, 0.8],
        "moved": 0.6,
        "hashes": [recipes.get_recipe(name).hash for name in (ws.recipe, OTHER)],
        "spearman": {"between": one, "within": one},
        "jaccard": {"between": one, "within": one},
    }
    change = np.full(tiny.TRAIN, 0.1, np.float32)
    change[7] = 3
    return model_diff.InfluenceChange(
        (ws.recipe, OTHER),
        ids,
        rng.normal(size=(*ids.shape, 2)).astype(np.float32),
        change,
        np.full(tiny.TRAIN, 0.2, np.float32),
        about,
    )


def test_what_was_not_compared_is_asked_for(ws, started):
    app = opened_topic("Algorithms")
    assert "No second learning algorithm" in texts(app)
    app.button(key=f"start evaluate algorithms --recipe {OTHER}").click().run()
    assert started == [["evaluate", "algorithms", "--recipe", OTHER]] and not app.exception


def test_one_target_and_all_images(ws):
    model_diff.save(ws, made(ws), {"command": "python -m attribution evaluate algorithms"})
    app = opened_topic("Algorithms", target="5")
    told = texts(app)
    assert "60 % of the training images" in told and "12 targets" in told
    html = " ".join(one.proto.body for one in app.get("html"))
    assert "validation image 5" in html and "<b>0.500</b>" in html
    assert app.number_input(key="target").value == 5


def test_picture_and_csv(ws):
    found = made(ws)
    chart = drawn.figure(ws, found)
    assert len(chart.data[0].x) == tiny.TRAIN and max(chart.data[0].y) == 3
    rows = list(csv.DictReader(io.StringIO(drawn.to_csv(ws, found))))
    assert len(rows) == tiny.TRAIN and rows[7]["change"] == "3.0000" and rows[7]["second_recipe"] == OTHER


@pytest.mark.parametrize("name", ["demo-cnn"])
def test_the_own_recipe_is_no_choice(ws, name):
    assert name not in opened_topic("Algorithms").selectbox(key="recipe to compare with").options
