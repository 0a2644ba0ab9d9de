"""A set of images chosen on the map, and the pages that can take it."""

from collections.abc import Callable

import numpy as np
import streamlit as st

from attribution import Workspace
from attribution.audit import detectors
from attribution.features import projection
from attribution.features.projection import Projection
from pages.map import chart
from pages.ui import audit_queue, sprite_sheet, state
from pages.ui import format as write
from pages.ui.tile_strip import image_row, strip, strip_data

MAX_SHOWN = 60  # images of a set
MAX_HANDED_OVER = 1000  # images of a set that Brittleness and Audit take


def selected(ws: Workspace, points: Projection, selection) -> tuple[np.ndarray, np.ndarray]:
    """The training and the validation images of a selection, int64 ascending: the points in it or, where only a sample
    is drawn, all that lie inside it."""
    train, val = set(), set()
    shapes = _outlines(selection)
    if shapes and (ws.n_train > chart.MAX_POINTS["train"] or ws.n_val > chart.MAX_POINTS["val"]):
        for polygon in shapes:
            train.update(np.flatnonzero(projection.points_in_polygon(points.train, polygon)).tolist())
            val.update(np.flatnonzero(projection.points_in_polygon(points.val, polygon)).tolist())
    else:
        for point in (selection or {}).get("points", []):
            split, image, _ = point["customdata"]
            (train if split == "train" else val).add(int(image))
    return np.array(sorted(train), np.int64), np.array(sorted(val), np.int64)


def _outlines(selection) -> list[np.ndarray]:
    """The outlines of a selection's lassos and boxes, [corners, 2] each."""
    selection = selection or {}
    shapes = [np.stack([lasso["x"], lasso["y"]], 1) for lasso in selection.get("lasso", [])]
    for box in selection.get("box", []):
        (x0, x1), (y0, y1) = box["x"], box["y"]
        shapes.append(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]))
    return shapes


def draw(
    ws: Workspace, points: Projection, selection, on_image: Callable[[int], None], on_target: Callable[[int], None]
) -> None:
    """The set that a selection of the chart makes, if it does. on_image(training image) and on_target(validation image)
    are called where one is chosen."""
    train, val = selected(ws, points, selection)
    if not len(train) and not len(val):
        return
    st.markdown("##### The set")
    st.markdown(write.plain(set_text(ws, train, val)))
    near = val if len(val) else nearest_target(points, train)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        few = 0 < len(train) <= MAX_HANDED_OVER
        why = None if few else f"Takes 1 to {write.count(MAX_HANDED_OVER)} training images."
        if ws.has_base and st.button(
            "To Brittleness, as a removal set",
            key="set to brittleness",
            type="primary",
            icon=":material/science:",
            disabled=not few,
            help=why,
        ):
            ids = write.number_ranges(train.tolist()).replace("–", "-")
            st.switch_page(
                "pages/brittleness/page.py",
                query_params={  # the target goes along
                    state.TEST: "chosen images",
                    state.KIND: "remove",
                    state.IDS: ids,
                },
            )
        if detectors.names(ws) and st.button(
            "To the audit", key="set to audit", icon=":material/policy:", disabled=not few, help=why
        ):
            audit_queue.make_and_open(ws, images=train.tolist())
        # not a link: the target looked at would go along in place of the link's own
        st.button(
            f"Validation image {near[0]} in Explore",
            key="set to explore",
            icon=":material/arrow_forward:",
            on_click=on_target,
            args=(int(near[0]),),
        )
    for ids, split, pick in ((train, "train", on_image), (val, "val", on_target)):
        if len(ids):
            _draw_strip(ws, ids, split, pick)
    if not len(val):
        st.caption(f"No validation image lies in it; {near[0]} lies nearest to its middle.")


def set_text(ws: Workspace, train: np.ndarray, val: np.ndarray) -> str:
    """ "31 training images (30 Coat, 1 Shirt) and 4 validation images"."""
    classes, counts = np.unique(ws.train_labels[train], return_counts=True)
    mix = ", ".join(
        f"{write.count(n)} {ws.classes[c]}" for c, n in sorted(zip(classes, counts), key=lambda item: -item[1])
    )
    parts = [
        f"{write.counted(len(ids), f'{what} image')}{more}"
        for ids, what, more in ((train, "training", f" ({mix})"), (val, "validation", ""))
        if len(ids)
    ]
    return " and ".join(parts)


def nearest_target(points: Projection, train: np.ndarray) -> np.ndarray:
    """The validation image that lies nearest to the middle of some training images on the map, int64 [1]."""
    middle = np.asarray(points.train[train], np.float32).mean(0)
    return np.array([np.square(np.asarray(points.val, np.float32) - middle).sum(1).argmin()])


def _draw_strip(ws: Workspace, ids: np.ndarray, split: str, pick: Callable[[int], None]) -> None:
    """The first images of a set. A validation image leads to its lineup, a training image to its card."""
    what = {"train": "training", "val": "validation"}[split]
    labels = ws.train_labels if split == "train" else ws.val_labels
    first = ids[:MAX_SHOWN]
    captions = [ws.classes[labels[image]] for image in first]
    texts = [f"{what} image {image}, {caption}" for image, caption in zip(first, captions)]
    row = image_row(split, f"{what} images of the set", first, texts, caption=captions)
    data = strip_data("line", [row], sprite_sheet.sheet(ws, split, first), sprite_sheet.scale(ws), pitch=76)
    strip(f"set {split}", data, on_pick=lambda tile: pick(tile["id"]))
    more = f"The first {MAX_SHOWN} of {write.count(len(ids))}" if len(ids) > MAX_SHOWN else f"All {len(ids)}"
    opens = "its lineup" if split == "val" else "its card in Explore"
    st.caption(write.plain(f"{more} {what} images; click one to see {opens}."))
