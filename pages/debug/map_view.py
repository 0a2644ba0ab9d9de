"""The picker's map: the targets that match, the training images and a target's top images in a feature set."""

import numpy as np
import streamlit as st

from attribution import UserError, Workspace
from attribution.explore.lineup import lineup_rows
from attribution.features import projection
from attribution.features.projection import Projection
from attribution.inputs import names
from attribution.rankings import default_rankings
from pages.debug import drawer, map_points, map_sets, map_words, rows
from pages.ui import cli_command, link, measurement, state
from pages.ui import format as write
from pages.ui.tile_strip import component

KEY = "picker-map"
session = st.session_state

_component = component("target_map", "target_map.js", style="target_map.css")


def draw(ws: Workspace, targets: np.ndarray, target: int) -> None:
    """The map of the targets that match, and the set that is chosen on it."""
    state.show_error()
    features = ws.features()
    if not features:
        st.info("There is no feature set yet, and a map is drawn of one. Train one here, or bring your own:")
        cli_command.show(ws, "features", "train", "moco")
        return
    _restore(ws, features)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="map-bar"):
        name = st.selectbox(
            "Features", features, key=state.FEATURES, bind="query-params", width=170, label_visibility="collapsed"
        )
        bys = map_points.colourings(ws)
        st.caption("Colour by", width="content")
        by = st.segmented_control(
            "Colour by", bys, default=bys[0], required=True, key=state.MAP_COLOUR, label_visibility="collapsed"
        )
        more = st.container(horizontal=True, gap="small", width="content")
    build = ["features", "project", name]
    busy = measurement.under_way(ws, build)
    try:
        points = projection.load(ws, name)
        if points is None:
            if not busy:
                st.info(f"The map of {write.plain(name)} has not been drawn yet, or its features have changed since.")
                measurement.button(ws, build, "Draw the map")
            return
        marked, text, harmful = _top_images(ws, target)
        data = map_points.map_data(ws, points, by, targets, target, marked, text, harmful)
    except UserError as error:
        st.error(write.sentence(error))
        return
    chosen = map_sets.chosen(ws)
    alt = (
        f"Map of the {name} features: training images as dots, {len(targets)} validation images as diamonds, "
        f"target {target} as a star. Arrow keys go to the next validation image, with Shift to the next training "
        "image; Enter opens it. The strip and the rows show the same images in order"
    )
    left, right = st.columns([11, 9], gap="small")
    with left:
        _component(
            key=KEY,
            data=data
            | {"classes": names.visible_all(data["classes"]), "alt": names.visible(alt), "set": bool(chosen)}
            | {key: names.visible_all(data[key]) for key in ("legend", "names", "marked")},
            on_pick_change=lambda: _pick(ws),
            on_lasso_change=lambda: _lasso(ws, points, targets, by, target),
        )
    with more, st.popover("About this map", type="tertiary"):
        st.caption(write.plain(map_words.provenance_text(ws, points)))
        st.download_button(
            "Map as CSV",
            data=lambda: map_words.to_csv(ws, points),
            file_name=f"map-{name}.csv",
            on_click="ignore",
            icon=":material/download:",
        )
        cli_command.show(ws, *build, "--method", points.provenance["method"])
    with right, st.container(key="map-set", gap="small"):
        map_sets.draw(ws, points, chosen, on_image=drawer.select_image, on_target=_open_target)


def _restore(ws: Workspace, features: list[str]) -> None:
    errors = state.restore({state.FEATURES: features[0]}, {state.FEATURES: ws.feature}, st.query_params)
    for error in errors:
        st.warning(write.sentence(error), icon=":material/link_off:")
    if session.get(state.FEATURES) not in (None, *features):
        session[state.FEATURES] = features[0]
    if session.get(state.MAP_COLOUR) not in (None, *map_points.colourings(ws)):
        del session[state.MAP_COLOUR]


def _top_images(ws: Workspace, target: int) -> tuple[np.ndarray, str, bool]:
    """(the training images left of the cut in the ranking that is cut, what they are, whether they are harmful)."""
    asked = session.get(state.CUT_RANKING) or link.text(state.CUT_RANKING)
    name = asked if asked in ws.rankings() else default_rankings(ws)[0]
    end = "harmful" if session.get(state.END) == "harmful" and ws.ranking(name).signed else "helpful"
    (row,) = lineup_rows(ws, target, [name], int(session.get(state.K, 10)), end, rows.explained(ws, target))
    return row.ids, f"top {len(row.ids)}{' harmful' if row.end == 'harmful' else ''} of {name}", row.sign < 0


# -- what was chosen on the map; callbacks


def _pick(ws: Workspace) -> None:
    picked = session[KEY].get("pick")
    if not picked:
        return
    image = int(picked["id"])
    if picked["split"] == "val" and 0 <= image < ws.n_val:
        _open_target(image)
    elif picked["split"] == "train" and 0 <= image < ws.n_train:
        drawer.select_image(image)


def _lasso(ws: Workspace, points: Projection, targets: np.ndarray, by: str, target: int) -> None:
    drawn = session[KEY].get("lasso")
    if not drawn:
        return
    try:
        corners = map_points.from_grid(drawn["corners"])
    except UserError as error:
        state.set_error(error)
        return
    train, val, _ = map_points.colours(ws, by, int(ws.val_labels[target]))
    hidden = [int(code) for code in drawn.get("hidden", [])]
    inside = map_sets.inside(points, corners, targets, ~np.isin(train, hidden), ~np.isin(val, hidden))
    map_sets.choose(*inside)


def _open_target(target: int) -> None:
    session[state.TARGET] = int(target)
