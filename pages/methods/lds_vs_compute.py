"""Compute: what a better ranking costs, as LDS against seconds, with the table behind it."""

import csv
import io

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from attribution import UserError, Workspace, compute
from pages.methods import areas, words
from pages.ui import asked, command, figures, look, palette, state
from pages.ui import format as write

MEASURE = ["evaluate", "compute"]
PICTURE = {
    "modeBarButtons": [["toImage"]],
    "displayModeBar": True,
    "displaylogo": False,
    "toImageButtonOptions": {"format": "svg", "filename": "lds-against-seconds"},
}
COLUMNS = (
    "name",
    "method",
    "models",
    "lds",
    "low",
    "high",
    "n_targets",
    "training_seconds",
    "computing_seconds",
    "seconds",
    "bytes",
    "scores_bytes",
    "penalty",
    "ceiling",
    "masks",
    "seeds",
)
SMALLEST, LARGEST = 9, 30  # markers, in pixels
state_of = st.session_state


def draw(ws: Workspace) -> None:
    st.header("What does more compute buy?", anchor=False)
    if state.ERROR in state_of:
        st.error(write.sentence(state_of.pop(state.ERROR)))
    busy = asked.under_way(ws, MEASURE)
    try:
        found = _stored(ws, look.stamp(ws))
    except UserError as error:
        st.error(write.sentence(error))
        return
    if found is None:
        _ask(ws, busy)
        return
    st.caption(
        write.plain(
            "LDS, the linear datamodeling score, of TRAK on more and more checkpoints and of Datamodels on more and more "
            "models trained on random halves, against the seconds of all trainings and of their own work. The larger the "
            "mark, the more bytes the scores are made from."
        )
    )
    supports = areas.read(ws, compute, found)
    st.plotly_chart(
        figure(found, supports),
        key="compute",
        config=PICTURE,
        alt="LDS and support AUC of each method against the seconds it takes; the table below has the numbers",
    )
    st.caption(write.plain(" ".join([_made(ws, found), *words.side_by_side(supports)])))
    st.html(table_html(found, supports))
    st.caption(
        write.plain(
            "Seconds are of one core where a processor trains; those of features and of rankings that a workspace brings "
            "were measured by the clock where they were made, as all of them are in Cost. "
            "Bytes of what the scores are made from: projected gradients (TRAK), masks and margins (Datamodels), features "
            "(exemplar SVM). TRAK's random projections are drawn anew here: a stored ranking of as many checkpoints "
            "differs a little." + ("" if supports else " Supports of these variants were not studied here yet.")
        )
    )
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Table as CSV",
            data=to_csv(found, supports),
            file_name="compute.csv",
            on_click="ignore",
            icon=":material/download:",
        )
        figures.popover(ws, "compute")
        with st.popover("Copy command", icon=":material/terminal:"):
            st.code(command.line(ws, *MEASURE), language="bash", wrap_lines=True)


@st.cache_data(max_entries=4, show_spinner=False)
def _stored(_ws, stamp: str) -> dict | None:
    return compute.stored(_ws)


def _ask(ws: Workspace, busy: bool) -> None:
    """What is missing, and what it would take."""
    if not ws.has_base:
        look.train_first(
            ws, "Methods are judged here by what they say of retrainings, and no model has been trained here yet."
        )
        return
    if "lds" not in ws.manifest["parts"]:
        st.info("This workspace has no held-out halves to judge rankings by; train them first.")
        st.code(command.line(ws, "halves", "train"), language="bash", wrap_lines=True)
        return
    if busy:
        return
    st.info("This has not been measured yet, or what it rests on has changed since.")
    cost = compute.cost(ws)
    st.caption(
        write.plain(
            f"From nothing: the gradients of {cost['checkpoints']} checkpoints, {write.count(cost['trainings'])} trainings "
            f"on random halves and {cost['fits']} fits of Datamodels, about {write.seconds(cost['seconds'])} of one core; "
            "less where halves are trained already. It runs in the background and goes on where it was stopped."
        )
    )
    asked.button(ws, MEASURE, "Measure")


def _made(ws: Workspace, found: dict) -> str:
    about, one = ws.manifest["parts"][compute.PART], found["training"]
    n = max(row["n_targets"] for row in found["rows"])
    return (
        f"{write.count(n)} targets, {found['masks']} held-out halves with {found['seeds']} seeds each; bars are "
        f"95 % intervals over halves and targets. Recipe {about['recipe']} ({about['hash']}): a training takes "
        f"{one['whole']:g} s, on a half {one['half']:g} s of {one['clock']} time (medians of {one['n']}, "
        f"{one['device']}, {one['library']}). Datamodels' halves and penalties, and TRAK's {found['dim']} "
        f"dimensions, are of other halves than these. Made {about.get('made', '')} by {about.get('command', '')}."
    )


def figure(found: dict, supports: dict) -> go.Figure:
    """A panel for LDS, and one for the AUC of each kind of support that was studied, on a log axis of seconds: a line a
    method; level lines where no classifier is trained; and the ceiling of LDS."""
    rows, panels = found["rows"], ["LDS", *(areas.TITLES[kind] for kind in supports)]
    ends = [min(row["seconds"] for row in rows if row["models"]) / 2, max(row["seconds"] for row in rows) * 2]
    sizes = _sizes([row["bytes"] for row in rows])
    chart = make_subplots(1, len(panels), subplot_titles=panels if len(panels) > 1 else None, horizontal_spacing=0.06)
    _panel(chart, 1, [{**row, "value": row["lds"], "ends": row["ci"]} for row in rows], ends, sizes, 3)
    for column, kind in enumerate(supports, 2):
        studied = [(row, areas.row(supports, kind, compute.ranking_of(row))) for row in rows]
        _panel(
            chart,
            column,
            [{**row, "value": one["auc"], "ends": one["auc_ci"]} for row, one in studied if one],
            ends,
            sizes,
            2,
        )
    if found["ceiling"] is not None:
        chart.add_hline(
            found["ceiling"],
            line={"color": "#808080", "width": 1, "dash": "dash"},
            row=1,
            col=1,
            annotation_text=f"noise ceiling {found['ceiling']:.3f}",
            annotation_position="top left",
        )
    chart.update_xaxes(
        type="log", range=np.log10(ends).tolist(), title="seconds, trainings and own work", dtick=1, tickformat=","
    )
    chart.update_yaxes(rangemode="tozero")
    if len(panels) == 1:
        chart.update_yaxes(title="LDS")
    chart.update_layout(
        height=430,
        margin={"l": 8, "r": 8, "t": 70, "b": 8},
        legend={"orientation": "h", "y": 1.2, "x": 0, "itemsizing": "constant"},
    )
    return chart


def _panel(chart: go.Figure, column: int, rows: list[dict], ends: list[float], sizes: dict, digits: int) -> None:
    """Draws "value" and its interval "ends" of each row."""
    place, first = {"row": 1, "col": column}, column == 1
    paid = [row for row in rows if row["models"]]
    for method in dict.fromkeys(row["method"] for row in paid):
        some = sorted((row for row in paid if row["method"] == method), key=lambda row: row["seconds"])
        colour, dash, marker = palette.line(method.lower())
        chart.add_scatter(
            x=[row["seconds"] for row in some],
            y=[row["value"] for row in some],
            name=method,
            legendgroup=method,
            showlegend=first,
            mode="lines+markers+text",
            error_y=_bars(some),
            line={"color": colour, "dash": dash, "width": 2.5},
            marker={"color": colour, "symbol": marker, "size": [sizes[row["bytes"]] for row in some], "opacity": 0.85},
            text=[str(row["models"]) for row in some],
            textposition="bottom right",
            customdata=[_hover(row, digits) for row in some],
            hovertemplate="%{customdata}<extra></extra>",
            **place,
        )
    for row in rows:
        if row["models"]:
            continue
        colour, dash, marker = palette.line(row["name"])
        chart.add_scatter(
            x=ends,
            y=[row["value"]] * 2,
            name=row["name"],
            mode="lines",
            legendgroup=row["name"],
            showlegend=first,
            line={"color": colour, "dash": dash, "width": 2},
            hovertemplate=_hover(row, digits) + "<extra></extra>",
            **place,
        )
        if row["seconds"]:
            chart.add_scatter(
                x=[row["seconds"]],
                y=[row["value"]],
                mode="markers",
                legendgroup=row["name"],
                showlegend=False,
                error_y=_bars([row]),
                customdata=[_hover(row, digits)],
                marker={"color": colour, "symbol": marker, "size": sizes[row["bytes"]]},
                hovertemplate="%{customdata}<extra></extra>",
                **place,
            )


def _bars(rows: list[dict]) -> dict:
    return areas.bars([row["value"] for row in rows], [row["ends"] for row in rows])


def _sizes(numbers: list[int]) -> dict[int, float]:
    """Bytes -> pixels, by their square root: the area stands for the bytes, down to what can be seen."""
    most = max(numbers) or 1
    return {n: max(SMALLEST, LARGEST * (n / most) ** 0.5) for n in numbers}


def _hover(row: dict, digits: int) -> str:
    return (
        f"{write.escape(row['name'])}: {row['value']:.{digits}f} ({words.interval(row['ends'], digits)})<br>"
        f"{write.seconds(row['seconds'])}, {_size(row['bytes'])}"
    )


def _size(n: int) -> str:
    return f"{n / 1e6:.1f} MB" if n else "nothing"


def table_html(found: dict, supports: dict) -> str:
    """A row a variant, and the noise ceiling."""
    heads = "".join(
        f'<th class="n">{name}</th>'
        for name in ("models trained", "LDS", "95 %", "trainings", "own work", "together", "made from", "scores")
    )
    heads += areas.heads(supports)
    body = ""
    for row in found["rows"]:
        mark = words.swatch(row["method"].lower() if row["models"] else row["name"])
        spent = [row[key] for key in ("training_seconds", "computing_seconds", "seconds")]
        trained, computed, together = ("none" if not value else write.seconds(value) for value in spent)
        cells = [
            write.count(row["models"]) if row["models"] else "–",
            f"<b>{row['lds']:.3f}</b>",
            words.interval(row["ci"], 3),
            trained,
            computed,
            f"<b>{together}</b>",
            _size(row["bytes"]),
            _size(row["scores_bytes"]) if row["scores_bytes"] else "as asked",
        ]
        body += (
            f"<tr><td>{mark}{write.escape(row['name'])}</td>"
            + "".join(f'<td class="n">{cell}</td>' for cell in cells).replace("<b>-", "<b>−")
            + areas.cells(supports, compute.ranking_of(row))
            + "</tr>"
        )
    ceiling = f"{found['ceiling']:.3f}" if found["ceiling"] is not None else "–"
    body += (
        f'<tr class="last"><td>noise ceiling</td><td></td><td class="n"><b>{ceiling}</b></td>'
        f"{'<td></td>' * (6 + 2 * len(supports))}</tr>"
    )
    return words.framed(f"<tr><th></th>{heads}</tr>", body)


def to_csv(found: dict, supports: dict) -> str:
    """A row a variant."""
    out = io.StringIO()
    heads = areas.csv_heads()
    writer = csv.DictWriter(out, [*COLUMNS, *heads], extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in found["rows"]:
        low, high = row["ci"] or ("", "")
        writer.writerow(
            {
                **row,
                "low": low,
                "high": high,
                "ceiling": found["ceiling"],
                "masks": found["masks"],
                "seeds": found["seeds"],
                **dict(zip(heads, areas.csv_cells(supports, compute.ranking_of(row)))),
            }
        )
    return out.getvalue()
