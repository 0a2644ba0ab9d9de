"""Debug: pick a validation image, see every ranking's suspects side by side, cut, and retrain without them."""

import numpy as np
import streamlit as st

from attribution import UserError, Workspace
from attribution.explore.lineup import LineupRow, alignment_warning, rank_of_image
from attribution.explore.opening_target import OpeningTarget, opening_target
from pages.debug import copies, export, influence, lineup_view, retraining, rows, suspects, target_picker
from pages.ui import format as write
from pages.ui import model_choice, sprite_sheet, state, theme
from pages.ui.target_card import card_html

session = st.session_state


def main() -> None:
    """Draws the page."""
    ws = theme.workspace()
    first = _opening_target(ws, theme.cache_key(ws))
    target_picker.restore(ws, first)
    with st.container(gap="xxsmall"):
        targets, target = target_picker.draw_filters(ws)
        target_picker.draw_film(ws, targets, target)
        supports = retraining.supports(ws, theme.cache_key(ws)).get(target, {})
        st.header(write.plain(lineup_view.sentence(ws, target, supports)), anchor=False)
        with st.container(horizontal=True, gap="small"):
            with st.container(width=204):
                url = sprite_sheet.image_url(ws, "val", target)
                st.html(card_html(ws, target, supports, url, sprite_sheet.scale(ws, 200)))
                copies.draw(ws, target, on_image=lambda image: _select_image(target, image))
            with st.container(gap="xsmall"):
                _draw_lineup(ws, target, supports, first)
        target_picker.draw_trail(ws, target)


@st.cache_resource(max_entries=4, show_spinner=False)
def _opening_target(_ws, cache_key: str) -> OpeningTarget | None:
    return opening_target(_ws)


def _draw_lineup(ws: Workspace, target: int, supports: dict, first: OpeningTarget | None) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        choice = rows.draw_controls(ws, target)
        bar = st.container(horizontal=True, vertical_alignment="bottom", gap="small", width="content")
    if not choice.rankings:
        st.info("No ranking is chosen. Choose one or more under *Rows*.")
        return
    try:
        loaded = rows.load(ws, target, choice)
    except UserError as error:
        st.error(write.sentence(error))
        return
    with bar:
        k, cut_ranking = rows.draw_cut(ws, target, choice, loaded, first, on_retrain=_start_retraining)
    model_choice.draw_warning(ws)
    for name in choice.rankings:
        warning = alignment_warning(ws, name)
        if warning:
            st.caption(f":material/warning: {write.plain(f'{name}: {warning}')}")
    _retraining(ws, target)
    image = _selected_image(target)
    planted = _planted_originals(ws, ws.fingerprint) if choice.planted else None
    rows.draw_strip(
        ws,
        target,
        loaded,
        choice,
        k,
        cut_ranking,
        image,
        supports.get("remove", {}),
        planted,
        on_pick=lambda image: _select_image(target, image),
    )
    if image is not None:
        _draw_image_card(ws, target, image, loaded, planted)
        influence.draw(
            ws,
            image,
            list(dict.fromkeys(row.ranking for row in loaded)),
            on_target=lambda target: _follow_image(target, image),
            on_image=lambda image: _select_image(target, image),
        )
    suspects.draw(ws, target, on_pick=lambda image: _select_image(target, image))
    export.draw(ws, target, loaded, choice, k, cut_ranking)


# -- the training image that is selected in the rows


def _selected_image(target: int) -> int | None:
    """The training image whose card is open; it is closed when the target changes."""
    if session.get(state.IMAGE) is not None and session[state.IMAGE][0] != target:
        session[state.IMAGE] = None
    return session[state.IMAGE][1] if session.get(state.IMAGE) else None


def _select_image(target: int, image: int) -> None:
    """Opens a training image's card, or closes it."""
    selection = (target, int(image))
    session[state.IMAGE] = None if session.get(state.IMAGE) == selection else selection


def _follow_image(target: int, image: int) -> None:
    """Goes to a target, with the training image's card still open."""
    target_picker.go_to(target)
    session[state.IMAGE] = (target, image)


@st.cache_data(max_entries=4, show_spinner=False)
def _planted_originals(_ws, fingerprint: str) -> np.ndarray:
    """Original label of each training image whose label was changed on purpose, -1 elsewhere."""
    truth = _ws.truth()
    return np.where(truth["planted"], truth["original"], -1)


def _draw_image_card(
    ws: Workspace, target: int, image: int, loaded: list[LineupRow], planted: np.ndarray | None
) -> None:
    """A training image: its given label, and its rank in each row."""
    ranks = [(row, rank_of_image(ws, row, target, image)) for row in loaded if not row.undefined]
    url, scale = sprite_sheet.image_url(ws, "train", image), sprite_sheet.scale(ws, 112)
    with st.container(horizontal=True, vertical_alignment="top"):
        st.html(lineup_view.image_html(ws, image, ranks, planted, url, scale, target))
        st.button("Close", key="close image", on_click=_select_image, args=(target, image), type="tertiary")


# -- retraining


def _start_retraining(ws: Workspace, target: int, row: LineupRow, k: int) -> None:
    try:
        session[state.JOB] = (target, retraining.submit(ws, target, row, k))
    except UserError as error:
        session[state.JOB] = (target, error)


def _retraining(ws: Workspace, target: int) -> None:
    """The retraining asked for on this target: a dot for each seed, drawn anew every second while it runs."""
    job_target, request = session.get(state.JOB) or (None, None)
    if job_target != target:
        return
    if isinstance(request, UserError):
        st.error(write.plain(f"{request}."))
        return
    running = retraining.view(ws, request)["running"]

    @st.fragment(run_every="1s" if running else None)
    def draw_now():
        now = retraining.view(ws, request)
        st.html(lineup_view.votes_html(now["groups"], now["message"]))
        if running and not now["running"]:
            st.rerun()

    draw_now()


main()
