"""Brittleness: remove or relabel training images, retrain in the background, and read the verdict."""

import streamlit as st

from attribution import UserError, Workspace
from attribution.store.results import ResultStore
from pages.brittleness import answer, edit_preview, history, question
from pages.ui import format as write
from pages.ui import model_choice, sprite_sheet, state, theme
from pages.ui.target_card import card_html

session = st.session_state


def main() -> None:
    """Draws the page."""
    ws = theme.workspace()
    if not ws.has_base:
        return _without_base_models(ws)
    try:
        store = ResultStore.for_workspace(ws)
    except UserError as error:
        st.error(write.sentence(error))
        return
    with store, st.container(gap="small"):
        _page(ws, store)


def _page(ws: Workspace, store: ResultStore) -> None:
    question.restore(ws, store)
    view = st.segmented_control(
        "What to look at",
        question.VIEWS,
        required=True,
        key=state.VIEW,
        bind="query-params",
        label_visibility="collapsed",
    )
    state.show_error()
    if view == question.STUDIES:
        session[state.EXPORT] = True
    if session.get(state.EXPORT):
        question.keep_widgets()
    if view == question.STUDIES:
        st.switch_page("pages/data/page.py", query_params=_study_address())
    model_choice.draw_warning(ws)
    spec, error = question.draw(ws)
    target = session[state.TARGET]
    st.header(write.plain(question.heading(ws, target, spec)), anchor=False)
    with st.container(horizontal=True, gap="medium"):
        _target_card(ws, target)
        with st.container(gap="small"):
            if error and ws.get_recipe().problem:
                st.caption("Nothing can be retrained here; what was found for this target before stands below.")
            elif error:
                st.error(write.sentence(error), icon=":material/error:")
            else:
                edit_preview.draw(ws, spec)
                answer.draw(ws, store, spec)
    jobs_column, supports_column = st.columns([1.25, 1], gap="large")
    with jobs_column.container(gap="xxsmall"):
        history.draw_jobs(ws, store)
    with supports_column.container(gap="xxsmall"):
        history.draw_supports(ws, store, target)
    session[state.EXPORT] = False  # not before a whole run: one cut short may not have reached the browser


def _study_address() -> dict:
    job = {"job": st.query_params["job"]} if "job" in st.query_params else {}
    return {state.PART: "studies", **job}


def _target_card(ws: Workspace, target: int) -> None:
    with st.container(width=204):
        url = sprite_sheet.image_url(ws, "val", target)
        st.html(card_html(ws, target, {}, url, sprite_sheet.scale(ws, 168)))
        st.page_link(
            "pages/debug/page.py",
            label="Its lineup in Explore",
            icon=":material/arrow_back:",
            query_params={"target": str(target)},
        )


def _without_base_models(ws: Workspace) -> None:
    st.header("No model has been trained here yet", anchor=False)
    with st.container(width=760):
        theme.train_first(
            ws,
            "Brittleness asks whether a prediction changes when training images are taken away or "
            "relabelled, so it needs models that predict.",
        )
        st.page_link("pages/debug/page.py", label="The lineups in Explore", icon=":material/arrow_back:")


main()
