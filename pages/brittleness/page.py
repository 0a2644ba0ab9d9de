"""Studies while they run. What else this address showed is in Debug's drawer."""

import streamlit as st

from pages.brittleness import studies
from pages.ui import state, theme


def main() -> None:
    """Draws the page."""
    ws = theme.workspace()
    if st.query_params.get(state.VIEW) != "studies":
        kept = {name: st.query_params.get_all(name) for name in st.query_params}
        st.switch_page("pages/debug/page.py", query_params={**kept, "panel": "verdict"})
    state.show_error()
    studies.draw(ws)


main()
