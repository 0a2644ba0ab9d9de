"""Under a wrong prediction: training images that may be behind it and whose labels look wrong."""

from collections.abc import Callable

import streamlit as st

from attribution import UserError, Workspace
from attribution.audit import detectors
from attribution.audit.suspects import K_PER_RANKING, Suspect, accusing_rankings, count_suspicious, find_suspects
from pages.ui import audit_queue, sprite_sheet, state, theme
from pages.ui import format as write
from pages.ui.tile_strip import image_row, strip, strip_data


def draw(ws: Workspace, target: int, on_pick: Callable[[int], None]) -> None:
    """An expander where the target is predicted wrong and a detector has looked at the labels; nothing elsewhere.

    on_pick(training image) is called where one is chosen. They are found when it is opened first.
    """
    name = detectors.default_detector(ws)
    if name is None or not ws.has_base or ws.base.prediction[target] == ws.val_labels[target]:
        return
    box = st.expander("Suspects", key=state.SUSPECTS, icon=":material/policy:", on_change="rerun")
    if not box.open:
        return
    with box:
        try:
            shown = _suspects(ws, theme.cache_key(ws), target, name)
        except UserError as error:
            st.error(write.sentence(error))
            return
        st.markdown(write.plain(suspects_sentence(ws, target, name, shown)))
        if not shown:
            return
        sheet = sprite_sheet.sheet(ws, "train", [suspect.image for suspect in shown])
        strip(
            "suspects",
            suspects_data(ws, shown, sheet, sprite_sheet.scale(ws)),
            on_pick=lambda tile: on_pick(tile["id"]),
        )
        if st.button(
            "Send to the audit",
            key="audit suspects",
            type="primary",
            help="Makes a queue of these images, to look through one by one.",
        ):
            audit_queue.make_and_open(
                ws, detector=name, images=[suspect.image for suspect in shown], origin={"from": target}
            )


@st.cache_data(max_entries=200, show_spinner=False)
def _suspects(_ws, cache_key: str, target: int, name: str) -> list[Suspect]:
    return find_suspects(_ws, target, name)


def suspects_sentence(ws: Workspace, target: int, detector: str, shown: list[Suspect]) -> str:
    """What the strip shows, and what it rests on."""
    about = detectors.load(ws, detector).description
    rankings = accusing_rankings(ws)
    signed = [name for name in rankings if ws.ranking(name).signed]
    similarities = [name for name in rankings if name not in signed]
    lists = [f"the {K_PER_RANKING} most harmful of {', '.join(signed)}"] if signed else []
    predicted = ws.classes[ws.base.prediction[target]]
    lists += [f"the {K_PER_RANKING} nearest labelled {predicted} of {', '.join(similarities)}"] if similarities else []
    count = {0: "No training image is", 1: "1 training image is"}.get(len(shown), f"{len(shown)} training images are")
    doubted = f"{write.count(count_suspicious(ws))} of {write.count(ws.n_train)}"
    return f"{count} among {' or '.join(lists)}, and of the {doubted} whose labels {detector} doubts most ({about})."


def suspects_data(ws: Workspace, shown: list[Suspect], atlas: dict, scale: int) -> dict:
    """The strip's data. atlas: the sprite sheet of the suspects, in their order."""
    captions = [caption(ws, suspect) for suspect in shown]
    texts = [
        f"training image {suspect.image}, labelled {ws.classes[suspect.given]}, suspicion "
        f"{write.count(suspect.suspicion_rank)} of {write.count(ws.n_train)}, named by {', '.join(suspect.rankings)}"
        for suspect in shown
    ]
    marks = [text if suspect.suggestion != suspect.given else None for text, suspect in zip(captions, shown)]
    ids = [suspect.image for suspect in shown]
    row = image_row("suspects", "suspects, the most suspicious first", ids, texts, caption=captions, mark=marks)
    return strip_data("line", [row], atlas, scale, pitch=84)


def caption(ws: Workspace, suspect: Suspect) -> str:
    """ "given → suggested", or the given label alone where the detector suggests no other."""
    given = ws.classes[suspect.given]
    return given if suspect.suggestion == suspect.given else f"{given} → {ws.classes[suspect.suggestion]}"
