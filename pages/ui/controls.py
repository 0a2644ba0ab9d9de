"""Pause, resume and cancel: the buttons of a job, the same wherever one is shown."""

import streamlit as st

from attribution import UserError, Workspace, jobs
from pages.ui import state

PAUSE = ("Starts nothing more, and frees the machine once the trainings under way are through: they are finished and "
         "kept. Resumed, it goes on where it was.")
CANCEL = "Stops at once, trainings under way included. What is done is kept: asked again, it goes on from there."


def buttons(ws: Workspace, job, name: str = "", kind: str = "secondary") -> None:
    """What can be done to a job that has not ended, side by side. name: ends the buttons' keys; kind: Streamlit's type
    of button. What goes wrong is for `state.ERROR`."""
    stopping = job.state == "cancelling"
    if job.state == "paused":
        _button(ws, job, "Resume", jobs.resume, name, kind, "Goes on where it was: nothing is trained twice.")
    elif job.open:
        _button(ws, job, "Pause", jobs.pause, name, kind, PAUSE, stopping)
    if not job.ended:
        _button(ws, job, "Cancel", jobs.cancel, name, kind, CANCEL, stopping)


def _button(ws, job, label, verb, name, kind, about, off=False):
    st.button(label, key=f"{label.lower()} {name}".strip(), type=kind, help=about, disabled=off, on_click=_do,
              args=(verb, ws, job.id))


def _do(verb, ws: Workspace, number: int) -> None:
    try:
        verb(ws, number)
    except UserError as error:
        state.say_once(error)
