"""Of a wrong prediction: the training images that may have caused it and look mislabeled, and ways to act on them."""

from collections.abc import Callable

import streamlit as st

from attribution import UserError, Workspace
from attribution.audit import detectors
from attribution.audit.suspects import K_PER_RANKING, Suspect, accusing_rankings, count_suspicious, find_suspects
from pages.debug import question
from pages.ui import audit_queue, sprite_sheet, state, theme
from pages.ui import format as write
from pages.ui.tile_strip import image_row, strip, strip_data

FIRST = 10  # suspects shown at first


def are_sought(ws: Workspace, target: int) -> bool:
    """Whether a target has suspects: it is predicted wrong, and a detector has looked at the labels."""
    return (
        ws.has_base
        and ws.base.prediction[target] != ws.val_labels[target]
        and detectors.default_detector(ws) is not None
    )


def draw(ws: Workspace, target: int, on_pick: Callable[[int], None]) -> None:
    """The suspects of a target that has them (`are_sought`). on_pick(training image) is called where one is chosen."""
    name = detectors.default_detector(ws)
    try:
        found = _suspects(ws, theme.cache_key(ws), target, name)
    except UserError as error:
        st.error(write.sentence(error))
        return
    shown = found if st.session_state.get(state.SUSPECTS) == target else found[:FIRST]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html(f"<h2>{write.escape(suspects_sentence(found))}</h2>", width="content")
        with st.popover("How they are found", type="tertiary"):
            st.markdown(write.plain(explanation(ws, target, name)))
        if len(found) > len(shown):
            st.button(f"Show all {len(found)}", key="all suspects", type="tertiary", on_click=_show_all, args=(target,))
        if found and st.button(
            "Send to review",
            key="audit suspects",
            help=f"Makes a queue of these {write.counted(len(found), 'image')}, to decide on their labels one by one.",
        ):
            audit_queue.make_and_open(
                ws, detector=name, images=[suspect.image for suspect in found], origin={"from": target}
            )
        st.button(
            "Find a repair",
            key="find a repair",
            help="Opens the search for the fewest harmful images whose removal makes the prediction right, with what "
            "it costs.",
            on_click=question.show,
            args=({state.KIND: "repair", state.TEST: question.SEARCH},),
            disabled=bool(ws.get_recipe().problem),
        )
    if shown:
        sheet = sprite_sheet.sheet(ws, "train", [suspect.image for suspect in shown])
        strip(
            "suspects",
            suspects_data(ws, shown, sheet, sprite_sheet.scale(ws)),
            on_pick=lambda tile: on_pick(tile["id"]),
        )


@st.cache_data(max_entries=200, show_spinner=False)
def _suspects(_ws, cache_key: str, target: int, name: str) -> list[Suspect]:
    return find_suspects(_ws, target, name)


def _show_all(target: int) -> None:
    st.session_state[state.SUSPECTS] = target


def suspects_sentence(found: list[Suspect]) -> str:
    """ "88 images may have caused this error and look mislabeled"."""
    if not found:
        return "No image that may have caused this error looks mislabeled"
    verb = "looks" if len(found) == 1 else "look"
    return f"{write.counted(len(found), 'image')} may have caused this error and {verb} mislabeled"


def explanation(ws: Workspace, target: int, detector: str) -> str:
    """Where the suspects come from, and in which order they stand."""
    about = detectors.load(ws, detector).description
    rankings = accusing_rankings(ws)
    signed = [name for name in rankings if ws.ranking(name).signed]
    similarities = [name for name in rankings if name not in signed]
    true, predicted = ws.classes[ws.val_labels[target]], ws.classes[ws.base.prediction[target]]
    lists = [f"the {K_PER_RANKING} most harmful images of {', '.join(signed)}"] if signed else []
    lists += [f"the {K_PER_RANKING} nearest labeled {predicted} of {', '.join(similarities)}"] if similarities else []
    doubted = f"{write.count(count_suspicious(ws))} of {write.count(ws.n_train)}"
    return (
        f"They are among {' or '.join(lists)}, and among the {doubted} images whose labels {detector} doubts most "
        f"({about}). First come those labeled {predicted} or likely {true}, by influence times suspicion."
    )


def suspects_data(ws: Workspace, shown: list[Suspect], atlas: dict, scale: int) -> dict:
    """The strip's data. atlas: the sprite sheet of the suspects, in their order."""
    captions = [caption(ws, suspect) for suspect in shown]
    marks = [text if suspect.suggestion != suspect.given else None for text, suspect in zip(captions, shown)]
    accusers = ["#{1} {0}".format(*suspect.accuser) for suspect in shown]
    ids = [suspect.image for suspect in shown]
    texts = [reason(ws, suspect) for suspect in shown]
    row = image_row(
        "suspects", "suspects, first by influence times suspicion", ids, texts, caption=captions, mark=marks
    )
    for tile, accuser in zip(row["tiles"], accusers):
        tile["score"] = accuser
    return strip_data("line", [row], atlas, scale, pitch=108)


def reason(ws: Workspace, suspect: Suspect) -> str:
    """Why an image is a suspect: "training image 7, labeled Shirt but likely Coat (4 of 5,000 in suspicion); no. 3 of
    datamodels-2k against this target"."""
    other = ws.classes[suspect.suggestion]
    likely = f" but likely {other}" if suspect.suggestion != suspect.given else ""
    name, place = suspect.accuser
    return (
        f"training image {suspect.image}, labeled {ws.classes[suspect.given]}{likely} "
        f"({write.count(suspect.suspicion_rank)} of {write.count(ws.n_train)} in suspicion); no. {place} of {name} "
        "against this target"
    )


def caption(ws: Workspace, suspect: Suspect) -> str:
    """ "given → suggested", or the given label alone where the detector suggests no other."""
    given = ws.classes[suspect.given]
    return given if suspect.suggestion == suspect.given else f"{given} → {ws.classes[suspect.suggestion]}"
