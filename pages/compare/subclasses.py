"""Subclasses: do rankings find a target's own class where the model has learned merged classes alone?"""

import streamlit as st

from attribution import Workspace
from attribution.evaluation import subclasses
from pages.compare import tab_frame
from pages.ui import format as write
from pages.ui import tables, theme
from pages.ui.tables import Column, estimate, ranking_cell

MEASURE = ["evaluate", "subclass"]


def draw(ws: Workspace) -> None:
    """Draws the topic."""
    tab_frame.header("Do rankings find a target's own class when classes are merged?")
    if not ws.has_base:
        theme.train_first(ws, "The classes that the model confuses most are merged, and no model has been trained yet.")
        return
    answer = tab_frame.stored_answer(
        ws,
        MEASURE,
        subclasses.load,
        f"Not measured yet for {ws.recipe}. It merges the pairs of classes that this model confuses most, and fits "
        "heads anew: seconds.",
        "Merge classes",
    )
    if answer is None:
        return
    tab_frame.caption(
        f"{_merged(answer)} The heads have learned the merged classes alone, and so have candidates and signs; a "
        "ranking that finds a target's own class all the same sees more than the label."
    )
    st.html(table_html(answer))
    tab_frame.caption(
        f"Shares of the first {answer['k']} images, {write.count(answer['targets'])} targets of merged classes; mean, "
        "95 % over targets. Own, inside: of the images of the target's merged class; chance there is "
        f"{write.decimal(answer['chance'], 2)}. Stored rankings know the classes apart, and are left out. "
        f"{tab_frame.provenance(ws.manifest['parts'][subclasses.PART])}."
    )
    tab_frame.download_line(ws, {"subclasses.csv": ("Table as CSV", to_csv(answer))}, [MEASURE])


def _merged(answer: dict) -> str:
    """What was merged, and how well heads tell the rest apart, in words."""
    pairs = ", ".join(" + ".join(group) for group in answer["merged"])
    why = f", the pairs that {answer['chosen_by']} confuses most" if answer["chosen_by"] else ""
    heads = ", ".join(f"{name} {write.percent(head['accuracy'])}" for name, head in answer["heads"].items())
    return f"Merged: {pairs}{why}." + (f" Correct on the validation images then: {heads}." if heads else "")


def table_html(answer: dict) -> str:
    """A row a ranking, the best first."""
    columns = [
        Column("ranking"),
        Column("first image", "n first", "share whose first image is of the target's own class"),
        tables.INTERVAL,
        Column(f"first {answer['k']}", "n first", "share of these images that is of the target's own class"),
        tables.INTERVAL,
        Column("merged class", "n", "share of these images that is of the target's merged class"),
        Column("own, inside", "n first", "share of the own class among the images of the merged class"),
        tables.INTERVAL,
        Column("computed under"),
    ]
    rows = [
        [
            ranking_cell(name),
            *estimate(row["first"]["mean"], row["first"]["ci"]),
            *estimate(row["share"]["mean"], row["share"]["ci"]),
            write.decimal(row["superclass"]["mean"], 2),
            *estimate(row["within"]["mean"], row["within"]["ci"]),
            write.escape(row["under"]),
        ]
        for name, row in in_order(answer)
    ]
    return tables.table_html(columns, rows)


def in_order(answer: dict) -> list[tuple[str, dict]]:
    """(ranking, what was measured of it), by the share inside the merged class, highest first."""
    return sorted(answer["rankings"].items(), key=lambda pair: -(pair[1]["within"]["mean"] or 0))


def to_csv(answer: dict) -> str:
    """A row a ranking and share."""
    return tables.to_csv(
        {
            "recipe": answer["recipe"],
            "recipe_hash": answer["recipe_hash"],
            "merged": "; ".join("+".join(group) for group in answer["merged"]),
            "k": answer["k"],
            "ranking": name,
            "share": share,
            "mean": row[share]["mean"],
            **tables.low_high(row[share]["ci"]),
            "targets": row[share]["n"],
            "chance": answer["chance"],
            "computed_under": row["under"],
        }
        for name, row in in_order(answer)
        for share in ("first", "share", "superclass", "within")
    )
