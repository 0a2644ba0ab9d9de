"""The drawer's panel of the training image that is selected in the rows: what can be done with it, its ranks, whom it
helps and harms, and images like it."""

from collections.abc import Callable

import numpy as np
import streamlit as st

from attribution import Workspace
from attribution.audit import detectors
from attribution.explore.lineup import LineupRow, rank_of_image
from pages.debug import drawer, influence, lineup_view, question, retraining
from pages.ui import audit_queue, sprite_sheet, state


def draw(
    ws: Workspace,
    target: int,
    image: int,
    loaded: list[LineupRow],
    planted: np.ndarray | None,
    on_target: Callable[[int], None],
) -> None:
    """The panel. planted: as in `lineup_view.strip_data`; on_target(validation image) is called where one is chosen."""
    ranks = [(row, rank_of_image(ws, row, target, image)) for row in loaded if not row.undefined]
    url, scale = sprite_sheet.image_url(ws, "train", image), sprite_sheet.scale(ws, 112)
    st.html(lineup_view.image_html(ws, image, ranks, planted, url, scale, target))
    with st.container(horizontal=True, gap="small"):
        _draw_review(ws, target, image)
        if ws.has_base and not ws.get_recipe().problem:
            known = retraining.without_image(ws, target, image)
            st.button(
                known.button("Remove"),
                key="remove this image",
                disabled=known.spec is None,
                help="Trains the model without this one image, beside its controls.",
                on_click=_remove,
                args=(ws, known, image),
            )
    rankings = list(dict.fromkeys(row.ranking for row in loaded))
    influence.draw(ws, image, rankings, on_target=on_target, on_image=drawer.select_image)


def _draw_review(ws: Workspace, target: int, image: int) -> None:
    detector = detectors.default_detector(ws)
    if detector is None:
        return
    if st.button(
        "Send to review", key="review this image", help="Makes a queue of this image, to decide on its label."
    ):
        audit_queue.make_and_open(ws, detector=detector, images=[image], origin={"from": target})


def _remove(ws: Workspace, known: retraining.Known, image: int) -> None:
    st.session_state[state.TEST], st.session_state[state.IDS] = question.CHOSEN, str(image)
    question.ask(ws, known.spec)
