"""How much smaller a head's supports get in a recomputed order: a topic of Advanced."""

import plotly.graph_objects as go
import streamlit as st

from attribution import Workspace
from attribution.evaluation import adaptive_supports
from attribution.evaluation.adaptive_supports import ORDER_NAMES, ORDERS, AdaptiveSupports
from attribution.export import palette
from attribution.training.head.recipe import PREFIX
from pages.compare import plots, tab_frame
from pages.compare.auc_columns import AUC_HELP, INTERVAL_HELP
from pages.compare.supports.tables import median_text
from pages.ui import format as write
from pages.ui import tables, theme
from pages.ui.tables import Column, estimate

MEASURE = ["evaluate", "adaptive-supports"]
COLUMNS = [
    Column("order"),
    Column("AUC", "n", AUC_HELP),
    Column("95 %", help=INTERVAL_HELP),
    Column("flipped", "n"),
    Column("95 %", help="Wilson"),
    Column("median", "n"),
]


def draw(ws: Workspace) -> None:
    """Both orders side by side."""
    tab_frame.header("Do supports get smaller if influence is recomputed as images go?")
    found = tab_frame.stored_answer(
        ws,
        MEASURE,
        adaptive_supports.load,
        "Not measured under this head yet. It searches the support of every correct prediction in both orders, some "
        "minutes of one core, and resumes where it was stopped.",
        "Measure both orders",
    )
    if found is None:
        return
    report = _report(found, theme.cache_key(ws))
    st.markdown(write.plain(reading(report)))
    tab_frame.caption(
        f"Fixed order: the top k of {_prefix_name(report)}, computed once. Recomputed order: the head is refitted "
        f"after every {report['batch']} images removed, and influence computed anew. A fixed order is not optimal "
        "(Hu et al., arXiv 2409.18153); here the gap is measured. A support here is exact: one image fewer does not "
        "flip the target."
    )
    tab_frame.chart(
        figure(report, adaptive_supports.curves(found)),
        "adaptive supports",
        "share of targets flipped by k in both orders; the table below has the numbers",
        picture="adaptive-supports",
    )
    st.html(table_html(report))
    tab_frame.caption(_basis(ws, report))
    files = {"adaptive-supports.csv": ("Supports as CSV", lambda: to_csv(found))}
    tab_frame.download_line(ws, files, [[*MEASURE, "--json"]], "adaptive-supports")


@st.cache_data(max_entries=4, show_spinner=False)
def _report(_found: AdaptiveSupports, version: str) -> dict:
    return adaptive_supports.report(_found)


def _prefix_name(report: dict) -> str:
    return f"influence-{report['recipe'].removeprefix(PREFIX)}"


def reading(report: dict) -> str:
    """What the comparison comes to, in words."""
    flipped, ratio = {order: report["orders"][order]["flipped"] for order in ORDERS}, report["ratio"]
    text = (
        f"Within {report['K']} images the recomputed order flips {write.percent(flipped['adaptive']['share'])} of "
        f"{write.count(report['targets'])} targets, the fixed order {write.percent(flipped['prefix']['share'])}: "
        f"{report['gained']} flip in the recomputed order alone, {report['lost']} in the fixed order alone."
    )
    if ratio["median"] is None:
        return text
    return text + (
        f" Where both flip ({report['both']}), the recomputed support has {write.decimal(ratio['median'])} times "
        f"the size (median; 95 % {write.interval(ratio['ci'])}): smaller for {report['smaller']}, equal for "
        f"{report['equal']}, larger for {report['larger']}."
    )


def figure(report: dict, curves: dict[str, dict]) -> go.Figure:
    """A curve an order, with its pointwise 95 % band. curves: `adaptive_supports.curves`."""
    chart = go.Figure()
    for order, (colour, dash) in palette.ORDER_STYLES.items():
        curve, auc = curves[order], report["orders"][order]
        ks = list(range(len(curve["share"])))
        chart.add_scatter(
            x=[*ks, *reversed(ks)],
            y=[*curve["low"], *reversed(curve["high"])],
            fill="toself",
            line={"width": 0, "shape": "hv"},
            fillcolor=colour,
            opacity=0.15,
            hoverinfo="skip",
            showlegend=False,
        )
        chart.add_scatter(
            x=ks,
            y=curve["share"],
            name=f"{ORDER_NAMES[order]}, AUC {write.decimal(auc['auc'], 3)} ({write.interval(auc['auc_ci'], 3)})",
            mode="lines",
            line={"shape": "hv", "color": colour, "dash": dash, "width": 2.5},
            hovertemplate=f"{ORDER_NAMES[order]}: %{{y:.1%}} flipped by k = %{{x}}<extra></extra>",
        )
    chart.update_xaxes(range=[0, report["K"] * 1.01], title="k, images removed")
    chart.update_yaxes(range=[0, 1.02], tickformat=".0%", title="targets flipped")
    plots.set_layout(chart, 360, hovermode="closest")
    return chart


def table_html(report: dict) -> str:
    """A row an order, and the difference of the areas, paired over targets."""
    body = []
    for order in ORDERS:
        row = report["orders"][order]
        flipped = row["flipped"]
        share = "–" if flipped["share"] is None else f"{flipped['count']} of {flipped['n']}"
        low, high = ("", "") if flipped["ci"] is None else map(write.percent, flipped["ci"])
        body.append(
            [
                ORDER_NAMES[order],
                *estimate(row["auc"], row["auc_ci"], 3),
                share,
                f"{low} to {high}",
                median_text(row, report["K"]),
            ]
        )
    gain = report["difference"]
    difference = estimate(gain["auc_difference"], gain["auc_difference_ci"], 3, sign=True)
    return tables.table_html(COLUMNS, body, last=["recomputed minus fixed", *difference])


def _basis(ws: Workspace, report: dict) -> str:
    return (
        f"All {write.count(report['targets'])} validation images that {report['recipe']} {report['recipe_hash']} gets "
        f"right, K = {report['K']}; exact refits, no seed; 95 % over targets, of the curves at each k (Wilson). "
        f"{tab_frame.provenance(ws.manifest['parts'][adaptive_supports.PART])}.{write.planted_note(ws.planted)}"
    )


def to_csv(found: AdaptiveSupports) -> str:
    """A row a target."""
    about = {"recipe": found.recipe, "recipe_hash": found.recipe_hash, "K": found.k_max, "batch": found.batch}
    supports = {order: found.supports(order) for order in ORDERS}
    return tables.to_csv(
        {
            "target": target,
            **{
                key: value
                for order in ORDERS
                for key, value in (
                    (f"{order}_status", supports[order][target].status),
                    (f"{order}_support", supports[order][target].support),
                )
            },
            **about,
        }
        for target in supports["prefix"]
    )
