"""Below a target's card: the training images that are copies of it."""

from collections.abc import Callable

import streamlit as st

from attribution import UserError, Workspace
from pages.ui import copies, sprite_sheet
from pages.ui import format as write

SHOWN = 2  # of a target


def draw(ws: Workspace, target: int, on_image: Callable[[int], None]) -> None:
    """What is known of copies of a target; nothing where there are none, or where nobody has looked.

    on_image(training image) is called where one is to be shown. What cannot be read is said on the Workspace page."""
    found = copies.known(ws)
    if not found or isinstance(found, UserError):
        return
    pairs = found["of"].get(target, [])
    for number, pair in enumerate(pairs[:SHOWN]):
        image = pair["train"]
        st.html(copy_html(ws, pair, found["near"], sprite_sheet.sheet(ws, "train", [image])["url"], first=not number))
        st.button(f"Open image {image}", key=f"open copy {image}", type="tertiary", on_click=on_image, args=(image,))
    if len(pairs) > SHOWN:
        st.caption(f"{write.count(len(pairs) - SHOWN)} more of them, see Workspace")


def copy_html(ws: Workspace, pair: dict, near: dict | None, picture: str, first: bool = True) -> str:
    """One copy: its picture, number and label; the first one says what it is. Text from the workspace is escaped."""
    word = "A copy" if pair["exact"] else "A near-copy"
    title = f'<div class="later"><b>{word} of this image is in the training set</b></div>' if first else ""
    label = write.escape(copies.label_text(ws, pair))
    label = label if copies.is_same_label(ws, pair) else f"<b>{label}</b>"
    return (
        f'<div class="lu-card">{title}<div class="copy">'
        f'<img src="{picture}" width="{sprite_sheet.SIDE}" alt="training image {pair["train"]}">'
        f'<div>{label}<div class="lu-faint">{write.escape(copies.kind_text(pair, near))}</div></div></div></div>'
    )
