"""The support curves (CDFs), one panel for each kind of support."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from attribution import Workspace
from attribution.evaluation.support_report import cdf_points
from attribution.experiments.study import Study
from attribution.experiments.support_search import Support
from attribution.export import palette
from attribution.metrics import support_curves as curves
from pages.compare import plots

SHOWN_MARKERS = 7  # of a curve: they say its feature set, and more would bury the lines
TARGET_MARK = 15  # pixels: the ring of the target that is looked at
PANEL_TITLES = {"remove": "Removal", "mislabel": "Mislabelling", "repair": "Repair of wrong targets"}


def support_curves(study: Study, target: int | None = None) -> go.Figure:
    """A step a target, with customdata [kind, ranking, target, how it flips]; a band where searches are unfinished.
    target: is ringed on every curve where it flips."""
    kinds = list(study.tables)
    chart = make_subplots(
        1, len(kinds), subplot_titles=[PANEL_TITLES[kind] for kind in kinds], shared_yaxes=True, horizontal_spacing=0.05
    )
    in_legend = set()
    for column, kind in enumerate(kinds, 1):
        most = max(map(len, study.tables[kind].values()))
        for ranking, results in study.tables[kind].items():
            _band(chart, column, ranking, results, study.k_max)
            few = f" ({len(results)} targets)" if len(results) < most else ""
            _curve(chart, column, kind, ranking, results, study.k_max, ranking not in in_legend, few)
            in_legend.add(ranking)
        if target is not None:
            _target(chart, column, study.tables[kind], study.k_max, target)
    chart.update_xaxes(range=[0, study.k_max * 1.01], title="k, top images edited")
    chart.update_yaxes(range=[0, 1.02], tickformat=".0%", title=None)
    chart.update_yaxes(title="targets flipped or repaired" if "repair" in kinds else "targets flipped", col=1)
    plots.set_layout(
        chart,
        450,
        legend={"entrywidth": 130},
        hovermode="closest",
        clickmode="event+select",
        dragmode="select",
    )
    return chart


def _curve(chart, column, kind, ranking, results, k_max, showlegend, few) -> None:
    """few: how many targets there are, where others have more."""
    steps = cdf_points(results, k_max)
    colour, dash, marker = palette.ranking_style(ranking)
    last = steps[-1][1] if steps else 0
    chart.add_scatter(
        x=[0, *(step[0] for step in steps), k_max],
        y=[0, *(step[1] for step in steps), last],
        name=ranking + few,
        mode="lines+markers",
        line={"shape": "hv", "color": colour, "dash": dash, "width": 2.5},
        legendgroup=ranking,
        marker={
            "color": colour,
            "symbol": marker,
            "size": [0, *(7 for _ in steps), 0],
            "maxdisplayed": SHOWN_MARKERS,
        },
        customdata=_objects([None, *([kind, ranking, step[2], _size_text(step)] for step in steps), None]),
        showlegend=showlegend,
        row=1,
        col=column,
        hovertemplate=ranking + few + ": target %{customdata[2]} %{customdata[3]}; %{y:.0%} by then<extra></extra>",
    )


def _objects(rows: list) -> np.ndarray:
    """The rows as they are, in an array: Plotly looks through lists element by element, which takes longer than all
    the rest of the chart."""
    array = np.empty(len(rows), dtype=object)
    array[:] = rows
    return array


def _size_text(step: tuple) -> str:
    """ "flips at 16", "flips at ≈ 16 (approximate)"."""
    k, _, _, status = step
    return f"flips at ≈ {k} (approximate)" if status == "unstable" else f"flips at {k}"


def _target(chart, column: int, tables: dict, k_max: int, target: int) -> None:
    """A ring on each curve where the target flips, in the curve's colour."""
    for ranking, results in tables.items():
        for k, share, at, _ in cdf_points(results, k_max):
            if at == target:
                chart.add_scatter(
                    x=[k],
                    y=[share],
                    mode="markers",
                    name=f"target {target}",
                    legendgroup=ranking,
                    showlegend=False,
                    hoverinfo="skip",
                    marker={
                        "color": palette.ranking_style(ranking)[0],
                        "symbol": "circle-open",
                        "size": TARGET_MARK,
                        "line": {"width": 3},
                    },
                    row=1,
                    col=column,
                )


def target_sentence(ws: Workspace, study: Study, target: int) -> str:
    """What the study found of one target by removal, ranking by ranking."""
    name = f"Target {target} ({ws.classes[int(ws.val_labels[target])]})"
    supports = study.tables.get("remove", {})
    known = {ranking: results[target] for ranking, results in supports.items() if results.get(target)}
    if not known:
        return f"{name} is not among the targets of this study by removal, so the curves do not mark it."
    sizes = [f"{ranking} {_removal_text(support, study.k_max)}" for ranking, support in known.items()]
    return f"{name}, ringed on the curves. Images removed until it flips: {', '.join(sizes)}."


def _removal_text(support: Support, k_max: int) -> str:
    if support.status == "already_wrong":
        return "none (already wrong)"
    if support.support is None:
        return f"no flip within {k_max}"
    return f"≈ {support.support}" if support.status == "unstable" else str(support.support)


def _band(chart, column, ranking, results, k_max) -> None:
    """Between the worst and the best that the unfinished searches can still give."""
    pending = [support for support in results.values() if support is None]
    if not pending:
        return
    low, high = curves.cdf_band(results.values(), [(0, None)] * len(pending), k_max)
    ks = list(range(k_max + 1))
    chart.add_scatter(
        x=[*ks, *reversed(ks)],
        y=[*high, *reversed(low)],
        fill="toself",
        opacity=0.07,
        hoverinfo="skip",
        mode="none",
        fillcolor=palette.ranking_style(ranking)[0],
        legendgroup=ranking,
        showlegend=False,
        row=1,
        col=column,
    )
