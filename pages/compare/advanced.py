"""Advanced: the measurements that few visitors need, a topic at a time, and the address says which."""

from collections.abc import Callable

import streamlit as st

from attribution import Workspace
from attribution.training.head.recipe import is_head
from attribution.workspace import heads
from pages.compare import (
    calibration,
    features,
    leave_one_out,
    margin_removal,
    metasmoothness,
    model_diff,
    subclasses,
    tab_frame,
    two_models,
)
from pages.compare.agreement import candidate_sets
from pages.compare.checks import tab as checks
from pages.compare.supports import adaptive, lds_vs_support, pruning, recipe_transfer
from pages.ui import state

TOPICS: dict[str, Callable[[Workspace], None]] = {  # their names stand in links
    "Calibration": calibration.draw,
    "Metasmoothness": metasmoothness.draw,
    "Features": features.draw,
    "Algorithms": model_diff.draw,
    "Two models": two_models.draw,
    "Candidate sets": candidate_sets.draw,
    "Recomputed order": adaptive.draw,
    "Leave-one-out": leave_one_out.draw,
    "Margin without the top 1 %": margin_removal.draw,
    "Merged classes": subclasses.draw,
    "LDS and supports": lds_vs_support.draw,
    "Pruning": pruning.draw,
    "Other recipes": recipe_transfer.draw,
    "Checks": checks.draw,
}
#: topics that a head has no part in -> why
OF_NETWORKS = {
    "Algorithms": "This compares two ways to train a network, and a head is not a network",
    "Metasmoothness": "This goes back through the steps of a training, and a head is solved without steps",
    "Checks": "These checks compare trained networks with untrained or poisoned ones, and a head is not a network",
}
#: topics that a network has no part in -> why
OF_HEADS = {
    "Recomputed order": "Influence is recomputed only under a head, which can be refitted exactly after each removal",
    "Leave-one-out": "With networks the noise between two seeds drowns what one image does",
    "Margin without the top 1 %": "A network would have to be trained some thousand times for this",
}


def draw(ws: Workspace) -> None:
    """Draws the tab."""
    topic = st.pills(
        "Topic",
        list(TOPICS),
        default="Calibration",
        required=True,
        key=state.TOPIC,
        bind="query-params",
        label_visibility="collapsed",
    )
    why, other = _other_model(ws, topic)
    if why:
        tab_frame.look_at_other_model(f"{why}. The pages speak about {ws.recipe} now.", other)
    else:
        TOPICS[topic](ws)


def _other_model(ws: Workspace, topic: str) -> tuple[str, str]:
    """Why a topic says nothing of the model that is looked at, and of which it does; ("", "") where it does."""
    if is_head(ws.recipe) and topic in OF_NETWORKS:
        return OF_NETWORKS[topic], ws.own_recipe
    named = heads.names(ws)
    if topic in OF_HEADS and not is_head(ws.recipe):
        return OF_HEADS[topic], next(iter(named), "")
    return "", ""
