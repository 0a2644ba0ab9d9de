"""Supports that share no image, one below the other: what each found, its images, and the search under way."""

import streamlit as st

from attribution import Workspace
from attribution.experiments.replay import replay_search
from attribution.experiments.spec import Spec
from attribution.store.results import ResultStore
from pages.debug import verdict_text as text
from pages.ui import format as write
from pages.ui import sprite_sheet
from pages.ui.tile_strip import image_row, strip, strip_data
from pages.ui.verdict import verdict_html


def draw(ws: Workspace, store: ResultStore, spec: Spec) -> float | None:
    """Draws what is known of a disjoint spec; when the last of it was found, or None where nothing is known yet."""
    newest = None
    for number, (search, answer) in enumerate(spec.chain(ws, store), 1):
        passed = f" Passed over: the {len(search['without'])} images before." if search.get("without") else ""
        if answer is None:
            played = replay_search(ws, store, search)
            newest = played.newest or newest
            if played.trained:
                st.caption(write.plain(f"Search {number}, so far.{passed}"))
                st.html(text.probes_html(ws, spec["target"], played.probes, spec["kind"]))
            continue
        newest = answer["created"]
        word, sentence = text.support_verdict(ws, spec["target"], spec["ranking"], spec["kind"], answer)
        st.html(verdict_html(f"{number}: {word}", f"{sentence}{passed}"))
        if answer["support"]:
            ids = [int(image) for step in search.steps(ws)[: answer["support"]] for image in step]
            _images(ws, number, ids, spec["target"])
    return newest


def _images(ws: Workspace, number: int, ids: list[int], target: int) -> None:
    captions = [ws.classes[ws.train_labels[image]] for image in ids]
    texts = [f"training image {image}, {caption}" for image, caption in zip(ids, captions)]
    name = f"disjoint {number}"
    row = image_row(name, f"{len(ids)} training images of support {number}", ids, texts, caption=captions)
    sheet, scale = sprite_sheet.sheet(ws, "train", ids), sprite_sheet.scale(ws)
    strip(name, strip_data("line", [row], sheet, scale, zoom=5, pitch=76, of=target))
