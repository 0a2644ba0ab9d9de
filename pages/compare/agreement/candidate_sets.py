"""Candidates: what is left of a ranking when it may choose from more, or fewer, classes than as published."""

import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from attribution import Workspace
from attribution.evaluation import candidate_sets
from attribution.export import palette
from pages.compare import auc_columns, plots, tab_frame
from pages.ui import format as write
from pages.ui import tables
from pages.ui.tables import Column, estimate, ranking_cell

MEASURE = ["evaluate", "conditioning"]
#: colour and marker of each set of candidates
MARKS = {
    "true": (palette.RECIPE_STYLES[0][0], "circle"),
    "pair": (palette.RECIPE_STYLES[1][0], "diamond"),
    "all": (palette.RECIPE_STYLES[2][0], "square-open"),
}


def draw(ws: Workspace) -> None:
    """Draws the topic."""
    tab_frame.header("How good is a ranking that may choose from all classes?")
    if "lds" not in ws.manifest["parts"] or not ws.has_base:
        st.info("This needs models on held-out halves of the images, and none has been trained here yet.")
        tab_frame.command_line(ws, "halves", "train")
        return
    answer = tab_frame.stored_answer(
        ws,
        MEASURE,
        candidate_sets.load,
        "Not measured yet, or a ranking has changed since. Measuring trains nothing.",
        "Measure candidates",
    )
    if answer is None:
        return
    tab_frame.caption(
        "LDS of each ranking when it may choose from images of the target's true class, from those and the images of "
        "the class it is mistaken for, or from all. Choosing from the true class alone raises LDS by itself, since it "
        "counts how many images of the class a half happens to hold; Random, the control, shows by how much."
    )
    supports = tab_frame.from_store(
        ws, candidate_sets.PART, lambda ws, store: candidate_sets.support_aucs(ws, store, answer)
    )
    tab_frame.chart(
        figure(answer, supports),
        "conditioning",
        "LDS and support AUC of each ranking under three sets of candidates; the table below has the numbers",
    )
    st.html(table_html(answer, supports))
    tab_frame.caption(_basis(ws, answer, supports))
    tab_frame.download_line(
        ws,
        {"conditioning.csv": ("Table as CSV", to_csv(answer, supports))},
        [[*MEASURE, "--rankings", ",".join(answer["rankings"]), "--k", answer["k"]]],
        "conditioning",
    )


def _basis(ws: Workspace, answer: dict, supports: dict) -> str:
    n = max(row["n_targets"] for ranking in answer["rankings"].values() for row in ranking["sets"].values())
    studied = auc_columns.sentences(supports) or ["Their supports were not studied here yet."]
    return (
        f"* as published. {write.count(n)} targets, {tab_frame.held_out_halves(answer)}; 95 % over halves and targets "
        f"(LDS) and over targets (shares). A prediction that is the same for every half counts as 0. "
        f"{' '.join(studied)} {tab_frame.provenance(ws.manifest['parts'][candidate_sets.PART])}."
    )


def _variant(name: str, candidates: str, answer: dict) -> str:
    return candidate_sets.ranking_with_candidates(name, candidates, answer["rankings"][name]["published"])


def figure(answer: dict, supports: dict) -> go.Figure:
    """A mark and its interval a ranking and set of candidates: LDS, and AUC of each kind of support that was
    studied."""
    names, panels = list(answer["rankings"]), ["LDS", *(auc_columns.title(supports, kind) for kind in supports)]
    chart = make_subplots(1, len(panels), shared_yaxes=True, subplot_titles=panels, horizontal_spacing=0.04)
    for at, (candidates, label) in enumerate(candidate_sets.CANDIDATE_SETS.items()):
        colour, marker = MARKS[candidates]
        sets = [answer["rankings"][name]["sets"][candidates] for name in names]
        columns = [[(row["lds"], row["ci"]) for row in sets]]
        for kind in supports:
            rows = [auc_columns.auc_row(supports, kind, _variant(name, candidates, answer)) for name in names]
            columns.append([(row.get("auc"), row.get("auc_ci")) for row in rows])
        for column, values in enumerate(columns, 1):
            measured = [(place, *pair) for place, pair in enumerate(values) if pair[0] is not None]
            means, intervals = [mean for _, mean, _ in measured], [interval for _, _, interval in measured]
            digits = 3 if column == 1 else 2
            chart.add_scatter(
                x=means,
                y=[place + 0.2 * (at - 1) for place, _, _ in measured],
                name=label,
                legendgroup=candidates,
                showlegend=column == 1,
                mode="markers",
                marker={"color": colour, "symbol": marker, "size": 11},
                error_x=plots.error_bars(means, intervals),
                row=1,
                col=column,
                hovertemplate="%{customdata}<extra></extra>",
                customdata=[
                    f"{write.escape(names[place])}, {label}: {mean:.{digits}f} ({write.interval(interval, digits)})"
                    for place, mean, interval in measured
                ],
            )
    plots.noise_ceiling_line(chart, answer["ceiling"], "x")
    chart.update_yaxes(range=[len(names) - 0.5, -0.5])
    chart.update_yaxes(tickvals=list(range(len(names))), ticktext=names, row=1, col=1)
    chart.update_xaxes(zeroline=True)
    plots.set_layout(
        chart,
        140 + 60 * len(names),
    )
    return chart


def table_html(answer: dict, supports: dict) -> str:
    """A row a ranking, a group of columns a set of candidates; the noise ceiling last."""
    group = [
        Column("LDS<br>(95 %)", "n first", tables.LDS_HELP),
        Column(f"same class<br>in top {answer['k']}", "n", "with 95 % over targets on hover"),
        *(Column(f"{auc_columns.heading(supports, kind)} (95 %)", "n", auc_columns.AUC_HELP) for kind in supports),
    ]
    rows = []
    for name, ranking in answer["rankings"].items():
        row = [ranking_cell(name)]
        for candidates in candidate_sets.CANDIDATE_SETS:
            measured = ranking["sets"][candidates]
            share = measured["same_class"]
            star = " *" * (candidates == ranking["published"])
            row += [
                tables.stacked(measured["lds"], measured["ci"], 3, star),
                ("–" if share["mean"] is None else write.percent(share["mean"]), write.interval(share["ci"], 3)),
                *_auc_cells(supports, _variant(name, candidates, answer)),
            ]
        rows.append(row)
    return tables.table_html(
        [Column("ranking"), *group * len(candidate_sets.CANDIDATE_SETS)],
        rows,
        [("", 1), *((title, len(group)) for title in candidate_sets.CANDIDATE_SETS.values())],
        ["noise ceiling", estimate(answer["ceiling"], None, 3)[0]],
    )


def _auc_cells(supports: dict, variant: str) -> list[str]:
    rows = (auc_columns.auc_row(supports, kind, variant) for kind in supports)
    return [tables.stacked(row.get("auc"), row.get("auc_ci")) for row in rows]


def to_csv(answer: dict, supports: dict) -> str:
    """A row a ranking and set of candidates."""
    return tables.to_csv(
        {
            "ranking": name,
            "candidates": candidates,
            "as_published": candidates == ranking["published"],
            "lds": row["lds"],
            **tables.low_high(row["ci"]),
            "targets": row["n_targets"],
            "constant": row["n_constant"],
            "k": answer["k"],
            "same_class": row["same_class"]["mean"],
            **tables.low_high(row["same_class"]["ci"], "same_class"),
            "ceiling": answer["ceiling"],
            "masks": answer["masks"],
            "seeds": answer["seeds"],
            **auc_columns.csv_cells(supports, _variant(name, candidates, answer)),
        }
        for name, ranking in answer["rankings"].items()
        for candidates, row in ranking["sets"].items()
    )
