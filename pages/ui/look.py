"""What all pages wear: the logo, the style sheet, and the opened workspace."""

import os
from pathlib import Path

import streamlit as st

from attribution import UserError, Workspace
from attribution.workspace import DEMO
from pages.ui import format as write

ASSETS = Path(__file__).resolve().parents[2] / "assets"
LOGO = ASSETS / "logo.svg"


def dress() -> None:
    """The logo and the style sheet; app.py calls it before the page."""
    st.logo(str(LOGO), size="medium")
    st.html(f"<style>{_style()}</style>")


def workspace() -> Workspace:
    """The workspace that LINEUP_WORKSPACE names, or the demo. Says what is wrong with it and stops the page."""
    path = os.environ.get("LINEUP_WORKSPACE") or str(DEMO)
    try:
        manifest = Path(path) / "workspace.json"
        ws = _open(path, manifest.stat().st_mtime if manifest.exists() else None)
        ws.base  # noqa: B018 - every page needs the base models; say it here if there are none
        return ws
    except UserError as error:
        st.error(write.sentence(error), icon=":material/error:")
        st.stop()


@st.cache_resource(max_entries=4, show_spinner=False)
def _open(path: str, changed: float | None) -> Workspace:
    return Workspace.open(path)


@st.cache_data(show_spinner=False)
def _style() -> str:
    return (ASSETS / "page.css").read_text()
