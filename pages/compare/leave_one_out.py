"""Leave-one-out: do scores order training images as leaving each of them out alone does? Exact under a head."""

import streamlit as st

from attribution import Workspace
from attribution.evaluation import leave_one_out
from pages.compare import tab_frame
from pages.ui import format as write
from pages.ui import tables
from pages.ui.tables import Column, estimate, ranking_cell

MEASURE = ["evaluate", "loo"]
COLUMNS = [
    Column("ranking"),
    Column("Spearman", "n first", "of scores and of the fall of the margin, over the images left out"),
    tables.INTERVAL,
    Column("same class", "n first", "the same among images with the target's own label"),
    tables.INTERVAL,
    Column("targets", "n"),
]


def draw(ws: Workspace) -> None:
    """Draws the topic."""
    tab_frame.header("Do scores order training images as leaving each out alone does?")
    answer = tab_frame.stored_answer(
        ws,
        MEASURE,
        leave_one_out.load,
        f"Not measured yet for {ws.recipe}. It refits the head exactly without each of {leave_one_out.N_IMAGES:,} "
        "training images: minutes.",
        "Leave images out",
    )
    if answer is None:
        return
    tab_frame.caption(
        f"{write.count(answer['images'])} training images, drawn at random, are left out one at a time, and "
        f"{answer['recipe']} is refitted exactly each time; a margin moves by {write.decimal(answer['typical'], 4)} "
        "(median). Spearman's correlation of the scores with these falls: 1 is perfect, 0 is chance. A ranking of the "
        "target's class alone owes part of the first column to knowing the class."
    )
    st.html(table_html(answer))
    tab_frame.caption(
        f"Model {answer['recipe']} {answer['recipe_hash']}, exact refits without seeds; mean, 95 % over targets. "
        f"{tab_frame.provenance(ws.manifest['parts'][leave_one_out.PART])}."
    )
    tab_frame.download_line(ws, {"leave-one-out.csv": ("Table as CSV", to_csv(answer))}, [MEASURE])


def table_html(answer: dict) -> str:
    """A row a ranking, the best first."""
    rows = [
        [
            ranking_cell(name),
            *estimate(row["correlation"]["mean"], row["correlation"]["ci"]),
            *estimate(row["same_class"]["mean"], row["same_class"]["ci"]),
            write.count(row["correlation"]["n"]),
        ]
        for name, row in in_order(answer)
    ]
    return tables.table_html(COLUMNS, rows)


def in_order(answer: dict) -> list[tuple[str, dict]]:
    """(ranking, what was measured of it), by correlation, highest first."""
    return sorted(answer["rankings"].items(), key=lambda pair: -(pair[1]["correlation"]["mean"] or 0))


def to_csv(answer: dict) -> str:
    """A row a ranking and kind of correlation."""
    return tables.to_csv(
        {
            "recipe": answer["recipe"],
            "recipe_hash": answer["recipe_hash"],
            "images": answer["images"],
            "ranking": name,
            "among": among,
            "spearman": row[among]["mean"],
            **tables.low_high(row[among]["ci"]),
            "targets": row[among]["n"],
        }
        for name, row in in_order(answer)
        for among in ("correlation", "same_class")
    )
