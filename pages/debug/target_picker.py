"""Which target is looked at: filters, the film of those that fit, and the targets looked at before."""

import numpy as np
import streamlit as st

from attribution import UserError, Workspace
from attribution.explore.opening_target import OpeningTarget
from attribution.explore.targets import TARGET_KINDS, choose_targets, previous_and_next, ranked_targets
from attribution.inputs.limits import shortened
from pages.debug import retraining
from pages.ui import format as write
from pages.ui import link, sprite_sheet, state, theme
from pages.ui.target_card import wall_data
from pages.ui.tile_strip import strip

PAGE_SIZE = 60
TRAIL = 20  # targets looked at that are listed
KIND_HELP = {
    "unstable": "Unstable: right in some base models only.",
    "tested": "Tested: its support was searched.",
    "ranked": "Ranked: by the rankings that were made for some targets only.",
}
K_MAX = 128
ANY = "any"
#: What a link can ask for that only base models can answer; None: any value.
NEEDS_BASE_MODELS = {
    state.SHOW: ("right", "wrong", "unstable"),
    state.PREDICTED: None,
    state.EXPLAIN: ("predicted", state.EXPLAINED["predicted"]),
    state.CANDIDATES: ("predicted",),
}
state_of = st.session_state


def restore(ws: Workspace, first: OpeningTarget | None) -> None:
    """Sets target and k where the address has none, and warns of what it asks for in vain."""
    params = st.query_params
    values = {
        state.TARGET: first.target if first else int(_ranked(ws, theme.cache_key(ws))[0]),
        state.K: first.k if first else 10,
    }
    errors = state.restore(values, {state.TARGET: ws.check_target, state.K: link.check_k(K_MAX)}, params)
    if state.RANKINGS not in state_of:
        errors += [
            f"no ranking {shortened(name)!r} here; there is {', '.join(ws.rankings())}"
            for name in params.get_all(state.RANKINGS)
            if name not in ws.rankings()
        ]
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


def draw_filters(ws: Workspace) -> tuple[np.ndarray, int]:
    """The row of filters. Returns the targets that fit, ascending, and the one that is shown."""
    numbers = write.class_numbers(ws.classes, ANY)
    predicted, confidence = ANY, (0.0, 1.0)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        kind = _kind(ws)
        label = st.selectbox("True class", [ANY, *numbers], key=state.LABEL, bind="query-params", width=130)
        if ws.has_base:
            predicted = st.selectbox(
                "Predicted class", [ANY, *numbers], key=state.PREDICTED, bind="query-params", width=130
            )
            confidence = st.slider("Confidence", 0.0, 1.0, (0.0, 1.0), 0.05, key=state.CONFIDENCE, width=150)
        supports = retraining.supports(ws, theme.cache_key(ws))
        targets = choose_targets(ws, kind, numbers.get(label), numbers.get(predicted), confidence, supports)
        buttons = st.container(horizontal=True, vertical_alignment="bottom", gap="small", width="content")
        target = st.number_input("Target", 0, ws.n_val - 1, key=state.TARGET, bind="query-params", width=130)
        before, after = previous_and_next(targets, target)
        with buttons:
            st.button("Previous", key="previous", shortcut="J", disabled=before is None, on_click=go_to, args=(before,))
            st.button("Next", key="next", shortcut="K", disabled=after is None, on_click=go_to, args=(after,))
    return targets, target


def draw_film(ws: Workspace, targets: np.ndarray, target: int) -> None:
    """The targets that fit, a page of them, as a strip or a wall; the page follows the target."""
    if not len(targets):
        st.info("No validation image fits these filters. Set one of them back to *any* or *all*.")
        return
    page, pages = _page(targets, target)
    first = page * PAGE_SIZE
    ids = targets[first : first + PAGE_SIZE]
    _strip(ws, "film", ids, target, wall=state_of.get(state.WALL, False), scale=sprite_sheet.scale(ws))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(
            f"{write.count(first + 1)}–{write.count(first + len(ids))} of {write.count(len(targets))} that fit, "
            f"of {write.count(ws.n_val)} · {write.plain(ws.name)}",
            width="content",
        )
        turn = {"on_click": _turn, "type": "tertiary"}
        st.button("‹", key="page back", disabled=page == 0, args=(page - 1,), help="earlier targets", **turn)
        st.button("›", key="page on", disabled=page == pages - 1, args=(page + 1,), help="later targets", **turn)
        st.toggle("Wall", key=state.WALL)


def draw_trail(ws: Workspace, target: int) -> None:
    """The targets looked at in this visit, to go back to: the address bar keeps no history."""
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


def _kind(ws: Workspace) -> str:
    some_ranked = len(_ranked(ws, theme.cache_key(ws))) < ws.n_val
    kinds = [kind for kind in TARGET_KINDS if kind == "all" or (some_ranked if kind == "ranked" else ws.has_base)]
    if len(kinds) == 1:
        return "all"
    return st.segmented_control(
        "Targets",
        kinds,
        default="all",
        required=True,
        key=state.SHOW,
        bind="query-params",
        help=" ".join(KIND_HELP[kind] for kind in kinds if kind in KIND_HELP),
    )


@st.cache_resource(max_entries=4, show_spinner=False)
def _ranked(_ws, cache_key: str) -> np.ndarray:
    try:
        return ranked_targets(_ws)
    except UserError:  # of a ranking that cannot be read, which its row says
        return np.arange(_ws.n_val)


def _page(targets: np.ndarray, target: int) -> tuple[int, int]:
    """(the page of the film that is on view, how many there are)."""
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
