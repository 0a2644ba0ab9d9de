"""The data handed to the strip, and the words and HTML of Explore; the strip itself is driven in tests/browser."""

import numpy as np

from attribution.explore.lineup import lineup_rows
from pages.debug import lineup_view
from tests import tiny
from tests.pages.ui.test_target_card import ATLAS

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


def data(ws, target, rows, **changes):
    places = {int(image): at for at, image in enumerate(np.unique(np.concatenate([row.ids for row in rows])))}
    given = {
        "k": 4,
        "shown": 6,
        "cut_max": 128,
        "chosen": "trak-10",
        "selected": None,
        "supports": SUPPORT,
        "explain": "true",
        "scores": False,
        "planted": None,
        "scale": 7,
        "present": False,
        "ahead": None,
    } | changes
    return lineup_view.strip_data(ws, target, rows, ATLAS, places, **given)


def test_rows_and_tiles(ws):
    drawn = data(ws, 0, lineup_rows(ws, 0, ["l2-moco", "trak-10"], 6, "both"))
    assert [row["id"] for row in drawn["rows"]] == [
        "l2-moco helpful",
        "l2-moco harmful",
        "trak-10 helpful",
        "trak-10 harmful",
    ]
    undefined, helpful, harmful = drawn["rows"][1:]
    assert undefined["tiles"] == [] and "no harmful scores" in undefined["empty"]
    assert (helpful["sign"], helpful["sign_text"], helpful["chosen"]) == ("+", "helpful", True)
    assert helpful["support"] == {"k": 4, "text": "flips at 4 removed"} and "support" not in harmful
    assert harmful["tiles"][0] == {
        "id": 1,
        "at": harmful["tiles"][0]["at"],
        "text": "training image 1, Box <b>",
        "mark": "label: Box <b>",
    }
    assert all("score" not in tile for row in drawn["rows"] for tile in row["tiles"])
    assert drawn["cut"] == {"k": 4, "shown": 6, "max": 128}


def test_scores_and_planted_labels_only_when_asked(ws):
    rows = lineup_rows(ws, 0, ["trak-10"], 6, "harmful")
    planted = np.where(np.arange(60) == 3, 0, -1)
    tiles = data(ws, 0, rows, scores=True, planted=planted)["rows"][0]["tiles"]
    assert tiles[0]["score"] == "-0.5"
    assert [tile.get("flag") for tile in tiles if tile["id"] in (2, 3)] == [None, "planted: was Bar"]


def test_a_predicted_class_is_named(ws):
    rows = lineup_rows(ws, 1, ["l2-moco", "trak-10"], 6, explain="predicted")
    drawn = data(ws, 1, rows, explain="predicted")["rows"]
    assert [row["sign_text"] for row in drawn] == ["for Dot", "against Box <b>"]
    assert [row["chosen"] for row in drawn] == [False, True]  # the cut removes what is shown


def test_without_base_models_a_row_only_cuts(tmp_path):
    ws = tiny.write(tmp_path / "tiny", base=False)
    (row,) = data(ws, 1, lineup_rows(ws, 1, ["trak-10"], 3))["rows"]
    assert row["choose"] == "Cut by trak-10"


def test_names_are_escaped_in_html(ws):
    row = lineup_rows(ws, 1, ["trak-10"], 3)[0]
    image = lineup_view.image_html(ws, 1, [(row, 1), (row, None)], None, "data:,", 7, 3)
    assert "Box <b>" not in image and "#1" in image and "not in the top 128" in image


def test_a_label_is_named_where_it_is_not_the_class_explained(ws):
    for explain in ("true", "predicted"):
        (row,) = lineup_rows(ws, 1, ["trak-10"], 20, explain=explain)
        assert ws.classes[row.explained] == {"true": "Box <b>", "predicted": "Dot"}[explain]
        (drawn,) = data(ws, 1, [row], explain=explain)["rows"]
        for tile, given in zip(drawn["tiles"], row.labels):
            assert tile.get("mark") == (None if given == row.explained else f"label: {ws.classes[given]}")


def test_the_control_has_no_sign(ws):
    trak, control = data(ws, 0, lineup_rows(ws, 0, ["trak-10", "random"], 6))["rows"]
    assert trak["sign"] == "+" and "sign" not in control and control["sign_text"] == "control"
    assert trak["colour"] == "#C98500" != control["colour"]


def test_flips_in_words():
    flip = {"status": "flipped", "support": 3}
    assert lineup_view.flip_text(flip, 20) == "flips at 3 removed"
    assert lineup_view.flip_text({"status": "unstable", "support": 34}, 20) == "flips at ≈ 34 removed →"
    assert lineup_view.flip_text({"status": "censored", "support": None, "k_max": 128}, 20) == "no flip within 128"
    assert lineup_view.flip_text({"status": "already_wrong", "support": None}, 20) == "already wrong"
