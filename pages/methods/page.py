"""Methods: what the rankings are worth, over many targets; a tab a question."""

import streamlit as st

from pages.methods import agreement, algorithms, calibration, checks, compute, cost, features, supports
from pages.ui import state, theme
from pages.ui.downloads import report_button

TABS = {
    "supports": supports.draw,
    "agreement": agreement.draw,
    "calibration": calibration.draw,
    "cost": cost.draw,
    "compute": compute.draw,
    "features": features.draw,
    "algorithms": algorithms.draw,
    "checks": checks.draw,
}
state_of = st.session_state


def main() -> None:
    ws = theme.workspace()
    goto = state_of.pop(state.GO_TO, None)
    if goto is not None:
        st.switch_page("pages/explore/page.py", query_params={state.TARGET: str(goto)})
    tab = next(iter(TABS))
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        if len(TABS) > 1:
            tab = st.segmented_control(
                "Methods",
                list(TABS),
                default=tab,
                required=True,
                key=state.TAB,
                bind="query-params",
                label_visibility="collapsed",
            )
        report_button(ws, next(reversed(state_of.get(state.TRAIL, [])), None))  # of the target looked at last
    TABS[tab](ws)


main()
