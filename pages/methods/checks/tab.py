"""Checks: what a ranking should notice, tried where the answer is known."""

import streamlit as st

from attribution import Workspace, poison
from pages.methods import backdoor, sanity
from pages.ui import look


def draw(ws: Workspace) -> None:
    st.header("Do the rankings stand checks whose answer is known?", anchor=False)
    if not ws.has_base:
        look.train_first(ws, "Checks ask what models say, and there are none yet.")
        return
    for section in (backdoor, sanity) if poison.poisoned(ws) else (sanity, backdoor):
        section.draw(ws)
