"""The Start panel, run without a browser."""

import pytest

from attribution import Workspace
from pages.debug import start
from pages.ui import state
from tests import tiny
from tests.pages.page import open_page, texts


def test_the_door_to_a_wrong_prediction(ws):
    app = open_page(session={state.START: "open"})
    assert not app.exception
    assert "Mean accuracy **89.2 %** (83.3 % to 91.7 %) on 12 validation images" in texts(app)
    app.button(key="door wrong").click().run()
    assert app.session_state[state.START] == "closed" and app.number_input(key=state.TARGET).value == 1
    assert app.button_group(key=state.SHOW).value == "wrong"
    app.button(key="start").click().run()
    assert app.session_state[state.START] == "open"


@pytest.mark.parametrize("link", [{"target": "3"}, {"present": "1"}])
def test_a_link_that_asks_for_something_is_not_covered(ws, link):
    assert open_page(**link).session_state[state.START] == "closed"


def test_nothing_is_computed_while_it_is_closed(ws, monkeypatch):
    monkeypatch.setattr(start, "matrix_data", lambda ws: pytest.fail("computed"))
    app = open_page(target="1")
    assert not app.exception


def test_the_cells_are_the_predictions(ws):
    data = start.matrix_data(ws)
    assert [(cell["t"], cell["p"], cell["n"]) for cell in data["cells"]] == [(0, 0, 4), (1, 1, 3), (1, 2, 1), (2, 2, 4)]
    assert data["cells"][2]["ids"] == [1] and not data["list"]


def test_of_many_classes_the_commonest_errors_are_listed(ws, monkeypatch):
    monkeypatch.setattr(start, "MAX_CLASSES", 2)
    data = start.matrix_data(ws)
    assert data["list"] and [cell["ids"] for cell in data["cells"]] == [[1]]


def test_without_models_it_says_so(tmp_path, monkeypatch):
    tiny.write(tmp_path / "w", base=False)
    monkeypatch.setenv("LINEUP_WORKSPACE", str(tmp_path / "w"))
    app = open_page(session={state.START: "open"})
    assert not app.exception and "No model has been trained on the data set" in texts(app)
    assert not [button for button in app.button if button.key == "door wrong"]
    assert "solved exactly" in start.model_text(Workspace.open().with_model("head-moco"))
