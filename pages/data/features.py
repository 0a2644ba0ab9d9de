"""What is stored of the images: rankings, feature sets and detectors; and computing what is missing."""

import streamlit as st

from attribution import UserError, Workspace
from attribution.inputs.names import visible_all
from pages.data import words
from pages.ui import cli_command, measurement, state, theme
from pages.ui import format as write

#: what can be computed -> the part it makes, and the words that ask for it
BUILDS = {
    "base models": ("base", ["base", "train"]),
    "MoCo features": ("features/moco", ["features", "train", "moco"]),
    "SimCLR features": ("features/simclr", ["features", "train", "simclr"]),
    "DINO features": ("features/dino", ["features", "train", "dino"]),
    "supervised features": ("features/supervised", ["features", "train", "supervised"]),
    "models on random halves, for LDS": ("lds", ["halves", "train"]),
    "TRAK": ("rankings/trak", ["rankings", "build", "trak"]),
    "Datamodels": ("rankings/datamodels-500", ["rankings", "build", "datamodels"]),
    "Unrolled": ("rankings/unrolled-3", ["rankings", "build", "unrolled"]),
    "detectors of label errors": ("detectors/combined", ["detectors", "build"]),
}
#: those that train the model's recipe
TRAININGS = ("base models", "models on random halves, for LDS", "TRAK", "Datamodels", "Unrolled")


def draw(ws: Workspace) -> None:
    """Computing first, then a table for each kind."""
    for warning in words.alignment_warnings(ws):
        st.warning(write.sentence(warning), icon=":material/warning:")
    _draw_builds(ws)
    _draw_rankings(ws)
    about = "A vector for every image; similarity rankings and heads are computed in them."
    missing = "None yet. Compute a set above, or import one: `python -m attribution features import --help`."
    _draw_table("Feature sets", about, words.feature_rows(ws), words.feature_details(ws), missing)
    if rows := words.detector_rows(ws):
        about = "Each gives every training image a suspicion that its label is wrong; Clean labels uses them."
        _draw_table("Detectors of label errors", about, rows, words.detector_details(ws))


def _draw_rankings(ws: Workspace) -> None:
    rows = _ranking_rows(ws, theme.cache_key(ws))
    about = "Each orders the training images for every validation image. Debug shows them as rows."
    details = words.ranking_details(ws)
    _draw_table("Rankings", about, rows, details, words.live_rankings_text(ws) if not rows else "")
    if rows:
        st.caption(write.plain(words.live_rankings_text(ws)))


@st.cache_data(max_entries=4, show_spinner="Checking the rankings")
def _ranking_rows(_ws: Workspace, cache_key: str) -> list[dict]:
    return words.ranking_rows(_ws)


def _draw_table(title: str, about: str, rows: list[dict], details: list[dict], missing: str = "") -> None:
    """A table with its purpose above it; where each row comes from is folded beneath it."""
    st.subheader(title, anchor=False)
    st.caption(about)
    if not rows:
        st.markdown(missing)
        return
    st.dataframe(visible_all(rows), hide_index=True, width="stretch")
    with st.expander(f"Details: where the {title.lower()} come from"):
        st.dataframe(visible_all(details), hide_index=True, width="stretch")


def _draw_builds(ws: Workspace) -> None:
    trains = _can_train(ws)
    offered = [what for what, (part, _) in BUILDS.items() if ws.can_add(part) and (trains or what not in TRAININGS)]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        what = st.selectbox("Compute", offered, key=state.BUILD, width=320)
        asked = BUILDS[what][1]
        st.button("Start in the background", key="build", type="primary", on_click=measurement.start, args=(ws, asked))
        cli_command.popover(ws, *asked, key="build command")
        if parts := words.user_parts(ws):
            with st.popover("Remove what was added", icon=":material/delete:"):
                part = st.selectbox("A part that was added", parts)
                st.button("Remove it for good", key="take out", on_click=_remove_part, args=(ws, part))
    st.caption(
        "It runs on this machine and goes on when the browser is closed; Jobs shows how far it is. "
        "Started again, it repeats no training that was done."
    )


def _can_train(ws: Workspace) -> bool:
    """Whether the recipe of the model that is looked at can be trained on this machine."""
    try:
        return not ws.get_recipe().problem
    except UserError:  # a recipe that is not known here
        return False


def _remove_part(ws: Workspace, part: str) -> None:
    try:
        ws.remove_part(part)
        theme.expect_change()
    except UserError as error:
        state.set_error(error)
