"""The support curves (CDFs), one panel for each kind of support."""

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from attribution.evaluation.support_report import cdf_points
from attribution.experiments.study import Study
from attribution.export import palette
from attribution.metrics import support_curves as curves
from pages.compare import plots

PANEL_TITLES = {"remove": "Removal", "mislabel": "Mislabelling", "repair": "Repair of wrong targets"}


def support_curves(study: Study) -> go.Figure:
    """A step a target, with customdata [kind, ranking, target]; a band where searches are unfinished."""
    kinds = list(study.tables)
    chart = make_subplots(
        1, len(kinds), subplot_titles=[PANEL_TITLES[kind] for kind in kinds], shared_yaxes=True, horizontal_spacing=0.05
    )
    in_legend = set()
    for column, kind in enumerate(kinds, 1):
        for ranking, results in study.tables[kind].items():
            _band(chart, column, ranking, results, study.k_max)
            _curve(chart, column, kind, ranking, results, study.k_max, ranking not in in_legend)
            in_legend.add(ranking)
    chart.update_xaxes(range=[0, study.k_max * 1.01], title="k, first images of the ranking edited")
    chart.update_yaxes(range=[0, 1.02], tickformat=".0%", title=None)
    chart.update_yaxes(title="targets flipped or repaired" if "repair" in kinds else "targets flipped", col=1)
    plots.set_layout(
        chart,
        430,
        1.2,
        legend={"entrywidth": 130},
        hovermode="closest",
        clickmode="event+select",
        dragmode="select",
    )
    return chart


def _curve(chart, column, kind, ranking, results, k_max, showlegend) -> None:
    steps = cdf_points(results, k_max)
    colour, dash, marker = palette.ranking_style(ranking)
    last = steps[-1][1] if steps else 0
    chart.add_scatter(
        x=[0, *(step[0] for step in steps), k_max],
        y=[0, *(step[1] for step in steps), last],
        name=ranking,
        mode="lines+markers",
        line={"shape": "hv", "color": colour, "dash": dash, "width": 2.5},
        legendgroup=ranking,
        marker={
            "color": colour,
            "size": [0, *(8 for _ in steps), 0],
            "symbol": [marker, *(f"{marker}-open" if step[3] == "unstable" else marker for step in steps), marker],
        },
        customdata=[None, *([kind, ranking, step[2]] for step in steps), None],
        showlegend=showlegend,
        row=1,
        col=column,
        hovertemplate=ranking + ": target %{customdata[2]} at k = %{x}, %{y:.0%} by then<extra></extra>",
    )


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
