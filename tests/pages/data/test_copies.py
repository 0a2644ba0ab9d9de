"""Copies of validation images in Data & jobs: what is known, what was found, and the button that looks."""

import json
import shutil

import pytest
import streamlit as st

from attribution import Workspace
from attribution.runner import commands as background
from attribution.workspace import copies
from pages.data import copies as page
from tests.pages.page import commands, html, open_page, texts

NONE = {"images": 0, "pairs": 0, "kept": []}
NEAR = {
    **{"features": "moco", "cosine": 0.98, "version": None, "images": 2, "pairs": 3, "whole": True},
    **{"sample": 60, "sample_images": 6, "kept": [[4, 7, 0.991], [4, 8, 0.982], [5, 3, 0.981]]},
}


@pytest.fixture(autouse=True)
def nothing_cached():
    st.cache_data.clear()
    st.cache_resource.clear()


def opened():
    app = open_page("data", part="features")
    assert not app.exception
    return app


def button(app):
    return next((one for one in app.button if one.label == "Search for copies"), None)


def test_where_nobody_has_looked_a_button_does(ws, monkeypatch):
    asked = []
    monkeypatch.setattr(background, "start_command", lambda ws, words: asked.append(words))
    app = opened()
    assert "Not searched for yet." in texts(app)
    assert any("duplicates --between train-val" in command for command in commands(app))
    button(app).click().run()
    assert asked == [["duplicates", "--between", "train-val"]]


def test_exact_ones_are_known_from_creation_and_near_ones_are_asked_for(ws):
    copies.save(ws, {"images": 1, "pairs": 1, "kept": [[4, 7]]}, None, {})
    app = opened()
    assert "1 of 12 validation images (8.3%) has an exact copy among the training images" in texts(app)
    assert "Near-copies: not searched for yet." in texts(app) and button(app)
    assert "exact copy" in html(app) and "4 · 7" in html(app)


def test_what_was_found(ws):
    copies.save(ws, NONE, NEAR, {})
    app = opened()
    assert "No exact copies found by their pixels over 720 pairs." in texts(app)
    assert "2 of 12 validation images (16.7%) have a near-copy among the training images (3 pairs)" in texts(app)
    assert "of 60 training images 6 (10.0%) have one among the other training images" in texts(app)
    assert "In 1 of 3 pairs the labels differ." in texts(app)
    assert "The bound 0.98 was set on training images of the demo" in texts(app) and not button(app)
    drawn = html(app)
    assert 'href="./?target=4"' in drawn and "cosine 0.991</span>" in drawn
    assert "Box &lt;b&gt;<br>" in drawn, "4 and 7 are both boxes"
    assert "Box &lt;b&gt; ≠ Dot" in drawn and "Dot</b>" in drawn and "Box <b>" not in drawn


def test_a_link_keeps_the_model(ws):
    copies.save(ws, NONE, NEAR, {})
    found = copies.load(ws) | {"listed": copies.pairs(copies.load(ws))}
    assert "target=4&amp;model=head-moco" in page.pairs_html(ws.with_model("head-moco"), found)


def test_where_there_are_none(ws):
    copies.save(ws, NONE, NEAR | {"images": 0, "pairs": 0, "kept": []}, {})
    app = opened()
    assert "No exact copies found by their pixels over 720 pairs." in texts(app)
    assert "No near-copies found by a cosine of at least 0.98 in moco features over 720 pairs" in texts(app)
    assert "labels differ" not in texts(app) and 'class="lu-pairs"' not in html(app) and not button(app)


def test_without_features_there_is_something_to_do_first(ws):
    copies.save(ws, NONE, None, {})
    manifest = json.loads((ws.path / "workspace.json").read_text())
    del manifest["parts"]["features/moco"]
    (ws.path / "workspace.json").write_text(json.dumps(manifest))
    shutil.rmtree(ws.path / "features")
    app = opened()
    assert "near-copies are found in features, and tiny has none yet" in texts(app).lower() and not button(app)


def test_what_cannot_be_read_is_said_and_can_be_made_anew(ws):
    copies.COPIES.save(Workspace.open(ws.path), {"exact": 1}, {})
    app = opened()
    assert "cannot be read" in texts(app) and button(app)
