"""Shared page setup: the logo, the style sheet, and the opened workspace."""

import copy
import gc
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from weakref import WeakKeyDictionary

import streamlit as st

from attribution import UserError, Workspace
from attribution.explore.opening_target import OpeningTarget, opening_model, opening_target
from attribution.files import APP
from attribution.training.head.recipe import PREFIX, is_head
from attribution.workspace import image_check
from attribution.workspace.workspace import DEMO
from pages.ui import cli_command, model_choice, state
from pages.ui import format as write
from pages.ui.fragments import fragment, show_error

ASSETS = APP / "assets"
LOGO = ASSETS / "logo.svg"
LARGE_TYPE = "html { font-size: 125%; }"  # Streamlit's sizes are multiples of it
WATCH_SECONDS = 5  # between two looks of an open page at whether the workspace changed on the disk
_keys: WeakKeyDictionary[Workspace, tuple] = WeakKeyDictionary()  # (what it was made of, the key)
FREEZE_VISITS, FREEZE_SECONDS = 5, 2.0
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
    path = _workspace_path()
    try:
        changed = _changed(Path(path) / "workspace.json")
        ws = _open(path, changed, None)
        added_changed = _changed(ws.user_folder / "parts.json")
        if added_changed:
            ws = _open(path, changed, added_changed)
        return ws
    except UserError as error:
        stop_with_error(error)


def warm_up() -> None:
    """Opens the workspace as its first visitor sees it, once the server is up: a head takes a second to fit, in which
    the visitor's browser loads the page. What cannot be read is said by the page."""
    try:
        ws = _first_view()
        if is_head(ws.recipe):  # beside what follows, which waits for imports and files
            threading.Thread(target=_warm_up_influence, args=(ws,), daemon=True).start()
        if ws.has_base:
            first_target(ws)
    except (UserError, OSError, sqlite3.Error):
        pass


def _warm_up_influence(ws: Workspace) -> None:
    with suppress(UserError, OSError):
        ws.head(ws.recipe.removeprefix(PREFIX)).head.prepare_influence()


def warm_up_refits() -> None:
    """Makes what the first refit of the head that opens would wait for; after `warm_up`."""
    with suppress(UserError, OSError, sqlite3.Error):
        ws = _first_view()
        if is_head(ws.recipe):
            ws.head(ws.recipe.removeprefix(PREFIX)).head.prepare()


def _first_view() -> Workspace:
    """The workspace by the model that its first visitor sees."""
    path = _workspace_path()
    opened = _open(path, _changed(Path(path) / "workspace.json"), None)
    return opened.with_model(opening_model(opened) or model_choice.options(opened)[0])


def first_target(ws: Workspace) -> OpeningTarget | None:
    """What Debug opens with where nobody names a target. Who asks while it is being found waits for that."""
    return _first_target(ws, cache_key(ws))


@st.cache_resource(max_entries=4, show_spinner=False)
def _first_target(_ws, key: str) -> OpeningTarget | None:
    return opening_target(_ws)


def watch_workspace(has_news: Callable[[Workspace], bool]) -> None:
    """Has an open page follow the workspace on the disk: it looks every few seconds, and is drawn anew when something
    changed, with a word that it did, or where `has_news` says so. Where the folder holds another data set now, the page
    stops and says so. app.py calls it before the page."""
    ws = opened_workspace()
    seen = _stamp(ws)
    before = st.session_state.get(state.SEEN)
    if before and before["fingerprint"] != seen["fingerprint"]:
        _stop_at_other_images(ws)
    expected = st.session_state.pop(state.EXPECTED, False)
    if before and before != seen and not expected:
        st.toast("This workspace changed on disk; the page shows it as it is now.", icon=":material/sync:")
    st.session_state[state.SEEN] = seen

    is_drawn = False

    @fragment(f"{WATCH_SECONDS}s")
    def look():
        nonlocal is_drawn
        if _stamp(ws) != seen or (is_drawn and has_news(ws)):  # at first the page itself is still to be drawn
            st.rerun()
        is_drawn = True

    look()


def changed_on_disk() -> bool:
    """Whether the workspace is no longer as it was when the page was drawn."""
    return _stamp(opened_workspace()) != st.session_state.get(state.SEEN)


def expect_change() -> None:
    """Called where this page itself changes the workspace: nobody has to be told that it did."""
    st.session_state[state.EXPECTED] = True


def _stop_at_other_images(ws: Workspace) -> None:
    said = f"The folder {ws.path} holds another data set now: {ws.name}. What this page showed is no longer there."
    st.warning(write.plain(said), icon=":material/sync_problem:")
    # a link: the browser begins a new visit, for no target or choice of this one is of these images
    st.html('<a class="lu-reload" href="?" target="_self">Reload</a>')
    st.stop()


def _stamp(ws: Workspace) -> dict:
    """What is looked at to see a change: the images' fingerprint, and the files that list the parts."""
    manifest, added = Path(_workspace_path()) / "workspace.json", ws.user_folder / "parts.json"
    return {"fingerprint": ws.fingerprint, "manifest": _changed(manifest), "added": _changed(added)}


def _workspace_path() -> str:
    return os.environ.get("LINEUP_WORKSPACE") or str(DEMO)


def draw_hidden_heading(title: str) -> None:
    """The room's name as its first heading, for those who cannot see which one is lit in the header."""
    st.html(f'<h1 class="lu-hidden">{write.escape(title)}</h1>')


def stop_with_error(error: UserError) -> None:
    """Shows the error and stops the page."""
    show_error(error)
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


def freeze_gc(page: str) -> None:
    """Excludes long-lived objects from garbage collection: after the first run of each page, and again after every
    FREEZE_VISITS visits. What earlier ones left is collected FREEZE_SECONDS later. Call it after the page is drawn.

    Streamlit collects garbage after every run, and would look through everything ever imported and all that other
    visits hold: tenths of a second in which no answer is sent, the page that was just drawn included."""
    is_new = state.COUNTED not in st.session_state
    st.session_state[state.COUNTED] = True
    if _freezer.is_due(page, is_new):
        gc.freeze()
        later = threading.Timer(FREEZE_SECONDS, _collect)
        later.daemon = True
        later.start()


def _collect() -> None:
    gc.unfreeze()
    gc.collect()
    gc.freeze()


class _Freezer:
    """Which pages were drawn, and how many visits began since the last time."""

    def __init__(self):
        self.pages: set[str] = set()
        self.visits = 0
        self.lock = threading.Lock()

    def is_due(self, page: str, is_new: bool) -> bool:
        with self.lock:
            self.visits += is_new
            if page in self.pages and self.visits < FREEZE_VISITS:
                return False
            self.pages.add(page)
            self.visits = 0
            return True


_freezer = _Freezer()


def _changed(file: Path) -> tuple[int, int, int] | None:
    """Changes whenever the file does: a folder that was put in its place may bring files as old as those before."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


@st.cache_resource(max_entries=4, show_spinner=False)
def _open(path: str, changed: tuple | None, added_changed: tuple | None) -> Workspace:
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
