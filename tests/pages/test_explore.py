"""Explore, run without a browser; tests/browser drives the strip."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from attribution import Workspace
from pages.ui import state
from tests import tiny

APP = Path(__file__).resolve().parents[2] / "app.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workspace")
    tiny.write(folder)
    return folder


@pytest.fixture
def app(folder, monkeypatch):
    monkeypatch.setenv("LINEUP_WORKSPACE", str(folder))
    return AppTest.from_file(str(APP), default_timeout=30)


def heading(app) -> str:
    return app.header[0].value.replace("\\", "")


def test_it_opens_on_the_target_worth_telling(app):
    app.run()
    assert not app.exception and not app.warning
    assert heading(app) == "Bar in 10 of 10 models. Without the first 4 images of trak-10: Dot in 4 of 5."
    assert app.number_input(key=state.TARGET).value == 0
    assert app.number_input(key=state.K).value == 4
    assert app.selectbox(key=state.CUT_RANKING).value == "trak-10"


def test_a_link_is_followed(app):
    app.query_params.update({"target": "1", "k": "7", "end": "both", "explain": "predicted"})
    app.query_params["rankings"] = ["l2-moco", "trak-10"]
    app.run()
    assert not app.exception and not app.warning
    assert heading(app).startswith("Dot in 10 of 10 models, but it is labelled Box")
    assert app.number_input(key=state.K).value == 7
    assert app.selectbox(key=state.CUT_RANKING).options == ["l2-moco", "trak-10"]


@pytest.mark.parametrize(("name", "value", "said"), [
    ("target", "99", "Target 99 is out of range"), ("target", "shirt", "is not a number"),
    ("k", "0", "k = 0"), ("k", "-3", "k = -3"), ("k", "many", "k = many"), ("rankings", "nope", "No ranking 'nope'")])
def test_what_a_link_cannot_have_is_said_in_one_sentence(app, name, value, said):
    app.query_params[name] = value
    app.run()
    assert not app.exception and len(app.warning) == 1
    assert said in app.warning[0].value.replace("\\", "")
    assert app.number_input(key=state.TARGET).value == 0 and app.number_input(key=state.K).value == 4


def test_filters_and_the_way_through_them(app):
    app.run()
    app.selectbox(key=state.LABEL).set_value("Dot").run()
    assert "4 of 4 that fit" in app.caption[0].value.replace("\\", "")
    app.button(key="next").click().run()
    assert app.number_input(key=state.TARGET).value == 2
    app.button(key="next").click().run()
    assert app.number_input(key=state.TARGET).value == 5
    app.button(key="previous").click().run()
    assert app.number_input(key=state.TARGET).value == 2
    assert app.session_state[state.TRAIL] == [0, 5, 2]


def test_the_tested_targets_alone(app):
    app.query_params["show"] = "tested"
    app.run()
    assert not app.exception and "1 of 1 that fit" in app.caption[0].value.replace("\\", "")
    assert app.button(key="next").disabled


def test_filters_that_nothing_fits(app):
    app.run()
    app.selectbox(key=state.LABEL).set_value("Bar").run()
    app.selectbox(key=state.PREDICTED).set_value("Dot").run()
    assert not app.exception and "No validation image fits" in app.info[0].value
    assert app.button(key="next").disabled and app.button(key="previous").disabled
    assert heading(app).startswith("Bar in 10 of 10")  # the target on view stays


def test_no_ranking_chosen(app):
    app.run()
    app.button_group(key=state.RANKINGS).set_value([]).run()
    assert not app.exception and "No ranking is chosen" in app.info[0].value


def test_retraining_is_for_rows_that_there_are(app):
    app.run()
    assert not app.button(key="retrain").disabled
    app.selectbox(key=state.CUT_RANKING).set_value("l2-moco").run()
    app.button_group(key=state.END).set_value("harmful").run()
    assert not app.exception and app.button(key="retrain").disabled


def test_the_command_names_what_is_on_view(app, folder):
    app.query_params.update({"target": "1", "k": "7", "end": "both"})
    app.query_params["rankings"] = ["trak-10"]
    app.run()
    figure, retrain = [code.value for code in app.code]
    assert figure == ("python -m attribution export figure --target 1 --rankings trak-10 --top 20 --k 7 --ends both "
                      f"--out lineup-1.png --workspace {folder}")
    assert retrain == ("python -m attribution retrain --target 1 --ranking trak-10 --remove-top 7 --seeds 5 --draws 1 "
                       f"--workspace {folder}")


def test_the_command_of_a_row_that_is_not_as_published_names_its_images(app, folder):
    app.query_params.update({"target": "1", "k": "2", "end": "harmful"})
    app.query_params["rankings"] = ["trak-10"]
    app.run()
    first = Workspace.open(folder).ranking("trak-10").top(1, 2, end="harmful").ids
    assert f"retrain --target 1 --remove {first[0]},{first[1]} --seeds 5 --draws 1" in app.code[1].value


def test_a_workspace_that_cannot_be_opened(monkeypatch, tmp_path):
    monkeypatch.setenv("LINEUP_WORKSPACE", str(tmp_path / "none"))
    app = AppTest.from_file(str(APP), default_timeout=30).run()
    assert not app.exception and len(app.error) == 1
    assert "There is no workspace at" in app.error[0].value
