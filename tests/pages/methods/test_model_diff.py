"""The Algorithms tab of Methods."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from attribution import algorithms, background, recipes
from pages.methods import model_diff as drawn
from tests import tiny

APP = Path(__file__).resolve().parents[3] / "app.py"
OTHER = "demo-cnn-plain"


def opened(**query):
    app = AppTest.from_file(str(APP), default_timeout=30)
    app._page_hash = calc_hash("methods")
    app.query_params.update({"tab": "algorithms", **query})
    app.run()
    assert not app.exception, app.exception
    return app


def texts(app) -> str:
    return " ".join(str(one.value) for one in [*app.caption, *app.info, *app.markdown]).replace("\\", "")


def made(ws) -> algorithms.Change:
    rng = np.random.default_rng(0)
    ids = np.array([[rng.permutation(tiny.TRAIN)[: algorithms.K] for _ in algorithms.LISTS] for _ in range(tiny.VAL)])
    one = {"mean": 0.5, "ci": [0.4, 0.6]}
    about = {
        "models": 5,
        "dim": 512,
        "k": algorithms.K,
        "accuracy": [0.9, 0.8],
        "moved": 0.6,
        "hashes": [recipes.get(name).hash for name in (ws.recipe, OTHER)],
        "spearman": {"between": one, "within": one},
        "jaccard": {"between": one, "within": one},
    }
    change = np.full(tiny.TRAIN, 0.1, np.float32)
    change[7] = 3
    return algorithms.Change(
        (ws.recipe, OTHER),
        ids,
        rng.normal(size=(*ids.shape, 2)).astype(np.float32),
        change,
        np.full(tiny.TRAIN, 0.2, np.float32),
        about,
    )


def test_what_was_not_compared_is_asked_for(ws, monkeypatch):
    asked = []
    monkeypatch.setattr(background, "start", lambda ws, words: asked.append(words))
    app = opened()
    assert "No second learning algorithm" in texts(app)
    app.button(key=f"start evaluate algorithms --recipe {OTHER}").click().run()
    assert asked == [["evaluate", "algorithms", "--recipe", OTHER]] and not app.exception


def test_one_target_and_all_images(ws):
    algorithms.keep(ws, made(ws), {"command": "python -m attribution evaluate algorithms"})
    app = opened(target="5")
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
    assert name not in opened().selectbox(key="recipe to compare with").options
