"""Which rankings are rows, and how the rows are asked for: the table of them, its sets, and links."""

from types import SimpleNamespace

import pytest

from attribution.rankings import combination
from attribution.rankings.own import OwnRanking
from pages.debug import row_picker, rows
from pages.ui import state
from tests.pages.page import open_page, texts


def test_the_table_has_each_ranking_once(ws):
    drawn = row_picker.grid(ws)
    assert drawn["columns"] == ["moco", "other"]
    cells = [(row["method"], dict(zip(drawn["columns"], row["cells"]))) for row in drawn["rows"]]
    assert ("L2", {"moco": "l2-moco", "other": None}) in cells
    assert ("TRAK", {"moco": None, "other": "trak-10"}) in cells
    placed = [name for row in drawn["rows"] for name in row["cells"] if name]
    assert sorted(placed) == sorted([*ws.rankings(), "unrolled-exact"])


def test_sets_of_rows(ws):
    sets = {one["name"]: one["rankings"] for one in row_picker.grid(ws)["presets"]}
    assert sets["Everything"] == ws.rankings()
    assert sets["As in the paper"] == ["esvm-moco", "l2-moco", "trak-10", "random"]
    assert set(sets["All similarity"]) == {name for name in ws.rankings() if ws.ranking(name).conditioned} | {
        "signed-moco"
    }
    assert "trak-10" not in sets["Influence"] and sets["Influence"][-1] == "random"
    methods = [ws.ranking(name).method for name in sets["One of each method"]]
    assert len(set(methods)) == len(methods) == len({ws.ranking(name).method for name in ws.rankings()})


@pytest.mark.parametrize("said", ["predicted", "prediction"])
def test_a_link_may_call_the_prediction_as_before(ws, said):
    app = open_page(target="1", explain=said)
    assert not app.exception and not app.warning
    explain = app.button_group(key=state.EXPLAIN)
    assert explain.value == "predicted" and explain.options == ["true label", "prediction"]


def test_a_wrong_target_opens_on_its_error_and_a_right_one_on_its_label(ws):
    app = open_page(target="1")  # a Box that every model takes for a Dot
    explain = app.button_group(key=state.EXPLAIN)
    assert explain.value == "predicted"
    explain.set_value("true").run()
    assert app.button_group(key=state.EXPLAIN).value == "true"
    app.number_input(key=state.TARGET).set_value(0).run()
    assert not [group for group in app.get("button_group") if group.key == state.EXPLAIN]
    app.number_input(key=state.TARGET).set_value(1).run()
    assert app.button_group(key=state.EXPLAIN).value == "true"  # a person's own choice lasts


@pytest.mark.parametrize("said", ["true", "true label"])
def test_a_link_that_explains_the_true_label_of_a_wrong_target_keeps_it(ws, said):
    app = open_page(target="1", explain=said)
    assert not app.exception and not app.warning
    assert app.button_group(key=state.EXPLAIN).value == "true"


def test_a_room_full_of_people_sees_larger_type():
    def style(app):
        return " ".join(element.proto.body for element in app.get("html"))

    app = open_page(present="1")
    assert "html { font-size" in style(app)
    app.number_input(key=state.TARGET).set_value(2).run()
    assert "html { font-size" in style(app)
    assert "html { font-size" not in style(open_page())


@pytest.mark.parametrize("joined", ["trak-10+l2-moco", "trak-10 l2-moco"])  # a browser takes "+" by hand for a space
def test_a_link_may_name_a_combination_that_is_not_listed(ws, joined):
    app = open_page(target="0", rankings=["trak-10", joined])
    rows = app.multiselect(key=state.RANKINGS)
    assert rows.value == ["trak-10", "trak-10+l2-moco"] and not app.warning and not app.exception
    assert "trak-10+l2-moco" not in ws.rankings()


def test_a_combination_of_what_there_is_not_is_said_in_a_sentence(ws):
    app = open_page(target="0", rankings=["trak-10", "trak-10+nothing", "trak-10+" + "x" * 300])
    assert "trak-10+nothing cannot be had: no ranking 'nothing'" in texts(app) and not app.exception
    assert "A ranking has 308 signs in this link; give at most 200" in texts(app)
    assert app.multiselect(key=state.RANKINGS).value == ["trak-10"]


def test_a_listed_combination_is_a_row_to_choose(ws):
    combination.remember(ws, "trak-10+l2-moco", {})
    assert ("Combination", "trak-10+l2-moco") in {
        (row["method"], name) for row in row_picker.grid(ws)["rows"] for name in row["cells"] if name
    }


def test_what_is_fetched_ahead_never_calls_a_persons_code(ws):
    own = object.__new__(OwnRanking)
    assert rows._is_own(own)
    assert rows._is_own(SimpleNamespace(inner=own)) and rows._is_own(SimpleNamespace(parts=[ws.ranking("random"), own]))
    assert not rows._is_own(ws.ranking("trak-10")) and not rows._is_own(ws.ranking("trak-10@true"))
