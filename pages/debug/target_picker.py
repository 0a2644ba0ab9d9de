"""Which target is looked at: one band with the filters, the targets that match, and the way through them.

Folded it is a strip; it unfolds into a wall or the map, three views of one set of targets."""

from dataclasses import dataclass

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from attribution import UserError, Workspace
from attribution.explore.opening_target import OpeningTarget
from attribution.explore.targets import previous_and_next, ranked_targets
from attribution.inputs.limits import shortened
from attribution.rankings import row_names
from attribution.rankings.combination import MARK
from attribution.rankings.unrolled import on_demand
from pages.debug import drawer, hint, map_view, picker_filters, retraining, start
from pages.debug.picker_filters import Filters
from pages.ui import format as write
from pages.ui import link, sprite_sheet, state, theme
from pages.ui.target_card import wall_data
from pages.ui.tile_strip import strip

PAGE_SIZE = 60
TRAIL = 20  # targets looked at that are listed
VIEWS = ("strip", "wall", "map")
#: What a link can ask for that only base models can answer; None: any value.
NEEDS_BASE_MODELS = {
    state.SHOW: ("right", "wrong", "models disagree"),
    state.PREDICTED: None,
    state.CONFIDENCE: None,
    state.VERSUS: None,
    state.EXPLAIN: ("predicted", state.EXPLAINED["predicted"]),
    state.CANDIDATES: ("predicted",),
}
state_of = st.session_state


@dataclass(frozen=True)
class Band:
    """The places of the picker's band that say which target is shown."""

    count: DeltaGenerator
    number: DeltaGenerator
    buttons: DeltaGenerator


def restore(ws: Workspace, first: OpeningTarget | None) -> None:
    """Sets target and k where the address has none, and warns of what it asks for in vain."""
    params = st.query_params
    if params.get(state.SHOW) == "unstable":  # its name in earlier links
        params[state.SHOW] = "models disagree"
        st.rerun()
    values = {
        state.TARGET: first.target if first else int(_ranked(ws, theme.cache_key(ws))[0]),
        state.K: first.k if first else 10,
    }
    if first and state.CUT_RANKING not in (*state_of, *params):
        state_of[state.CUT_RANKING] = first.ranking
    if any(" " in name for name in params.get_all(state.RANKINGS)):  # "+" by hand, which a browser takes for a space
        params[state.RANKINGS] = [name.replace(" ", MARK) for name in params.get_all(state.RANKINGS)]
        st.rerun()
    errors = state.restore(values, {state.TARGET: ws.check_target, state.K: link.check_k(retraining.K_MAX)}, params)
    if state.RANKINGS not in state_of:
        errors += [
            f"no ranking {shortened(name)!r} here; {why_missing(ws, name)}"
            for name in params.get_all(state.RANKINGS)
            if name not in row_names(ws) and MARK not in name
        ]
        errors += link.combinations(ws, params.get_all(state.RANKINGS))[1]
    if not ws.has_base:
        unanswerable = [
            name
            for name, values in NEEDS_BASE_MODELS.items()
            if name in params and (values is None or params[name] in values)
        ]
        for name in unanswerable:
            del params[name]
        errors += ["this link asks for predictions, and no model has been trained here yet"] if unanswerable else []
    for error in errors:
        st.warning(write.sentence(error), icon=":material/link_off:")


def why_missing(ws: Workspace, name: str) -> str:
    """What to say of a ranking that a link asks for in vain: which there are, or why it cannot be computed here."""
    return on_demand.refusal(ws) if name == on_demand.NAME else f"there is {', '.join(ws.rankings())}"


def draw_filters(ws: Workspace) -> tuple[Filters, Band]:
    """The band of controls, as far as they are the same for all targets. Returns what the filters say, and the places
    that `draw_target` fills."""
    start.draw(ws, go_to)
    hint.draw()
    _say_in_address()
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="picker-band"):
        st.segmented_control(
            "Show the targets as",
            VIEWS,
            default="strip",
            required=True,
            key=state.PICKER,
            bind="query-params",
            label_visibility="collapsed",
        )
        if not state.presenting():
            st.toggle("Filters", key=state.FILTERS_OPEN)
        count = st.container(horizontal=True, vertical_alignment="center", gap="small", width="content")
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="picker-way", width="content"):
            number = st.container(width=225 if state.presenting() else 175, key="picker-target")
            buttons = st.container(horizontal=True, gap="xsmall", width="content")
            start.draw_button()
    filters = picker_filters.draw(ws, _ranked(ws, theme.cache_key(ws)))
    _follow_filters(filters)
    return filters, Band(count, number, buttons)


def draw_target(ws: Workspace, filters: Filters, band: Band) -> int:
    """Which target is shown, and the ways to its neighbours. Returns it."""
    with band.number:
        target = st.number_input("Target", 0, ws.n_val - 1, key=state.TARGET, bind="query-params")
    with band.count:
        _draw_count(ws, filters, target)
    before, after = previous_and_next(filters.targets, target)
    with band.buttons:
        turn = {"on_click": go_to, "width": "content"}
        st.button("Previous", key="previous", shortcut="K", disabled=before is None, args=(before,), **turn)
        st.button("Next", key="next", shortcut="J", disabled=after is None, args=(after,), **turn)
    return target


def _say_in_address() -> None:
    """Writes what the room opens with into the address, where it does not say it yet: to Back, an address without it is
    one of target 0 and k = 1. What is chosen later Streamlit writes itself."""
    if not state_of.pop(state.ENTERED, False):
        return
    opened = {name: state_of.get(name) for name in state.CARRIED_KEYS if name not in st.query_params}
    if said := {name: str(value) for name, value in opened.items() if value is not None}:
        st.query_params.update(said)


def draw_film(ws: Workspace, targets: np.ndarray, target: int) -> None:
    """The targets that match, a page of them, as a strip or a wall, or all of them on the map."""
    if not len(targets):
        st.info("No validation image matches these filters. Clear them, or set one of them back to *any* or *all*.")
        return
    if is_map():
        map_view.draw(ws, targets, target)
        return
    ids = _on_page(targets, target)
    way = previous_and_next(targets, target)
    _strip(ws, "film", ids, target, wall=_view() == "wall", scale=sprite_sheet.scale(ws), way=way)


def draw_trail(ws: Workspace, target: int) -> None:
    """The targets looked at in this visit, to go back to."""
    trail = state_of.setdefault(state.TRAIL, [])
    if not trail or trail[-1] != target:
        trail[:] = [*[other for other in trail if other != target][-(TRAIL - 1) :], target]
    if len(trail) < 2:
        return
    st.caption("Looked at, latest first")
    _strip(ws, "looked at", np.array(trail[::-1]), target, wall=False, scale=sprite_sheet.scale(ws, 28), pitch=0)


def go_to(target: int | None) -> None:
    """Shows another target; a callback."""
    if target is not None:
        state_of[state.TARGET] = int(target)


def is_map() -> bool:
    """Whether the targets are shown as a map."""
    return _view() == "map"


def _view() -> str:
    return state_of.get(state.PICKER) or "strip"


def _follow_filters(filters: Filters) -> None:
    """Where a filter that was just changed excludes the open target, goes to the first match, and says so."""
    before, now = state_of.get(state.FILTERED), filters.values
    state_of[state.FILTERED] = now
    old = state_of.get(state.TARGET)
    if None in (before, old) or before == now or not len(filters.targets) or old in filters.targets:
        return
    go_to(filters.targets[0])
    st.toast(
        f"Target {old} does not match the filter. This is target {filters.targets[0]}, the first match.",
        icon=":material/filter_alt:",
    )


def _draw_count(ws: Workspace, filters: Filters, target: int) -> None:
    """How many targets match, the buttons that turn the page, and whether the open target is one of them."""
    targets, images = filters.targets, f"{write.count(ws.n_val)} images"
    if not len(targets):
        st.caption(f"No matches ({images})", width="content")
    elif target not in targets:
        st.markdown(f":material/filter_alt_off: Target {target} does not match the filter.", width="content")
        st.button("Go to the first match", key="first match", type="tertiary", on_click=go_to, args=(targets[0],))
    elif is_map():
        st.caption(_matches("", filters, images), width="content")
    else:
        page, pages = _page(targets, target)
        first, last = page * PAGE_SIZE, min((page + 1) * PAGE_SIZE, len(targets))
        st.caption(_matches(f"{write.count(first + 1)}–{write.count(last)} of ", filters, images), width="content")
        if pages > 1:
            with st.container(horizontal=True, gap=None, width="content"):
                turn = {"on_click": _turn, "type": "tertiary"}
                st.button("‹", key="page back", disabled=page == 0, args=(page - 1,), help="Earlier targets", **turn)
                st.button(
                    "›", key="page on", disabled=page == pages - 1, args=(page + 1,), help="Later targets", **turn
                )
    if filters.active and len(targets) and ws.has_base:
        st.button(
            "Explain together",
            key="explain together",
            type="tertiary",
            on_click=drawer.open_panel,
            args=(drawer.GROUP,),
            help="The training images behind all of these predictions, and what becomes of them without.",
        )


def _matches(place: str, filters: Filters, images: str) -> str:
    """ "1–60 of 138 matches (1,000 images)"; without a filter "1–60 of 1,000 images"."""
    if not filters.active:
        return place + images
    return f"{place}{write.counted(len(filters.targets), 'match')} ({images})".replace("matchs", "matches")


@st.cache_resource(max_entries=4, show_spinner=False)
def _ranked(_ws, cache_key: str) -> np.ndarray:
    try:
        return ranked_targets(_ws)
    except UserError:  # of a ranking that cannot be read, which its row says
        return np.arange(_ws.n_val)


def _on_page(targets: np.ndarray, target: int) -> np.ndarray:
    first = _page(targets, target)[0] * PAGE_SIZE
    return targets[first : first + PAGE_SIZE]


def _page(targets: np.ndarray, target: int) -> tuple[int, int]:
    """(the page of the strip that is on view, how many there are); it follows the target."""
    pages = -(-len(targets) // PAGE_SIZE)
    about = (target, len(targets), int(targets[0]), int(targets[-1]))
    if state_of.get(state.PAGE_OF) != about:  # a new target or filter, rather than a turned page
        state_of[state.PAGE_OF] = about
        state_of[state.PAGE] = min(int(np.searchsorted(targets, target)) // PAGE_SIZE, pages - 1)
    return min(state_of[state.PAGE], pages - 1), pages


def _turn(page: int) -> None:
    state_of[state.PAGE] = page


def _strip(ws: Workspace, key: str, ids: np.ndarray, target: int, wall: bool, scale: int, **more) -> None:
    data = wall_data(ws, ids, sprite_sheet.sheet(ws, "val", ids), target, wall, scale)
    strip(key, data | more, on_pick=lambda tile: go_to(tile["id"]))
