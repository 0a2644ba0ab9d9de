"""The router: which pages there are, and the one that is open. Everything else is in pages/ and attribution/."""

from pathlib import Path

import streamlit as st

from pages.ui import browser_history, glossary, installation, model_choice, running_jobs, state, theme
from pages.ui.fragments import errors_shown

# folder of pages/ and path -> the room's name; the first is the front page: links to it are /?...
ROOMS = {"debug": "Debug", "labels": "Clean labels", "compare": "Compare", "data": "Data & jobs"}
FOLDER = Path(__file__).parent / "pages"
OWN_HEADING = ("", "data")  # rooms that draw a heading of their own first

st.set_page_config(page_title="Lineup", page_icon=str(theme.LOGO), layout="wide")
theme.apply_theme()
browser_history.keep()
page = st.navigation(
    [
        st.Page(
            f"pages/{name}/page.py",
            title=title,
            url_path=name,
            default=name == "debug",
        )
        for name, title in ROOMS.items()
        if (FOLDER / name / "page.py").exists()
    ],
    position="top",
)
with errors_shown():
    theme.watch_workspace(running_jobs.has_news)
    model_choice.choose_at_first(theme.opened_workspace(), at_root=not page.url_path)
    state.carry_selection(page.url_path)
    running_jobs.draw(theme.opened_workspace(), page.url_path)
    model_choice.draw(theme.opened_workspace())
    installation.draw()
    if page.url_path not in OWN_HEADING:
        theme.draw_hidden_heading(page.title)
    page.run()
    state.keep_selection()
    glossary.draw(page.url_path or "debug")
    theme.freeze_gc(page.url_path)
