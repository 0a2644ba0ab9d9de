"""Support curves of a study under way: a small panel for each ranking and kind, with a band for what is not known."""

from dataclasses import dataclass

import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from attribution.experiments.study import Study
from attribution.export import palette
from attribution.metrics import support_curves

COLUMNS = 5
TITLES = {"remove": "removal", "mislabel": "mislabelling"}


@dataclass(frozen=True)
class Panel:
    """One support curve: `answered` of `targets` have their answer. At the corners `ks`, `low` and `high` are the least
    and the most that can have flipped by k, shares of the targets that are not already wrong."""

    kind: str
    ranking: str
    answered: int
    targets: int
    ks: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def panels(study: Study, brackets: dict) -> tuple[Panel, ...]:
    """A panel for each kind and ranking. brackets: of `attribution.experiments.study_progress.StudyProgress`."""
    return tuple(
        _make_panel(kind, ranking, results, brackets, study.k_max)
        for kind, rankings in study.tables.items()
        for ranking, results in rankings.items()
    )


def _make_panel(kind: str, ranking: str, results: dict, brackets: dict, k_max: int) -> Panel:
    """results: target -> its support, None while it is searched."""
    pending = [brackets.get((kind, ranking, target), (0, None)) for target in results if not results[target]]
    low, high = support_curves.cdf_band(results.values(), pending, k_max)
    ks = [k for k in range(k_max + 1) if k in (0, k_max) or (low[k], high[k]) != (low[k - 1], high[k - 1])]
    least, most = tuple(float(low[k]) for k in ks), tuple(float(high[k]) for k in ks)
    return Panel(kind, ranking, len(results) - len(pending), len(results), tuple(ks), least, most)


@st.cache_resource(max_entries=8, show_spinner=False)
def figure(panels: tuple[Panel, ...], k_max: int) -> go.Figure:
    """All panels on the same axes, a kind after the other. Same panels, same object."""
    kinds = list(dict.fromkeys(panel.kind for panel in panels))
    of_kind = [[panel for panel in panels if panel.kind == kind] for kind in kinds]
    columns = min(COLUMNS, max(map(len, of_kind)))
    places, rows = {}, 0  # (row, column), counted from 1 -> panel
    for group in of_kind:
        places |= {(rows + at // columns + 1, at % columns + 1): panel for at, panel in enumerate(group)}
        rows += -(-len(group) // columns)
    names = {place: f"{panel.ranking}, {TITLES.get(panel.kind, panel.kind)}" for place, panel in places.items()}
    chart = make_subplots(
        rows,
        columns,
        shared_xaxes=True,
        shared_yaxes=True,
        horizontal_spacing=0.015,
        vertical_spacing=0.28 / rows,
        subplot_titles=[names.get((at, column), "") for at in range(1, rows + 1) for column in range(1, columns + 1)],
    )
    for (row, column), panel in places.items():
        _draw_panel(chart, panel, row, column)
    chart.update_xaxes(range=[0, k_max])
    chart.update_yaxes(range=[0, 1.03], tickformat=".0%", dtick=0.5)
    verb = "repaired" if list(kinds) == ["repair"] else "flipped"
    chart.update_yaxes(title=f"targets {verb}", title_font_size=12, col=1)
    chart.update_xaxes(title="k, first images of the ranking edited", title_font_size=12, row=rows, col=1)
    chart.update_annotations(font_size=13)
    chart.update_layout(
        height=40 + 190 * rows,
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        showlegend=False,
        hovermode="x",
        dragmode=False,
    )
    return chart


def _draw_panel(chart: go.Figure, panel: Panel, row: int, column: int) -> None:
    colour = palette.ranking_style(panel.ranking)[0]
    edge = {"mode": "lines", "line": {"shape": "hv", "color": colour, "width": 1.8}, "x": panel.ks}
    chart.add_scatter(
        **edge, y=panel.low, hovertemplate="at least %{y:.0%} by k = %{x}<extra></extra>", row=row, col=column
    )
    chart.add_scatter(
        **edge,
        y=panel.high,
        fill="tonexty",
        fillcolor=_pale(colour),
        row=row,
        col=column,
        hovertemplate="at most %{y:.0%}<extra></extra>",
    )


def _pale(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.22)"
