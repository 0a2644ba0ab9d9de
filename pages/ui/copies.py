"""Copies of validation images among the training images, as pages read them."""

import streamlit as st

from attribution import UserError, Workspace
from attribution.workspace import copies
from pages.ui import theme


def known(ws: Workspace) -> dict | None | UserError:
    """What is stored of copies (`attribution.workspace.copies.load`), None where nothing is, or why it cannot be
    read."""
    return _known(ws, theme.cache_key(ws))


@st.cache_data(max_entries=4, show_spinner=False)
def _known(_ws: Workspace, cache_key: str) -> dict | None | UserError:
    try:
        found = copies.load(_ws)
    except UserError as error:
        return error
    return found and found | {"listed": copies.pairs(found)}


def kind_text(pair: dict, near: dict | None) -> str:
    """What makes a pair one: "exact copy", or how alike they are."""
    return "exact copy" if pair["exact"] or near is None else f"cosine {pair['cosine']:.3f} in {near['features']}"


def label_text(ws: Workspace, pair: dict) -> str:
    """The labels of a pair: "Coat, the same label", or which the training image has instead."""
    label, given = ws.classes[ws.val_labels[pair["val"]]], ws.classes[ws.train_labels[pair["train"]]]
    return f"{given}, the same label" if label == given else f"{given}, another label"


def is_same_label(ws: Workspace, pair: dict) -> bool:
    """Whether the training image is given the validation image's label."""
    return bool(ws.val_labels[pair["val"]] == ws.train_labels[pair["train"]])
