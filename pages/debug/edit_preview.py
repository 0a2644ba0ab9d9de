"""The training images that an edit changes, before anything is trained."""

import json
from dataclasses import replace

import numpy as np
import streamlit as st

from attribution import Workspace
from attribution.experiments import registry
from attribution.experiments.retrain import RetrainSpec
from attribution.experiments.spec import Spec
from pages.debug import verdict_text as text
from pages.ui import format as write
from pages.ui import sprite_sheet
from pages.ui.tile_strip import image_row, strip, strip_data

MOST = 128  # images of a search that are shown


def draw(ws: Workspace, spec: Spec) -> None:
    """The training images that the edit changes; for a search, those it would take from, in their order."""
    ids = _ids(ws, json.dumps(spec.to_json()))
    if not len(ids):
        st.info("This ranking has no image for this target that the edit could change.")
        return
    strip("preview", _strip_data(ws, spec, ids))
    classes, counts = np.unique(ws.train_labels[ids], return_counts=True)
    mix = ", ".join(f"{n} {ws.classes[c]}" for c, n in sorted(zip(classes, counts), key=lambda item: -item[1]))
    first = "most harmful" if spec["kind"] == "repair" else "best"
    relabel = spec["kind"] == "mislabel"
    how = f"Searched, {first} first: up to" if "k_max" in spec else "Relabelled:" if relabel else "Removed:"
    note = text.heuristic_note(ws, spec) + text.duplicates_note(spec) + write.planted_note(ws.planted)
    st.caption(write.plain(f"{how} {len(ids)} of {write.count(ws.n_train)} training images ({mix}).{note}"))


@st.cache_data(max_entries=200, ttl=60, show_spinner=False)
def _ids(_ws, spec_json: str) -> np.ndarray:
    spec = registry.from_json(json.loads(spec_json))
    if isinstance(spec, RetrainSpec):
        return np.array(spec.ids)
    prefixes = replace(spec, k_max=min(spec.k_max, MOST)).steps(_ws)
    return np.concatenate(prefixes)[:MOST] if prefixes else np.zeros(0, np.int64)


def _strip_data(ws: Workspace, spec: Spec, ids: np.ndarray) -> dict:
    given, label = ws.train_labels[ids], ws.val_labels[spec["target"]]
    new, relabel = ws.classes[ws.base.likeliest_wrong_class[spec["target"]]], spec["kind"] == "mislabel"
    captions = [f"{ws.classes[c]} → {new}" if relabel else ws.classes[c] for c in given]
    texts = [f"training image {i}, {caption}" for i, caption in zip(ids, captions)]
    marks = [None if relabel or c == label else f"label: {ws.classes[c]}" for c in given]
    title = f"{len(ids)} training images that would be changed"
    row = image_row("preview", title, ids, texts, caption=captions, mark=marks)
    sheet, scale = sprite_sheet.sheet(ws, "train", ids), sprite_sheet.scale(ws)
    return strip_data("line", [row], sheet, scale, zoom=5, pitch=108 if relabel else 76, of=spec["target"])
