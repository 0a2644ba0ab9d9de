"""Whose predictions the pages speak about: the selector, what a link says, and what is said before a retraining."""

import json

import pytest
import streamlit as st

from attribution import Workspace
from attribution.experiments import jobs, retrain
from attribution.explore import opening_target
from attribution.importing import base_predictions
from attribution.runner import commands
from attribution.store.results import ResultStore
from tests.pages.page import commands as shown_commands
from tests.pages.page import html, open_page, texts
from tests.unit.importing.test_base_predictions import predictions, soft

PAGES = ("debug", "compare", "labels", "data")


@pytest.fixture(autouse=True)
def nothing_cached():
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def two(ws):
    """Models of demo-cnn and, imported, of my-net, which this machine cannot train: it reads image 5 as a Bar."""
    said = ws.val_labels.copy()
    said[5] = 0
    base_predictions.import_predictions(ws, "my-net", predictions(soft(said)))
    return Workspace.open(ws.path)


@pytest.fixture
def three(two):
    """And of fast94, which it can."""
    base_predictions.import_predictions(two, "fast94", predictions(soft(two.val_labels)))
    return Workspace.open(two.path)


def opened(page="debug", **link):
    app = open_page(page, **link)
    assert not app.exception, app.exception
    return app


def selector(app):
    return next((box for box in app.selectbox if box.label == "Model"), None)


@pytest.fixture
def single(ws):
    """Without features there are no heads."""
    manifest = json.loads((ws.path / "workspace.json").read_text())
    del manifest["parts"]["features/moco"]
    (ws.path / "workspace.json").write_text(json.dumps(manifest))
    return ws


@pytest.mark.parametrize("page", PAGES)
def test_one_model_needs_no_selector(single, page):
    app = opened(page)
    assert selector(app) is None and "models of demo-cnn" not in texts(app)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("model", [None, "my-net", "fast94"])
def test_every_page_is_drawn_for_every_model(three, page, model):
    app = opened(page, **({"model": model} if model else {}))
    assert selector(app).value == (model or "demo-cnn")


@pytest.mark.parametrize(
    "tab", ["supports", "lds", "agreement", "calibration", "cost", "compute", "features", "algorithms"]
)
def test_every_tab_is_drawn_for_a_model_of_predictions_alone(two, tab):
    assert "known here by its predictions alone" in texts(opened("compare", tab=tab, model="my-net"))


def test_figures_say_whose_they_are(two):
    app = opened(target="5")
    assert "All 10 models predict Dot." in html(app) and "10 of 10 demo-cnn models correct" in html(app)
    app = opened(target="5", model="my-net")
    assert "The model predicts Bar. Its label is Dot." in html(app) and "my-net is wrong" in html(app)


def test_choosing_another(two):
    app = opened(target="5")
    selector(app).set_value("my-net").run()
    assert not app.exception and "my-net is wrong" in html(app)


def test_a_link_to_a_model_that_is_not_there(two):
    app = opened(model="nobody", target="5")
    assert selector(app).value == "demo-cnn" and app.number_input[0].value == 5
    assert "tiny has no model 'nobody'; it has demo-cnn, my-net, head-moco" in texts(app)
    assert "\n" not in app.warning[0].value


def test_a_link_to_a_model_of_a_workspace_with_one(single):
    assert "has no model 'my-net'; it has demo-cnn" in texts(opened(model="my-net"))


def test_a_workspace_whose_only_predictions_are_imported_opens_with_them(tmp_path, monkeypatch):
    from tests import tiny

    monkeypatch.setenv("LINEUP_WORKSPACE", str(tmp_path / "w"))
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))
    ws = tiny.write(tmp_path / "w", base=False)
    base_predictions.import_predictions(ws, "my-net", predictions(soft(ws.val_labels)))
    app = opened(target="5")
    assert selector(app).value == "my-net" and "my-net is correct" in html(app)
    app = opened(model="demo-cnn")
    assert "No model has been trained here yet" in html(app)


# -- what the bare address opens on


@pytest.fixture
def opens_on_a_head(ws, monkeypatch):
    """The tiny workspace in the place of the bundled demo."""
    monkeypatch.setattr(opening_target, "DEMO", ws.path)
    return ws


def test_the_bare_address_of_the_demo_is_about_a_head(opens_on_a_head):
    app = opened()
    assert selector(app).value == "head-moco" and "head-moco is correct" in html(app)
    assert app.query_params["model"] in ("head-moco", ["head-moco"]), "the address says so"
    selector(app).set_value("demo-cnn").run()
    assert not app.exception and "demo-cnn models correct" in html(app)
    app.run()
    assert selector(app).value == "demo-cnn", "what was chosen stays"


@pytest.mark.parametrize(
    ("page", "link"),
    [("debug", {"target": "5"}), ("debug", {"k": "4"}), ("compare", {}), ("debug", {"model": "demo-cnn"})],
)
def test_a_link_that_says_anything_is_about_the_own_recipe(opens_on_a_head, page, link):
    assert selector(opened(page, **link)).value == "demo-cnn"


def test_the_bare_address_of_another_workspace_is_about_its_own_recipe(ws):
    app = opened()
    assert selector(app).value == "demo-cnn" and "model" not in app.query_params


# -- before anything is retrained


def test_predictions_alone_are_not_retrained_and_the_right_model_is_offered(three):
    for link in ({}, {"panel": "verdict"}):
        app = opened(model="my-net", target="5", **link)
        assert "my-net is known here by its predictions alone; retrain demo-cnn or fast94 instead" in texts(app)
        assert not [button for button in app.button if button.key in ("retrain", "run") and not button.disabled]
        next(button for button in app.button if button.key == "look at fast94").click().run()
        assert not app.exception and selector(app).value == "fast94" and "alone" not in texts(app)
        assert [button for button in app.button if button.key in ("retrain", "run") and not button.disabled]


def test_predictions_of_another_recipe_in_the_own_ones_place(ws, monkeypatch):
    started = []
    monkeypatch.setattr(commands, "start_command", lambda ws, words: started.append(words))
    ws.record_part("base", {"recipe": "my-net", "hash": None})
    for link in ({}, {"panel": "verdict"}):
        app = opened(target="5", **link)
        assert "The base predictions are of my-net, and retraining is by demo-cnn" in texts(app)
    next(button for button in app.button if button.key == "train the right model").click().run()
    assert started == [["base", "train"]]


def test_a_recipe_that_has_changed_since(ws):
    ws.record_part("base", {"recipe": "demo-cnn", "hash": "0" * 12})
    assert "of demo-cnn 000000000000, and that recipe has changed since" in texts(opened(target="5", panel="verdict"))


def test_the_right_recipe_is_not_warned_of(ws):
    ws.record_part("base", {"recipe": "demo-cnn", "hash": ws.get_recipe().hash})
    assert "retraining is by" not in texts(opened(target="5", panel="verdict"))


# -- commands and jobs


def test_commands_name_the_model(three, monkeypatch):
    started = []
    monkeypatch.setattr(commands, "start_command", lambda ws, words: started.append(words))
    app = opened("data", model="fast94", part="features")
    next(button for button in app.button if button.key == "build").click().run()
    assert started == [["base", "train", "--model", "fast94"]]
    assert any(line.endswith(f"base train --model fast94 --workspace {three.path}") for line in shown_commands(app))


def test_a_job_of_another_model_leads_there(three):
    view = three.with_model("fast94")
    number = jobs.submit(view, retrain.retrain_spec(view, 5, "trak-10", "remove", 3))
    with ResultStore.for_workspace(three) as store:
        job = store.job(number)
        assert job.spec["model"] == "fast94" and job.what.endswith(", recipe fast94")
    app = opened(job=str(number), panel="verdict")
    assert f"Job {number} is about the predictions of fast94, and this page about demo-cnn's" in texts(app)
    next(button for button in app.button if button.key == "model of the job").click().run()
    assert selector(app).value == "fast94" and "Is it still Dot without" in html(app)
    app = opened(target="5", panel="history")
    next(button for button in app.button if button.key == f"job {number}").click().run()
    assert selector(app).value == "fast94" and "Is it still Dot without" in html(app)


def test_names_are_shown_and_never_obeyed(ws):
    base_predictions.import_predictions(ws, "my-net", predictions(soft(ws.val_labels)))
    manifest = json.loads((ws.path / "workspace.json").read_text())
    manifest["parts"]["models/my-net/base"]["sources"] = ["<b>&\x1b[31m.npy"]
    (ws.path / "workspace.json").write_text(json.dumps(manifest))
    app = opened("data", model="my-net", part="models")
    models, details = (frame.value for frame in app.dataframe[:2])
    assert details["from"].tolist()[1] == "<b>&\\x1b[31m.npy" and models.networks.tolist() == [10, 1, 1]
