"""Margin without the top 1 %: by how much it falls without a ranking's first images, beside random ones."""

import streamlit as st

from attribution import Workspace
from attribution.evaluation import margin_removal
from pages.compare import tab_frame
from pages.ui import format as write
from pages.ui import tables
from pages.ui.tables import Column, estimate, ranking_cell

MEASURE = ["evaluate", "removal"]
COLUMNS = [
    Column("ranking"),
    Column("removed", "n", "images, the mean over targets: a signed ranking may have fewer helpful ones"),
    Column("margin falls by", "n first", "mean, in logits"),
    tables.INTERVAL,
    Column("more than random, same classes", "n first", "paired: as many random images of the same classes"),
    tables.INTERVAL,
    Column("more than random, any class", "n first", "paired: as many random images"),
    tables.INTERVAL,
    Column("targets", "n"),
]


def draw(ws: Workspace) -> None:
    """Draws the topic."""
    tab_frame.header("How far does the margin fall without a ranking's top images?")
    answer = tab_frame.stored_answer(
        ws,
        MEASURE,
        margin_removal.load,
        f"Not measured yet for {ws.recipe}. It refits the head exactly without the first "
        f"{write.percent(margin_removal.SHARE, 0)} of the training images by each ranking, for "
        f"{margin_removal.N_TARGETS} targets, and without random ones: minutes.",
        "Remove and refit",
    )
    if answer is None:
        return
    tab_frame.caption(
        f"The first {write.count(answer['k'])} training images ({write.percent(answer['share'], 0)}) by a ranking are "
        f"removed for each target, and beside them {answer['draws']} random sets of the same classes, and as many of "
        "any class. The further the margin falls, the more the ranking knew of what this prediction rests on."
    )
    st.html(table_html(answer))
    how = "exact refits without seeds" if answer["seeds"] is None else f"{len(answer['seeds'])} stored trainings a set"
    tab_frame.caption(
        f"Model {answer['recipe']} {answer['recipe_hash']}, {how}; {write.counted(answer['targets'], 'target')}; mean, "
        f"95 % over targets. {tab_frame.provenance(ws.manifest['parts'][margin_removal.PART])}."
    )
    tab_frame.download_line(ws, {"removal.csv": ("Table as CSV", to_csv(answer))}, [MEASURE])


def table_html(answer: dict) -> str:
    """A row a ranking, the furthest fall first."""
    rows = []
    for name, row in in_order(answer):
        matched, free = row["same_classes"], row["any_class"]
        beyond = estimate(free["difference"]["mean"], free["difference"]["ci"]) if free else ["–", "–"]
        rows.append(
            [
                ranking_cell(name),
                write.decimal(row["removed"], 1),
                *estimate(matched["fall"]["mean"], matched["fall"]["ci"]),
                *estimate(matched["difference"]["mean"], matched["difference"]["ci"]),
                *beyond,
                write.count(matched["fall"]["n"]),
            ]
        )
    return tables.table_html(COLUMNS, rows)


def in_order(answer: dict) -> list[tuple[str, dict]]:
    """(ranking, what was measured of it), by the fall of the margin, furthest first."""
    return sorted(answer["rankings"].items(), key=lambda pair: -(pair[1]["same_classes"]["fall"]["mean"] or 0))


def to_csv(answer: dict) -> str:
    """A row a ranking and kind of random images."""
    return tables.to_csv(
        {
            "recipe": answer["recipe"],
            "recipe_hash": answer["recipe_hash"],
            "k": answer["k"],
            "ranking": name,
            "removed": row["removed"],
            "random": random,
            **{name: row[random][name]["mean"] for name in ("fall", "control", "difference")},
            **tables.low_high(row[random]["difference"]["ci"]),
            "targets": row[random]["fall"]["n"],
            "draws": answer["draws"],
        }
        for name, row in in_order(answer)
        for random in ("same_classes", "any_class")
        if row[random]
    )
