"""Metasmoothness: how well the derivative of a training, which Unrolled rests on, predicts trainings without some
images."""

import streamlit as st

from attribution import Workspace
from attribution.evaluation import metasmoothness
from pages.compare import tab_frame
from pages.ui import format as write
from pages.ui import tables
from pages.ui.tables import Column

MEASURE = ["evaluate", "metasmoothness"]


def draw(ws: Workspace) -> None:
    """Draws the topic."""
    tab_frame.header("Does the derivative of a training predict a training without some images?")
    trainings = metasmoothness.SEEDS * (1 + len(metasmoothness.SHARES) * metasmoothness.DRAWS)
    answer = tab_frame.stored_answer(
        ws,
        MEASURE,
        metasmoothness.load,
        f"Not measured yet for {ws.recipe}. It trains {trainings} times in float32, and goes back through "
        f"{metasmoothness.SEEDS} of these trainings; stopped, it goes on where it was.",
        "Measure metasmoothness",
    )
    if answer is None:
        return
    tab_frame.caption(
        "Unrolled ranks by this derivative: where it predicts nothing, do not rely on Unrolled under this recipe. One "
        "training's scores predict how margins change when a random share of the images is left out; measured is a "
        "training with the same seed without them. Spearman's correlation over targets: 1 is perfect, 0 is chance."
    )
    st.html(table_html(answer))
    tab_frame.caption(
        f"Recipe {answer['recipe']} {answer['recipe_hash']}; {write.counted(answer['targets'], 'target')}, "
        f"{write.counted(len(answer['seeds']), 'seed')}, {write.counted(answer['draws'], 'set')} left out of each "
        f"share; 95 % over targets. Trained in {answer['precision']}. A mean over several seeds, as rankings are, "
        "predicts a mean over seeds better than this. "
        f"{tab_frame.provenance(ws.manifest['parts'][metasmoothness.PART])}."
    )
    tab_frame.download_line(ws, {"metasmoothness.csv": ("Table as CSV", to_csv(answer))}, [MEASURE])


def table_html(answer: dict) -> str:
    """A row a share, a column for each number of epochs."""
    columns = [
        Column("left out", "n", "share of the training images"),
        Column("images", "n"),
        Column("margins change by", "n", "standard deviation of the measured change over targets, sets and seeds"),
        *(
            Column(f"last {write.counted(by['epochs'], 'epoch')} (95 %)", "n", "how many were gone back through")
            for by in answer["shares"][0]["epochs"]
        ),
    ]
    rows = [
        [
            write.percent(row["share"]),
            write.count(row["dropped"]),
            write.decimal(row["spread"]),
            *(tables.stacked(by["spearman"], by["ci"]) for by in row["epochs"]),
        ]
        for row in answer["shares"]
    ]
    return tables.table_html(columns, rows)


def to_csv(answer: dict) -> str:
    """A row a share and number of epochs."""
    return tables.to_csv(
        {
            "recipe": answer["recipe"],
            "share": row["share"],
            "dropped": row["dropped"],
            "spread": row["spread"],
            "epochs": by["epochs"],
            "spearman": by["spearman"],
            **tables.low_high(by["ci"]),
            "targets": answer["targets"],
            "seeds": len(answer["seeds"]),
            "draws": answer["draws"],
        }
        for row in answer["shares"]
        for by in row["epochs"]
    )
