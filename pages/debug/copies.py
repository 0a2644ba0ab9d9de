"""Beside a target: the training images that are copies of it, in one line."""

from collections.abc import Callable

import streamlit as st

from attribution import UserError, Workspace
from pages.ui import copies, sprite_sheet
from pages.ui import format as write

SHOWN = 2  # of a target


def draw(ws: Workspace, target: int, on_image: Callable[[int], None]) -> None:
    """What is known of copies of a target; nothing where there are none, or where nobody has looked.

    on_image(training image) is called where one is to be shown. What cannot be read is said in Data & jobs."""
    found = copies.known(ws)
    if not found or isinstance(found, UserError):
        return
    pairs = found["of"].get(target, [])
    if not pairs:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        for number, pair in enumerate(pairs[:SHOWN]):
            image = pair["train"]
            picture = sprite_sheet.sheet(ws, "train", [image])["url"]
            st.html(copy_html(ws, pair, found["near"], picture, first=not number), width="content")
            st.button(
                f"Open image {image}", key=f"open copy {image}", type="tertiary", on_click=on_image, args=(image,)
            )
        if len(pairs) > SHOWN:
            st.caption(f"{write.count(len(pairs) - SHOWN)} more: see Data & jobs", width="content")


def copy_html(ws: Workspace, pair: dict, near: dict | None, picture: str, first: bool = True) -> str:
    """One copy in a line: its picture and label; the first one says what it is. Text from the workspace is escaped."""
    word = "A copy" if pair["exact"] else "A near-copy"
    title = f"<b>{word} of this image is in the training set:</b> " if first else ""
    label = write.escape(copies.label_text(ws, pair))
    label = label if copies.is_same_label(ws, pair) else f"<b>{label}</b>"
    return (
        f'<div class="lu-copy"><img src="{picture}" width="28" alt="training image {pair["train"]}">'
        f"<span>{title}{label} ({write.escape(copies.kind_text(pair, near))})</span></div>"
    )
