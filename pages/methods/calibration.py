"""Calibration: do scores foretell by how much a margin changes when images are removed?"""

import csv
import io

import plotly.graph_objects as go
import streamlit as st

from attribution import UserError, Workspace, calibration
from pages.methods import words
from pages.ui import cli_command, downloads, measurement, palette, state, theme
from pages.ui import format as write

MEASURE = ["evaluate", "calibration"]
HEADS = [
    ("sets", "sets of images removed"),
    ("targets", ""),
    ("slope", "measured change for each predicted one"),
    ("95 %", "bootstrap over targets"),
    ("R²", "on targets that the slope was not fitted on; below 0 is worse than foretelling the mean"),
    ("95 %", "bootstrap over targets"),
    ("single splits", "10 to 90 % of R² over single splits of the targets"),
    ("reachable", "the most that the noise of seeds leaves for R²"),
    ("Spearman", "predicted with measured change"),
    ("95 %", "bootstrap over targets"),
]
NAMED = 6  # rankings that foretell nothing, beyond which they are counted
state_of = st.session_state


def draw(ws: Workspace) -> None:
    st.header("Do scores foretell what removing images does?", anchor=False)
    if state.ERROR in state_of:
        st.error(write.sentence(state_of.pop(state.ERROR)))
    if not ws.has_base:
        with st.container(width=760):
            theme.train_first(
                ws, "A change of a margin is one against models of all images, and none has been trained here yet."
            )
        return
    if not calibration.signed(ws):
        st.info(
            "No ranking here has a sign and all its scores, so none foretells a change. TRAK and Datamodels do: "
            "Workspace builds or imports them."
        )
        return
    under_way = measurement.under_way(ws, MEASURE)
    try:
        rows = _stored(ws, theme.cache_key(ws))
    except UserError as error:
        st.error(write.sentence(error))
        return
    if rows is None:
        st.info(
            "What the scores foretell has not been compared with retrainings yet, or a ranking has changed since. "
            "It needs a removal study, or single retrainings."
        )
        if not under_way:
            measurement.button(ws, MEASURE, "Measure")
        return
    names = [name for name in rows.names if calibration.groups(rows, name)]
    if not names:
        st.info("No ranking with a sign ranks for the targets that were retrained without images.")
        return
    told = _summary(ws, rows, theme.cache_key(ws))
    st.caption(
        write.plain(
            "A ranking with a sign foretells that a target's margin changes by minus the sum of the scores of the images "
            f"removed, times a scale. R² is of targets that the scale was not fitted on: {told['splits']} times it is "
            "fitted on one random half of them and judged on the other."
        )
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
        groups = calibration.groups(rows, name)
        whose = st.segmented_control(
            "Images removed",
            groups,
            default=groups[0],
            required=True,
            key=state.WHOSE,
            format_func=calibration.WHOSE.get,
            label_visibility="collapsed",
        )
    points = calibration.points(rows, told, name, whose)
    st.plotly_chart(
        _chart(points, name),
        key="calibration",
        config={"displayModeBar": False},
        alt=f"change of margin foretold by {name} against measured; the tables below have the numbers",
    )
    st.html(table_html(told))
    st.caption(
        write.plain(f"{name} by how many images were removed ({calibration.WHOSE[whose]}), with the slopes above.")
    )
    st.html(sizes_html(told["rankings"][name][whose]["sizes"]))
    _caption(ws, told)
    _take_away(ws, rows, told, name, whose, under_way)


@st.cache_resource(max_entries=4, show_spinner=False)
def _stored(_ws, stamp: str):
    return calibration.stored(_ws)


@st.cache_data(max_entries=4, show_spinner="Comparing predicted with measured changes")
def _summary(_ws, _rows, stamp: str) -> dict:
    return calibration.summary(_ws, _rows)


def _caption(ws: Workspace, told: dict) -> None:
    same = {0: "The unedited margin is the base models' mean", 1: "The unedited margin is of the same seeds"}.get(
        told["paired"],
        "The unedited margin is of the same seeds for "
        f"{write.percent(told['paired'], 0)} of the sets, else the base models' mean",
    )
    st.caption(
        write.plain(
            f"{write.count(told['sets'])} sets removed, {told['targets']} targets; recipe {told['recipe']} "
            f"{told['recipe_hash']}. {same}; a margin's standard deviation over seeds is {told['noise']:.2f}. The "
            "sets are what support searches tested: they probe "
            "ks near the flip, more of them where a target flips, and stop a probe once its majority is decided, so that "
            "these ks are no random sample, and changes of the margin near its own size are over-represented. Relabelling "
            "is left out: scores say nothing of another label."
        )
    )
    if told["unsigned"]:
        others = told["unsigned"]
        named = ", ".join(others) if len(others) <= NAMED else f"The other {len(others)} rankings"
        st.caption(write.plain(f"{named}: no sign or no unit, so that they foretell no change."))


def _chart(points: list[dict], name: str) -> go.Figure:
    """Foretold against measured change, and a line where both are equal."""
    scaled = all(one["foretold"] is not None for one in points)
    x = "foretold" if scaled else "predicted"
    chart = go.Figure()
    for source in dict.fromkeys(one["removed"] for one in points):
        some = [one for one in points if one["removed"] == source]
        colour, _, marker = palette.line(source)
        chart.add_scatter(
            x=[one[x] for one in some],
            y=[one["measured"] for one in some],
            mode="markers",
            name="chosen by hand" if source == calibration.CHOSEN else f"first k of {source}",
            marker={"color": colour, "size": 7, "opacity": 0.8, "symbol": marker},
            customdata=[[one["target"], one["k"], one["seeds"]] for one in some],
            hovertemplate="target %{customdata[0]} without %{customdata[1]} of "
            + source
            + ": foretold %{x:.2f}, measured %{y:.2f} (%{customdata[2]} seeds)<extra></extra>",
        )
    if scaled and points:
        both = [value for one in points for value in (one[x], one["measured"])]
        ends = [min(both), max(both)]
        chart.add_scatter(
            x=ends,
            y=ends,
            mode="lines",
            name="as foretold",
            hoverinfo="skip",
            line={"color": "#808080", "dash": "dot", "width": 1.5},
        )
    chart.update_layout(
        height=420,
        margin={"l": 8, "r": 8, "t": 48, "b": 8},
        hovermode="closest",
        legend={"orientation": "h", "y": 1.14, "x": 0},
        xaxis={"title": f"change of the margin foretold by {name}" + ("" if scaled else ", unscaled")},
        yaxis={"title": "measured change of the margin"},
    )
    return chart


def table_html(told: dict) -> str:
    """A row for each ranking and group of sets, see `calibration.fit`."""
    head = "<th>ranking</th><th>images removed</th>" + "".join(
        f'<th class="n" title="{title}">{name}</th>' for name, title in HEADS
    )
    body = ""
    for name, groups in told["rankings"].items():
        for whose, one in groups.items():
            cells = [
                one["n"],
                one["targets"],
                write.score(one["slope"]) if one["slope"] is not None else "–",
                _ends(one["slope_ci"], write.score),
                f"<b>{_number(one['r2'])}</b>",
                _ends(one["r2_ci"], _number),
                _ends(one["r2_splits"], _number),
                _number(one["reachable"]),
                f"<b>{_number(one['spearman'])}</b>",
                _ends(one["spearman_ci"], _number),
            ]
            body += (
                f"<tr><td>{words.swatch(name)}{write.escape(name)}</td><td>{calibration.WHOSE[whose]}</td>"
                + "".join(f'<td class="n">{cell}</td>' for cell in cells)
                + "</tr>"
            )
    return words.framed(f"<tr>{head}</tr>", body)


def sizes_html(sizes: dict[str, dict]) -> str:
    """A row for each size of k."""
    head = "".join(f'<th class="n">{name}</th>' for name in ("images removed", "sets", "targets", "R²", "Spearman"))
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="n">{cell}</td>'
            for cell in (label, one["n"], one["targets"], _number(one["r2"]), _number(one["spearman"]))
        )
        + "</tr>"
        for label, one in sizes.items()
    )
    return words.framed(f"<tr>{head}</tr>", body)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}".replace("-", "−")


def _ends(pair, show) -> str:
    return f"{show(pair[0])} to {show(pair[1])}".replace("-", "−") if pair else "–"


def _take_away(ws: Workspace, rows: calibration.Rows, told: dict, name: str, whose: str, under_way: bool) -> None:
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Table as CSV",
            data=to_csv(told),
            file_name="calibration.csv",
            on_click="ignore",
            icon=":material/download:",
        )
        st.download_button(
            "Points as CSV",
            data=points_csv(rows, told),
            file_name="calibration-points.csv",
            on_click="ignore",
            icon=":material/download:",
        )
        downloads.figure_popover(ws, "calibration", ranking=name, removed=whose)
        with st.popover("Copy command", icon=":material/terminal:"):
            st.code(cli_command.line(ws, *MEASURE, "--json"), language="bash", wrap_lines=True)
        if not under_way:
            with st.popover("Measure again", icon=":material/refresh:"):
                st.caption("With the supports and single retrainings that have come in since.")
                measurement.button(ws, MEASURE, "Measure again")


def to_csv(told: dict) -> str:
    """A row for each ranking and group, and one for each size of k in it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    kept = ("n", "targets", "slope", "r2", "spearman", "reachable")
    about = {"splits": told["splits"], "recipe": told["recipe"]}
    ends = [f"{key}_{end}" for key in ("slope", "r2", "spearman") for end in ("low", "high")]
    writer.writerow(["ranking", "removed", "k", *kept, *ends, *about])
    for name, groups in told["rankings"].items():
        for whose, one in groups.items():
            pairs = [end for key in ("slope", "r2", "spearman") for end in one[f"{key}_ci"] or ("", "")]
            writer.writerow([name, whose, "all", *(one[key] for key in kept), *pairs, *about.values()])
            for label, size in one["sizes"].items():
                writer.writerow([name, whose, label, *(size.get(key) for key in kept), *[""] * 6, *about.values()])
    return out.getvalue()


def points_csv(rows: calibration.Rows, told: dict) -> str:
    """A row for each signed ranking and set removed."""
    out = io.StringIO()
    names = ["ranking", "removed", "target", "k", "seeds", "predicted", "foretold", "measured"]
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    for name in rows.names:
        for whose in calibration.WHOSE:
            writer.writerows(calibration.points(rows, told, name, whose))
    return out.getvalue()
