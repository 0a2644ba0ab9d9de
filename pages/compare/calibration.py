"""Calibration: do scores predict by how much a margin changes when images are removed?"""

import plotly.graph_objects as go
import streamlit as st

from attribution import Workspace
from attribution.evaluation import calibration
from attribution.export import palette
from pages.compare import plots, tab_frame
from pages.ui import format as write
from pages.ui import measurement, state, tables, theme
from pages.ui.tables import Column, ranking_cell

MEASURE_COMMAND = ["evaluate", "calibration"]
COLUMNS = [
    Column("ranking"),
    Column("images removed"),
    Column("removals", "n", "sets of images that were removed, each a retraining"),
    Column("targets", "n"),
    Column("slope", "n", "measured change for each unit of predicted change: 1 if the scale is right"),
    Column("95 %", "n", "bootstrap over targets"),
    Column(
        "R²",
        "n",
        "variance explained, on targets that the slope was not fitted on; below 0: worse than the mean",
    ),
    Column("95 %", "n", "bootstrap over targets"),
    Column("R² by split", "n", "10th to 90th percentile of R² over the random splits of the targets"),
    Column("R² ceiling", "n", "the highest R² that the noise between seeds leaves possible"),
    Column("Spearman", "n", "rank correlation of predicted and measured change"),
    Column("95 %", "n", "bootstrap over targets"),
]
MAX_NAMED = 6  # rankings that predict nothing, beyond which they are counted


def draw(ws: Workspace) -> None:
    """Draws the tab."""
    tab_frame.header("Do scores predict the effect of removal?")
    if not ws.has_base:
        with st.container(width=760):
            theme.train_first(
                ws, "This compares models with and without some images, and no model has been trained here yet."
            )
        return
    if not calibration.signed_rankings(ws):
        st.info(
            "No ranking here has signed scores for every training image, which predicting a change needs. TRAK and "
            "Datamodels have: build or import one in Data & jobs."
        )
        return
    running = measurement.under_way(ws, MEASURE_COMMAND)
    rows = tab_frame.stored_answer(
        ws,
        MEASURE_COMMAND,
        calibration.load,
        "Not measured yet, or a ranking has changed since. It compares predicted changes with retrainings that are "
        "stored already (a study by removal, or single ones), and trains nothing.",
        "Measure calibration",
        running=running,
    )
    if rows is None:
        return
    names = [name for name in rows.names if calibration.origins_of(rows, name)]
    if not names:
        st.info("None of the retrained targets has a ranking with signed scores.")
        return
    summary = _calibration_summary(ws, rows, theme.cache_key(ws))
    tab_frame.caption(
        "Signed scores predict how far a target's margin falls when images are removed: by the sum of their scores, "
        f"times a scale (the slope). The slope is fitted on a random half of the targets, R² measured on the other, "
        f"{summary['splits']} times."
    )
    with st.container(horizontal=True, gap="small"):
        name = st.segmented_control(
            "Ranking",
            names,
            default=names[0],
            required=True,
            key=state.CALIBRATED,
            bind="query-params",
            label_visibility="collapsed",
        )
        groups = calibration.origins_of(rows, name)
        whose = st.segmented_control(
            "Images removed",
            groups,
            default=groups[0],
            required=True,
            key=state.REMOVED_ORIGIN,
            format_func=calibration.ORIGINS.get,
            label_visibility="collapsed",
        )
    tab_frame.chart(
        figure(calibration.chart_points(rows, summary, name, whose), name),
        "calibration",
        f"change of margin predicted by {name} against measured; the tables below have the numbers",
    )
    st.html(table_html(summary))
    tab_frame.caption(f"{name} by number of images removed ({calibration.ORIGINS[whose]}), with the slopes above.")
    st.html(sizes_html(summary["rankings"][name][whose]["sizes"]))
    _captions(summary)
    files = {
        "calibration.csv": ("Table as CSV", to_csv(summary)),
        "calibration-points.csv": ("Points as CSV", points_csv(rows, summary)),
    }
    line = tab_frame.download_line(
        ws, files, [[*MEASURE_COMMAND, "--json"]], "calibration", ranking=name, removed=whose
    )
    if not running:
        with line, st.popover("Measure again", icon=":material/refresh:"):
            st.caption("Takes in the retrainings stored since.")
            measurement.button(ws, MEASURE_COMMAND, "Measure again")


@st.cache_data(max_entries=4, show_spinner="Comparing predicted with measured changes")
def _calibration_summary(_ws, _rows, stamp: str) -> dict:
    return calibration.report(_ws, _rows)


def _captions(summary: dict) -> None:
    unedited = {
        0: "Margins before removal: mean of the base models",
        1: "Margins before removal: of the same seeds",
    }.get(
        summary["paired"],
        "Margins before removal: of the same seeds for "
        f"{write.percent(summary['paired'], 0)} of the removals, else the mean of the base models",
    )
    tab_frame.caption(
        f"{write.count(summary['sets'])} removals, {summary['targets']} targets; recipe {summary['recipe']} "
        f"{summary['recipe_hash']}. {unedited}; standard deviation of a margin over seeds: {summary['noise']:.2f}. "
        "Most removals come from support searches, which test k near the flip, so removals that nearly flip a target "
        "are over-represented. Relabelling is left out: scores do not predict it."
    )
    unsigned = summary["unsigned"]
    if unsigned:
        named = ", ".join(unsigned) if len(unsigned) <= MAX_NAMED else f"The other {len(unsigned)} rankings"
        tab_frame.caption(f"{named}: scores without a sign or a unit, so no predicted change.")


def figure(points: list[dict], name: str) -> go.Figure:
    """Predicted against measured change, and a line where both are equal."""
    scaled = all(point["foretold"] is not None for point in points)
    x = "foretold" if scaled else "predicted"
    chart = go.Figure()
    for source in dict.fromkeys(point["removed"] for point in points):
        some = [point for point in points if point["removed"] == source]
        colour, _, marker = palette.ranking_style(source)
        chart.add_scatter(
            x=[point[x] for point in some],
            y=[point["measured"] for point in some],
            mode="markers",
            name="chosen by hand" if source == calibration.CHOSEN_SOURCE else f"top k of {source}",
            marker={"color": colour, "size": 7, "opacity": 0.8, "symbol": marker},
            customdata=[[point["target"], point["k"], point["seeds"]] for point in some],
            hovertemplate="target %{customdata[0]} without %{customdata[1]} of "
            + source
            + ": predicted %{x:.2f}, measured %{y:.2f} (%{customdata[2]} seeds)<extra></extra>",
        )
    if scaled and points:
        values = [value for point in points for value in (point[x], point["measured"])]
        ends = [min(values), max(values)]
        chart.add_scatter(
            x=ends,
            y=ends,
            mode="lines",
            name="as predicted",
            hoverinfo="skip",
            line={"color": plots.GREY, "dash": "dot", "width": 1.5},
        )
    plots.set_layout(
        chart,
        420,
        hovermode="closest",
        xaxis={"title": f"change of the margin predicted by {name}" + ("" if scaled else ", unscaled")},
        yaxis={"title": "measured change of the margin"},
    )
    return chart


def table_html(summary: dict) -> str:
    """A row for each ranking and group of sets, see `calibration.fit_scale`."""
    rows = []
    for name, groups in summary["rankings"].items():
        for whose, fit in groups.items():
            slope, ends = fit["slope"], fit["slope_ci"]
            rows.append(
                [
                    ranking_cell(name),
                    calibration.ORIGINS[whose],
                    fit["n"],
                    fit["targets"],
                    "–" if slope is None else write.score(slope),
                    " to ".join(map(write.score, ends)).replace("-", "−") if ends else "–",
                    f"<b>{write.decimal(fit['r2'])}</b>",
                    write.interval(fit["r2_ci"]),
                    write.interval(fit["r2_splits"]),
                    write.decimal(fit["reachable"]),
                    f"<b>{write.decimal(fit['spearman'])}</b>",
                    write.interval(fit["spearman_ci"]),
                ]
            )
    return tables.table_html(COLUMNS, rows)


def sizes_html(sizes: dict[str, dict]) -> str:
    """A row for each size of k."""
    columns = [Column(name, "n") for name in ("images removed", "removals", "targets", "R²", "Spearman")]
    rows = [
        [label, fit["n"], fit["targets"], write.decimal(fit["r2"]), write.decimal(fit["spearman"])]
        for label, fit in sizes.items()
    ]
    return tables.table_html(columns, rows)


def to_csv(summary: dict) -> str:
    """A row for each ranking and group, and one for each size of k in it."""
    rows = []
    for name, groups in summary["rankings"].items():
        for whose, fit in groups.items():
            for label, part in {"all": fit, **fit["sizes"]}.items():
                row = {"ranking": name, "removed": whose, "k": label}
                row |= {key: part.get(key) for key in ("n", "targets", "slope", "r2", "spearman", "reachable")}
                for key in ("slope", "r2", "spearman"):
                    row |= tables.low_high(part.get(f"{key}_ci"), key)
                rows.append({**row, "splits": summary["splits"], "recipe": summary["recipe"]})
    return tables.to_csv(rows)


def points_csv(rows: calibration.Removals, summary: dict) -> str:
    """A row for each signed ranking and set removed."""
    points = [
        point
        for name in rows.names
        for whose in calibration.ORIGINS
        for point in calibration.chart_points(rows, summary, name, whose)
    ]
    columns = ["ranking", "removed", "target", "k", "seeds", "predicted", "foretold", "measured"]
    return tables.to_csv(points, columns)
