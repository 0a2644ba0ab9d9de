"""Makes a review queue for Clean labels, from any page."""

import getpass
import time
from collections.abc import Callable, Iterable

import streamlit as st

from attribution import UserError, Workspace
from attribution.audit import faults, review_queue
from attribution.audit.decision_log import DecisionLog
from pages.ui import format as write
from pages.ui import state

NAME_SIGNS = 60  # of a queue's name
state_of = st.session_state


def make(ws: Workspace, **options) -> None:
    """A callback that makes a queue and selects it on Clean labels. options: as `review_queue.queue_spec`. An error
    is left in `state.ERROR`."""
    _make(ws, lambda: review_queue.queue_spec(ws, seed=int(time.time()), **options))


def make_of_faults(ws: Workspace, kind: str | None, size: int) -> None:
    """`make` of faults of the pictures: see `faults.queue_spec`."""
    _make(ws, lambda: faults.queue_spec(ws, kind, size))


def select_set(ws: Workspace, images: Iterable[int], name: str) -> None:
    """A callback that selects the queue of a named set of training images on Clean labels, and makes it where there is
    none of these images yet. An error is left in `state.ERROR`."""
    images, name = list(map(int, images)), name.strip()[:NAME_SIGNS]
    with DecisionLog.of(ws) as log:
        made = [row.number for row in log.queues() if _is_of_set(row.spec, images, name)]
    if made:
        _select(made[0])
    else:
        make(ws, images=images, origin={"of": "set", "name": name})


def _is_of_set(spec: dict, images: list[int], name: str) -> bool:
    return spec.get("of") == "set" and spec.get("name") == name and spec.get("images") == images


def _make(ws: Workspace, spec: Callable[[], dict]) -> None:
    try:
        with DecisionLog.of(ws) as log:
            _select(add(ws, log, spec()))
    except UserError as error:
        state.set_error(error)


def _select(number: int) -> None:
    state_of[state.QUEUE] = str(number)
    state_of[state.STEP] = state.REVIEW_STEP


def make_and_open(ws: Workspace, **options) -> None:
    """Makes a queue and goes to Clean labels, or says what is wrong. options: as `review_queue.queue_spec`."""
    state_of.pop(state.ERROR, None)
    make(ws, **options)
    _open()


def open_set(ws: Workspace, images: Iterable[int], name: str) -> None:
    """Goes to the queue of a named set of training images, made first where there is none, or says what is wrong; the
    queue bears the set's name."""
    state_of.pop(state.ERROR, None)
    select_set(ws, images, name)
    _open()


def _open() -> None:
    if state.ERROR in state_of:
        st.error(write.sentence(state_of.pop(state.ERROR)))
        return
    st.switch_page("pages/labels/page.py", query_params={state.QUEUE: state_of[state.QUEUE]})


def add(ws: Workspace, log: DecisionLog, spec: dict) -> int:
    """Adds the queue of a `review_queue.queue_spec` to the log; its number."""
    return review_queue.add_queue(ws, log, spec, state_of.get(state.WHO) or user_name())


def user_name() -> str:
    """The name of this system's user, who decides where no other name is given."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a system that has no name for its user
        return "somebody"
