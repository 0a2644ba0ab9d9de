"""Data & jobs, run without a browser: what is loaded, a ranking brought in, and what is said of one that is wrong."""

import json
import os
import time

import numpy as np
import pytest
import streamlit as st

from attribution import Workspace
from attribution.experiments import jobs, retrain
from attribution.importing import base_predictions, importing
from attribution.importing.formats import ForeignRanking
from attribution.runner import commands
from attribution.store.lock import acquire_runner_lock
from attribution.store.results import ResultStore
from pages.data import words
from pages.ui import state
from tests.pages.page import open_page, texts


@pytest.fixture(autouse=True)
def nothing_cached():
    st.cache_data.clear()


@pytest.fixture
def scores(ws):
    return (np.random.default_rng(0).normal(size=(12, 60)) + 5 * (ws.train_labels == ws.val_labels[:, None])).astype(
        np.float32
    )


def opened(part="import"):
    app = open_page("data", part=part)
    assert not app.exception
    return app


def field(app, label):
    return next(one for one in [*app.text_input, *app.selectbox, *app.checkbox] if one.label == label)


def test_what_is_loaded_and_where_it_came_from(ws):
    app = opened("features")
    rankings, ranking_details, features, _ = (frame.value for frame in app.dataframe[:4])
    assert rankings.ranking.tolist() == ["trak-10"] and ranking_details["made for"].tolist()
    assert rankings["top image has the target's class"][0].startswith("100%")
    assert features.features.tolist() == ["moco"]
    assert "shapes: 60 training and 12 validation images, 3 classes, 1 planted label error." in texts(app)
    assert "esvm, l2, cosine, ridge, signed, influence, each of moco; random." in texts(app)
    assert "are shown and trained at" not in texts(app)


def test_the_models_and_recipes(ws):
    app = opened("models")
    models, _, recipes, _ = (frame.value for frame in app.dataframe[:4])
    assert models.model.tolist() == ["demo-cnn", "head-moco"] and models.networks.tolist() == [10, 1]
    assert models["models on random halves"].tolist() == ["none: no LDS"] * 2
    assert models["can be retrained"].tolist() == ["yes", "yes"]
    mlp = recipes[recipes.recipe == "demo-mlp"].iloc[0]
    assert (mlp.accuracy, mlp["one training"]) == ("not measured yet", "not measured yet")
    assert mlp["trainings stored"] == "none yet"


def test_the_part_is_in_the_address(ws):
    app = opened("models")
    app.button_group(key=state.PART).set_value("machine").run()
    assert not app.exception and "machine" in app.query_params["part"] and app.header[0].value == "Machine"
    app = open_page("data", part="no such part")
    assert not app.exception and "is not known; say one of" in app.warning[0].value and app.header[0].value == "Jobs"


def test_pictures_that_were_resized_are_told_of(ws):
    manifest = json.loads((ws.path / "workspace.json").read_text())
    manifest["dataset"]["sizes"] = {"count": 12, "smallest": [24, 31], "largest": [640, 480], "cropped": True}
    manifest["dataset"]["shape"] = [32, 32, 3]
    (ws.path / "workspace.json").write_text(json.dumps(manifest))
    assert "12 sizes, from 24 x 31 to 640 x 480; all are shown and trained at 32 x 32" in texts(opened())


def test_what_retrains(ws, monkeypatch):
    """Before anything was asked for, then with a runner at work, which tells what it works with."""
    monkeypatch.setenv("LINEUP_WORKERS", "1")
    app = opened("machine")
    assert "Nothing trains, and nothing waits" in texts(app) and "runner.log" not in texts(app)
    assert app.dataframe[-1].value.workers.tolist() == ["1 of 1 thread"]
    store = ResultStore.for_workspace(ws)
    for seeds in (range(1), range(2)):
        number = store.add_job(retrain.retrain_spec(ws, 0, "trak-10", "remove", 4, seeds), "")
    assert "and 2 jobs not done; the next retraining that is asked for starts them" in texts(opened("machine"))
    lock = acquire_runner_lock(store.folder)
    jobs.write_runner_info(
        store.folder,
        {
            "executor": "ray",
            "devices": [
                {"device": "node-1", "memory": "8 GiB", "workers": "3"},
                {"device": "node-2", "memory": "8 GiB", "workers": "1"},
            ],
        },
    )
    store.start_job(number, 4)
    store.set_live_training("k", number, None, 6)
    (store.folder / "runner.log").touch()
    app = opened("machine")
    assert "Training now (ray): 1 training under way on 4 workers; 1 job running, 1 waiting." in texts(app)
    assert f"The log is {store.folder / 'runner.log'}" in texts(app)
    assert app.dataframe[-1].value.device.tolist() == ["node-1", "node-2"]
    os.close(lock)
    store.close()
    assert jobs.runner_info(store.folder) is None, "what the lock said is not believed without its holder"


def test_a_variable_that_makes_no_sense(ws, monkeypatch):
    monkeypatch.setenv("LINEUP_WORKERS", "0")
    assert "0 workers can do nothing; give at least 1" in texts(opened("machine"))


def test_a_ranking_is_imported_by_a_command_that_the_page_starts(ws, scores, tmp_path):
    np.save(tmp_path / "mine.npy", scores)
    app = opened()
    field(app, "or a file or folder on this machine").set_value(str(tmp_path / "mine.npy")).run()
    assert field(app, "Written by").value == "tensor" and field(app, "Name of the scores").value == "mine"
    assert app.button("import").disabled and "Choose what a positive score means." in texts(app)
    field(app, "A positive score means (required)").set_value("helpful").run()
    command = next(one.value for one in app.code if "show" in one.value)
    assert command.startswith(f"python -m attribution show {tmp_path / 'mine.npy'} --name mine --format tensor")
    assert "--sign helpful" in command
    app.button("import").click().run()
    assert ended(ws).state == "done", ended(ws).message
    app.run()
    (said,) = app.success
    assert not app.exception and "Imported mine for 12 targets" in said.value and "LDS was not measured" in said.value
    (link,) = app.get("page_link")
    assert link.proto.label == "Show it in Debug" and "rankings=mine" in link.proto.query_string
    app = opened("features")
    assert "mine" in app.dataframe[0].value.ranking.tolist()


def ended(ws):
    """The newest command, once it has ended."""
    deadline = time.monotonic() + 180  # it loads much before it begins
    while commands.list_commands(ws)[0].is_open and time.monotonic() < deadline:
        time.sleep(0.2)
    return commands.list_commands(ws)[0]


def test_a_refusal_stands_beside_the_button(ws, scores, tmp_path):
    np.save(tmp_path / "turned.npy", -scores)
    app = opened()
    field(app, "or a file or folder on this machine").set_value(str(tmp_path / "turned.npy")).run()
    field(app, "A positive score means (required)").set_value("helpful").run()
    app.button("import").click().run()
    assert ended(ws).state == "failed"
    app.run()
    (said,) = app.error
    text = said.value.replace("\\", "")
    assert text.startswith("Not imported: turned does not look like a ranking of tiny") and "sign looks turned" in text
    assert 'change the answers above, or tick "Keep it even if it fails the check"' in text and "--" not in text
    assert not Workspace.open(ws.path).rankings() or "turned" not in Workspace.open(ws.path).rankings()


def test_a_path_with_nothing_there(ws):
    app = opened()
    field(app, "or a file or folder on this machine").set_value("/no/such/file").run()
    assert "There is nothing at /no/such/file" in texts(app) and not [one for one in app.button if one.key == "import"]


def test_a_ranking_that_did_not_pass_wears_its_warning_and_can_be_taken_out(ws, scores):
    turned = ForeignRanking("Mine", True, np.arange(12), read_scores=lambda start, stop: -scores[start:stop])
    importing.import_ranking(ws, turned, "turned", provenance={"file": "turned.npy"}, force=True)
    app = opened("features")
    assert "the sign looks turned round" in app.warning[0].value.replace("\\", "")
    app.button("take out").click().run()
    assert "turned" not in Workspace.open(ws.path).rankings() and not app.warning


def test_what_is_asked_of_the_command_line():
    asked = {
        "format": "tensor",
        "path": "/a b.pt",
        "name": "x",
        "sign": "helpful",
        "index_base": 0,
        "part": "",
        "targets": None,
        "keep": "whole",
        "force": True,
    }
    assert words.import_words(asked) == [
        *("show", "/a b.pt", "--name", "x", "--format", "tensor", "--no-serve", "--json"),
        *("--sign", "helpful", "--index-base", "0", "--dense", "--force"),
    ]


def test_only_what_can_be_added_is_offered(ws, monkeypatch):
    everything = len(field(opened("features"), "Compute").options)
    monkeypatch.setattr("os.access", lambda path, mode: False)
    app = opened("features")
    assert "MoCo features" not in field(app, "Compute").options and len(field(app, "Compute").options) < everything
    assert state.BUILD in app.session_state


# -- predictions of one's own network


def bring_predictions(app, files, kind="logits", recipe="my-net", **more):
    area = {box.label: box for box in app.text_area}
    area["Files on this machine, one for each trained network"].set_value("\n".join(map(str, files))).run()
    field(app, "Name of the model, or of the recipe that trained it").set_value(recipe).run()
    next(box for box in app.segmented_control if box.label == "The numbers are").set_value(kind).run()
    if "train" in more:
        area = {box.label: box for box in app.text_area}
        area["Its predictions of the training images, if any"].set_value(more["train"]).run()
        field(app, "These come from networks that did not see the image").check().run()
    assert not app.exception


def test_predictions_are_imported(ws, tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(commands, "start_command", lambda ws, words: started.append(words))
    app = opened()
    bring_predictions(app, [tmp_path / "a.npy", tmp_path / "b.npy"], "probabilities", train="/x/t.npy")
    next(button for button in app.button if button.key == "import base").click().run()
    files = [str(tmp_path / name) for name in ("a.npy", "b.npy")]
    options = ["--kind", "probabilities", "--recipe", "my-net", "--train", "/x/t.npy", "--out-of-sample"]
    assert started == [["base", "import", *files, *options]]
    assert any("base import" in code.value and "--out-of-sample" in code.value for code in app.code)


def test_a_name_that_is_no_recipes_offers_no_import(ws, tmp_path):
    app = opened()
    bring_predictions(app, [tmp_path / "a.npy"], recipe="my net")
    assert not [button for button in app.button if button.key == "import base"]


def test_a_model_is_taken_out(ws):
    from tests.unit.importing.test_base_predictions import predictions, soft

    base_predictions.import_predictions(ws, "my-net", predictions(soft(ws.val_labels)))
    app = opened("models")
    models = next(frame.value for frame in app.dataframe if "networks" in frame.value)
    assert models.model.tolist() == ["demo-cnn", "my-net", "head-moco"]
    details = next(frame.value for frame in app.dataframe if "training images" in frame.value)
    assert details["from"].tolist()[1] == "0.npy"
    next(button for button in app.button if button.key == "take model out").click().run()
    assert not app.exception and "my-net" not in Workspace.open(ws.path).models()
