"""LDS against supports, target by target: a topic of Advanced."""

import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from attribution import UserError, Workspace
from attribution.evaluation import lds_vs_support
from attribution.experiments.study import Study
from attribution.export import palette
from pages.compare import plots, tab_frame
from pages.compare.supports import chosen_study
from pages.compare.supports.curves import PANEL_TITLES
from pages.compare.supports.tables import KINDS, evaluate_command, study_options
from pages.ui import format as write
from pages.ui import measurement, tables, theme
from pages.ui.tables import Column, p_text, ranking_cell

COMPARE = ["evaluate", "lds-supports"]
CENSORED = 1.12  # of K: where supports beyond K are drawn
CSV_COLUMNS = ("n", "censored", "unstable", "lds", "auc", "spearman", "kendall", "p", "sure", "partial", "reliability")
COLUMNS = [
    Column("ranking"),
    Column("targets", "n", "with a support and LDS"),
    Column("no flip", "n", "not flipped by any k up to K (censored): tied for last"),
    Column(
        "Spearman", "n", "rank correlation of a target's LDS with how small its support is: above 0 where they agree"
    ),
    Column("95 %", "n", "bootstrap over targets"),
    Column("p", "n", "permutation test: LDS shuffled within each class"),
    Column("margin", "n", "rank correlation of the base models' margin with how small the support is"),
    Column("margin held fixed", "n", "partial rank correlation of LDS and support, with the margin held fixed"),
    Column("LDS reliability", "n", "correlation that two measurements of these targets' LDS would have; rough"),
]


def draw(ws: Workspace) -> None:
    """Draws the topic."""
    tab_frame.header("Do LDS and supports agree?")
    study = chosen_study.choose(ws)
    _, targets = lds_vs_support.rankings_and_targets(study)
    if "lds" not in ws.manifest["parts"] or not len(targets):
        st.info("This compares a study of supports with LDS, and one of them is missing here.")
        return
    try:
        per_target = tab_frame.load_answer(ws, lds_vs_support.load)
    except UserError as error:
        st.error(write.sentence(error))
        return
    kinds = {}
    if per_target:
        report = _report(ws, study, per_target, f"{theme.cache_key(ws)} {study.version}")
        kinds = report["kinds"]
    if kinds:
        _show(ws, study, per_target, report)
    if lds_vs_support.count_missing(per_target, study) and not measurement.under_way(ws, COMPARE):
        st.info(
            "Not measured yet: LDS of some of these targets, or under some of these rankings."
            if kinds
            else "LDS of single targets has not been measured here yet, or a ranking has changed since."
        )
        measurement.button(ws, COMPARE, "Compare LDS with supports")


@st.cache_data(max_entries=4, show_spinner="Comparing LDS with supports")
def _report(_ws, _study, _per_target, version: str) -> dict:
    return lds_vs_support.report(_ws, _study, _per_target)


def _show(ws: Workspace, study: Study, per_target: lds_vs_support.TargetLDS, report: dict) -> None:
    tab_frame.caption(
        "Each point is a target under one ranking: how well its scores predict models on random halves (LDS), and how "
        "few images flip it (support). If both measured the same, high LDS would come with small supports; the "
        "paper's authors expect them to differ."
    )
    points = lds_vs_support.chart_points(study, per_target)
    tab_frame.chart(
        figure(points, report["K"]),
        "lds against supports",
        "LDS of each target against its support, by ranking; the tables below have the numbers",
    )
    for kind, comparison in report["kinds"].items():
        tab_frame.caption(f"{KINDS[kind]}. {conclusion(comparison)}")
        with st.expander(f"{KINDS[kind]}: table with p-values"):
            st.html(table_html(comparison["rankings"]))
    tab_frame.caption(
        f"LDS of single targets over {tab_frame.held_out_halves(report)}; protocol {report['protocol']}, K = "
        f"{report['K']}, recipe {report['recipe']}. Targets of one class are not independent, so the "
        "intervals are somewhat too narrow; the p-values allow for it. Where LDS of single targets is not reliable, "
        "no conclusion can be drawn from it."
    )
    files = {
        "lds-supports.csv": ("LDS and supports as CSV", to_csv(report)),
        "lds-supports-targets.csv": ("Targets as CSV", points_csv(points)),
    }
    tab_frame.download_line(ws, files, [evaluate_command(COMPARE, study)], "lds-supports", **study_options(study))


def figure(points: list[dict], k_max: int) -> go.Figure:
    """A panel a kind, x LDS, y the support; what is censored above a line at K, with open markers."""
    kinds = list(dict.fromkeys(point["kind"] for point in points))
    titles = [PANEL_TITLES[kind] for kind in kinds]
    chart = make_subplots(1, len(kinds), subplot_titles=titles, shared_yaxes=True, horizontal_spacing=0.05)
    in_legend = set()
    for column, kind in enumerate(kinds, 1):
        for name in dict.fromkeys(point["ranking"] for point in points if point["kind"] == kind):
            some = [point for point in points if (point["kind"], point["ranking"]) == (kind, name)]
            colour, _, marker = palette.ranking_style(name)
            chart.add_scatter(
                x=[point["lds"] for point in some],
                y=[point["support"] or CENSORED * k_max for point in some],
                name=name,
                mode="markers",
                legendgroup=name,
                showlegend=name not in in_legend,
                marker={
                    "color": colour,
                    "size": 8,
                    "opacity": 0.8,
                    "symbol": [marker if point["support"] else f"{marker}-open" for point in some],
                },
                customdata=[
                    [point["target"], f"support {point['support']}" if point["support"] else f"no flip within {k_max}"]
                    for point in some
                ],
                row=1,
                col=column,
                hovertemplate=name + ": target %{customdata[0]}, LDS %{x:.2f}, %{customdata[1]}<extra></extra>",
            )
            in_legend.add(name)
        chart.add_hline(y=1.05 * k_max, line={"color": plots.GREY, "width": 1, "dash": "dot"}, row=1, col=column)
    ticks = [0, *(round(k_max * part / 4) for part in range(1, 5))]
    chart.update_xaxes(title="LDS of the target")
    chart.update_yaxes(
        range=[-0.03 * k_max, 1.2 * k_max], tickvals=[*ticks, CENSORED * k_max], ticktext=[*map(str, ticks), "no flip"]
    )
    chart.update_yaxes(title="support, images", col=1)
    plots.set_layout(chart, 400, legend={"entrywidth": 130}, hovermode="closest")
    return chart


def table_html(rankings: dict[str, dict]) -> str:
    """A row a ranking, see `lds_vs_support.relate_lds_to_supports`."""
    rows = [
        [
            ranking_cell(name),
            row["n"],
            row["censored"],
            f"<b>{write.decimal(row['spearman'])}</b>",
            write.interval(row["ci"]),
            "–" if row["p"] is None else write.escape(p_text(row["p"])),
            *(write.decimal(row[key]) for key in ("sure", "partial", "reliability")),
        ]
        for name, row in rankings.items()
    ]
    return tables.table_html(COLUMNS, rows)


def conclusion(comparison: dict) -> str:
    """What the comparison over rankings, and within single targets, says."""
    across, within = comparison["across"], comparison["within"]
    text = (
        f"Over {across['n']} rankings, mean LDS against AUC: Kendall's tau {write.decimal(across['kendall'])}"
        f" (p {p_text(across['p'])})."
        if across["kendall"] is not None
        else f"{across['n']} rankings are too few, or too alike, to compare mean LDS with AUC."
    )
    if within["kendall"] is None:
        return text
    interval = f" (95 % {write.interval(within['ci'])})" if within["ci"] else ""
    return (
        f"{text} Within single targets, over {len(within['rankings'])} "
        f"rankings without Random: mean tau {write.decimal(within['kendall'])}{interval}, {within['n']} "
        f"targets; {within['left_out']} more have the same support under all rankings."
    )


def to_csv(report: dict) -> str:
    """A row for each kind and ranking."""
    return tables.to_csv(
        {
            "kind": kind,
            "ranking": name,
            **{key: row[key] for key in CSV_COLUMNS},
            **tables.low_high(row["ci"], "spearman"),
            **{key: report[key] for key in ("K", "protocol", "recipe", "masks", "seeds")},
        }
        for kind, comparison in report["kinds"].items()
        for name, row in comparison["rankings"].items()
    )


def points_csv(points: list[dict]) -> str:
    """A row for each point of the chart."""
    return tables.to_csv(points, ["kind", "ranking", "target", "lds", "support", "status"])
