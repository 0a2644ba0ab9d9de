"""Shared page setup: the logo, the style sheet, and the opened workspace."""

import copy
import gc
import os
import time
from hashlib import sha256
from pathlib import Path
from weakref import WeakKeyDictionary

import streamlit as st

from attribution import UserError, Workspace
from attribution.files import APP
from attribution.workspace import image_check
from attribution.workspace.workspace import DEMO
from pages.ui import cli_command, model_choice, state
from pages.ui import format as write

ASSETS = APP / "assets"
LOGO = ASSETS / "logo.svg"
LARGE_TYPE = "html { font-size: 125%; }"  # Streamlit's sizes are multiples of it
_keys: WeakKeyDictionary[Workspace, tuple] = WeakKeyDictionary()  # (what it was made of, the key)
LOOK_SECONDS = 10  # between two looks at whether the images are still those of before


def apply_theme() -> None:
    """The logo and the style sheet; app.py calls it before the page."""
    st.logo(str(LOGO), size="medium")
    st.html(f"<style>{_style_sheet()}{LARGE_TYPE if state.presenting() else ''}</style>")


def workspace() -> Workspace:
    """The workspace as the model that is chosen in the header sees it. Where it cannot be read, the page says why and
    stops. Base models may be missing."""
    opened = opened_workspace()
    try:
        ws = model_choice.chosen(opened)
        if ws.has_base:
            ws.base  # noqa: B018 - every page reads it: an error in it is reported here
        path = str(ws.path)
        if changed := _changed_images(ws, path, int(time.time() / LOOK_SECONDS)):
            st.error(write.sentence(changed), icon=":material/error:")
        return ws
    except UserError as error:
        stop_with_error(error)


def opened_workspace() -> Workspace:
    """The workspace that LINEUP_WORKSPACE names, or the demo, as its own recipe sees it; opened again after it, or what
    was added to it, changed. Where it cannot be read, the page says why and stops."""
    path = os.environ.get("LINEUP_WORKSPACE") or str(DEMO)
    try:
        changed = _changed(Path(path) / "workspace.json")
        ws = _open(path, changed, None)
        added_changed = _changed(ws.user_folder / "parts.json")
        if added_changed:
            ws = _open(path, changed, added_changed)
        return ws
    except UserError as error:
        stop_with_error(error)


def stop_with_error(error: UserError) -> None:
    """Shows the error and stops the page."""
    st.error(write.sentence(error), icon=":material/error:")
    st.stop()


def cache_key(ws: Workspace) -> str:
    """A key for caches of what is computed from the workspace: it changes whenever a part does.

    A digest, since every cache that is asked hashes it, made once: to write out what is recorded of the parts takes
    milliseconds."""
    now = (ws.has_base, ws.manifest["parts"])
    before, key = _keys.get(ws, (None, ""))
    if before != now:
        key = sha256(f"{ws.path} {ws.recipe} {ws.fingerprint} {now}".encode()).hexdigest()
        _keys[ws] = (copy.deepcopy(now), key)
    return key


def train_first(ws: Workspace, why: str) -> None:
    """Says why base models are needed, and the command that trains them."""
    st.markdown(write.plain(f"{why} This trains a few models on the images as they are; then load the page again:"))
    cli_command.show(ws, "base", "train")


@st.cache_resource(show_spinner=False)
def freeze_gc(page: str) -> None:
    """Excludes long-lived objects from garbage collection, once for each page: call it after the page is drawn.

    Streamlit collects garbage after every run and would look through everything ever imported: a tenth of a second in
    which no answer is sent."""
    gc.collect()
    gc.freeze()


def _changed(file: Path) -> float | None:
    return file.stat().st_mtime if file.exists() else None


@st.cache_resource(max_entries=4, show_spinner=False)
def _open(path: str, changed: float | None, added_changed: float | None) -> Workspace:
    return Workspace.open(path)


@st.cache_data(max_entries=4, show_spinner=False)
def _changed_images(_ws: Workspace, path: str, moment: int) -> str:
    """A sentence where the images are not those of before, "" where they are, or where nobody can tell."""
    try:
        return image_check.problem(_ws, image_check.check_images(_ws, image_check.QUICK))
    except UserError:  # whoever shows or trains on an image says why it cannot be read
        return ""


@st.cache_data(show_spinner=False)
def _style_sheet() -> str:
    return (ASSETS / "page.css").read_text()
