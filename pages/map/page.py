"""Map: all images of a feature set in two dimensions, where the target and its influencers lie, and sets by lasso."""

import numpy as np
import streamlit as st

from attribution import UserError, Workspace, projection
from attribution.lineup import default_rankings
from attribution.opening import opening
from pages.map import chart, lasso, words
from pages.ui import cli_command, measurement, ranking_choice, sprite_sheet, state, theme
from pages.ui import format as write
from pages.ui.tile_strip import strip, tiles

K_MAX = 128
PICTURE = {"displaylogo": False, "scrollZoom": True, "modeBarButtonsToRemove": ["toImage", "autoScale2d"]}
state_of = st.session_state


def main() -> None:
    ws = theme.workspace()
    if state_of.pop(state.GO_TO, None) is not None:
        st.switch_page("pages/explore/page.py", query_params={})  # the target goes along
    st.header("Where do the images lie?", anchor=False)
    names = ws.features()
    if not names:
        st.info("There is no feature set yet, and a map is drawn of one. Train one here, or bring your own:")
        st.code(cli_command.line(ws, "features", "train", "moco"), language="bash", wrap_lines=True)
        return
    if state.ERROR in state_of:
        st.error(write.sentence(state_of.pop(state.ERROR)))
    _start(ws, names)
    name, target, ranking, k, end, label, val = _controls(ws, names)
    build = ["features", "project", name]
    busy = measurement.under_way(ws, build)
    try:
        found = projection.stored(ws, name)
        if found is None:
            if not busy:
                st.info(f"The map of {name} has not been drawn yet, or its features have changed since.")
                measurement.button(ws, build, "Draw the map")
            return
        ids = ws.ranking(ranking).top(target, k, end=end).ids
    except UserError as error:
        st.error(write.sentence(error))
        return
    st.caption(
        "Draw a lasso or a box on the map: the images in it are a set, to be removed in Brittleness, looked "
        "through in the audit, or explored."
    )
    picked = st.plotly_chart(
        _figure(
            ws,
            found,
            theme.cache_key(ws),
            name,
            target,
            tuple(ids.tolist()),
            end == "harmful",
            ranking,
            label,
            val,
            st.context.theme.type == "dark",
        ),
        key="map",
        on_select="rerun",
        selection_mode=("points", "box", "lasso"),
        config=PICTURE,
        theme="streamlit",
        alt=f"Map of the {name} features: training images by class, target {target} as a star, the first {len(ids)} of "
        f"{ranking} as squares; the strip below has them in order",
    )
    st.caption(write.plain(words.made(ws, found)))
    lasso.draw(
        ws, found, picked.selection if picked else None, on_target=_go, on_image=lambda image: _card(target, image)
    )
    _influencers(ws, target, ranking, end, ids)
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Map as CSV",
            data=lambda: words.to_csv(ws, found),
            file_name=f"map-{name}.csv",
            on_click="ignore",
            icon=":material/download:",
        )
        with st.popover("Copy command", icon=":material/terminal:"):
            st.code(cli_command.line(ws, *build, "--method", found.about["method"]), language="bash", wrap_lines=True)


# -- what is looked at


def _start(ws: Workspace, names: list[str]) -> None:
    """Sets what the address leaves open, and says what in it cannot be had."""
    first, wrong = _opening(ws, theme.cache_key(ws)), []
    usual = default_rankings(ws)
    values = {
        state.TARGET: first.target if first else 0,
        state.K: first.k if first else 10,
        state.CUT_RANKING: first.ranking if first else usual[0] if usual else "random",
        state.FEATURES: names[0],
    }
    checks = {
        state.TARGET: ws.check_target,
        state.K: _check_k,
        state.CUT_RANKING: ws.ranking,
        state.FEATURES: ws.feature,
    }
    for name, value in values.items():
        if name in state_of and not (name == state.K and state_of[name] > K_MAX):
            continue
        try:
            if name in st.query_params:
                checks[name](st.query_params[name])
                continue
        except UserError as error:
            wrong.append(error)
        state_of[name] = value
    for error in wrong:
        st.warning(write.sentence(error), icon=":material/link_off:")


@st.cache_resource(max_entries=4, show_spinner=False)
def _opening(_ws, stamp: str):
    return opening(_ws)


def _check_k(k: str) -> None:
    if not (k.isdigit() and 1 <= int(k) <= K_MAX):
        raise UserError(f"k = {k} is not a number of training images; give 1 to {K_MAX}")


def _controls(ws: Workspace, names: list[str]):
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        name = st.selectbox("Features", names, key=state.FEATURES, bind="query-params", width=150)
        target = st.number_input("Target", 0, ws.n_val - 1, key=state.TARGET, bind="query-params", width=130)
        k = st.number_input("First k", 1, K_MAX, key=state.K, bind="query-params", width=120)
        ranking = st.selectbox("of", ranking_choice.rankings(ws), key=state.CUT_RANKING, bind="query-params", width=190)
        signed = ws.ranking(ranking).signed
        end = st.segmented_control(
            "End", ("helpful", "harmful"), default="helpful", required=True, key=state.MAP_END, disabled=not signed
        )
        label = None
        if not chart.by_class(ws):
            label = st.selectbox(
                "Class",
                range(len(ws.classes)),
                int(ws.val_labels[target]),
                width=190,
                format_func=lambda c: ws.classes[c],
            )
        val = st.toggle("Validation images", True, key=state.MAP_VAL)
    return name, target, ranking, k, end if signed else "helpful", label, val


@st.cache_resource(max_entries=8, show_spinner=False)
def _figure(_ws, _found, stamp, name, target, ids, harmful, ranking, label, val, dark):
    # the same object while the same is looked at, or a selection in it would be lost
    return chart.figure(_ws, _found, target, np.array(ids, np.int64), harmful, ranking, label, val, dark)


def _influencers(ws: Workspace, target: int, ranking: str, end: str, ids: np.ndarray) -> None:
    """The marked training images in their order, the target first."""
    if not len(ids):
        st.info(f"{write.plain(ranking)} ranks no training image for this target.")
        return
    places = {int(one): at for at, one in enumerate(ids)}
    given, label = ws.train_labels[ids], ws.val_labels[target]
    texts = [f"training image {one}, {ws.classes[c]}" for one, c in zip(ids, given)]
    marks = [f"≠ {ws.classes[c]}" if c != label else None for c in given]
    strip(
        "influencers",
        {
            "layout": "rows",
            "of": target,
            "atlas": sprite_sheet.sheet(ws, "train", ids),
            "scale": sprite_sheet.scale(ws, 42),
            "zoom": 5 if sprite_sheet.scale(ws) > 1 else 2,
            "pitch": 62,
            "selected": None,
            "rows": [
                {
                    "id": "influencers",
                    "name": ranking,
                    "sign": "-" if end == "harmful" else "+",
                    "sign_text": end,
                    "label": f"the first {len(ids)} of {ranking}",
                    "tiles": tiles(places, ids, texts, mark=marks),
                    "notes": [f"for target {target}", ws.classes[label]],
                }
            ],
        },
        on_pick=lambda tile: _card(target, tile["id"]),
    )


def _card(target: int, image: int) -> None:
    """To Explore, with a training image's card open."""
    state_of[state.IMAGE] = (target, int(image))
    _go(target)


def _go(target: int) -> None:
    state_of[state.GO_TO] = state_of[state.TARGET] = int(target)


main()
