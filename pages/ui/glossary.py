"""The terms of art on the pages, a sentence each: assets/terms.json holds what docs/glossary.md says of them."""

import json

import streamlit as st

from attribution.files import APP
from pages.ui import format as write

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
        "decision",
        "conflict",
        "gain",
        "planted error",
    ),
    "compare": (
        "method",
        "ranking",
        "support size",
        "support CDF",
        "AUC (of supports)",
        "LDS",
        "noise ceiling",
        "overlap, agreement",
        "family (of rankings)",
        "held-out halves",
        "calibration",
        "cost",
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
OPEN = "terms"


def meaning(term: str) -> str:
    """The sentence of a term, for the `help` of what bears it."""
    return f"{write.capitalised(TERMS[term])}."


@st.fragment
def draw(room: str) -> None:
    """A button that opens the terms of a room, in the corner of the window; nothing where the room has none. They are
    sent once it is opened."""
    if room not in ROOMS:
        return
    with st.container(key=OPEN):
        with st.popover("Terms", key="open terms", on_change="rerun", icon=":material/menu_book:") as popover:
            if popover.open:
                terms = [f"<li><b>{write.escape(term)}</b>: {write.escape(meaning(term))}</li>" for term in ROOMS[room]]
                # it scrolls, so that the keyboard must reach it
                st.html(f'<ul class="lu-terms" tabindex="0" aria-label="Terms">{"".join(terms)}</ul>')
