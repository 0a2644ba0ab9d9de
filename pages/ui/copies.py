"""Copies of validation images among the training images, as pages read them."""

import streamlit as st

from attribution import UserError, Workspace
from attribution.workspace import copies
from pages.ui import theme


def known(ws: Workspace) -> dict | None | UserError:
    """What is stored of copies (`attribution.workspace.copies.load`) with its `pairs`, "listed", and those "of" each
    validation image that has one; None where nothing is stored, or why it cannot be read. All visits share it."""
    return _known(ws, theme.cache_key(ws))


@st.cache_resource(max_entries=4, show_spinner=False)
def _known(_ws: Workspace, cache_key: str) -> dict | None | UserError:
    try:
        found = copies.load(_ws)
    except UserError as error:
        return error
    if found is None:
        return None
    listed, of = copies.pairs(found), {}
    for pair in listed:
        of.setdefault(pair["val"], []).append(pair)
    return found | {"listed": listed, "of": of}


def kind_text(pair: dict, near: dict | None) -> str:
    """What makes a pair one: "exact copy", or how alike they are."""
    return "exact copy" if pair["exact"] or near is None else f"cosine {pair['cosine']:.3f} in {near['features']}"


def is_same_label(ws: Workspace, pair: dict) -> bool:
    """Whether the training image is given the validation image's label."""
    return bool(ws.val_labels[pair["val"]] == ws.train_labels[pair["train"]])


def label_text(ws: Workspace, pair: dict) -> str:
    """The label of a pair's training image: "Coat, the same label" as the validation image, or "another"."""
    given = ws.classes[ws.train_labels[pair["train"]]]
    return f"{given}, {'the same' if is_same_label(ws, pair) else 'another'} label"
