"""What surrounds the part of the page that is about the target: that part is drawn alone, again and again, for as long
as nothing else changed; a click that changes more has the whole page drawn."""

import streamlit as st

from pages.ui import state, theme

#: of the address, what the part about the target has widgets for
OWN = (
    state.TARGET,
    state.K,
    state.CUT_RANKING,
    state.END,
    state.EXPLAIN,
    state.KIND,
    state.TEST,
    state.IDS,
    state.PROTOCOL,
    state.GROUP_RANKING,
    state.GROUP_AGAINST,
    state.GROUP_K,
    state.GROUP_END,
    state.GROUP_EDIT,
)
#: of this visit, what callbacks set and the rest of the page shows
SHOWN = (
    state.MODEL,
    state.RANKINGS,
    state.CANDIDATES,
    state.SHOW,
    state.LABEL,
    state.PREDICTED,
    state.CONFIDENCE,
    state.VERSUS,
    state.SET,
    state.PICKER,
    state.START,
    state.DOOR,
    state.HINT,
    state.ERROR,
)


class Surroundings:
    """The rest of the page as it was drawn last."""

    def __init__(self):
        self.note()

    def note(self) -> None:
        """It stands as it is now: what the part about the target did itself, such as closing its drawer, is no
        reason to draw all of it."""
        self.drawn = self._now()

    def changed(self) -> bool:
        """Whether the whole page has to be drawn."""
        return theme.changed_on_disk() or self._now() != self.drawn

    def _now(self) -> tuple:
        params = {name: st.query_params.get_all(name) for name in st.query_params if name not in OWN}
        return params, [str(st.session_state.get(name)) for name in SHOWN]
