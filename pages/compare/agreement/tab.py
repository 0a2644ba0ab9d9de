"""Agreement: do the rankings choose the same training images, and on which targets do they differ most?"""

from itertools import combinations

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from attribution import Workspace
from attribution.evaluation import agreement
from pages.compare import tab_frame
from pages.ui import format as write
from pages.ui import state, tables, theme
from pages.ui.tables import Column, estimate, ranking_cell

NAMES = {"jaccard": "Jaccard of the top k", "rbo": "rank-biased overlap", "spearman": "Spearman over the union"}
HELP = {
    "jaccard": "Of the images in either top k, the share that is in both.",
    "rbo": "Overlap of the top d images, averaged over every d; the first places count most.",
    "spearman": "Rank correlation over the images in either top k. It is below 0 where the top of one is far down in "
    "the other; two random orders are well below 0.",
}
SHOWN = 60  # targets
COMPARE = ["evaluate", "agreement"]


def draw(ws: Workspace) -> None:
    """Draws the tab."""
    tab_frame.header("Do the methods choose the same images?")
    compared = tab_frame.stored_answer(
        ws,
        COMPARE,
        agreement.load,
        "Not measured yet, or a ranking has changed since. Measuring trains nothing.",
        "Compare the rankings",
    )
    if compared:
        _show(ws, compared)


def _show(ws: Workspace, compared: agreement.Agreement) -> None:
    summary = _summary(compared, theme.cache_key(ws))
    n = write.count(len(compared.targets))
    tab_frame.caption(
        f"The top {compared.k} training images of each ranking as published, on {n} targets; means with "
        "95 % bootstrap intervals over targets. Similarity and random rank images of the target's class only, "
        "which limits what they can share with rankings that choose from all classes."
    )
    measure = st.segmented_control(
        "Measure",
        list(NAMES),
        default="jaccard",
        required=True,
        key=state.MEASURE,
        bind="query-params",
        format_func=NAMES.get,
        label_visibility="collapsed",
    )
    tab_frame.caption(HELP[measure])
    tab_frame.chart(
        matrix(summary, measure),
        "agreement matrix",
        f"{NAMES[measure]} of every two rankings; the table below has the numbers",
    )
    with st.expander("All pairs as a table"):
        st.html(pairs_html(summary))
    st.caption(f"Labels of each ranking's top {summary['k']}, as shares.")
    st.html(classes_html(summary))
    tab_frame.download_line(
        ws,
        {"agreement.csv": ("Table as CSV", to_csv(summary))},
        [[*COMPARE, "--rankings", ",".join(summary["pairs"]), "--k", summary["k"]]],
        "agreement",
        measure=measure,
    )
    _targets(ws, compared, measure)


@st.cache_data(max_entries=4, show_spinner="Comparing the rankings", hash_funcs={agreement.Agreement: id})
def _summary(compared: agreement.Agreement, stamp: str) -> dict:
    return agreement.report(compared)


def matrix(summary: dict, measure: str) -> go.Figure:
    """A square for every two rankings; their own are left empty."""
    names = list(summary["pairs"])
    cells = [[summary["pairs"][a].get(b, {}).get(measure) for b in names] for a in names]
    hover = [
        [f"{a} and {b}: {_hover(cell)}" if cell else "" for b, cell in zip(names, row)] for a, row in zip(names, cells)
    ]
    shown = [[f"{cell['mean']:.2f}" if cell and cell["mean"] is not None else "" for cell in row] for row in cells]
    low = -1 if measure == "spearman" else 0
    figure = go.Figure(
        go.Heatmap(
            z=[[cell and cell["mean"] for cell in row] for row in cells],
            x=names,
            y=names,
            text=shown,
            texttemplate="%{text}",
            customdata=hover,
            zmin=low,
            zmax=1,
            xgap=2,
            ygap=2,
            hovertemplate="%{customdata}<extra></extra>",
            colorscale="BrBG" if low else "Greens",
            colorbar={"thickness": 10, "len": 0.9},
        )
    )
    figure.update_layout(
        height=110 + 46 * len(names),
        width=220 + 90 * len(names),
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        xaxis={"showgrid": False},
        yaxis={"autorange": "reversed", "showgrid": False},
    )
    return figure


def _hover(mean: dict) -> str:
    interval = f" (95 % {write.interval(mean['ci'], 3)})" if mean["ci"] else ""
    return write.decimal(mean["mean"], 3) + interval


def _estimate(mean: dict) -> list[str]:
    return estimate(mean["mean"], mean["ci"], 3)


def pairs_html(summary: dict) -> str:
    """Every pair once, with all measures."""
    columns = [Column("ranking"), Column("and")]
    columns += [column for name in NAMES.values() for column in (Column(name, "n"), tables.INTERVAL)]
    rows = []
    for a, b in combinations(summary["pairs"], 2):
        pair = summary["pairs"][a][b]
        rows.append([ranking_cell(a), ranking_cell(b), *(cell for name in NAMES for cell in _estimate(pair[name]))])
    return tables.table_html(columns, rows)


def classes_html(summary: dict) -> str:
    """What share of each ranking's first images carry the target's class, and another."""
    columns = [Column("ranking"), Column("the target's class", "n"), tables.INTERVAL]
    columns += [Column("other classes", "n"), tables.INTERVAL]
    rows = [
        [ranking_cell(name), *_estimate(shares["same_class"]), *_estimate(shares["cross_class"])]
        for name, shares in summary["rankings"].items()
    ]
    return tables.table_html(columns, rows)


def to_csv(summary: dict) -> str:
    """A row for each pair and measure."""
    return tables.to_csv(
        {
            "a": a,
            "b": b,
            "measure": measure,
            "mean": mean["mean"],
            **tables.low_high(mean["ci"]),
            "targets": mean["n"],
            "k": summary["k"],
            "p": summary["p"],
        }
        for a, b in combinations(summary["pairs"], 2)
        for measure, mean in summary["pairs"][a][b].items()
    )


def _targets(ws: Workspace, compared: agreement.Agreement, measure: str) -> None:
    """The targets on which a pair agrees least; each leads to its lineup."""
    tab_frame.section("Where they differ most")
    names = list(compared.names)
    with st.container(horizontal=True, gap="small"):
        a = st.selectbox("Ranking", names, key=state.ONE_RANKING, width=190)
        others = [name for name in names if name != a]
        b = st.selectbox("and", others, min(1, len(others) - 1), key=state.OTHER_RANKING, width=190)
    pair = (a, b) if (a, b) in compared.pairs else (b, a)
    ids = agreement.most_disagreeing_targets(compared, a, b, measure)[:SHOWN]
    if not len(ids):
        st.caption("No target has a value.")
        return
    values = compared.pairs[pair][measure][np.searchsorted(compared.targets, ids)]
    tab_frame.caption(f"{NAMES[measure]} of {a} and {b}, least first. Choose a target to open it in Debug.")
    captions = {int(target): (f"{value:.2f}", f"{NAMES[measure]} {value:.3f}") for target, value in zip(ids, values)}
    tab_frame.target_wall(ws, "disagreement", captions, marks=False)
