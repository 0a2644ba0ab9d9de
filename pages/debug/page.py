"""Debug: pick a validation image, see every ranking's top images side by side, cut, and read what happens without them.

The picker, the target's line, the rows over the whole width; a drawer slides over from the right when it is asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from attribution import UserError, Workspace
from attribution.explore.lineup import LineupRow, alignment_warning
from attribution.explore.opening_target import OpeningTarget
from pages.debug import (
    computed_row,
    copies,
    drawer,
    drawer_group,
    drawer_history,
    drawer_image,
    drawer_verdict,
    export,
    headline,
    question,
    retraining,
    rows,
    suspects,
    target_picker,
    trust,
)
from pages.debug.lineup_view import Choice
from pages.debug.picker_filters import Filters
from pages.debug.surroundings import Surroundings
from pages.ui import format as write
from pages.ui import model_choice, sprite_sheet, state, theme
from pages.ui.fragments import fragment

session = st.session_state


def main() -> None:
    """Draws the page."""
    ws = theme.workspace()
    first = theme.first_target(ws)
    if ws.has_base:
        question.restore(ws)
    for error in drawer.restore(ws):
        st.warning(write.sentence(error), icon=":material/link_off:")
    target_picker.restore(ws, first)
    state.show_error()
    with st.container(gap="xxsmall"):
        filters, band = target_picker.draw_filters(ws)
        top = st.container(gap="xxsmall")
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            ends = st.container(horizontal=True, vertical_alignment="bottom", gap="small", width="content")
            chosen = rows.draw_rows(ws)
            bar = st.container(horizontal=True, vertical_alignment="bottom", gap="small", width="content")
        _draw_warnings(ws, chosen.rankings)
        places = Places(band, top, ends, bar)
        of_target = partial(_draw_target, ws, first, filters, chosen, places)
        if target_picker.is_map():  # what is chosen there is chosen in the filters, too
            of_target()
        else:
            _draw_again(of_target, Surroundings())


@dataclass(frozen=True)
class Places:
    """Where what is about the target goes: the picker's band, the picker, the ends, the cut; the rest follows."""

    band: target_picker.Band
    top: DeltaGenerator
    ends: DeltaGenerator
    bar: DeltaGenerator


@fragment()
def _draw_again(of_target: Callable[[], None], surroundings: Surroundings) -> None:
    """What is about the target: alone it is drawn anew where another one is chosen."""
    if surroundings.changed():
        st.rerun()
    of_target()
    state.keep_selection()
    surroundings.note()


def _draw_target(
    ws: Workspace, first: OpeningTarget | None, filters: Filters, chosen: rows.Rows, places: Places
) -> None:
    """The rows first, for they are what is waited for; then all that stands around them."""
    # The drawer's place comes first: at the end, what appears above would move it and show it twice for a moment.
    drawer_place = st.container(key="drawer-place")
    target = target_picker.draw_target(ws, filters, places.band)
    drawer.follow(target)
    with places.top:
        target_picker.draw_film(ws, filters.targets, target)
        line = st.container(gap="xxsmall")
        error = st.container(key="error") if suspects.are_sought(ws, target) else None
    with places.ends:
        choice = rows.draw_ends(ws, target, chosen)
    strip = st.container()
    with st.container():
        computed_row.draw(ws, target, chosen.rankings)
    lineup = _draw_rows(ws, target, choice, first, strip, places.bar)
    _draw_verdict(ws, target, choice, lineup, line, places.bar, drawer_place, filters)
    with line:
        copies.draw(ws, target, on_image=drawer.select_image)
    if error:
        with error:
            suspects.draw(ws, target, on_pick=lambda image: _pick(ws, image))
    target_picker.draw_trail(ws, target)


def _draw_warnings(ws: Workspace, rankings: tuple[str, ...]) -> None:
    """What the reader has to know of the rows, and of a retraining, whatever the target."""
    if not rankings:
        return
    model_choice.draw_warning(ws)
    for name in rankings:
        warning = alignment_warning(ws, name)
        if warning:
            st.caption(f":material/warning: {write.plain(f'{name}: {warning}')}")


@dataclass(frozen=True)
class Lineup:
    """The rows on view, and the cut through them. planted: as in `lineup_view.strip_data`."""

    rows: list[LineupRow]
    k: int
    ranking: str
    planted: np.ndarray | None


def _draw_rows(ws: Workspace, target: int, choice: Choice, first: OpeningTarget | None, strip, bar) -> Lineup | None:
    """The rows and the cut in numbers. Returns them; None where there are none."""
    loaded: list[LineupRow] = []
    try:
        loaded = rows.load(ws, target, choice) if choice.rankings else []
    except UserError as error:
        strip.error(write.sentence(error))
    if not loaded:
        if not choice.rankings:
            strip.info("No ranking is chosen. Choose one or more under *Rows*.")
        bar.empty()  # a place that nothing was drawn in cannot be drawn in later
        return None
    with bar:
        k, cut_ranking = rows.draw_cut(ws, choice, first)
    planted = _planted_originals(ws, ws.fingerprint) if choice.planted else None
    with strip:
        rows.draw_strip(
            ws,
            target,
            loaded,
            choice,
            k,
            cut_ranking,
            drawer.image(),
            planted,
            on_pick=lambda image: _pick(ws, image),
        )
    return Lineup(loaded, k, cut_ranking, planted)


def _draw_verdict(
    ws: Workspace, target: int, choice: Choice, lineup: Lineup | None, line, bar, drawer_place, filters: Filters
) -> None:
    """What is known without the images left of the cut: the sentence, the button, the drawer; and the ways out."""
    supports = retraining.supports(ws).get(target, {})
    if lineup is None:
        _draw_line(ws, target, supports, "", retraining.Cut(None, 1), line)
        return
    cut = retraining.cut(ws, target, retraining.row_of(lineup.rows, lineup.ranking), lineup.k)
    if ws.has_base:
        with bar:
            _draw_button(ws, cut)
    _draw_line(ws, target, supports, lineup.ranking, cut, line)
    export.draw(ws, target, lineup.rows, choice, lineup.k, lineup.ranking)
    with drawer_place:
        _draw_drawer(ws, target, cut, lineup, filters, choice.rankings)


def _draw_line(ws: Workspace, target: int, supports: dict, ranking: str, cut: retraining.Cut, line) -> None:
    picture = sprite_sheet.image_url(ws, "val", target)
    line.html(headline.line_html(ws, target, supports, picture, ranking, cut.k, cut.known.answer))


def _draw_button(ws: Workspace, cut: retraining.Cut) -> None:
    """The button beside the cut: it says what happens, and what it costs."""
    seeds = "exactly" if ws.get_recipe().deterministic else "with five seeds"
    st.button(
        cut.button,
        key="retrain",
        type="primary",
        on_click=question.ask_cut,
        args=(ws, cut),
        disabled=cut.known.spec is None,
        help=write.sentence(cut.known.error)
        if cut.known.error
        else f"Trains the model anew without these images, {seeds}, beside random images of the same classes and "
        "beside all images. What was trained before is not trained again.",
    )
    st.button("History", key="open history", type="tertiary", on_click=drawer.open_panel, args=("history",))


def _pick(ws: Workspace, image: int) -> None:
    """A training image was clicked in the rows; a callback."""
    if question.is_choosing():
        question.choose(ws, image)
    else:
        drawer.select_image(image)


def _draw_drawer(
    ws: Workspace, target: int, cut: retraining.Cut, lineup: Lineup, filters: Filters, rankings: tuple[str, ...]
) -> None:
    panels = {}
    if ws.has_base:
        panels["verdict"] = lambda: drawer_verdict.draw(ws, target, question.asked(ws, target, cut))
    panels[drawer.TRUST] = lambda: trust.draw(ws, target, lineup.rows)
    if ws.has_base:
        panels["history"] = lambda: drawer_history.draw(ws, target)
        panels[drawer.GROUP] = lambda: drawer_group.draw(ws, filters, rankings, lineup.ranking, drawer.select_image)
    if (image := drawer.image()) is not None:
        panels["image"] = lambda: drawer_image.draw(ws, target, image, lineup.rows, lineup.planted, _follow_image)
    drawer.draw(panels)


def _follow_image(target: int) -> None:
    """Goes to a target, with the training image still open; a callback."""
    drawer.keep_image(drawer.image(), target)
    target_picker.go_to(target)


@st.cache_data(max_entries=4, show_spinner=False)
def _planted_originals(_ws, fingerprint: str) -> np.ndarray:
    """Original label of each training image whose label was changed on purpose, -1 elsewhere."""
    truth = _ws.truth()
    return np.where(truth["planted"], truth["original"], -1)


main()
