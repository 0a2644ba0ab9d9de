"""What several pages offer alike: pause, resume and cancel of a job, and the rankings that one is chosen of."""

import streamlit as st

from attribution import UserError, Workspace
from attribution.experiments import jobs
from pages.ui import state

PAUSE = (
    "Starts nothing more, and frees the machine once the trainings under way are through: they are finished and "
    "kept. Resumed, it goes on where it was."
)
CANCEL = "Stops at once, trainings under way included. What is done is kept: asked again, it goes on from there."


def rankings(ws: Workspace) -> list[str]:
    """The rankings that the workspace lists, and the one asked about where it is another: other candidates, a variant.
    A choice that lacks it would silently ask about the first one instead."""
    names, asked = ws.rankings(), st.session_state.get(state.CUT_RANKING, st.query_params.get(state.CUT_RANKING))
    try:
        return names if asked is None or asked in names or not ws.ranking(asked) else [*names, asked]
    except UserError:
        return names


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
    st.button(
        label,
        key=f"{label.lower()} {name}".strip(),
        type=kind,
        help=about,
        disabled=off,
        on_click=_do,
        args=(verb, ws, job.id),
    )


def _do(verb, ws: Workspace, number: int) -> None:
    try:
        verb(ws, number)
    except UserError as error:
        state.say_once(error)
