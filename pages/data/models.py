"""The models of a workspace: the recipes whose base predictions it holds, and taking one out."""

import streamlit as st

from attribution import UserError, Workspace
from attribution.importing import base_predictions
from attribution.inputs.names import visible_all
from pages.data import words
from pages.ui import format as write
from pages.ui import state, theme


def draw(ws: Workspace) -> None:
    """The table of models, with what is wrong with one beneath it."""
    rows = words.model_rows(ws)
    if not rows:
        st.markdown("No model yet: nothing is known of predictions. Train one, or import those of your own network.")
        return
    st.dataframe(visible_all(rows), hide_index=True, width="stretch")
    st.caption("Accuracy: the share of validation images predicted right, the mean over the trained networks.")
    for warning in words.model_warnings(ws):
        st.caption(f":material/warning: {write.sentence(warning)}")
    if removable := words.removable_models(ws):
        with st.popover("Remove a model", icon=":material/delete:"):
            name = st.selectbox("A model that was added", removable)
            st.button("Remove it for good", key="take model out", on_click=_remove_model, args=(ws, name))
    with st.expander("Details: where each model comes from"):
        st.dataframe(visible_all(words.model_details(ws)), hide_index=True, width="stretch")


def _remove_model(ws: Workspace, name: str) -> None:
    try:
        base_predictions.remove_model(ws, name)
        theme.expect_change()
    except UserError as error:
        state.set_error(error)
