"""The rankings that a widget offers."""

import streamlit as st

from attribution import UserError, Workspace
from pages.ui import state


def rankings(ws: Workspace) -> list[str]:
    """The names of the workspace's rankings, and the one that the session or the address names where it is another,
    such as a variant: a widget whose options lack it would silently choose the first one."""
    names = ws.rankings()
    chosen = st.session_state.get(state.CUT_RANKING, st.query_params.get(state.CUT_RANKING))
    try:
        return names if chosen is None or chosen in names or not ws.ranking(chosen) else [*names, chosen]
    except UserError:
        return names
