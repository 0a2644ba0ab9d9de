"""Which rankings are rows: a table of methods by feature sets, and sets of them that are chosen at once.

The component takes {"columns": [feature set], "rows": [{"method", "colour", "cells": [ranking or None]}], "presets":
[{"name", "rankings"}], "chosen": [ranking]}; what is chosen comes back as a list of rankings, before the page runs
again.
"""

import streamlit as st

from attribution import UserError, Workspace
from attribution.export.palette import ranking_style
from attribution.inputs import names
from attribution.rankings import default_rankings, row_names
from attribution.rankings.unrolled import on_demand
from pages.ui import format as write
from pages.ui import state, theme
from pages.ui.tile_strip import component

SIMILARITIES = ("ESVM", "L2", "Cosine", "Ridge", "Signed cosine")
OTHER = "other"  # the column of rankings that rest on no one feature set
KEY = "row picker"

_component = component("row_picker", "pic.js", "row_picker.js", style="row_picker.css")


def draw(ws: Workspace) -> list[str]:
    """Draws the table and, below it, the rankings in their order. Returns them."""
    offered = row_names(ws)
    session = st.session_state
    place = st.container()
    rankings = st.multiselect(
        "Rows, from the top",
        offered,
        default=default_rankings(ws),
        key=state.RANKINGS,
        bind="query-params",
        placeholder="Choose a row",
    )
    data = _grid(ws, theme.cache_key(ws)) | {"chosen": names.visible_all(rankings)}

    def choose() -> None:
        chosen = session[KEY].get("choose")
        if chosen is not None:
            session[state.RANKINGS] = [name for name in chosen if name in offered]

    with place:
        _component(key=KEY, data=data, on_choose_change=choose)
        if on_demand.NAME not in offered:
            st.caption(write.sentence(on_demand.refusal(ws)))
    return rankings


@st.cache_resource(max_entries=4, show_spinner=False)
def _grid(_ws: Workspace, cache_key: str) -> dict:
    return names.visible_all(grid(_ws))


def grid(ws: Workspace) -> dict:
    """The table and the sets, without what is chosen."""
    about = {name: _method_and_features(ws, name) for name in row_names(ws)}
    columns = list(dict.fromkeys(features for _, features in about.values() if features != OTHER))
    columns += [OTHER] if any(features == OTHER for _, features in about.values()) else []
    lines: list[dict] = []
    for name, (method, features) in about.items():
        column = columns.index(features)
        free = (line for line in lines if line["method"] == method and line["cells"][column] is None)
        if not (line := next(free, None)):
            line = {"method": method, "colour": ranking_style(name)[0], "cells": [None] * len(columns)}
            lines.append(line)
        line["cells"][column] = name
    listed = {name: about[name] for name in ws.rankings()}
    return {"columns": columns, "rows": lines, "presets": _presets(ws, listed)}


def _presets(ws: Workspace, about: dict[str, tuple[str, str]]) -> list[dict]:
    """The sets that a button chooses, without those that are empty here."""
    control = ["random"] if "random" in about else []
    firsts = list({method: name for name, (method, _) in reversed(about.items())}.values())[::-1]
    sets = {
        "As in the paper": default_rankings(ws),
        "One of each method": [name for name in about if name in firsts],
        "All similarity": [name for name, (method, _) in about.items() if method in SIMILARITIES] + control,
        "Influence": [name for name, (method, _) in about.items() if method == "Influence"] + control,
        "Everything": list(about),
    }
    return [{"name": name, "rankings": some} for name, some in sets.items() if len(some) > len(control)]


def _method_and_features(ws: Workspace, name: str) -> tuple[str, str]:
    try:
        ranking = ws.ranking(name)
    except UserError:  # its row says so
        return name, OTHER
    features = ranking.feature or next((one for one in ws.features() if name.endswith(f"-{one}")), OTHER)
    return ranking.method, features
