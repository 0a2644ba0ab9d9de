"""What all pages wear: the logo, the style sheet, and the opened workspace."""

import gc
import os
from pathlib import Path

import streamlit as st

from attribution import UserError, Workspace
from attribution.workspace import DEMO
from pages.ui import command
from pages.ui import format as write

ASSETS = Path(__file__).resolve().parents[2] / "assets"
LOGO = ASSETS / "logo.svg"


def dress() -> None:
    """The logo and the style sheet; app.py calls it before the page."""
    st.logo(str(LOGO), size="medium")
    st.html(f"<style>{_style()}</style>")


def workspace() -> Workspace:
    """The workspace that LINEUP_WORKSPACE names, or the demo; opened anew when something in it or added to it has
    changed. Says what is wrong with it and stops the page; one that has no base models yet is not wrong."""
    path = os.environ.get("LINEUP_WORKSPACE") or str(DEMO)
    try:
        written = _written(Path(path) / "workspace.json")
        ws = _open(path, written, None)
        added = _written(ws.added / "parts.json")
        if added:
            ws = _open(path, written, added)
        if ws.has_base:
            ws.base  # noqa: B018 - the pages count on it; say it here if it cannot be read
        return ws
    except UserError as error:
        refuse(error)


def refuse(error: UserError) -> None:
    """Says what is wrong and stops the page."""
    st.error(write.sentence(error), icon=":material/error:")
    st.stop()


def stamp(ws: Workspace) -> str:
    """Changes whenever a part of the workspace does: what is computed from its parts is cached by it."""
    return f"{ws.path} {ws.fingerprint} {ws.has_base} {ws.manifest['parts']}"


def train_first(ws: Workspace, why: str) -> None:
    """Where base models are missing: why they are needed, and the command that trains them."""
    st.markdown(write.plain(f"{why} This trains a few models on the images as they are; then load the page again:"))
    st.code(command.line(ws, "base", "train"), language="bash", wrap_lines=True)


@st.cache_resource(show_spinner=False)
def settle(page: str) -> None:
    """Called after a page is drawn; does something the first time only. Streamlit collects garbage after every run, and
    looks through all that was ever imported for it, a tenth of a second in which no answer leaves. What is there once
    every page's libraries are in is here to stay, and is left out from then on."""
    gc.collect()
    gc.freeze()


def _written(file: Path) -> float | None:
    return file.stat().st_mtime if file.exists() else None


@st.cache_resource(max_entries=4, show_spinner=False)
def _open(path: str, written: float | None, added: float | None) -> Workspace:
    return Workspace.open(path)


@st.cache_data(show_spinner=False)
def _style() -> str:
    return (ASSETS / "page.css").read_text()
