"""The curve of accuracy in the third step: where it stands, what it says, and when it is computed again."""

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from attribution.audit import accuracy_curve
from attribution.workspace import heads
from pages.labels import accuracy_curve as view
from pages.ui import state
from tests.pages.labels.entries import entry
from tests.pages.page import commands, open_page, texts
from tests.unit.audit.test_gain import STANDING, decided

PAGE = """
import streamlit as st
from pages.labels import accuracy_curve
from pages.ui import theme

ws = theme.workspace().with_model(st.session_state["model"])
accuracy_curve.draw(ws, st.session_state["standing"], st.session_state["uses_val"], st.session_state["without"])
"""


def opened(standing=STANDING, uses_val=False, without=(), model=None):
    app = AppTest.from_string(PAGE, default_timeout=30)
    values = {"standing": standing, "uses_val": uses_val, "without": list(without), "model": model}
    for name, value in values.items():
        app.session_state[name] = value
    return app.run()


def measured(ws, standing=STANDING, uses_val=False):
    return accuracy_curve.measure(ws, "head-moco", accuracy_curve.decision_steps(ws, standing), uses_val)


def test_it_is_asked_for_by_a_button(ws, monkeypatch):
    app = opened()
    assert not app.exception and not app.get("plotly_chart")
    assert "12 exact refits of head-moco, which stands in for demo-cnn, after more and more of the decisions" in texts(
        app
    )
    started = []
    monkeypatch.setattr(
        "attribution.runner.commands.start_command", lambda ws, words: started.append((ws.model, list(words)))
    )
    app.button[0].click().run()
    assert started == [("head-moco", ["evaluate", "inspection", "--decisions", "--model", "head-moco"])]
    measured(ws)
    app.run()
    assert app.get("plotly_chart") and not app.button


def test_the_curve(ws):
    answer = measured(ws)
    app = opened()
    assert not app.exception and app.subheader[0].value == "Accuracy as decisions come in"
    assert "demo-cnn would have to be trained; head-moco stands in. It is refitted" in texts(app)
    last = answer["curve"][-1]
    assert f"→ {100 * last['accuracy']:.1f} % after 30 decisions: " in texts(app)
    assert "on 12 validation images. The band" in texts(app)
    figure = view.chart(answer)
    assert list(figure.data[2].x) == [point["decided"] for point in answer["curve"]]
    assert np.allclose(figure.data[2].y, [100 * point["accuracy"] for point in answer["curve"]])
    low, high = (np.array(figure.data[at].y) for at in (0, 1))
    assert np.isclose(low[-1], 100 * (answer["curve"][0]["accuracy"] + last["gain"]["ci"][0])) and (low <= high).all()
    (command,) = commands(app)
    assert command == f"python -m attribution evaluate inspection --decisions --model head-moco --workspace {ws.path}"


def test_under_a_head_it_is_that_head(ws):
    measured(ws, uses_val=True)
    app = opened(model="head-moco", uses_val=True)
    assert not app.exception and "head-moco is refitted" in texts(app) and "stands in" not in texts(app)
    assert "on 6 validation images (the second half; the first may have influenced which" in texts(app)


def test_where_there_is_nothing_to_see(ws, monkeypatch):
    assert not opened({}).subheader and not opened({8: decided("keep")}).subheader
    app = opened(without=range(12))
    assert "There are too few validation images" in texts(app) and not app.get("plotly_chart")
    monkeypatch.setattr(heads, "names", lambda ws: [])
    assert not opened().subheader


@pytest.fixture
def started(monkeypatch):
    """The commands that are started, which none is."""
    started = []
    monkeypatch.setattr("attribution.runner.commands.start_command", lambda ws, words: started.append(words))
    return started


def test_another_decision_leaves_the_curve_of_before_and_measures_anew(ws, started):
    standing = {image: decided("relabel", 0) for image in (4, 5)}
    measured(ws, standing)
    assert "Measured when" not in texts(opened(standing)) and not started
    app = opened(standing | {6: decided("remove")})
    assert "Measured when there were 2 decisions; now there are 3, or other ones." in texts(app)
    assert started == [["evaluate", "inspection", "--decisions", "--model", "head-moco"]]
    app.run()
    assert len(started) == 1 and app.button, "what ended without an answer is begun again by hand"
    app.session_state["standing"] = standing | {6: decided("remove"), 7: decided("remove")}
    app.run()
    assert len(started) == 2


def test_under_a_head_nobody_has_to_ask(ws, started):
    assert not opened(model="head-moco").exception and len(started) == 1
    assert not opened().exception and len(started) == 1, "another model's stands in, and is asked for"


def test_what_would_take_long_is_asked_for(ws, started, monkeypatch):
    monkeypatch.setattr(view, "FOLLOWED_SECONDS", 0)
    assert opened(model="head-moco").button and not started


def test_it_stands_in_the_third_step(ws, log, queue):
    first, second = queue.items[:2]
    log.append([entry(first, "remove"), entry(second, "remove")], "me", "tab", queue.number)
    app = open_page("labels", step=state.BENEFIT)
    assert not app.exception and "Accuracy as decisions come in" in texts(app)
    assert "Refit along the decisions" in [button.label for button in app.button]
