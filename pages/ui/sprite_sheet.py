"""Sprite sheets: many small images in one PNG, encoded once and drawn by their place in it.

Where our own server runs the pages, a sheet has an address that the browser keeps (attribution/live/pictures.py);
elsewhere, as in tests of a page, it is its own address, a data URL."""

import base64
import math
from io import BytesIO

import numpy as np
import streamlit as st
from PIL import Image

from attribution import Workspace
from attribution.live.pictures import PICTURES

SIDE = 56  # about as many pixels a tile's side on the page
MOST_SIDE = 256  # pixels of an image that is shown alone


def sheet(ws: Workspace, split: str, ids, whole: bool = False) -> dict:
    """The sheet of images `ids` of "train" or "val", in the order given: the `atlas` of a tile strip's data.

    Images at least twice as large as a tile are reduced by a whole number, unless `whole`."""
    shrink = 1 if whole else max(1, max(ws.val_images.shape[1:3]) // SIDE)
    return _published(ws, split, ids, shrink)


def image_url(ws: Workspace, split: str, index: int) -> str:
    """The address of one image, at its own size."""
    return _published(ws, split, (int(index),), 1)["url"]


def image_folder(ws: Workspace) -> str:
    """Where a page finds each image of the workspace: "/<train or val>-<number>.png" follows. A picture is made when
    it is first asked for, reduced where its side is beyond MOST_SIDE."""

    def make(split: str, number: int) -> bytes | None:
        images = ws.train_images if split == "train" else ws.val_images
        if number >= len(images):
            return None
        return _encode(ws, split, np.array([number]), math.ceil(max(images.shape[1:3]) / MOST_SIDE))[0]

    return PICTURES.offer(ws.fingerprint, make)


def scale(ws: Workspace, side: int = SIDE) -> int:
    """The integer multiple at which an image of this workspace is about `side` pixels."""
    return max(1, round(side / max(ws.val_images.shape[1:3])))


def _published(ws: Workspace, split: str, ids, shrink: int) -> dict:
    # bytes, which Streamlit hashes at once, and a list item by item
    packed = np.asarray([int(i) for i in ids], np.int64).tobytes()
    asked = (ws, ws.fingerprint, split, packed, shrink, PICTURES.is_served)
    drawn = _sheet(*asked)
    if PICTURES.is_served and PICTURES.read(drawn["url"]) is None:  # others took its place
        _sheet.clear(*asked)
        drawn = _sheet(*asked)
    return dict(drawn)


@st.cache_resource(max_entries=2000, show_spinner=False)
def _sheet(_ws, fingerprint: str, split: str, packed: bytes, shrink: int, is_served: bool) -> dict:
    ids = np.frombuffer(packed, np.int64)
    content, height, width = _encode(_ws, split, ids, shrink)
    if is_served:
        url = PICTURES.publish(fingerprint, content)
    else:
        url = "data:image/png;base64," + base64.b64encode(content).decode()
    return {"url": url, "columns": _columns(ids), "count": max(1, len(ids)), "width": width, "height": height}


def _columns(ids: np.ndarray) -> int:
    return max(1, math.ceil(math.sqrt(len(ids))))


def _encode(ws: Workspace, split: str, ids: np.ndarray, shrink: int) -> tuple[bytes, int, int]:
    """(PNG, height and width of an image in it)."""
    images = (ws.train_images if split == "train" else ws.val_images)[ids.tolist()]
    if ws.greyscale_inverted and images.ndim == 3:  # colours are left as they are
        images = 255 - images
    if shrink > 1 and len(images):
        images = np.stack([Image.fromarray(image).reduce(shrink) for image in images])
    height, width = images.shape[1:3]
    columns = _columns(ids)
    grid = np.zeros((math.ceil(len(ids) / columns) or 1, columns, *images.shape[1:]), np.uint8)
    grid.reshape(-1, *images.shape[1:])[: len(ids)] = images
    pixels = grid.swapaxes(1, 2).reshape(grid.shape[0] * height, columns * width, *images.shape[3:])
    content = BytesIO()
    Image.fromarray(pixels).save(content, "PNG", compress_level=1)
    return content.getvalue(), height, width
