"""The Start panel: what this model is, how good it is, where it errs, and three doors. Open on the first visit of the
bare address, and behind the "?" of the picker afterwards. Nothing is computed while it is closed.

A cookie remembers that it was seen: the server can read one before it draws anything."""

from collections.abc import Callable

import numpy as np
import streamlit as st

from attribution import Workspace
from attribution.inputs import names
from attribution.training.head.recipe import is_head
from pages.debug import picker_filters
from pages.ui import format as write
from pages.ui import sprite_sheet, state
from pages.ui.fragments import errors_shown
from pages.ui.tile_strip import component

COOKIE = "lineup-start"
OPEN, CLOSED = "open", "closed"
MAX_CLASSES = 20  # of a matrix; where there are more, the commonest errors are listed
MAX_ERRORS = 24  # of that list
IMAGES = 12  # of a cell that are shown
DOORS = {"Clean labels": "pages/labels/page.py", "Compare methods": "pages/compare/page.py"}
state_of = st.session_state

_component = component("confusion", "confusion.js", style="confusion.css")


def draw(ws: Workspace, on_target: Callable[[int], None]) -> None:
    """The panel, where it is open. on_target(validation image) is called where one is to be shown."""
    if state.START not in state_of:
        is_bare = set(st.query_params) <= {state.MODEL}
        seen = COOKIE in st.context.cookies or not is_bare or state.presenting()
        state_of[state.START] = CLOSED if seen else OPEN
    if state.DOOR in state_of:
        st.switch_page(state_of.pop(state.DOOR), query_params={})
    if state_of[state.START] == OPEN:
        _panel(ws, on_target)


def draw_button() -> None:
    """The button that opens the panel."""
    st.button("?", key="start", help="Start: what this model is, its errors, and where to begin", on_click=_open)


def _open() -> None:
    state_of[state.START] = OPEN


def _close() -> None:
    state_of[state.START] = CLOSED


def _leave(page: str) -> None:
    _close()
    state_of[state.DOOR] = page  # a callback cannot turn to another page


@st.dialog("Start", width="medium", on_dismiss=_close)
@errors_shown()
def _panel(ws: Workspace, on_target: Callable[[int], None]) -> None:
    if state_of[state.START] == CLOSED:  # a callback of the panel closed it
        st.rerun()
    st.markdown(model_text(ws))
    data = {"cookie": COOKIE, "classes": [], "cells": [], "hint": "", "side": 0, "list": False, "tiles": ""}
    if ws.has_base:
        data |= matrix_data(ws)

    def choose(kind: str, label: int | None = None, predicted: int | None = None) -> None:
        targets = picker_filters.choose(ws, kind, label, predicted)
        if len(targets):
            on_target(int(targets[0]))
        _close()

    def pick() -> None:
        cell = state_of["confusion"].get("pick")
        if cell:
            choose("all", int(cell["label"]), int(cell["predicted"]))

    with st.container(horizontal=True, gap="small"):
        if ws.has_base and (ws.base.prediction != ws.val_labels).any():
            st.button("Explain a wrong prediction", key="door wrong", type="primary", on_click=choose, args=("wrong",))
        for name, page in DOORS.items():
            st.button(name, key=f"door {name}", on_click=_leave, args=(page,))
    if data["cells"]:
        st.markdown("**Confusion matrix**" if not data["list"] else "**The commonest errors**")
    _component(key="confusion", data=names.visible_all(data), on_pick_change=pick)


def model_text(ws: Workspace) -> str:
    """What the model is, its accuracy with n and seeds, and its number of errors; markdown."""
    images = f"{write.count(ws.n_train)} training images, {write.counted(len(ws.classes), 'class')}".replace(
        "classs", "classes"
    )
    data = f"data set {write.plain(ws.name)} ({images})"
    if not ws.has_base:
        return f"No model has been trained on the {data} yet. *Data & jobs* trains one or imports its predictions."
    base, n = ws.base, write.count(ws.n_val)
    accuracies = (base.predicted == ws.val_labels).mean(1)
    errors = int((base.prediction != ws.val_labels).sum())
    if is_head(ws.recipe):
        what = "a linear classifier on frozen features (no seeds: it is solved exactly)"
        accuracy = f"Accuracy **{write.percent(accuracies[0])}** on {n} validation images"
    else:
        what = f"{write.counted(base.n_models, 'model')} of one recipe that differ in the seed alone"
        low, high = write.percent(accuracies.min()), write.percent(accuracies.max())
        accuracy = f"Mean accuracy **{write.percent(accuracies.mean())}** ({low} to {high}) on {n} validation images"
    wrong = f"**{write.counted(errors, 'image')}** predicted wrong"
    if base.n_models > 1:
        wrong += " by most models"
    return f"**{write.plain(ws.recipe)}**: {what}, for the {data}.\n\n{accuracy}; {wrong}."


def matrix_data(ws: Workspace) -> dict:
    """Data of the component: the cells that hold images, {"t" (true class), "p" (predicted), "n", "ids" (the first
    ones)}; "list": there are too many classes for a matrix, and the commonest errors are all there is."""
    true, predicted = np.asarray(ws.val_labels, np.int64), np.asarray(ws.base.prediction, np.int64)
    is_list = len(ws.classes) > MAX_CLASSES
    pairs, counts = np.unique(np.stack([true, predicted]), axis=1, return_counts=True)
    order = np.argsort(-counts, kind="stable") if is_list else np.arange(len(counts))
    cells = []
    for (t, p), n in zip(pairs.T[order].tolist(), counts[order].tolist()):
        if is_list and (t == p or len(cells) == MAX_ERRORS):
            continue
        ids = np.flatnonzero((true == t) & (predicted == p))[:IMAGES]
        cells.append({"t": t, "p": p, "n": n, "ids": ids.tolist()})
    side = sprite_sheet.scale(ws) * max(ws.val_images.shape[1:3])
    return {
        "classes": ws.classes,
        "cells": cells,
        "list": is_list,
        "tiles": sprite_sheet.image_folder(ws),
        "side": min(side, 64),
        "hint": "Point at a cell to see its images; click it to explain them.",
    }
