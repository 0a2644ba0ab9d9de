"""Sprite sheets: many small images in one PNG, encoded once and drawn by their place in it."""

import base64
import math
from io import BytesIO

import numpy as np
import streamlit as st
from PIL import Image

from attribution import Workspace

SIDE = 56  # about as many pixels a tile's side on the page


def sheet(ws: Workspace, split: str, ids, whole: bool = False) -> dict:
    """The sheet of images `ids` of "train" or "val", in the order given: the `atlas` of a tile strip's data.

    Images at least twice as large as a tile are reduced by a whole number, unless `whole`."""
    shrink = 1 if whole else max(1, max(ws.val_images.shape[1:3]) // SIDE)
    return _sheet(ws, ws.fingerprint, split, tuple(int(i) for i in ids), shrink)


def image_url(ws: Workspace, split: str, index: int) -> str:
    """One image as a data URL, at its own size."""
    return _sheet(ws, ws.fingerprint, split, (int(index),), 1)["url"]


def scale(ws: Workspace, side: int = SIDE) -> int:
    """The integer multiple at which an image of this workspace is about `side` pixels."""
    return max(1, round(side / max(ws.val_images.shape[1:3])))


@st.cache_data(max_entries=400, show_spinner=False)
def _sheet(_ws, fingerprint: str, split: str, ids: tuple[int, ...], shrink: int) -> dict:
    images = (_ws.train_images if split == "train" else _ws.val_images)[list(ids)]
    if _ws.greyscale_inverted and images.ndim == 3:  # colours are left as they are
        images = 255 - images
    if shrink > 1 and len(images):
        images = np.stack([Image.fromarray(image).reduce(shrink) for image in images])
    height, width = images.shape[1:3]
    columns = max(1, math.ceil(math.sqrt(len(ids))))
    grid = np.zeros((math.ceil(len(ids) / columns) or 1, columns, *images.shape[1:]), np.uint8)
    grid.reshape(-1, *images.shape[1:])[: len(ids)] = images
    pixels = grid.swapaxes(1, 2).reshape(grid.shape[0] * height, columns * width, *images.shape[3:])
    content = BytesIO()
    Image.fromarray(pixels).save(content, "PNG", compress_level=1)
    url = "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
    return {"url": url, "columns": columns, "count": max(1, len(ids)), "width": width, "height": height}
