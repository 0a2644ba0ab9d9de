"""A measurement that a tab asks the command line for: its button, its progress, and its last failure."""

from pathlib import Path

import streamlit as st

from attribution import UserError, Workspace
from attribution.runner import commands
from pages.ui import cli_command, state
from pages.ui import format as write
from pages.ui.fragments import fragment

POLL = "1s"
ENDED = {"cancelled": "was cancelled", "lost": "ended without a result"}  # in the sentence on the last measurement


def button(ws: Workspace, words: list[str], label: str) -> None:
    """A button that starts `python -m attribution` with `words` in the background, with the command beneath."""
    st.button(label, key=f"start {' '.join(words)}", type="primary", on_click=start, args=(ws, words))
    cli_command.show(ws, *words)


def start(ws: Workspace, words: list[str], reads: Path | None = None) -> int | None:
    """Starts a command in the background; a callback. Returns its number, or None where an error is left in
    `state.ERROR`. reads: an uploaded file, which is removed when the command has ended."""
    try:
        return commands.start_command(ws, cli_command.for_model(ws, words), *([reads] if reads else []))
    except UserError as error:
        state.set_error(error)
        return None


def is_running(ws: Workspace, words: list[str]) -> bool:
    """Whether the latest command that begins with `words` still runs."""
    last = _latest(ws, words)
    return last is not None and last.is_open


def under_way(ws: Workspace, words: list[str]) -> bool:
    """Shows the progress of the latest command that begins with `words`, or that it failed; True while it runs."""
    last = _latest(ws, words)
    if last is None or last.state == "done":
        return False
    if not last.is_open:
        st.warning(write.plain(f"The last measurement {ENDED.get(last.state, last.state)}: {last.message}"))
        return False

    @fragment(POLL)
    def progress():
        now = next(command for command in commands.list_commands(ws) if command.number == last.number)
        if not now.is_open:
            st.rerun()
        text, done, total = now.progress or ("starting", 0, 1)
        st.progress(min(1.0, done / total) if total else 0.0, write.plain(f"{text}, {write.seconds(now.seconds)}"))
        st.button("Cancel", key=f"cancel {' '.join(words)}", on_click=commands.cancel_command, args=(ws, now.number))

    progress()
    return True


def _latest(ws: Workspace, words: list[str]) -> commands.Command | None:
    return next((command for command in commands.list_commands(ws) if _is_asked(ws, command.words, words)), None)


def _is_asked(ws: Workspace, asked: list[str], words: list[str]) -> bool:
    """Whether the command `asked` begins with `words` and is about the model that is looked at."""
    model = asked[asked.index("--model") + 1] if "--model" in asked[:-1] else None
    return asked[: len(words)] == words and model == ws.model
