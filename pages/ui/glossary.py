"""The terms of art on the pages, a sentence each: assets/terms.json holds what docs/glossary.md says of them."""

import json

import streamlit as st

from attribution.files import APP
from pages.ui import format as write
from pages.ui import state
from pages.ui.fragments import fragment

TERMS: dict[str, str] = json.loads((APP / "assets" / "terms.json").read_text())["terms"]
#: folder of a room -> its terms, in the order in which a visitor meets them
ROOMS = {
    "debug": (
        "target",
        "ranking",
        "score",
        "helpful / harmful",
        "top k",
        "candidates, candidate set",
        "base models",
        "margin",
        "confidence",
        "head",
        "flip",
        "control",
        "support size",
        'no flip within K ("censored")',
        "approximate support",
        "near-duplicate group",
        "exact copy, near-copy (of a validation image)",
        "suspect",
        "suspicion",
    ),
    "labels": (
        "given label",
        "detector",
        "suspicion",
        "suggestion",
        "evidence",
        "held-out predictions (out-of-sample probabilities)",
        "review queue",
        "random control (of a queue)",
        "random image (of a queue)",
        "first guess",
        "decision",
        "conflict",
        "gain",
        "planted error",
    ),
    "compare": (
        "method",
        "ranking",
        "top k",
        "as published",
        "protocol",
    ),
    "data": (
        "recipe",
        "own recipe",
        "seed",
        "base models",
        "head",
        "feature set",
        "study",
        "job",
        "alignment check",
        "import",
        "build",
        "workspace",
    ),
}
#: tab of Compare, or topic of its Advanced tab -> the terms on it, which come before those of the room
TABS = {
    "Summary": (
        "support size",
        "support CDF",
        "AUC (of supports)",
        'no flip within K ("censored")',
        "approximate support",
        "Holm's correction",
        "LDS",
        "noise ceiling",
        "family (of rankings)",
        "held-out halves",
    ),
    "Agreement": ("overlap, agreement",),
    "Cost": ("cost", "build time", "one-core time", "LDS", "AUC (of supports)", "noise ceiling", "held-out halves"),
    "Calibration": ("calibration", "slope, R² (of calibration)", "score", "margin"),
    "Metasmoothness": ("metasmoothness", "margin"),
    "Features": ("feature set", "kNN accuracy", "LDS", "AUC (of supports)", "noise ceiling"),
    "Algorithms": ("model diff", "recipe", "score", "LDS"),
    "Two models": ("transfer of supports", "support size", "control", "margin"),
    "Candidate sets": ("candidate sets", "candidates, candidate set", "LDS", "AUC (of supports)", "noise ceiling"),
    "Recomputed order": ("recomputed order", "head", "support size", "support CDF", "AUC (of supports)"),
    "Leave-one-out": ("leave-one-out", "margin", "score", "head"),
    "Margin without the top 1 %": ("margin", "control", "head"),
    "Merged classes": ("superclass, subclass", "candidates, candidate set", "head"),
    "LDS and supports": ("LDS", "support size", "reliability", "margin"),
    "Pruning": ("pruning", "training-set influence", "control"),
    "Other recipes": ("transfer", "recipe", "AUC (of supports)", "control"),
    "Checks": ("sanity check", "backdoor", "LDS", "noise ceiling"),
}
OPEN = "terms"


def meaning(term: str) -> str:
    """The sentence of a term, for the `help` of what bears it."""
    return f"{write.capitalised(TERMS[term])}."


def terms_of(room: str, tab: str | None = None, topic: str | None = None) -> tuple[str, ...]:
    """The terms of a room, those of the tab or topic that is on view first."""
    on_view = TABS.get(topic if tab == "Advanced" else tab, ()) if room == "compare" else ()
    return tuple(dict.fromkeys((*on_view, *ROOMS[room])))


@fragment()
def draw(room: str) -> None:
    """A button that opens the terms of a room, in the corner of the window; nothing where the room has none. They are
    sent once it is opened."""
    if room not in ROOMS:
        return
    terms = terms_of(room, st.session_state.get(state.TAB), st.session_state.get(state.TOPIC))
    with st.container(key=OPEN):
        with st.popover("Terms", key="open terms", on_change="rerun", icon=":material/menu_book:") as popover:
            if popover.open:
                items = [f"<li><b>{write.escape(term)}</b>: {write.escape(meaning(term))}</li>" for term in terms]
                # it scrolls, so that the keyboard must reach it
                st.html(f'<ul class="lu-terms" tabindex="0" aria-label="Terms">{"".join(items)}</ul>')
