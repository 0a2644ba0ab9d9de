"""Targets in a strip."""

import numpy as np

from pages.ui import target_card
from tests import tiny

ATLAS = {"url": "data:image/png;base64,", "columns": 3, "count": 9, "width": 8, "height": 8}


def test_wall(ws):
    drawn = target_card.wall_data(ws, np.array([0, 1]), ATLAS, 1, wall=False, scale=7)
    right, wrong = drawn["rows"][0]["tiles"]
    assert right["caption"] == "Bar" and "mark" not in right
    assert wrong["mark"] == "Box <b> → Dot" and drawn["selected"] == 1


def test_without_base_models_only_what_is_known_is_said(tmp_path):
    ws = tiny.write(tmp_path / "tiny", base=False)
    tile = target_card.wall_data(ws, np.array([1]), ATLAS, 1, wall=False, scale=7)["rows"][0]["tiles"][0]
    assert tile == {"id": 1, "at": 0, "text": "validation image 1, Box <b>", "caption": "Box <b>"}
