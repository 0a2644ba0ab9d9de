"""A measurement that a tab asks the command line for: its button, its progress, and how it went wrong."""

import streamlit as st

from attribution import UserError, Workspace, background
from pages.ui import command, state
from pages.ui import format as write

POLL = "1s"


def button(ws: Workspace, words: list[str], label: str) -> None:
    """Starts `python -m attribution` with `words` in the background, and shows the command beneath."""
    st.button(label, key=f"start {' '.join(words)}", type="primary", on_click=_start, args=(ws, words))
    st.code(command.line(ws, *words), language="bash", wrap_lines=True)


def _start(ws: Workspace, words: list[str]) -> None:
    try:
        background.start(ws, words)
    except UserError as error:
        state.say_once(error)


def under_way(ws: Workspace, words: list[str]) -> bool:
    """Shows a measurement that was started here, and how the last one went where that was not well; True while it
    runs."""
    last = next((one for one in background.commands(ws) if one.words[: len(words)] == words), None)
    if last is None or last.state == "done":
        return False
    if not last.open:
        st.warning(write.plain(f"The last measurement is {last.state}: {last.message}"))
        return False

    @st.fragment(run_every=POLL)
    def progress():
        one = next(one for one in background.commands(ws) if one.number == last.number)
        if not one.open:
            st.rerun()
        text, done, total = one.progress or ("starting", 0, 1)
        st.progress(min(1.0, done / total) if total else 0.0, write.plain(f"{text}, {write.seconds(one.seconds)}"))
        st.button("Cancel", key=f"cancel {' '.join(words)}", on_click=background.cancel, args=(ws, one.number))

    progress()
    return True
