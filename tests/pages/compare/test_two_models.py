"""Models: the table, the images of each cell, and for one of them the rows of both."""

import json

import pandas as pd
import pytest
import streamlit as st

from attribution import Workspace
from attribution.evaluation import model_comparison, support_transfer
from attribution.importing import base_predictions
from pages.compare import two_models
from pages.ui import state
from tests.pages.compare.tabs import opened_topic
from tests.pages.page import commands, html, texts
from tests.unit.importing.test_base_predictions import predictions, soft


@pytest.fixture(autouse=True)
def nothing_cached():
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def two(ws):
    """my-net reads image 1 right, which demo-cnn reads as a Dot, and image 5, a Dot, as a Bar."""
    said = ws.val_labels.copy()
    said[5] = 0
    base_predictions.import_predictions(ws, "my-net", predictions(soft(said)))
    return Workspace.open(ws.path)


def test_one_model_says_how_to_bring_another(ws):
    manifest = json.loads((ws.path / "workspace.json").read_text())
    del manifest["parts"]["features/moco"]
    (ws.path / "workspace.json").write_text(json.dumps(manifest))
    app = opened_topic("Two models")
    assert "there is one, demo-cnn" in texts(app)
    assert any("base import logits.npy --kind logits" in line for line in commands(app))


def test_the_table_and_its_images(two):
    app = opened_topic("Two models")
    assert (
        "demo-cnn and my-net differ on 16.7 % of 12 validation images: demo-cnn alone is right on 1, my-net alone"
        in (texts(app))
    )
    assert "Box &lt;b&gt;" in html(app) and "Box <b>" not in html(app)
    assert any("base compare demo-cnn my-net" in line for line in commands(app))
    app = opened_topic("Two models", model="my-net")
    assert "my-net and demo-cnn differ" in texts(app)


def test_the_rows_of_both(two):
    app = opened_topic("Two models")
    app.session_state[state.COMPARED_IMAGE] = 5
    app.run()
    assert not app.exception
    assert "Validation image 5, Dot" in texts(app)
    assert "demo-cnn: Dot in 10 of 10" in texts(app) and "my-net: Bar in 1 of 1" in texts(app)
    rows = {name: two_models._rows(two.with_model(name), name, 5) for name in ("demo-cnn", "my-net")}
    assert "trak-10" in [row.ranking for row in rows["demo-cnn"]]
    assert "trak-10" not in [row.ranking for row in rows["my-net"]]  # it was made for demo-cnn
    # an unsigned row looks among the class that its model predicts
    (mine,) = (row for row in rows["my-net"] if row.ranking == "l2-moco")
    assert set(two.train_labels[mine.ids]) == {0}


def test_the_same_predictions_leave_nothing_to_show(ws):
    base_predictions.import_predictions(ws, "my-net", predictions(soft(ws.base.prediction.astype(int))), force=True)
    assert "differ on 0.0 %" in texts(opened_topic("Two models"))


def test_csv(two):
    compared = model_comparison.compare(two, "demo-cnn", "my-net")
    lines = pd.read_csv(pd.io.common.StringIO(two_models.to_csv(two, compared)))
    assert lines.columns.tolist() == list(two_models.CSV_COLUMNS)
    assert lines.image.tolist() == [5, 1] and lines.predicted_by_second.tolist() == ["Bar", "Box <b>"]


def test_a_model_in_the_link_that_is_not_there(two):
    assert not opened_topic("Two models", other_model="nobody").exception


def transfer(ws, rows):
    """A stored answer about demo-cnn and head-moco."""
    seen = ws.with_model("head-moco")
    hashes = [view.get_recipe().hash for view in (ws, seen)]
    draws = {"demo-cnn": 1, "head-moco": 20}
    answer = {"models": ["demo-cnn", "head-moco"], "hashes": hashes, "seeds": [0, 1, 2], "draws": draws, "rows": rows}
    support_transfer.save(seen, answer, {"made": "2026-01-02", "command": "by hand"})


def judged(of, under, ranking, flipped, control):
    about = {"target": 0, "k": 4, "before": 3.0, "after": -1.0, "control_after": 2.0}
    return {"of": of, "under": under, "ranking": ranking, "flipped": flipped, "control": control, **about}


def test_which_supports_transfer(ws):
    own, head = "demo-cnn", "head-moco"
    rows = [judged(own, head, "trak-10", at > 0, 0.0) for at in range(20)]
    rows += [judged(own, head, "l2-moco", at > 18, 0.05) for at in range(20)]
    rows += [judged(head, own, "influence-moco", at > 9, 0.5) for at in range(20)]
    transfer(ws, rows)
    app = opened_topic("Two models", other_model="head-moco")
    assert (
        "Without the supports of demo-cnn, head-moco flips in 5 % (l2-moco, 1 of 20) to 95 % (trak-10, 19 of 20); "
        "without random images in 0 to 5 %, clearly fewer for 1 of 2 rankings (the intervals do not overlap)."
        in texts(app)
    )
    assert (
        "Without the supports of head-moco, demo-cnn flips in 50 % (influence-moco, 10 of 20); without random images "
        "in 50 %, a difference that may be chance: the intervals overlap." in texts(app)
    )
    assert "Made 2026-01-02 by by hand" in texts(app) and "seeds 0–2" in texts(app)
    assert html(app).count("19 of 20") == 1
    assert any("evaluate support-transfer --json --model head-moco" in line for line in commands(app))
    assert "Do the images that flip one model flip another?" in texts(opened_topic("Two models", model="head-moco")), (
        "seen from the head, too"
    )


def test_the_transfer_of_supports_is_measured_on_request(ws):
    app = opened_topic("Two models", other_model="head-moco")
    assert "Not measured yet for head-moco" in texts(app)
    assert any("evaluate support-transfer --model head-moco" in line for line in commands(app))


def test_two_networks_have_no_such_section(two):
    assert "Do the images that flip one model flip another?" not in texts(
        opened_topic("Two models", other_model="my-net")
    )
