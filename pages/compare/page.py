"""Methods: what the rankings are worth, over many targets; a tab a question."""

import streamlit as st

from pages.compare import calibration, cost, features, lds, lds_vs_compute, model_diff, two_models
from pages.compare.agreement import tab as agreement
from pages.compare.checks import tab as checks
from pages.compare.supports import tab as supports
from pages.ui import model_choice, state, theme
from pages.ui.downloads import report_button

TAB_DRAWERS = {  # their names stand in links
    "supports": supports.draw,
    "lds": lds.draw,
    "agreement": agreement.draw,
    "calibration": calibration.draw,
    "cost": cost.draw,
    "compute": lds_vs_compute.draw,
    "features": features.draw,
    "algorithms": model_diff.draw,
    "models": two_models.draw,
    "checks": checks.draw,
}


def main() -> None:
    """Draws the page."""
    ws = theme.workspace()
    target = st.session_state.pop(state.GO_TO, None)
    if target is not None:
        st.switch_page("pages/debug/page.py", query_params={state.TARGET: str(target)})
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        tab = st.segmented_control(
            "Methods",
            list(TAB_DRAWERS),
            default=next(iter(TAB_DRAWERS)),
            required=True,
            key=state.TAB,
            bind="query-params",
            label_visibility="collapsed",
        )
        last_target = next(reversed(st.session_state.get(state.TRAIL, [])), None)
        report_button(ws, last_target)
    model_choice.draw_warning(ws)
    TAB_DRAWERS[tab](ws)


main()
