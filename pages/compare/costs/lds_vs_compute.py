"""What more compute buys: LDS against seconds of one core, with the table behind it; a part of the Cost tab."""

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from attribution import Workspace
from attribution.evaluation import lds_vs_compute
from attribution.export import palette
from attribution.training.head.recipe import is_head
from pages.compare import auc_columns, plots, tab_frame
from pages.ui import format as write
from pages.ui import measurement, tables, theme
from pages.ui.tables import Column, estimate, ranking_cell

MEASURE = ["evaluate", "compute"]
COLUMNS = [
    Column(
        "variant", help="a method and its number of models, computed anew; the stored rankings are in the table above"
    ),
    Column("models trained", "n"),
    Column("LDS", "n", tables.LDS_HELP),
    Column("95 %", "n"),
    Column("training", "n", "of its models, in time of one core"),
    Column("scoring", "n", "computing the scores from these models, in time of one core"),
    Column(
        "one-core time", "n", "training and scoring; the build time above is wall-clock time where the parts were made"
    ),
    Column("input size", "n", "what the scores are computed from"),
    Column("scores", "n", "size of the scores themselves"),
]
SMALLEST, LARGEST = 9, 30  # markers, in pixels


def draw(ws: Workspace) -> None:
    """Draws this part of the tab."""
    tab_frame.section("Does more compute give better rankings?")
    if is_head(ws.recipe):
        why = "This compares rankings that rest on more and more networks; a head is fitted once, in seconds."
        tab_frame.look_at_other_model(f"{why} The pages speak about {ws.recipe} now.", ws.own_recipe)
        return
    answer = tab_frame.stored_answer(ws, MEASURE, lds_vs_compute.load, ask=_ask)
    if answer is None:
        return
    tab_frame.caption(
        "LDS of TRAK with more and more checkpoints, and of Datamodels with more and more models on random halves, "
        "against the time of one core that training and scoring take. A larger mark: more bytes to compute "
        "the scores from."
    )
    supports = tab_frame.from_store(
        ws, lds_vs_compute.PART, lambda ws, store: lds_vs_compute.support_aucs(ws, store, answer)
    )
    tab_frame.chart(
        figure(answer, supports),
        "compute",
        "LDS and support AUC of each method against the seconds it takes; the table below has the numbers",
        picture="lds-against-seconds",
    )
    tab_frame.caption(_basis(ws, answer, supports))
    st.html(table_html(answer, supports))
    tab_frame.caption(
        "Times are of one core where a processor trains; those of features and of bundled rankings are wall-clock "
        "times where they were made, as all build times above are. "
        "Input size: projected gradients (TRAK), masks and margins (Datamodels), features "
        "(exemplar SVM). TRAK's random projections are drawn anew here, so a stored ranking with as many checkpoints "
        "differs a little." + ("" if supports else " Supports of these variants were not studied here yet.")
    )
    tab_frame.download_line(ws, {"compute.csv": ("Table as CSV", to_csv(answer, supports))}, [MEASURE], "compute")


def _ask(ws: Workspace) -> None:
    """What is missing, and what it would take."""
    if not ws.has_base:
        theme.train_first(ws, "This judges rankings by retrained models, and no model has been trained here yet.")
        return
    if "lds" not in ws.manifest["parts"]:
        st.info("This judges rankings by models on held-out halves, and there are none yet. Train them first:")
        tab_frame.command_line(ws, "halves", "train")
        return
    st.info("Not measured yet, or models or rankings have changed since.")
    cost = lds_vs_compute.full_cost(ws)
    tab_frame.caption(
        f"Measured from scratch: gradients of {cost['checkpoints']} checkpoints, {write.count(cost['trainings'])} "
        f"trainings on random halves and {cost['fits']} fits of Datamodels, about {write.seconds(cost['seconds'])} of "
        "one core; less where halves are trained already. It runs in the background and resumes where it was stopped."
    )
    measurement.button(ws, MEASURE, "Measure LDS against compute")


def _basis(ws: Workspace, answer: dict, supports: dict) -> str:
    part, training = ws.manifest["parts"][lds_vs_compute.PART], answer["training"]
    n = max(row["n_targets"] for row in answer["rows"])
    return (
        f"{write.count(n)} targets, {tab_frame.held_out_halves(answer)}; bars are 95 % intervals over halves and "
        f"targets. Recipe {part['recipe']} ({part['hash']}): a training takes {training['whole']:g} s, on a half "
        f"{training['half']:g} s of {training['clock']} time (medians of {training['n']}, {training['device']}, "
        f"{training['library']}). Datamodels' halves and penalties, and TRAK's {answer['dim']} dimensions, were "
        f"chosen on other halves. {' '.join(auc_columns.sentences(supports))} {tab_frame.provenance(part)}."
    )


def figure(answer: dict, supports: dict) -> go.Figure:
    """A panel for LDS, and one for the AUC of each kind of support that was studied, on a log axis of seconds: a line a
    method; level lines where no classifier is trained; and the ceiling of LDS."""
    rows, panels = answer["rows"], ["LDS", *(auc_columns.title(supports, kind) for kind in supports)]
    ends = [min(row["seconds"] for row in rows if row["models"]) / 2, max(row["seconds"] for row in rows) * 2]
    sizes = _marker_sizes([row["bytes"] for row in rows])
    chart = make_subplots(1, len(panels), subplot_titles=panels if len(panels) > 1 else None, horizontal_spacing=0.06)
    _panel(chart, 1, [{**row, "value": row["lds"], "interval": row["ci"]} for row in rows], ends, sizes, 3)
    for column, kind in enumerate(supports, 2):
        studied = [(row, auc_columns.auc_row(supports, kind, lds_vs_compute.variant_ranking(row))) for row in rows]
        points = [{**row, "value": auc["auc"], "interval": auc["auc_ci"]} for row, auc in studied if auc]
        _panel(chart, column, points, ends, sizes, 2)
    ceiling = answer["ceiling"]
    plots.noise_ceiling_line(chart, ceiling, "y", f"noise ceiling {write.decimal(ceiling, 3)}")
    chart.update_xaxes(
        type="log", range=np.log10(ends).tolist(), title="time of one core, seconds", dtick=1, tickformat=","
    )
    chart.update_yaxes(rangemode="tozero")
    if len(panels) == 1:
        chart.update_yaxes(title="LDS")
    plots.set_layout(chart, 430, legend={"itemsizing": "constant"})
    return chart


def _panel(chart: go.Figure, column: int, rows: list[dict], ends: list[float], sizes: dict, digits: int) -> None:
    """Draws "value" and its "interval" of each row. ends: of the axis of seconds; sizes: bytes -> pixels."""
    panel = {"row": 1, "col": column}
    trained = [row for row in rows if row["models"]]
    for method in dict.fromkeys(row["method"] for row in trained):
        variants = sorted((row for row in trained if row["method"] == method), key=lambda row: row["seconds"])
        colour, dash, marker = palette.ranking_style(method.lower())
        chart.add_scatter(
            x=[row["seconds"] for row in variants],
            y=[row["value"] for row in variants],
            name=method,
            legendgroup=method,
            showlegend=column == 1,
            mode="lines+markers+text",
            error_y=_bars(variants),
            line={"color": colour, "dash": dash, "width": 2.5},
            marker={
                "color": colour,
                "symbol": marker,
                "size": [sizes[row["bytes"]] for row in variants],
                "opacity": 0.85,
            },
            text=[str(row["models"]) for row in variants],
            textposition="bottom right",
            customdata=[_hover(row, digits) for row in variants],
            hovertemplate="%{customdata}<extra></extra>",
            **panel,
        )
    for row in rows:
        if row["models"]:
            continue
        colour, dash, marker = palette.ranking_style(row["name"])
        chart.add_scatter(
            x=ends,
            y=[row["value"]] * 2,
            name=row["name"],
            mode="lines",
            legendgroup=row["name"],
            showlegend=column == 1,
            line={"color": colour, "dash": dash, "width": 2},
            hovertemplate=_hover(row, digits) + "<extra></extra>",
            **panel,
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
                **panel,
            )


def _bars(rows: list[dict]) -> dict:
    return plots.error_bars([row["value"] for row in rows], [row["interval"] for row in rows])


def _marker_sizes(numbers: list[int]) -> dict[int, float]:
    """Bytes -> pixels, by their square root: the area stands for the bytes, down to what can be seen."""
    most = max(numbers) or 1
    return {n: max(SMALLEST, LARGEST * (n / most) ** 0.5) for n in numbers}


def _hover(row: dict, digits: int) -> str:
    return (
        f"{write.escape(lds_vs_compute.label(row))}: {row['value']:.{digits}f} "
        f"({write.interval(row['interval'], digits)})<br>"
        f"{write.seconds(row['seconds'])}, {write.byte_size(row['bytes'])}"
    )


def table_html(answer: dict, supports: dict) -> str:
    """A row a variant, and the noise ceiling."""
    columns = [*COLUMNS, *auc_columns.columns(supports)]
    rows = []
    for row in answer["rows"]:
        seconds = [row[key] for key in ("training_seconds", "computing_seconds", "seconds")]
        trainings, own_work, together = ("none" if not value else write.seconds(value) for value in seconds)
        rows.append(
            [
                ranking_cell(row["method"].lower() if row["models"] else row["name"], lds_vs_compute.label(row)),
                write.count(row["models"]) if row["models"] else "–",
                *estimate(row["lds"], row["ci"], 3),
                trainings,
                own_work,
                f"<b>{together}</b>",
                write.byte_size(row["bytes"]),
                write.byte_size(row["scores_bytes"]) if row["scores_bytes"] else "as asked",
                *auc_columns.cells(supports, lds_vs_compute.variant_ranking(row)),
            ]
        )
    last = ["noise ceiling", "", estimate(answer["ceiling"], None, 3)[0]]
    return tables.table_html(columns, rows, last=last)


def to_csv(answer: dict, supports: dict) -> str:
    """A row a variant."""
    seconds = ("training_seconds", "computing_seconds", "seconds")
    return tables.to_csv(
        {
            **{key: row[key] for key in ("name", "method", "models", "lds")},
            **tables.low_high(row["ci"]),
            **{key: row.get(key) for key in ("n_targets", *seconds, "bytes", "scores_bytes", "penalty")},
            **{key: answer[key] for key in ("ceiling", "masks", "seeds")},
            **auc_columns.csv_cells(supports, lds_vs_compute.variant_ranking(row)),
        }
        for row in answer["rows"]
    )
