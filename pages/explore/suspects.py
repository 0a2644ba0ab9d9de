"""Explore, under a wrong prediction: training images that may be behind it and whose labels look wrong."""

from collections.abc import Callable

import streamlit as st

from attribution import UserError, Workspace, detectors
from attribution.suspects import FIRST, Suspect, accusers, most, suspects
from pages.ui import audit_queue, sprite_sheet, state, theme
from pages.ui import format as write
from pages.ui.tile_strip import strip, tiles


def draw(ws: Workspace, target: int, on_pick: Callable[[int], None]) -> None:
    """An expander where the target is predicted wrong and a detector has looked at the labels; nothing elsewhere.

    on_pick(training image) is called where one is chosen. They are found when it is opened first.
    """
    name = detectors.usual(ws)
    if name is None or not ws.has_base or ws.base.prediction[target] == ws.val_labels[target]:
        return
    box = st.expander("Suspects", key=state.SUSPECTS, icon=":material/policy:", on_change="rerun")
    if not box.open:
        return
    with box:
        try:
            found = _found(ws, theme.cache_key(ws), target, name)
        except UserError as error:
            st.error(write.sentence(error))
            return
        st.markdown(write.plain(sentence(ws, target, name, found)))
        if not found:
            return
        places = {one.image: at for at, one in enumerate(found)}
        strip(
            "suspects",
            strip_data(ws, found, sprite_sheet.sheet(ws, "train", places), places, sprite_sheet.scale(ws)),
            on_pick=lambda tile: on_pick(tile["id"]),
        )
        if st.button(
            "Send to the audit",
            key="audit suspects",
            type="primary",
            help="Makes a queue of these images, to look through one by one.",
        ):
            audit_queue.make_and_open(
                ws, detector=name, images=[suspect.image for suspect in found], origin={"from": target}
            )


@st.cache_data(max_entries=200, show_spinner=False)
def _found(_ws, stamp: str, target: int, name: str) -> list[Suspect]:
    return suspects(_ws, target, name)


def sentence(ws: Workspace, target: int, name: str, found: list[Suspect]) -> str:
    """What the strip shows, and what it rests on."""
    about = detectors.load(ws, name).about
    rankings = accusers(ws)
    signed = [one for one in rankings if ws.ranking(one).signed]
    alike = [one for one in rankings if one not in signed]
    among = [f"the {FIRST} most harmful of {', '.join(signed)}"] if signed else []
    said = ws.classes[ws.base.prediction[target]]
    among += [f"the {FIRST} nearest labelled {said} of {', '.join(alike)}"] if alike else []
    count = {0: "No training image is", 1: "1 training image is"}.get(len(found), f"{len(found)} training images are")
    doubted = f"{write.count(most(ws))} of {write.count(ws.n_train)}"
    return f"{count} among {' or '.join(among)}, and of the {doubted} whose labels {name} doubts most ({about})."


def strip_data(ws: Workspace, found: list[Suspect], atlas: dict, places: dict[int, int], scale: int) -> dict:
    """The strip's data. places: training image -> place in `atlas`."""
    captions = [caption(ws, one) for one in found]
    texts = [
        f"training image {one.image}, labelled {ws.classes[one.given]}, suspicion {write.count(one.place)} of "
        f"{write.count(ws.n_train)}, named by {', '.join(one.rankings)}"
        for one in found
    ]
    marks = [text if one.suggestion != one.given else None for text, one in zip(captions, found)]
    return {
        "layout": "line",
        "atlas": atlas,
        "scale": scale,
        "zoom": 5 if scale > 1 else 2,
        "pitch": 84,
        "selected": None,
        "rows": [
            {
                "id": "suspects",
                "label": "suspects, the most suspicious first",
                "tiles": tiles(places, [one.image for one in found], texts, caption=captions, mark=marks),
            }
        ],
    }


def caption(ws: Workspace, one: Suspect) -> str:
    """ "given → suggested", or the given label alone where the detector suggests no other."""
    given = ws.classes[one.given]
    return given if one.suggestion == one.given else f"{given} → {ws.classes[one.suggestion]}"
