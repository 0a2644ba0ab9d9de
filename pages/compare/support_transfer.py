"""Which supports transfer, between a head and the workspace's own recipe? A section of the Models tab."""

import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from attribution import Workspace
from attribution.evaluation import support_transfer
from attribution.export import palette
from attribution.training.head.recipe import is_head
from pages.compare import plots, tab_frame
from pages.ui import format as write
from pages.ui import tables
from pages.ui.tables import Column, estimate, ranking_cell

MEASURE = ["evaluate", "support-transfer"]
COLUMNS = [
    Column("supports of"),
    Column("removed under"),
    Column("top images of"),
    Column("targets", "n", "that the first model flips without these images, and the second gets right"),
    Column("median size", "n"),
    Column("flipped", "n", "under the second model"),
    Column("95 %", help="Wilson, over targets"),
    Column("random images", "n", "as many images of the same classes"),
    Column("95 %", help="bootstrap over targets"),
    Column("margin falls by", "n", "mean, in logits of the second model"),
    Column("95 %", help="bootstrap over targets"),
    Column("random images", "n"),
    Column("95 %", help="bootstrap over targets"),
]


def section(ws: Workspace, names: tuple[str, str]) -> None:
    """Both directions; absent unless the two models are a head and the workspace's own recipe."""
    head = next((name for name in names if is_head(name)), None)
    if head is None or ws.own_recipe not in names:
        return
    view = ws.with_model(head)
    tab_frame.section("Do the images that flip one model flip another?")
    answer = tab_frame.stored_answer(
        view,
        MEASURE,
        support_transfer.load,
        f"Not measured yet for {write.plain(head)}. It needs a study of each by removal; the head's supports are then "
        f"trained without by {write.plain(ws.own_recipe)}, some 240 trainings, in the background.",
        "Measure",
    )
    if answer is None:
        return
    rows = support_transfer.report(answer)
    st.markdown(write.plain(reading(rows)))
    tab_frame.caption(
        "A support: the fewest top images of a ranking whose removal flips a target under one model. Exactly these "
        "images are removed under the other model, for targets that it gets right, and for comparison as many random "
        "images of the same classes."
    )
    tab_frame.chart(
        figure(rows),
        "support transfer",
        "share of targets that the supports of one model flip under the other; the table below has the numbers",
        picture="support-transfer",
    )
    st.html(table_html(rows))
    tab_frame.caption(_basis(view, answer))
    files = {"support-transfer.csv": ("Targets as CSV", lambda: to_csv(answer))}
    tab_frame.download_line(view, files, [[*MEASURE, "--json"]], "support-transfer")


def reading(rows: list[dict]) -> str:
    """What the figure comes to, in words: a sentence a direction."""
    sentences = []
    for of, under in dict.fromkeys((row["of"], row["under"]) for row in rows):
        some = sorted(
            (row for row in rows if (row["of"], row["under"]) == (of, under)), key=lambda row: row["flipped"]["share"]
        )
        ends = [some[0], some[-1]] if some[0]["flipped"]["share"] < some[-1]["flipped"]["share"] else some[:1]
        shares = " to ".join(
            f"{write.percent(row['flipped']['share'], 0)} ({row['ranking']}, {row['flipped']['count']} of {row['n']})"
            for row in ends
        )
        if len(ends) == 1 < len(some):
            shares = f"{write.percent(ends[0]['flipped']['share'], 0)} under each of {len(some)} rankings"
        controls = sorted({round(100 * row["control"]["mean"]) for row in some})
        random = " to ".join(str(share) for share in dict.fromkeys((controls[0], controls[-1])))
        apart = sum(row["flipped"]["ci"][0] > (row["control"]["ci"] or [row["control"]["mean"]])[-1] for row in some)
        if len(some) > 1:
            verdict = f"clearly fewer for {apart} of {len(some)} rankings (the intervals do not overlap)"
        elif apart:
            verdict = "clearly fewer: the intervals do not overlap"
        else:
            verdict = "a difference that may be chance: the intervals overlap"
        sentences.append(
            f"Without the supports of {of}, {under} flips in {shares}; without random images in {random} %, {verdict}."
        )
    return " ".join(sentences)


def figure(rows: list[dict]) -> go.Figure:
    """A panel a direction, a line a ranking: the share flipped, and below it, hollow, by random images."""
    directions = list(dict.fromkeys((row["of"], row["under"]) for row in rows))
    lines = {pair: [row for row in rows if (row["of"], row["under"]) == pair] for pair in directions}
    chart = make_subplots(
        1,
        len(directions),
        subplot_titles=[write.plotted(f"supports of {of}, removed under {under}") for of, under in directions],
        horizontal_spacing=0.14,
    )
    for column, some in enumerate(lines.values(), 1):
        for place, row in enumerate(some):
            colour, _, marker = palette.ranking_style(row["ranking"])
            for name, measured, shift, style in (
                (row["ranking"], row["flipped"], -0.12, {"color": colour, "symbol": marker}),
                ("random images", row["control"], 0.12, {"color": plots.GREY, "symbol": f"{marker}-open"}),
            ):
                share = measured.get("share", measured.get("mean"))
                chart.add_scatter(
                    x=[share],
                    y=[place + shift],
                    mode="markers",
                    name="random images of the same classes",
                    showlegend=shift > 0 and place == 0 and column == 1,
                    error_x=plots.error_bars([share], [measured["ci"]], color=style["color"]),
                    marker={**style, "size": 9},
                    hovertemplate=f"{write.plotted(name)}: {write.percent(share)} of {row['n']} targets flip"
                    "<extra></extra>",
                    row=1,
                    col=column,
                )
        labels = [write.plotted(row["ranking"]) for row in some]
        chart.update_yaxes(
            tickvals=list(range(len(some))), ticktext=labels, range=[len(some) - 0.5, -0.5], zeroline=False, col=column
        )
    chart.update_xaxes(range=[-0.02, 1.02], tickformat=".0%", title="targets flipped")
    plots.set_layout(chart, 150 + 40 * max(map(len, lines.values())), hovermode="closest")
    return chart


def table_html(rows: list[dict]) -> str:
    """A row a direction and ranking."""
    body = []
    for row in rows:
        flipped = row["flipped"]
        low, high = map(write.percent, flipped["ci"])
        control = row["control"]
        ends = " to ".join(write.percent(end) for end in control["ci"]) if control["ci"] else "–"
        body.append(
            [
                write.escape(row["of"]),
                write.escape(row["under"]),
                ranking_cell(row["ranking"]),
                row["n"],
                f"{row['k']:g}",
                f"<b>{flipped['count']} of {flipped['n']}</b>",
                f"{low} to {high}",
                f"<b>{write.percent(control['mean'])}</b>",
                ends,
                *estimate(row["fall"]["mean"], row["fall"]["ci"]),
                *estimate(row["control_fall"]["mean"], row["control_fall"]["ci"]),
            ]
        )
    return tables.table_html(COLUMNS, body)


def _basis(view: Workspace, answer: dict) -> str:
    own, head = answer["models"]
    own_hash, head_hash = answer["hashes"]
    draws = answer["draws"]
    return (
        f"{head} {head_hash}: exact refits, no seed, {draws[head]} random sets beside each. {own} {own_hash}: seeds "
        f"{write.number_ranges(answer['seeds'])}, flipped where at least half of them are wrong, "
        f"{write.counted(draws[own], 'random set')} beside each; targets on which its base models agree, in the order "
        f"of a study. {tab_frame.provenance(view.manifest['parts'][support_transfer.PART])}."
        f"{write.planted_note(view.planted)}"
    )


def to_csv(answer: dict) -> str:
    """A row a target, direction and ranking."""
    about = {"seeds": len(answer["seeds"]), **dict(zip(("own_hash", "head_hash"), answer["hashes"]))}
    return tables.to_csv({**row, **about} for row in answer["rows"])
