"""When a click draws the whole page, and when only what is about the target."""

import pytest
import streamlit as st

from pages.debug.surroundings import Surroundings
from pages.ui import state, theme


@pytest.fixture
def visit(monkeypatch):
    """(parameters of the address, what the visit has), as dicts."""

    class Params(dict):
        def get_all(self, name):
            return [self[name]]

    params, session = Params(target="3", k="8", model="demo-cnn"), {}
    monkeypatch.setattr(st, "query_params", params)
    monkeypatch.setattr(st, "session_state", session)
    monkeypatch.setattr(theme, "changed_on_disk", lambda: False)
    return params, session


@pytest.mark.parametrize("name", [state.TARGET, state.K, state.CUT_RANKING, state.END])
def test_what_the_part_has_widgets_for_leaves_the_rest_as_it_is(visit, name):
    around = Surroundings()
    visit[0][name] = visit[1][name] = "other"
    assert not around.changed()


@pytest.mark.parametrize("name", ["panel", "job", state.MODEL])
def test_another_parameter_draws_the_whole_page(visit, name):
    around = Surroundings()
    visit[0][name] = "other"
    assert around.changed()
    around.note()
    assert not around.changed()


@pytest.mark.parametrize("name", [state.MODEL, state.RANKINGS, state.START, state.ERROR])
def test_what_a_callback_set_for_the_rest_draws_the_whole_page(visit, name):
    around = Surroundings()
    visit[1][name] = "other"
    assert around.changed()


def test_a_workspace_that_changed_draws_the_whole_page(visit, monkeypatch):
    around = Surroundings()
    monkeypatch.setattr(theme, "changed_on_disk", lambda: True)
    assert around.changed()
