"""Three steps that a first visitor of Debug is told, once: the rows, the cut, the button that retrains."""

import streamlit as st

from pages.debug import drawer
from pages.ui import state
from pages.ui.tile_strip import component

COOKIE = "lineup-hint"
OPEN, CLOSED = "open", "closed"
STEPS = (
    {
        "title": "the rows",
        "text": "Each row is one method's answer to which training images made the model say this. "
        "The most helpful image is on the left; a click on an image tells more of it.",
        "at": [".st-key-rows >>> .row:not(.axis) .head", ".st-key-rows"],
    },
    {
        "title": "the cut",
        "text": "Everything left of this line would be removed. Drag it, or move it with the arrow keys.",
        "at": [".st-key-rows >>> .cut .knob", ".st-key-rows >>> .edge.shown", ".st-key-k"],
    },
    {
        "title": "remove and retrain",
        "text": "This trains the model again without these images, and says whether its prediction changes.",
        "at": [".st-key-retrain", ".st-key-rows"],
    },
)
state_of = st.session_state

_component = component("hint", "hint.js", style="hint.css")


def draw() -> None:
    """The hint, where this browser has not seen it; it waits until the Start panel and the drawer are closed."""
    if state.HINT not in state_of:
        is_new = COOKIE not in st.context.cookies and not state.presenting()
        state_of[state.HINT] = OPEN if is_new else CLOSED
    is_covered = state_of.get(state.START) == OPEN or drawer.panel() is not None
    if state_of[state.HINT] == OPEN and not is_covered:
        with st.container(key="hint"):
            _component(key="first hint steps", data={"cookie": COOKIE, "steps": list(STEPS)}, on_close_change=_close)


def _close() -> None:
    state_of[state.HINT] = CLOSED
