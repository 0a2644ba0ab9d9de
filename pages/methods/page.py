"""Methods: what the rankings are worth, over many targets; a tab a question."""

import streamlit as st

from pages.methods import agreement, calibration, checks, compute, cost, features, supports
from pages.ui import look, state

TABS = {"supports": supports.draw, "agreement": agreement.draw, "calibration": calibration.draw, "cost": cost.draw,
        "compute": compute.draw, "features": features.draw, "checks": checks.draw}
state_of = st.session_state


def main() -> None:
    ws = look.workspace()
    goto = state_of.pop(state.GO_TO, None)
    if goto is not None:
        st.switch_page("pages/explore/page.py", query_params={state.TARGET: str(goto)})
    tab = next(iter(TABS))
    if len(TABS) > 1:
        tab = st.segmented_control("Methods", list(TABS), default=tab, required=True, key=state.TAB,
                                   bind="query-params", label_visibility="collapsed")
    TABS[tab](ws)


main()
