"""The terms of the room, each in a sentence, behind a button."""

import streamlit as st

from attribution import Workspace
from pages.ui import format as write

TERMS = {
    "Suspicion": "how likely a detector holds a label to be wrong. A rank, not a probability: look at the image.",
    "Detector": "a rule that scores every training label, for example by the labels of similar images, or by the "
    "predictions of models that were not trained on the image (held-out predictions).",
    "Queue": "a fixed list of training images to review, most suspicious first.",
    "Random control": "a random image mixed into a queue; how many of these are wrong estimates the error rate of all "
    "other labels.",
    "Conflict": "two tabs or people decided differently without seeing each other; a new decision settles it.",
}
PLANTED = "a training label that was changed on purpose when this workspace was made, so that detectors can be judged."


def draw(ws: Workspace) -> None:
    """The button that opens the terms."""
    terms = TERMS | ({"Planted error": PLANTED} if ws.planted else {})
    with st.popover("Terms", icon=":material/help:", type="tertiary"):
        for name, text in terms.items():
            st.markdown(f"**{name}**: {write.plain(text)}")
