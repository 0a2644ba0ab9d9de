"""Sanity: does a ranking notice whether the model was trained, and how do exact duplicates dilute its scores?"""

import plotly.graph_objects as go
import streamlit as st

from attribution import Workspace
from attribution.evaluation import sanity_checks
from attribution.export import palette
from pages.compare import plots, tab_frame
from pages.ui import format as write
from pages.ui import tables
from pages.ui.tables import Column, estimate, ranking_cell

MEASURE = ["evaluate", "sanity"]
#: what is compared with TRAK on trained networks
PAIRS = {
    "other": "TRAK, other trained networks",
    "untrained": "TRAK, the same networks untrained",
    "unrelated": "TRAK, untrained networks of other seeds",
}


def draw(ws: Workspace) -> None:
    """Draws the section."""
    tab_frame.section("Sanity: untrained networks, and planted duplicates")
    answer = tab_frame.stored_answer(
        ws,
        MEASURE,
        sanity_checks.load,
        "Not measured yet, or models or features have changed since. It computes TRAK on some more models: minutes.",
        "Run the sanity checks",
    )
    if answer is None:
        return
    untrained = answer["untrained"]
    tab_frame.caption(
        f"How much TRAK's order on {answer['checkpoints']} trained networks resembles its order on other trained "
        "networks, and on untrained ones; a ranking that explains what was learned should change. Similarity uses no "
        "classifier, so its order cannot change: it tells of the features alone, not of what a model has learned."
    )
    st.html(untrained_html(answer))
    tab_frame.caption(
        f"TRAK: {answer['checkpoints']} models, {answer['dim']} dimensions; {untrained['targets']} targets drawn at "
        "random; 95 % over targets"
        + ("; LDS over held-out halves, 95 % over halves and targets" if untrained["lds"] else "")
        + ". Similarity: with the workspace's models against without any."
    )
    tab_frame.caption(
        f"Exact copies of the image that helps a target most under TRAK were planted ({answer['copies']} in all, "
        f"{answer['each']} targets for each number of copies), and TRAK was computed on models trained anew. Without "
        "copies the score falls, too: an image chosen for a high score tends to score lower when measured again."
    )
    tab_frame.chart(figure(answer), "sanity", "scores against the copies planted; the table below has the numbers")
    st.html(duplicates_html(answer))
    tab_frame.caption(
        f"Scores relative to those without copies; 95 % over {answer['each']} targets each. A similarity's score is "
        f"counted from the least similar candidate. Places: how many of the top {answer['k']} are the image or a "
        "copy. Datamodels is not checked: it would need hundreds of models of the larger set. "
        f"{tab_frame.provenance(ws.manifest['parts'][sanity_checks.PART])}."
    )
    options = ["--checkpoints", answer["checkpoints"], "--dim", answer["dim"], "--targets", answer["each"]]
    tab_frame.download_line(ws, {"sanity.csv": ("Tables as CSV", to_csv(answer))}, [[*MEASURE, *options]])


def untrained_html(answer: dict) -> str:
    """A row a comparison, with the LDS of its second side; chance and the noise ceiling last."""
    untrained = answer["untrained"]
    lds = untrained["lds"] or {}
    columns = [Column(""), Column(f"Jaccard@{answer['k']}", "n first", f"overlap of the top {answer['k']}")]
    columns += [tables.INTERVAL, Column("Spearman", "n first", "of all scores"), tables.INTERVAL]
    columns += [Column("LDS", "n first"), tables.INTERVAL] if lds else []
    no_pair = [""] * 4
    rows = [["TRAK, trained networks", *no_pair, *_lds(lds["trained"])]] if lds else []
    for name in sorted(untrained["pairs"], key=lambda name: [*PAIRS, name].index(name)):
        pair = untrained["pairs"][name]
        row = [PAIRS.get(name) or ranking_cell(name), *_mean(pair["jaccard"], 3), *_mean(pair["spearman"], 3)]
        if name in lds:
            row += _lds(lds[name])
        elif lds and name not in PAIRS:
            row.append("unchanged")
        rows.append(row)
    rows.append(["random orders", *estimate(untrained["chance"], None, 3)[:1], "", "<b>0.000</b>"])
    ceiling = untrained["ceiling"]
    last = ["noise ceiling", *no_pair, f"<b>{write.decimal(ceiling, 3)}</b>"] if ceiling else None
    return tables.table_html(columns, rows, last=last)


def _lds(row: dict) -> list[str]:
    return estimate(row["lds"], row["ci"], 3)


def _mean(mean: dict, digits: int = 2) -> list[str]:
    """The mean has three digits, as the intervals of scores have two."""
    return [estimate(mean["mean"], None, 3)[0], write.interval(mean["ci"], digits)]


def duplicates_html(answer: dict) -> str:
    """A row a method and number of copies."""
    columns = [Column("method"), Column("copies", "n")]
    for heading in ("score of the image", "with its copies", f"places in top {answer['k']}"):
        columns += [Column(heading, "n first"), tables.INTERVAL]
    rows = []
    for name, counts in answer["duplicates"].items():
        title = ranking_cell(name.lower(), name)
        for copies, row in counts.items():
            rows.append([title, copies, *(cell for key in ("one", "sum", "places") for cell in _mean(row[key]))])
            title = ""
    return tables.table_html(columns, rows)


def figure(answer: dict) -> go.Figure:
    """A line a method: the score of one image against the number of its copies."""
    chart = go.Figure()
    for name, rows in answer["duplicates"].items():
        colour, dash, marker = palette.ranking_style(name.lower())
        scores = [row["one"] for row in rows.values()]
        means = [score["mean"] for score in scores]
        chart.add_scatter(
            x=list(rows),
            y=means,
            name=name,
            mode="lines+markers",
            marker={"size": 9, "symbol": marker},
            line={"color": colour, "dash": dash, "width": 2.5},
            error_y=plots.error_bars(means, [score["ci"] for score in scores], thickness=2),
            hovertemplate=write.escape(name) + ", %{x} copies: %{y:.2f}<extra></extra>",
        )
    chart.update_xaxes(title="copies planted", type="category")
    chart.update_yaxes(title="score of the image, without copies = 1", rangemode="tozero")
    plots.set_layout(
        chart,
        340,
    )
    return chart


def to_csv(answer: dict) -> str:
    """A row a figure of either table."""
    untrained, rows = answer["untrained"], []

    def add(check, method, copies, measure, mean):
        row = {"check": check, "method": method, "copies": copies, "measure": measure, "mean": mean["mean"]}
        rows.append({**row, **tables.low_high(mean["ci"]), "targets": mean.get("n")})

    for name, pair in untrained["pairs"].items():
        for measure in ("jaccard", "spearman"):
            add("untrained", PAIRS.get(name, name), None, measure, pair[measure])
    for name, row in (untrained["lds"] or {}).items():
        add("untrained", f"TRAK, {name}", None, "lds", {"mean": row["lds"], "ci": row["ci"]})
    for name, counts in answer["duplicates"].items():
        for copies, row in counts.items():
            for measure, mean in row.items():
                add("duplicates", name, copies, measure, mean)
    return tables.to_csv(rows)
