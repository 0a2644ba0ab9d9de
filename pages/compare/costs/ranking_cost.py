"""Cost: what each ranking stores, took to build and takes for a query, against what it is worth."""

import math

import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from attribution import Workspace
from attribution.evaluation import cost
from attribution.export import palette
from pages.compare import auc_columns, plots, tab_frame
from pages.ui import format as write
from pages.ui import glossary, tables
from pages.ui.tables import Column, estimate, ranking_cell

MEASURE_COMMAND = ["evaluate", "cost"]
MARK_OFFSET = 0.025  # powers of ten between rankings that cost the same
SHAPES = {"circle": "●", "square": "■", "diamond": "◆", "triangle-up": "▲", "cross": "✚"}
BUILD_HELP = glossary.TERMS["build time"]
COLUMNS = [
    Column("ranking"),
    Column("stored", "n", "bytes that a query reads"),
    Column("build time", "n", BUILD_HELP),
    Column("query, ms", "n", "one target's top images"),
    Column("LDS", "n", tables.LDS_HELP),
    tables.INTERVAL,
]


def draw(ws: Workspace) -> None:
    """Draws the tab."""
    tab_frame.header("How good is each ranking for what it costs?")
    costs = tab_frame.stored_answer(
        ws, MEASURE_COMMAND, cost.load, "Cost has not been measured here yet. Measuring trains nothing.", "Measure cost"
    )
    if costs is None:
        return
    lds, supports = tab_frame.from_store(ws, cost.PART, cost.lds_and_support_aucs)
    rows = cost.cost_rows(costs, lds, supports)
    if any(row["lds"] is not None or row["auc"] is not None for row in rows):
        st.caption(
            "Quality of a ranking against the time it took to build, with all it rests on: left is cheap, high is good."
        )
    tab_frame.chart(
        figure(rows, lds, supports),
        "cost",
        "LDS and AUC of each ranking against the seconds it took to build; the table below has the numbers",
    )
    tab_frame.caption(_basis(ws, costs, rows, lds, supports))
    st.html(table_html(rows, costs, supports))
    tab_frame.download_line(ws, {"cost.csv": ("Table as CSV", to_csv(rows, costs))}, [MEASURE_COMMAND], "cost")


def figure(rows: list[dict], lds: dict | None, supports: dict) -> go.Figure:
    """LDS, and removal AUC where there is one, against build seconds on a logarithmic axis; a point a ranking, with its
    95 % interval. Those that took no building stand at its left end; rankings of one feature set cost the same, and
    stand side by side."""
    titles = {"lds": "LDS", "auc": auc_columns.title(supports, "remove") if "remove" in supports else ""}
    panels = {key: title for key, title in titles.items() if any(row[key] is not None for row in rows)}
    timed = [row for row in rows if row["build_seconds"] is not None]
    positive = [row["build_seconds"] for row in timed if row["build_seconds"] > 0]
    least, most = math.floor(math.log10(min(positive, default=1))), math.ceil(math.log10(max(positive, default=10)))
    left_end = 10.0 ** (least - 1)
    live = [row["ranking"] for row in timed if row["live"] and "-" in row["ranking"]]
    methods = list(dict.fromkeys(name.partition("-")[0] for name in live))
    chart = make_subplots(1, max(1, len(panels)), subplot_titles=list(panels.values()), horizontal_spacing=0.07)
    in_legend = set()
    for column, key in enumerate(panels, 1):
        by_method: dict[str, list[dict]] = {}
        for row in timed:
            if row[key] is not None:
                by_method.setdefault(row["ranking"].partition("-")[0], []).append(row)
        for method, points in by_method.items():
            aside = MARK_OFFSET * (methods.index(method) - (len(methods) - 1) / 2) if method in methods else 0
            chart.add_scatter(
                x=[(row["build_seconds"] or left_end) * 10**aside for row in points],
                y=[row[key] for row in points],
                name=points[0]["method"],
                legendgroup=method,
                showlegend=method not in in_legend,
                mode="markers",
                cliponaxis=False,
                marker={
                    "color": palette.ranking_style(points[0]["ranking"])[0],
                    "size": 10,
                    "symbol": [
                        palette.ranking_style(row["ranking"])[2] + "-open" * (method in palette.HOLLOW_METHODS)
                        for row in points
                    ],
                    "line": {"width": 2 if method in palette.HOLLOW_METHODS else 0},
                },
                error_y=plots.error_bars(
                    [row[key] for row in points], [row[f"{key}_ci"] for row in points], width=2, thickness=1
                ),
                customdata=[
                    f"{row['ranking']}: {row[key]:.3f}, 95 % {write.interval(row[f'{key}_ci'], 3)}, "
                    f"{build_time(row['build_seconds'])} to build"
                    for row in points
                ],
                hovertemplate="%{customdata}<extra></extra>",
                row=1,
                col=column,
            )
            in_legend.add(method)
    if "lds" in panels:
        plots.noise_ceiling_line(chart, lds.get("ceiling"), "y")
    ticks = [left_end, *(10.0**power for power in range(least, most + 1))]
    chart.update_xaxes(
        type="log",
        tickvals=ticks,
        ticktext=["none", *(f"{tick:,g} s" for tick in ticks[1:])],
        range=[least - 1.3, most + 0.1],
        title="build time, seconds",
    )
    chart.update_yaxes(rangemode="tozero")
    plots.set_layout(chart, 400, hovermode="closest")
    return chart


def _basis(ws: Workspace, costs: dict, rows: list[dict], lds: dict | None, supports: dict) -> str:
    sentences = [
        f"Queries were measured on {costs['machine']}, {costs['made']}: the top {costs['k']} images of a "
        f"target, median of {costs['targets']} targets, on one thread. Build times are those recorded when each part "
        "was made, with all that a ranking rests on; similarities in one feature set share its training, and "
        "are drawn side by side."
    ]
    shapes = {palette.ranking_style(f"-{name}")[2]: name for name in reversed(ws.features())}
    if len(shapes) > 1:
        names = ", ".join(f"{SHAPES[shape]} {name}" for shape, name in reversed(shapes.items()))
        sentences.append(f"Features: {names}.")
    untimed = [row["ranking"] for row in rows if row["build_seconds"] is None]
    if untimed:
        sentences.append(f"Not in the chart, as not all of the build time is known: {', '.join(untimed)}.")
    if lds:
        sentences.append(f"LDS over {tab_frame.held_out_halves(lds)}.")
    return " ".join([*sentences, *auc_columns.sentences(supports)])


def build_time(seconds: float | None) -> str:
    """None -> "not known", 0 -> "none", 90 -> "1 min 30 s"."""
    return "not known" if seconds is None else "none" if not seconds else write.seconds(seconds)


def table_html(rows: list[dict], costs: dict, supports: dict) -> str:
    """A row a ranking; what bytes and seconds are of stands in each cell's tooltip."""
    body = []
    for row in rows:
        parts = costs["rankings"][row["ranking"]]
        sizes = ", ".join(f"{part}: {write.byte_size(size)}" for part, size in parts["bytes"].items() if size)
        times = ", ".join(f"{part}: {build_time(seconds)}" for part, seconds in parts["seconds"].items())
        body.append(
            [
                ranking_cell(row["ranking"]),
                (write.byte_size(row["bytes"]), sizes),
                (build_time(row["build_seconds"]), times),
                write.decimal(row["query_ms"]),
                *estimate(row["lds"], row["lds_ci"], 3),
                *auc_columns.cells(supports, row["ranking"]),
            ]
        )
    return tables.table_html([*COLUMNS, *auc_columns.columns(supports)], body)


def to_csv(rows: list[dict], costs: dict) -> str:
    """A row a ranking."""
    return tables.to_csv(
        {
            **{key: row[key] for key in ("ranking", "method", "live", "bytes", "build_seconds", "query_ms", "lds")},
            **tables.low_high(row["lds_ci"], "lds"),
            **_auc_cells(row, "auc"),
            **_auc_cells(row, "mislabel_auc"),
            "machine": costs["machine"],
            "made": costs["made"],
        }
        for row in rows
    )


def _auc_cells(row: dict, key: str) -> dict:
    return {key: row[key], **tables.low_high(row[f"{key}_ci"], key), f"{key}_n": row[f"{key}_n"]}
