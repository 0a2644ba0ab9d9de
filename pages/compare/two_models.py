"""Models: where the predictions of two recipes differ, and what stands behind each of such an image."""

import numpy as np
import streamlit as st

from attribution import Workspace
from attribution.evaluation import model_comparison
from attribution.evaluation.model_comparison import Comparison
from attribution.explore.lineup import LineupRow, lineup_rows, ranking_badges
from attribution.rankings import default_rankings
from pages.compare import support_transfer, tab_frame
from pages.ui import format as write
from pages.ui import state, tables, theme
from pages.ui.tables import Column
from pages.ui.tile_strip import tiles

MAX_CELLS, MAX_IMAGES = 12, 40  # rows of images, and images in one
MAX_CLASSES = 20  # of a table that fits the page
N_TILES = 12  # training images of a row
CSV_COLUMNS = ("image", "label", "first", "second", "predicted_by_first", "predicted_by_second")


def draw(ws: Workspace) -> None:
    """Draws the tab."""
    tab_frame.header("Where do two models differ?")
    others = [name for name in ws.models() if name != ws.recipe]
    if not ws.has_base or not others:
        st.info(
            "This compares the predictions of two models, and there is "
            + (f"one, {write.plain(ws.models()[0])}" if ws.models() else "none yet")
            + ". Bring those of your own network, or train another recipe:"
        )
        tab_frame.command_line(ws, "base", "import", "logits.npy", "--kind", "logits", "--recipe", "my-network")
        return
    if st.session_state.get(state.OTHER_MODEL) not in (None, *others):
        del st.session_state[state.OTHER_MODEL]
    other = st.selectbox(f"{ws.recipe} and", others, key=state.OTHER_MODEL, bind="query-params", width=300)
    comparison = model_comparison.compare(ws, ws.recipe, other)
    st.markdown(write.plain(summary(comparison)))
    if not comparison.cells():
        return
    if len(ws.classes) <= MAX_CLASSES:
        st.html(table_html(ws, comparison))
    _draw_links(ws, comparison)
    support_transfer.section(ws, comparison.names)
    tab_frame.section("Images on which they differ")
    _draw_cells(ws, comparison)
    target = st.session_state.get(state.COMPARED_IMAGE)
    if target is not None and target < ws.n_val:
        _draw_rows(ws, comparison, int(target))
    tab_frame.download_line(
        ws,
        {"models.csv": ("Images as CSV", lambda: to_csv(ws, comparison))},
        [["base", "compare", *comparison.names]],
    )


def summary(comparison: Comparison) -> str:
    """What the table comes to, in words."""
    (first, second), (both, one, other, neither) = comparison.names, comparison.right
    text = (
        f"{first} and {second} differ on {write.percent(comparison.differ)} of {write.count(comparison.n)} validation "
        f"images: {first} alone is right on {one}, {second} alone on {other}, neither on {neither}, both on {both}. "
    )
    known = [
        f"two networks of {name} on {write.percent(share)}"
        for name, share in zip(comparison.names, comparison.within)
        if share is not None
    ]
    return (
        text
        + f"One model of each differs on {write.percent(comparison.across)}"
        + (f", {' and '.join(known)}: so much comes from the seed alone" if known else "")
        + "."
    )


def _draw_links(ws: Workspace, comparison: Comparison) -> None:
    """The ways to the training images behind the difference: Debug, on the images that one model alone gets right."""
    _, first_alone, second_alone, _ = comparison.right
    with st.container(horizontal=True, gap="small"):
        for (model, other), count in zip((comparison.names, comparison.names[::-1]), (second_alone, first_alone)):
            if not count:
                continue
            st.page_link(
                "pages/debug/page.py",
                label=write.plain(f"Explain together the {count} that {other} alone gets right"),
                icon=":material/arrow_forward:",
                query_params={
                    state.MODEL: model,
                    state.VERSUS: state.BESIDE["lost-to"].format(other),
                    "panel": "group",
                },
            )


def table_html(ws: Workspace, comparison: Comparison) -> str:
    """The two-way table: a row for what the first says, a column for what the second says; those alike are faint."""
    first, second = comparison.names
    columns = [Column(write.escape(f"{first} ↓ {second} →")), *(Column(write.escape(name), "n") for name in ws.classes)]
    body = []
    for row, counts in enumerate(comparison.table):
        cells = [write.escape(ws.classes[row])]
        for column, count in enumerate(counts):
            if row == column:
                cells.append(f'<span class="lu-faint">{count}</span>')
            else:
                cells.append(f"<b>{count}</b>" if count else '<span class="lu-faint">·</span>')
        body.append(cells)
    return tables.table_html(columns, body)


def _draw_cells(ws: Workspace, comparison: Comparison) -> None:
    """A row of images for each cell, the largest first."""
    cells = comparison.cells()
    rows, shown = [], []
    for row, column, count in cells[:MAX_CELLS]:
        ids = comparison.images(row, column)[:MAX_IMAGES]
        rows.append((row, column, count, ids))
        shown += ids.tolist()
    places = {image: place for place, image in enumerate(shown)}
    strips = []
    for row, column, count, ids in rows:
        labels = [ws.classes[c] for c in ws.val_labels[ids]]
        texts = [f"validation image {image}, {label}" for image, label in zip(ids, labels)]
        strips.append(
            {
                "id": f"{row} {column}",
                "name": f"{ws.classes[row]} | {ws.classes[column]}",
                "label": f"{comparison.names[0]} says {ws.classes[row]}, {comparison.names[1]} {ws.classes[column]}",
                "notes": [f"{count} image{'s' * (count > 1)}"],
                "tiles": tiles(places, ids, texts, caption=labels),
            }
        )
    tab_frame.caption(
        f"{comparison.names[0]} | {comparison.names[1]}: images of each cell, most confident first, true class below"
        + (f"; the {MAX_CELLS} largest of {len(cells)} cells" if len(cells) > MAX_CELLS else "")
        + ". Click one to see both models' rows."
    )
    tab_frame.image_rows(ws, "cells", "val", strips, np.array(shown), on_pick=_choose, of="validation images")


def _choose(tile: dict) -> None:
    st.session_state[state.COMPARED_IMAGE] = int(tile["id"])


def _draw_rows(ws: Workspace, comparison: Comparison, target: int) -> None:
    """For one validation image, what each model says, and the rows that explain it."""
    label = ws.classes[ws.val_labels[target]]
    tab_frame.section(write.plain(f"Validation image {target}, {label}"))
    for name, model in zip(comparison.names, (comparison.first, comparison.second)):
        view = ws.with_model(name)
        said = int(model.prediction[target])
        votes = int((model.predicted[:, target] == said).sum())
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(
                write.plain(
                    f"{name}: {ws.classes[said]} in {votes} of {model.n_models}, confidence "
                    f"{model.confidence[target]:.2f}"
                ),
                width="content",
            )
            st.page_link(
                "pages/debug/page.py",
                label="Open in Debug",
                icon=":material/arrow_forward:",
                query_params={"target": str(target), state.MODEL: name},
            )
        rows = _rows(view, theme.cache_key(view), target)
        shown = np.unique(np.concatenate([row.ids for row in rows])) if rows else np.zeros(0, np.int64)
        if len(shown):
            tab_frame.target_rows(
                ws, f"rows of {name}", target, [_strip(view, row, shown, said) for row in rows], shown
            )


@st.cache_data(max_entries=200, show_spinner=False)
def _rows(_ws, cache_key: str, target: int) -> list[LineupRow]:
    """The rows that explain what a model predicts: of rankings that were made for it or for no model."""
    names = [
        name
        for name in default_rankings(_ws)
        if name != "random" and (_ws.ranking(name).made_for or {}).get("recipe") in (None, _ws.recipe)
    ]
    return [row for row in lineup_rows(_ws, target, names, N_TILES, explain="predicted") if not row.undefined]


def _strip(ws: Workspace, row: LineupRow, shown: np.ndarray, said: int) -> dict:
    places = {int(image): place for place, image in enumerate(shown)}
    labels = ws.train_labels[row.ids]
    texts = [f"training image {image}, {ws.classes[c]}" for image, c in zip(row.ids, labels)]
    marks = [f"label: {ws.classes[c]}" if c != said else None for c in labels]
    return {
        "id": row.ranking,
        "name": row.ranking,
        "label": f"what helps {ws.classes[said]} most under {row.ranking}, most helpful first",
        "notes": [
            f"{write.share(int((labels == said).sum()), len(labels))} {ws.classes[said]}",
            *ranking_badges(ws, ws.ranking(row.ranking)),
        ],
        "tiles": tiles(places, row.ids, texts, mark=marks),
    }


def to_csv(ws: Workspace, comparison: Comparison) -> str:
    """A line for each image on which the models differ."""
    lines = [
        {
            "image": int(image),
            "label": ws.classes[ws.val_labels[image]],
            "first": comparison.names[0],
            "second": comparison.names[1],
            "predicted_by_first": ws.classes[row],
            "predicted_by_second": ws.classes[column],
        }
        for row, column, _ in comparison.cells()
        for image in comparison.images(row, column)
    ]
    return tables.to_csv(lines, list(CSV_COLUMNS))
