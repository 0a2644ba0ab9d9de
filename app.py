"""The router: which pages there are, and the one that is open. Everything else is in pages/ and attribution/."""

import sqlite3
from pathlib import Path

import streamlit as st

from attribution import UserError
from attribution.store import trouble
from pages.ui import look, state

# the first is the front page; links to it are /?...
PAGES = ("explore", "brittleness", "methods", "map", "audit", "workspace")
ROOMS = Path(__file__).parent / "pages"

st.set_page_config(page_title="Lineup", page_icon=str(look.LOGO), layout="wide")
look.dress()
page = st.navigation(
    [
        st.Page(f"pages/{name}/page.py", title=name.capitalize(), url_path=name, default=name == PAGES[0])
        for name in PAGES
        if (ROOMS / name / "page.py").exists()
    ],
    position="top",
)
state.carry(page.url_path)
try:
    page.run()
    look.settle(page.url_path)
except UserError as error:  # such as results of another version
    look.refuse(error)
except sqlite3.Error as error:
    look.refuse(trouble(error))
