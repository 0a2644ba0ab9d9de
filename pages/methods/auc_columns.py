"""AUCs of supports beside another measurement: read from the studies, as columns of its table and of its chart."""

import streamlit as st

from attribution import Workspace
from attribution.store import Store
from pages.methods import words
from pages.ui import look

TITLES = {"remove": "removal AUC", "mislabel": "mislabel AUC"}


def read(ws: Workspace, measurement, answer: dict) -> dict[str, dict]:
    """`measurement.worth` of its answer, see `studies.side_by_side`; read anew when a part, an answer or a study has
    come in."""
    store = Store.of(ws)
    try:
        return _read(
            ws,
            store,
            measurement,
            answer,
            measurement.PART,
            look.stamp(ws),
            (store.stamp_of_supports(), store.newest_job()),
        )
    finally:
        store.close()


@st.cache_resource(max_entries=8, show_spinner="Comparing supports")
def _read(_ws, _store, _measurement, _answer, part: str, stamp: str, known: tuple) -> dict:
    return _measurement.worth(_ws, _store, _answer)


def row(worth: dict, kind: str, name: str) -> dict:
    """The AUC of a ranking's supports as {"auc", "auc_ci", "n", ...}; empty where it was not studied."""
    found = worth.get(kind, {}).get("rankings", {}).get(name)
    return found if found and found["n"] else {}


def heads(worth: dict) -> str:
    """Two columns a kind."""
    return "".join(
        f'<th class="n first" title="{words.AUC}">{TITLES[kind]}</th><th title="{words.CI}">95 %</th>' for kind in worth
    )


def cells(worth: dict, name: str) -> str:
    """A ranking's cells of `heads`."""
    found = (row(worth, kind, name) for kind in worth)
    return "".join(
        f'<td class="n first"><b>{one["auc"]:.2f}</b></td><td>{words.interval(one["auc_ci"])}</td>'
        if one
        else '<td class="n first">–</td><td></td>'
        for one in found
    )


def csv_heads() -> list[str]:
    return [f"{kind}_auc{end}" for kind in TITLES for end in ("", "_low", "_high", "_targets")]


def csv_cells(worth: dict, name: str) -> list:
    """A ranking's cells of `csv_heads`."""
    found = [row(worth, kind, name) for kind in TITLES]
    return [
        value for one in found for value in (one.get("auc", ""), *(one.get("auc_ci") or ("", "")), one.get("n", ""))
    ]


def bars(middles: list[float], ends: list) -> dict:
    """Plotly's error bars of intervals (low, high), or None, around `middles`."""
    kept = [end or (middle, middle) for middle, end in zip(middles, ends)]
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - middle for middle, (_, high) in zip(middles, kept)],
        "arrayminus": [middle - low for middle, (low, _) in zip(middles, kept)],
        "width": 4,
        "thickness": 1.2,
    }
