"""The form that makes a new queue of the most suspicious images."""

import streamlit as st

from attribution import Workspace
from attribution.audit import detectors, review_queue
from pages.ui import audit_queue, state
from pages.ui import format as write

ANY = "any"
state_of = st.session_state


def draw(ws: Workspace, newest: int) -> None:
    """A button that opens the form. newest: number of the queue made last; a new one closes the form."""
    with st.popover("New queue", icon=":material/playlist_add:", key=f"new queue after {newest}"):
        names = detectors.names(ws)
        name = st.selectbox("Detector", names, names.index(detectors.default_detector(ws)), key=state.DETECTOR)
        st.caption(write.plain(detectors.load(ws, name).description))
        numbers = write.class_numbers(ws.classes, ANY)
        with st.container(horizontal=True):
            st.selectbox("Given label", [ANY, *numbers], key=state.GIVEN)
            st.selectbox("Suggested label", [ANY, *numbers], key=state.SUGGESTED)
        st.number_input(
            "At most so many images", 1, review_queue.MAX_SIZE, review_queue.default_size(ws), key=state.QUEUE_SIZE
        )
        st.toggle(
            "Random controls",
            key=state.CONTROLS,
            help="Mixes random images in, one for twenty of the others, unmarked until they are decided: how "
            "often they are wrong is how often the labels outside the queue are.",
        )
        st.toggle(
            "Blind", key=state.BLIND, help="Hides what the detector and the models say of an image until it is decided."
        )
        st.button("Make the queue", key="make queue", type="primary", on_click=_make, args=(ws, numbers))


def _make(ws: Workspace, numbers: dict[str, int]) -> None:
    audit_queue.make(
        ws,
        detector=state_of[state.DETECTOR],
        size=int(state_of[state.QUEUE_SIZE]),
        given=numbers.get(state_of[state.GIVEN]),
        suggested=numbers.get(state_of[state.SUGGESTED]),
        controls=state_of[state.CONTROLS],
        blind=state_of[state.BLIND],
    )
