"""A target's card, and targets in a strip."""

import numpy as np

from pages.ui import target_card
from tests import tiny

ATLAS = {"url": "data:image/png;base64,", "columns": 3, "count": 9, "width": 8, "height": 8}
SUPPORT = {
    "trak-10": {
        "status": "flipped",
        "support": 4,
        "k_max": 20,
        "k": 4,
        "close": False,
        "becomes": "Dot",
        "votes": 4,
        "wrong": 4,
        "seeds": 5,
    }
}


def test_support_text():
    assert target_card.support_text(SUPPORT["trak-10"], shown=3) == "support 4 →"
    assert target_card.support_text({"status": "censored", "support": None, "k_max": 20}) == "none up to 20"
    assert target_card.support_text({"status": "already_wrong", "support": None, "k_max": 20}) == "already wrong"


def test_wall(ws):
    drawn = target_card.wall_data(ws, np.array([0, 1]), ATLAS, 1, wall=False, scale=7)
    right, wrong = drawn["rows"][0]["tiles"]
    assert right["caption"] == "Bar" and "mark" not in right
    assert wrong["mark"] == "Box <b> → Dot" and drawn["selected"] == 1


def test_without_base_models_only_what_is_known_is_said(tmp_path):
    ws = tiny.write(tmp_path / "tiny", base=False)
    card = target_card.card_html(ws, 1, {}, "data:,", 7)
    assert "Box &lt;b&gt;" in card and "no model here yet" in card and "predicted" not in card
    tile = target_card.wall_data(ws, np.array([1]), ATLAS, 1, wall=False, scale=7)["rows"][0]["tiles"][0]
    assert tile == {"id": 1, "at": 0, "text": "validation image 1, Box <b>", "caption": "Box <b>"}


def test_names_are_escaped_in_html(ws):
    card = target_card.card_html(ws, 0, {"remove": SUPPORT, "mislabel": SUPPORT}, "data:,", 7)
    assert "Removal support" in card and "Mislabel support, as Box &lt;b&gt;" in card
    card = target_card.card_html(ws, 1, {}, "data:,", 7)
    assert "Box &lt;b&gt;" in card and "<b>Box" not in card and "Box <b>" not in card
