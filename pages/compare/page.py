"""Compare: what the methods are worth, over many targets: what was found, and what it rests on, a tab a question."""

import streamlit as st

from pages.compare import advanced, summary
from pages.compare.agreement import tab as agreement
from pages.compare.costs import tab as cost
from pages.ui import model_choice, state, theme
from pages.ui.downloads import report_button
from pages.ui.old_links import compare_parameters

TABS = {"Summary": summary.draw, "Agreement": agreement.draw, "Cost": cost.draw, "Advanced": advanced.draw}


def main() -> None:
    """Draws the page."""
    ws = theme.workspace()
    target = st.session_state.pop(state.GO_TO, None)
    if target is not None:
        st.switch_page("pages/debug/page.py", query_params={state.TARGET: str(target)})
    _follow_old_link()
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        tab = st.segmented_control(
            "Compare",
            list(TABS),
            default="Summary",
            required=True,
            key=state.TAB,
            bind="query-params",
            label_visibility="collapsed",
        )
        last_target = next(reversed(st.session_state.get(state.TRAIL, [])), None)
        with st.container(horizontal=True, horizontal_alignment="right", width="content", vertical_alignment="center"):
            if tab == "Summary":
                st.page_link("pages/data/page.py", label="Add your own scores", icon=":material/upload_file:")
            report_button(ws, last_target)
    model_choice.draw_warning(ws)
    TABS[tab](ws)


def _follow_old_link() -> None:
    """An address with the tab's name of an earlier version is written anew, and the page runs again: Streamlit reads
    the address as it was when the run began."""
    now = dict(st.query_params)
    changed = {name: value for name, value in compare_parameters(list(now.items())) if now.get(name) != value}
    for name, value in changed.items():
        st.query_params[name] = value
    if changed:
        st.rerun()


main()
