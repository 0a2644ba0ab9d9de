"""Buttons that pause, resume and cancel a job."""

from collections.abc import Callable

import streamlit as st

from attribution import UserError, Workspace
from attribution.experiments import jobs
from attribution.inputs.names import visible_lines
from attribution.store.results import ResultStore
from pages.ui import format as write
from pages.ui import state

PAUSE = (
    "Starts nothing more, and frees the machine once the trainings under way are through: they are finished and "
    "kept. Resumed, it goes on where it was."
)
CANCEL = "Stops at once, trainings under way included. What is done is kept: asked again, it goes on from there."


def draw(ws: Workspace, job, name: str = "", kind: str = "secondary") -> None:
    """The buttons of a job that has not ended, for a row. name: the end of the buttons' keys; kind: Streamlit's type of
    button. An error is left in `state.ERROR`."""
    stopping = job.state == "cancelling"
    if job.state == "paused":
        _button(ws, job, "Resume", jobs.resume, name, kind, "Goes on where it was: nothing is trained twice.")
    elif job.is_open:
        _button(ws, job, "Pause", jobs.pause, name, kind, PAUSE, stopping)
    if not job.has_ended:
        _button(ws, job, "Cancel", jobs.cancel, name, kind, CANCEL, stopping)


def ensure_runner(ws: Workspace) -> str:
    """Sees to it that a runner is there: one that was killed is replaced while somebody watches. Returns why jobs do
    not go on at the moment, "" where they do."""
    try:
        jobs.ensure_runner(ws)
    except UserError as error:
        return jobs.trouble(ResultStore.folder_of(ws)) or str(error)
    return jobs.trouble(ResultStore.folder_of(ws))


def keep_going(ws: Workspace, job) -> None:
    """`ensure_runner` for a job that is watched, while it is open; shows why it does not go on, and what it says."""
    if job.is_open and (why := ensure_runner(ws) or job.message):
        st.caption(f":material/warning: {write.sentence(why)}")


def _button(
    ws: Workspace, job, label: str, action: Callable, name: str, kind: str, tip: str, off: bool = False
) -> None:
    key = f"{label.lower()} {name}".strip()
    st.button(label, key=key, type=kind, help=tip, disabled=off, on_click=_act, args=(action, ws, job.id))


def _act(action: Callable, ws: Workspace, number: int) -> None:
    try:
        action(ws, number)
    except UserError as error:
        state.set_error(error)


def ended_early(ws: Workspace, job) -> None:
    """Says that a job was cancelled or failed; what a user's recipe wrote last is behind a fold."""
    reason = f" {job.message}." if job.message else ""
    end = "was cancelled" if job.state == "cancelled" else "failed"
    kept = "What it trained is kept: asked again, it goes on from there."
    st.warning(write.plain(f"Job {job.id} {end}.{reason} {kept}"))
    if output := jobs.output_of(ResultStore.folder_of(ws), job.id):
        with st.expander("What it wrote last"):
            st.code(visible_lines(output), language=None, wrap_lines=True)
