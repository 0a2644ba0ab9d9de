"""Map: all images of a feature set in two dimensions, where the target and its influencers lie, and sets by lasso."""

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from attribution import UserError, Workspace
from attribution.explore.opening_target import opening_target
from attribution.features import projection
from attribution.rankings import default_rankings
from pages.map import chart, lasso, words
from pages.ui import cli_command, link, measurement, ranking_choice, sprite_sheet, state, theme
from pages.ui import format as write
from pages.ui.tile_strip import image_row, strip, strip_data

K_MAX = 128
PICTURE = {"displaylogo": False, "scrollZoom": True, "modeBarButtonsToRemove": ["toImage", "autoScale2d"]}
session = st.session_state


def main() -> None:
    """Draws the page."""
    ws = theme.workspace()
    if session.pop(state.GO_TO, None) is not None:
        st.switch_page("pages/debug/page.py", query_params={})  # the target goes along
    st.header("Where do the images lie?", anchor=False)
    names = ws.features()
    if not names:
        st.info("There is no feature set yet, and a map is drawn of one. Train one here, or bring your own:")
        cli_command.show(ws, "features", "train", "moco")
        return
    state.show_error()
    _restore(ws, names)
    name, target, ranking, k, end, label, val = _draw_controls(ws, names)
    build = ["features", "project", name]
    busy = measurement.under_way(ws, build)
    try:
        points = projection.load(ws, name)
        if points is None:
            if not busy:
                st.info(f"The map of {name} has not been drawn yet, or its features have changed since.")
                measurement.button(ws, build, "Draw the map")
            return
        ids = ws.ranking(ranking).top(target, k, end=end).ids
    except UserError as error:
        st.error(write.sentence(error))
        return
    figure = _map_figure(
        ws,
        points,
        theme.cache_key(ws),
        name,
        target,
        tuple(ids.tolist()),
        end == "harmful",
        ranking,
        label,
        val,
        st.context.theme.type == "dark",
    )
    alt = (
        f"Map of the {name} features: training images by class, target {target} as a star, the first {len(ids)} of "
        f"{ranking} as squares; the strip below has them in order"
    )
    selection = _chart(figure, alt)
    st.caption(write.plain(words.provenance_text(ws, points)))
    lasso.draw(ws, points, selection, on_target=_go_to_target, on_image=lambda image: _open_image_card(target, image))
    _draw_top_images(ws, target, ranking, end, ids)
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Map as CSV",
            data=lambda: words.to_csv(ws, points),
            file_name=f"map-{name}.csv",
            on_click="ignore",
            icon=":material/download:",
        )
        cli_command.popover(ws, *build, "--method", points.provenance["method"])


def _chart(figure: go.Figure, alt: str):
    """Draws the map; the selection made in it, or None."""
    st.caption(
        "Draw a lasso or a box on the map: the images in it are a set, to be removed in Brittleness, looked "
        "through in the audit, or explored."
    )
    picked = st.plotly_chart(
        figure,
        key="map",
        on_select="rerun",
        selection_mode=("points", "box", "lasso"),
        config=PICTURE,
        theme="streamlit",
        alt=alt,
    )
    return picked.selection if picked else None


# -- what is looked at


def _restore(ws: Workspace, names: list[str]) -> None:
    """Sets what the address leaves open, and warns of what it asks for in vain."""
    first, usual = _opening_target(ws, theme.cache_key(ws)), default_rankings(ws)
    values = {
        state.TARGET: first.target if first else 0,
        state.K: first.k if first else 10,
        state.CUT_RANKING: first.ranking if first else usual[0] if usual else "random",
        state.FEATURES: names[0],
    }
    checks = {
        state.TARGET: ws.check_target,
        state.K: link.check_k(K_MAX),
        state.CUT_RANKING: ws.ranking,
        state.FEATURES: ws.feature,
    }
    if session.get(state.K, 1) > K_MAX:
        del session[state.K]
    for error in state.restore(values, checks, st.query_params):
        st.warning(write.sentence(error), icon=":material/link_off:")


@st.cache_resource(max_entries=4, show_spinner=False)
def _opening_target(_ws, cache_key: str):
    return opening_target(_ws)


def _draw_controls(ws: Workspace, names: list[str]):
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
        if not chart.has_class_colours(ws):
            label = st.selectbox(
                "Class",
                range(len(ws.classes)),
                int(ws.val_labels[target]),
                width=190,
                format_func=lambda c: write.visible(ws.classes[c]),
            )
        val = st.toggle("Validation images", True, key=state.MAP_VAL)
    return name, target, ranking, k, end if signed else "helpful", label, val


@st.cache_resource(max_entries=8, show_spinner=False)
def _map_figure(_ws, _points, cache_key, name, target, ids, harmful, ranking, label, val, dark):
    # the same object while the same is looked at, or a selection in it would be lost
    return chart.map_figure(_ws, _points, target, np.array(ids, np.int64), harmful, ranking, label, val, dark)


def _draw_top_images(ws: Workspace, target: int, ranking: str, end: str, ids: np.ndarray) -> None:
    """The marked training images in their order, the target first."""
    if not len(ids):
        st.info(f"{write.plain(ranking)} ranks no training image for this target.")
        return
    given, label = ws.train_labels[ids], ws.val_labels[target]
    texts = [f"training image {image}, {ws.classes[c]}" for image, c in zip(ids, given)]
    marks = [f"≠ {ws.classes[c]}" if c != label else None for c in given]
    row = image_row("influencers", f"the first {len(ids)} of {ranking}", ids, texts, mark=marks) | {
        "name": ranking,
        "sign": "-" if end == "harmful" else "+",
        "sign_text": end,
        "notes": [f"for target {target}", ws.classes[label]],
    }
    sheet, zoom = sprite_sheet.sheet(ws, "train", ids), 5 if sprite_sheet.scale(ws) > 1 else 2
    data = strip_data("rows", [row], sheet, sprite_sheet.scale(ws, 42), zoom=zoom, pitch=62, of=target)
    strip("influencers", data, on_pick=lambda tile: _open_image_card(target, tile["id"]))


def _open_image_card(target: int, image: int) -> None:
    """To Explore, with a training image's card open."""
    session[state.IMAGE] = (target, int(image))
    _go_to_target(target)


def _go_to_target(target: int) -> None:
    session[state.GO_TO] = session[state.TARGET] = int(target)


main()
