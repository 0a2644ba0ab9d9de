"""Supports that share no image, one below the other: what each found, its images, and the search under way."""

import streamlit as st

from attribution import Workspace, disjoint, replay
from attribution.probes import steps
from attribution.store import Store
from pages.brittleness import words
from pages.ui import format as write
from pages.ui import sprite_sheet
from pages.ui.tile_strip import strip, tiles
from pages.ui.verdict import verdict_html


def draw(ws: Workspace, store: Store, spec: dict) -> float | None:
    """Draws what is known of a disjoint spec; when the last of it was found, or None where nothing is known yet."""
    newest = None
    for number, (one, answer) in enumerate(disjoint.chain(ws, store, spec), 1):
        passed = f" Passed over: the {len(one['without'])} images before." if one.get("without") else ""
        if answer is None:
            played = replay.replay(ws, store, one)
            newest = played.newest or newest
            if played.trained:
                st.caption(write.plain(f"Search {number}, so far.{passed}"))
                st.html(words.probes_html(ws, spec["target"], played.probes, spec["kind"]))
            continue
        newest = answer["created"]
        word, sentence = words.support_verdict(ws, spec["target"], spec["ranking"], spec["kind"], answer)
        st.html(verdict_html(f"{number}: {word}", f"{sentence}{passed}"))
        if answer["support"]:
            _images(ws, number, [int(i) for step in steps(ws, one)[: answer["support"]] for i in step], spec["target"])
    return newest


def _images(ws: Workspace, number: int, ids: list[int], target: int) -> None:
    places = {image: at for at, image in enumerate(sorted(ids))}
    captions = [ws.classes[ws.train_labels[image]] for image in ids]
    texts = [f"training image {image}, {caption}" for image, caption in zip(ids, captions)]
    strip(
        f"disjoint {number}",
        {
            "layout": "line",
            "atlas": sprite_sheet.sheet(ws, "train", sorted(ids)),
            "scale": sprite_sheet.scale(ws),
            "zoom": 5,
            "pitch": 76,
            "selected": None,
            "of": target,
            "rows": [
                {
                    "id": f"disjoint {number}",
                    "label": f"{len(ids)} training images of support {number}",
                    "tiles": tiles(places, ids, texts, caption=captions),
                }
            ],
        },
    )
