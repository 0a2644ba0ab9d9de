"""The picker's map, run without a browser."""

from attribution.runner import commands
from pages.ui import state
from tests import tiny
from tests.pages.page import open_page, texts


def opened(**link):
    app = open_page(picker="map", **link)
    assert not app.exception, app.exception
    return app


def test_what_was_not_drawn_is_asked_for(ws, monkeypatch):
    asked = []
    monkeypatch.setattr(commands, "start_command", lambda ws, words: asked.append(words))
    app = opened()
    assert "The map of moco has not been drawn yet" in texts(app)
    app.button(key="start features project moco").click().run()
    assert asked == [["features", "project", "moco"]] and not app.exception


def test_without_features_there_is_no_map(tmp_path, monkeypatch):
    (tmp_path / "v").mkdir()
    other = tiny.large(tmp_path / "v", 1)
    monkeypatch.setenv("LINEUP_WORKSPACE", str(other.path))
    assert "no feature set yet" in texts(opened())


def test_a_link_is_followed_and_what_it_cannot_have_is_said(drawn):
    app = opened(target="1", k="3", ranking="trak-10", features="moco")
    assert app.number_input(key=state.TARGET).value == 1 and app.number_input(key=state.K).value == 3
    assert not app.warning and "Drag a lasso" in texts(app) and app.caption[0].value == "12 images"
    app = opened(target="99", features="none")
    assert "Target 99 is out of range" in texts(app) and "No feature set 'none'" in texts(app)
    assert app.number_input(key=state.TARGET).value == 0
