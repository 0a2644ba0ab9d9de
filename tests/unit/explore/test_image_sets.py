"""Named sets of images."""

import json

import pytest

from attribution import UserError, Workspace
from attribution.explore.image_sets import FILE, MAX_NAME, delete_set, load_sets, save_set


def test_a_set_survives_and_is_replaced_by_its_name(ws):
    assert load_sets(ws) == {}
    save_set(ws, " odd boxes ", [7, 3, 7], [2])
    save_set(ws, "later", [], [5])
    sets = load_sets(Workspace.open(ws.path))
    assert list(sets) == ["later", "odd boxes"]
    assert sets["odd boxes"].train.tolist() == [3, 7] and sets["odd boxes"].val.tolist() == [2]
    save_set(ws, "odd boxes", [1], [])
    assert load_sets(ws)["odd boxes"].train.tolist() == [1]
    delete_set(ws, "odd boxes")
    delete_set(ws, "odd boxes")
    assert list(load_sets(ws)) == ["later"]


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * (MAX_NAME + 1), "\u202ex"])
def test_what_is_no_name_is_refused(ws, name):
    with pytest.raises(UserError, match="no name for a set"):
        save_set(ws, name, [1], [])


def test_an_empty_set_is_refused(ws):
    with pytest.raises(UserError, match="at least one image"):
        save_set(ws, "none", [], [])


@pytest.mark.parametrize(
    "stored",
    [[], {"a": 1}, {"a": {"train": [60], "val": [], "created": 0}}, {"a": {"train": ["x"], "val": []}}, "text"],
)
def test_a_damaged_file_is_said_and_kept(ws, stored):
    (ws.user_folder / FILE).write_text(json.dumps(stored))
    with pytest.raises(UserError):
        load_sets(ws)
    with pytest.raises(UserError):
        save_set(ws, "new", [1], [])
    assert json.loads((ws.user_folder / FILE).read_text()) == stored
