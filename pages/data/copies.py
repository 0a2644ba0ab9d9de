"""Copies of validation images among the training images: how many, the most alike, and the button that looks."""

from urllib.parse import urlencode

import streamlit as st

from attribution import UserError, Workspace
from attribution.features.near_duplicates import COSINE_ORIGIN
from attribution.workspace import copies as library
from pages.ui import cli_command, copies, measurement, sprite_sheet, state
from pages.ui import format as write

SHOWN = 18  # pairs


def draw(ws: Workspace) -> None:
    """The section of the page."""
    st.subheader("Copies of validation images in the training set", anchor=False)
    st.caption("A model that has seen a validation image in training is judged too well.")
    found = copies.known(ws)
    if isinstance(found, UserError):
        st.warning(write.sentence(found), icon=":material/warning:")
        found = None
    if found:
        st.markdown(write.plain(" ".join(found_sentences(ws, found))))
    if found and found["near"]:
        if found["near"]["pairs"]:
            st.caption(write.plain(f"{COSINE_ORIGIN}: look at the pairs."))
    elif problem := library.problem(ws):
        st.caption(write.sentence(problem))
    else:
        st.markdown("Near-copies: not searched for yet." if found else "Not searched for yet.")
    if found and found["listed"]:
        st.html(pairs_html(ws, found))
        n = len(found["listed"])
        which = f"the first {SHOWN} of {write.count(n)}" if n > SHOWN else "all of them"
        st.caption(f"Validation image · training image, the most alike first; {which}. A click opens it in Debug.")
    if found and found["near"]:
        cli_command.popover(ws, *library.WORDS, key="copies command")
    elif not (found and library.problem(ws)):
        measurement.button(ws, library.WORDS, "Search for copies")


def found_sentences(ws: Workspace, found: dict) -> list[str]:
    """What is known, a sentence each, and how many of the pairs listed have another label."""
    near = found["near"]
    texts = [library.exact_text(ws, found["exact"]), *([library.near_text(ws, near)] if near else [])]
    sentences = [f"{write.capitalised(text)}." for text in texts]
    if found["listed"]:
        other = sum(not copies.is_same_label(ws, pair) for pair in found["listed"])
        whole = len(found["listed"])
        sentences.append(f"In {write.count(other)} of {write.counted(whole, 'pair')} the labels differ.")
    return sentences


def pairs_html(ws: Workspace, found: dict) -> str:
    """The first pairs, each a link to its validation image in Debug. Text from the workspace is escaped."""
    listed, drawn = found["listed"], []
    for pair in listed[:SHOWN]:
        address = urlencode({state.TARGET: pair["val"], **({state.MODEL: ws.model} if ws.model else {})})
        images = "".join(
            f'<img src="{sprite_sheet.sheet(ws, split, [image])["url"]}" width="{sprite_sheet.SIDE}" '
            f'alt="{words} image {image}">'
            for split, image, words in (("val", pair["val"], "validation"), ("train", pair["train"], "training"))
        )
        label = write.escape(ws.classes[ws.val_labels[pair["val"]]])
        given = write.escape(ws.classes[ws.train_labels[pair["train"]]])
        alike = "exact copy" if pair["exact"] else f"cosine {pair['cosine']:.3f}"
        labels = label if copies.is_same_label(ws, pair) else f"<b>{label} ≠ {given}</b>"
        drawn.append(
            f'<a href="./?{write.escape(address)}" target="_self"><span class="both">{images}</span>{labels}<br>'
            f'<span class="lu-faint">{pair["val"]} · {pair["train"]}<br>'
            f"{alike}</span></a>"
        )
    return f'<div class="lu-pairs">{"".join(drawn)}</div>'
