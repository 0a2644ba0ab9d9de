"""A line on every page while what training needs is being installed beside the server."""

import streamlit as st

from attribution.export.numbers import duration
from attribution.files.libraries import installing
from pages.ui import format as write
from pages.ui.fragments import fragment

EVERY = 3  # seconds between two looks


def draw() -> None:
    """How far the installation is; once it has ended, the page is drawn again, since it offers more then."""
    now = installing()
    if now is None or now.state == "done":
        return
    if now.state == "failed":
        st.warning(write.sentence(now.text), icon=":material/download:")
        return
    fragment(EVERY)(_follow)()


def _follow() -> None:
    now = installing()
    if now is None or now.state != "running":
        st.rerun()
    st.info(
        write.sentence(f"training is being installed: {now.text}, {duration(now.seconds)}; all else works already"),
        icon=":material/download:",
    )
