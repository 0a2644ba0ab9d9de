"""Sets of images: chosen by a lasso on the map, kept under a name, looked through in Clean labels, removed together."""

from collections.abc import Callable

import numpy as np
import streamlit as st

from attribution import UserError, Workspace
from attribution.audit import detectors
from attribution.explore import image_sets
from attribution.features import projection
from attribution.features.projection import Projection
from pages.debug import question
from pages.ui import audit_queue, sprite_sheet, state
from pages.ui import format as write
from pages.ui.tile_strip import image_row, strip, strip_data

MAX_SHOWN = 60  # images of a set
MAX_HANDED_OVER = 1000  # training images of a set that other rooms take
NEW = "new set"
session = st.session_state


def chosen(ws: Workspace) -> tuple[np.ndarray, np.ndarray] | None:
    """The training and the validation images of the set that is open, or None."""
    found = session.get(state.MAP_SET)
    if found is None or max(found[0], default=0) >= ws.n_train or max(found[1], default=0) >= ws.n_val:
        return None
    return np.array(found[0], np.int64), np.array(found[1], np.int64)


def choose(train, val) -> None:
    """Opens a set; nothing is open where it is empty. A callback."""
    session[state.MAP_SET] = (list(map(int, train)), list(map(int, val))) if len(train) or len(val) else None


def inside(
    points: Projection, corners: np.ndarray, targets: np.ndarray, train_shown: np.ndarray, val_shown: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The training and the validation images in an outline, int64 ascending: of the latter those of `targets`. Where
    only a sample is drawn, all that lie in it. train_shown, val_shown: bool, those that the legend does not hide."""
    train = projection.points_in_polygon(points.train, corners) & train_shown
    val = projection.points_in_polygon(points.val, corners) & val_shown
    return np.flatnonzero(train), np.intersect1d(np.flatnonzero(val), targets)


def draw(
    ws: Workspace,
    points: Projection,
    found: tuple[np.ndarray, np.ndarray] | None,
    on_image: Callable[[int], None],
    on_target: Callable[[int], None],
) -> None:
    """The set that is open, and those that were kept. on_image(training image) and on_target(validation image) are
    called where one is chosen."""
    try:
        kept = image_sets.load_sets(ws)
    except UserError as error:
        st.error(write.sentence(error))
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="map-sets"):
        if kept:
            names = {write.visible(name): name for name in kept}
            st.selectbox(
                "Kept sets",
                list(names),
                index=None,
                placeholder=f"{write.counted(len(kept), 'kept set')}: open one",
                key="open a set",
                on_change=_open,
                args=(kept, names),
                label_visibility="collapsed",
                width=230,
            )
        if found is None:
            st.caption("Drag a lasso on the map to choose a set of images. Its points can be walked by the arrow keys.")
            return
        train, val = found
        st.markdown(write.plain(set_text(ws, train, val)), width="content")
        _draw_buttons(ws, train, val)
    for ids, split, pick in ((train, "train", on_image), (val, "val", on_target)):
        if len(ids):
            _draw_strip(ws, ids, split, pick)
    if not len(val):
        near = int(nearest_target(points, train)[0])
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption("No validation image lies in it.", width="content")
            st.button(
                f"Open the nearest, {near}", key="nearest target", type="tertiary", on_click=on_target, args=(near,)
            )


def _draw_buttons(ws: Workspace, train: np.ndarray, val: np.ndarray) -> None:
    few = 0 < len(train) <= MAX_HANDED_OVER
    why = None if few else f"Takes 1 to {write.count(MAX_HANDED_OVER)} training images."
    with st.popover("Keep it", icon=":material/bookmark:"):
        st.text_input("Name of the set", key=state.SET_NAME, max_chars=image_sets.MAX_NAME)
        st.button("Keep the set", key="keep set", on_click=_keep, args=(ws, train, val))
    if detectors.names(ws) and st.button(
        "Review in Clean labels", key="set to audit", icon=":material/policy:", disabled=not few, help=why
    ):
        if kept := session.get("open a set"):
            audit_queue.open_set(ws, train, kept)
        else:
            audit_queue.make_and_open(ws, images=train.tolist())
    if ws.has_base:
        st.button(
            "Remove these and retrain…",
            key="remove set",
            icon=":material/science:",
            disabled=not few,
            help=why or "Opens the drawer, which says what it costs.",
            on_click=_ask_of_removal,
            args=(train,),
        )
    st.button("Close the set", key="close set", type="tertiary", on_click=choose, args=([], []))
    name = session.get("open a set")
    if name:
        st.button("Delete the kept set", key="delete set", type="tertiary", on_click=_delete, args=(ws, name))


def _ask_of_removal(train: np.ndarray) -> None:
    """Asks in the drawer what removing these training images does to the target; a callback."""
    ids = write.number_ranges(train.tolist()).replace("–", "-")
    question.show({state.TEST: question.CHOSEN, state.KIND: "remove", state.IDS: ids})


def _keep(ws: Workspace, train: np.ndarray, val: np.ndarray) -> None:
    try:
        image_sets.save_set(ws, session.get(state.SET_NAME) or "", train, val)
        st.toast(f"The set {write.plain(session[state.SET_NAME].strip())} is kept.")
    except UserError as error:
        state.set_error(error)


def _delete(ws: Workspace, shown: str) -> None:
    for name in image_sets.load_sets(ws):
        if write.visible(name) == shown:
            image_sets.delete_set(ws, name)
    session["open a set"] = None
    choose([], [])


def _open(kept: dict[str, image_sets.ImageSet], names: dict[str, str]) -> None:
    name = names.get(session.get("open a set"))
    choose(*((kept[name].train, kept[name].val) if name in kept else ([], [])))


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
    """The first images of a set. A validation image leads to its rows, a training image to its card."""
    what = {"train": "training", "val": "validation"}[split]
    labels = ws.train_labels if split == "train" else ws.val_labels
    first = ids[:MAX_SHOWN]
    captions = [ws.classes[labels[image]] for image in first]
    texts = [f"{what} image {image}, {caption}" for image, caption in zip(first, captions)]
    row = image_row(split, f"{what} images of the set", first, texts, caption=captions)
    data = strip_data("line", [row], sprite_sheet.sheet(ws, split, first), sprite_sheet.scale(ws), pitch=76)
    strip(f"set {split}", data, on_pick=lambda tile: pick(tile["id"]))
    if len(ids) > MAX_SHOWN:
        st.caption(f"The first {MAX_SHOWN} of {write.count(len(ids))} {what} images.")
