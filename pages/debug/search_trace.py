"""A support search as a small chart: what share of the models was wrong at each k tried, and the last bracket."""

import plotly.graph_objects as go
import streamlit as st

from attribution.export import palette
from pages.debug import verdict_text as text


def share_wrong(probe: dict, label: int) -> tuple[float, bool | None]:
    """(share of the trained models that are wrong, the probe's verdict so far)."""
    done = [run["predicted"] for run in probe["runs"] if run["state"] == "done"]
    return sum(p != label for p in done) / max(1, len(done)), text.probe_flips(probe, label)


@st.cache_resource(max_entries=50, show_spinner=False)
def figure(points: tuple, lo: int | None, hi: int | None, outcomes: tuple) -> go.Figure:
    """The chart of a trace; the same trace gives the same object.

    points: (k, with fresh seeds, share wrong, verdict) of each probe in the order tried; outcomes: the items of
    `text.outcome_words`."""
    chart = go.Figure()
    if lo is not None and hi is not None:
        chart.add_vrect(x0=max(lo, 0.5), x1=hi, fillcolor=palette.HIGHLIGHT, opacity=0.3, line_width=0)
    chart.add_hline(y=0.5, line={"dash": "dot", "width": 1, "color": "gray"})
    names = dict(outcomes)
    styles = {
        True: (names[True], "diamond", palette.HARMFUL),
        False: (names[False], "circle", palette.HELPFUL),
        None: ("under way", "circle-open", "gray"),
    }
    for verdict, (name, symbol, colour) in styles.items():
        shown = [(number, *point[:3]) for number, point in enumerate(points, 1) if point[3] is verdict]
        if shown:
            numbers, ks, confirms, shares = zip(*shown)
            symbols = [f"{symbol}-open" if fresh and verdict is not None else symbol for fresh in confirms]
            chart.add_scatter(
                x=ks,
                y=shares,
                mode="markers",
                name=name,
                marker={"symbol": symbols, "size": 11, "color": colour, "line": {"width": 2, "color": colour}},
                customdata=[(n, ", fresh seeds" if fresh else "") for n, fresh in zip(numbers, confirms)],
                hovertemplate="k = %{x}: %{y:.0%} wrong (probe %{customdata[0]}%{customdata[1]})<extra></extra>",
            )
    chart.update_layout(
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        legend={"orientation": "h", "y": 1.12, "x": 0},
        xaxis={"type": "log", "title": "k", "dtick": "D2", "range": [-0.1, 2.3]},
        yaxis={"title": "share wrong", "range": [-0.08, 1.08], "tickformat": ".0%", "dtick": 0.5},
    )
    return chart
