"""Cost: what each ranking stores, took to build and takes for a query, against what it is worth."""

import csv
import io
import math

import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from attribution import UserError, Workspace, cost
from attribution.store import Store
from pages.methods import words
from pages.ui import cli_command, downloads, measurement, palette, state, theme
from pages.ui import format as write

MEASURE = ["evaluate", "cost"]
APART = 0.025  # powers of ten between rankings that cost the same
SHAPES = {"circle": "●", "square": "■", "diamond": "◆", "triangle-up": "▲", "cross": "✚"}
BUILD = "of all it rests on: features, base models or models on random halves"
state_of = st.session_state


def draw(ws: Workspace) -> None:
    st.header("What does each ranking cost, and what is it worth?", anchor=False)
    if state.ERROR in state_of:
        st.error(write.sentence(state_of.pop(state.ERROR)))
    measurement.under_way(ws, MEASURE)
    try:
        found = cost.stored(ws)
        if found is None:
            st.info("What these rankings cost has not been measured yet.")
            measurement.button(ws, MEASURE, "Measure it")
            return
        store = Store.of(ws)
        try:
            lds, supports = worth(ws, store, theme.cache_key(ws), (store.stamp_of_supports(), store.newest_job()))
        finally:
            store.close()
    except UserError as error:
        st.error(write.sentence(error))
        return
    rows = cost.card(found, lds, supports)
    if any(row["lds"] is not None or row["auc"] is not None for row in rows):
        st.caption("What a ranking is worth, against the time that all it rests on took: left is cheap, high is good.")
    st.plotly_chart(
        chart(rows, lds),
        key="cost",
        config={"displayModeBar": False},
        alt="worth of each ranking against the seconds it took to build; the table below has the numbers",
    )
    _caption(ws, found, rows, lds, supports)
    st.html(table_html(rows, found))
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Table as CSV",
            data=to_csv(rows, found),
            file_name="cost.csv",
            on_click="ignore",
            icon=":material/download:",
        )
        downloads.figure_popover(ws, "cost")
        with st.popover("Copy command", icon=":material/terminal:"):
            st.code(cli_command.line(ws, *MEASURE), language="bash", wrap_lines=True)


@st.cache_resource(max_entries=4, show_spinner="Comparing the rankings")
def worth(_ws, _store, stamp: str, known: tuple):
    """`cost.worth`, read anew when a part, an answer or a study has come in."""
    return cost.worth(_ws, _store)


def chart(rows: list[dict], lds: dict | None) -> go.Figure:
    """LDS, and removal AUC where there is one, against build seconds on a logarithmic axis; a point a ranking, with its
    95 % interval. Those that took no building stand at its left end; rankings of one feature set cost the same, and
    stand side by side."""
    panels = [
        (key, title)
        for key, title in (("lds", "LDS"), ("auc", "removal AUC"))
        if any(row[key] is not None for row in rows)
    ]
    timed = [row for row in rows if row["build_seconds"] is not None]
    positive = [row["build_seconds"] for row in timed if row["build_seconds"] > 0]
    least, most = math.floor(math.log10(min(positive, default=1))), math.ceil(math.log10(max(positive, default=10)))
    nothing = 10.0 ** (least - 1)
    live = [row["ranking"] for row in timed if row["live"] and "-" in row["ranking"]]
    methods = list(dict.fromkeys(name.partition("-")[0] for name in live))
    figure = make_subplots(
        1, max(1, len(panels)), subplot_titles=[title for _, title in panels], horizontal_spacing=0.07
    )
    named = set()
    for column, (key, _) in enumerate(panels, 1):
        of: dict[str, list[dict]] = {}
        for row in timed:
            if row[key] is not None:
                of.setdefault(row["ranking"].partition("-")[0], []).append(row)
        for method, points in of.items():
            aside = APART * (methods.index(method) - (len(methods) - 1) / 2) if method in methods else 0
            ends = [row[f"{key}_ci"] or (row[key], row[key]) for row in points]
            figure.add_scatter(
                x=[(row["build_seconds"] or nothing) * 10**aside for row in points],
                y=[row[key] for row in points],
                name=points[0]["method"],
                legendgroup=method,
                showlegend=method not in named,
                mode="markers",
                cliponaxis=False,
                marker={
                    "color": palette.line(points[0]["ranking"])[0],
                    "size": 10,
                    "symbol": [palette.line(row["ranking"])[2] + "-open" * (method in palette.OPEN) for row in points],
                    "line": {"width": 2 if method in palette.OPEN else 0},
                },
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "thickness": 1,
                    "width": 2,
                    "array": [high - row[key] for row, (_, high) in zip(points, ends)],
                    "arrayminus": [row[key] - low for row, (low, _) in zip(points, ends)],
                },
                customdata=[
                    f"{row['ranking']}: {row[key]:.3f}, 95 % {words.interval(row[f'{key}_ci'], 3)}, "
                    f"{build_text(row['build_seconds'])} to build"
                    for row in points
                ],
                hovertemplate="%{customdata}<extra></extra>",
                row=1,
                col=column,
            )
            named.add(method)
        if key == "lds" and lds.get("ceiling") is not None:
            figure.add_hline(
                lds["ceiling"],
                line={"dash": "dot", "width": 1, "color": "#808080"},
                annotation={"text": "noise ceiling", "font": {"size": 11}},
                row=1,
                col=column,
            )
    ticks = [nothing, *(10.0**power for power in range(least, most + 1))]
    figure.update_xaxes(
        type="log",
        tickvals=ticks,
        ticktext=["none", *(f"{tick:,g} s" for tick in ticks[1:])],
        range=[least - 1.3, most + 0.1],
        title="seconds to build",
    )
    figure.update_yaxes(rangemode="tozero")
    figure.update_layout(
        height=400,
        margin={"l": 8, "r": 8, "t": 70, "b": 8},
        hovermode="closest",
        legend={"orientation": "h", "y": 1.22, "x": 0},
    )
    return figure


def _caption(ws: Workspace, found: dict, rows: list[dict], lds: dict | None, supports: dict) -> None:
    lines = [
        f"Queries were measured on {found['machine']}, {found['made']}: the first {found['k']} images of a "
        f"target, median of {found['targets']} targets, on one thread. Build times are as each part's provenance "
        "has them, with all that a ranking rests on; the similarities of one feature set share its training, and "
        "are drawn side by side."
    ]
    shapes = {palette.line(f"-{name}")[2]: name for name in reversed(ws.features())}
    if len(shapes) > 1:
        lines.append(f"Features: {', '.join(f'{SHAPES[shape]} {name}' for shape, name in reversed(shapes.items()))}.")
    untimed = [row["ranking"] for row in rows if row["build_seconds"] is None]
    if untimed:
        lines.append(f"Not in the chart, since nobody timed all of it: {', '.join(untimed)}.")
    if lds:
        lines.append(words.lds_made(lds))
    lines += words.side_by_side(supports)
    st.caption(write.plain(" ".join(lines)))


def build_text(seconds: float | None) -> str:
    return "not known" if seconds is None else "none" if not seconds else write.seconds(seconds)


def bytes_text(n: int) -> str:
    """1536256 -> "1.54 MB"."""
    return "none" if not n else f"{n / 1e6:,.3g} MB" if n >= 1e5 else f"{n / 1e3:,.3g} kB"


def table_html(rows: list[dict], found: dict) -> str:
    """A row a ranking; what bytes and seconds are of stands in each cell's title."""
    heads = [
        ("ranking", ""),
        ("stored", "what a query reads"),
        ("build", BUILD),
        ("query, ms", ""),
        ("LDS", ""),
        ("95 %", ""),
        ("removal AUC", words.AUC),
        ("95 %", words.CI),
        ("mislabel AUC", words.AUC),
        ("95 %", words.CI),
    ]
    head = "".join(
        f'<th class="{"" if name in ("ranking", "95 %") else "n"}" title="{write.escape(title)}">{name}</th>'
        for name, title in heads
    )
    body = ""
    for row in rows:
        of = found["rankings"][row["ranking"]]
        parts = ", ".join(f"{part}: {bytes_text(size)}" for part, size in of["bytes"].items() if size)
        built = ", ".join(f"{part}: {build_text(seconds)}" for part, seconds in of["seconds"].items())
        speed = "–" if row["query_ms"] is None else f"{row['query_ms']:.2f}"
        body += (
            f"<tr><td>{words.swatch(row['ranking'])}{write.escape(row['ranking'])}</td>"
            f'<td class="n" title="{write.escape(parts)}">{bytes_text(row["bytes"])}</td>'
            f'<td class="n" title="{write.escape(built)}">{build_text(row["build_seconds"])}</td>'
            f'<td class="n">{speed}</td>{_worth_cells(row, "lds", 3)}{_worth_cells(row, "auc", 2)}'
            f"{_worth_cells(row, 'mislabel_auc', 2)}</tr>"
        )
    return words.framed(f"<tr>{head}</tr>", body)


def _worth_cells(row: dict, key: str, digits: int) -> str:
    if row[key] is None:
        return '<td class="n">–</td><td></td>'
    return f'<td class="n"><b>{row[key]:.{digits}f}</b></td><td>{words.interval(row[f"{key}_ci"], digits)}</td>'


def to_csv(rows: list[dict], found: dict) -> str:
    """A row a ranking."""
    out = io.StringIO()
    names = [
        "ranking",
        "method",
        "live",
        "bytes",
        "build_seconds",
        "query_ms",
        "lds",
        "lds_low",
        "lds_high",
        "auc",
        "auc_low",
        "auc_high",
        "auc_n",
        "mislabel_auc",
        "mislabel_auc_low",
        "mislabel_auc_high",
        "mislabel_auc_n",
        "machine",
        "made",
    ]
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        ends = {
            f"{key}_{end}": (row[f"{key}_ci"] or ("", ""))[at]
            for key in ("lds", "auc", "mislabel_auc")
            for at, end in enumerate(("low", "high"))
        }
        kept = {name: value for name, value in row.items() if not name.endswith("_ci")}
        writer.writerow({**kept, **ends, "machine": found["machine"], "made": found["made"]})
    return out.getvalue()
