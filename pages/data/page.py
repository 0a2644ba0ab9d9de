"""Data & jobs: what runs, bringing scores and predictions, the models, what is stored of them, and this machine."""

import streamlit as st

from attribution import Workspace
from attribution.data import depth, resizing
from attribution.store.results import ResultStore
from pages.data import bring, copies, features, job_list, machine, models, predictions, recipes, studies, words
from pages.ui import format as write
from pages.ui import link, state, theme

#: what the address says -> the name on the page, and what the part is for
PARTS = {
    "jobs": ("Jobs", "What runs in the background, what waits, and how it ended."),
    "import": ("Import", "Compare scores of your own with those here, or judge the predictions of your own network."),
    "models": ("Models", "The models whose predictions can be explained, and the training code that retrains them."),
    "features": ("Scores & features", "What is stored of these images, and what can be computed."),
    "studies": ("Studies", "How few training images decide many predictions, under several rankings."),
    "machine": ("Machine", "What trains here, and how to look at images of your own."),
}


def main() -> None:
    """Draws the page."""
    ws = theme.workspace()
    with st.container(key="data-room", gap="small"):
        _draw_heading(ws)
        part = _choose_part(ws)
        state.show_error()
        with st.container(key=f"data-{part}"):
            st.header(PARTS[part][0], anchor=False)
            st.caption(PARTS[part][1])
            DRAWN[part](ws)


def _draw_heading(ws: Workspace) -> None:
    data = ws.manifest["dataset"]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title(write.plain(f"Data & jobs: {ws.name}"), anchor=False, width="content")
        st.caption(write.plain(f"{words.size_text(ws)}."), width="content")
        with st.popover("Details", type="tertiary"):
            lines = [
                f"{data['name']}{''.join(f'; {clause}' for clause in (resizing(data), depth(data)) if clause)}.",
                f"Folder: {ws.path}",
                f"Fingerprint: {ws.fingerprint}",
            ]
            if recorded := words.images_text(ws):
                lines.append(f"Images: {recorded}.")
            st.markdown("  \n".join(map(write.plain, lines)))


def _choose_part(ws: Workspace) -> str:
    """The part that the address names; a job of a study, as older links have it, opens the studies."""
    named = link.text(state.PART)
    if error := link.check(state.PART, link.check_choice(state.PART, ["", *PARTS])):
        st.warning(write.sentence(error), icon=":material/link_off:")
        named = ""
    if not named:
        named = "studies" if _names_a_study(ws) else "jobs"
    st.session_state[state.PART] = named
    return st.segmented_control(
        "Part of this page",
        list(PARTS),
        format_func=lambda part: PARTS[part][0],
        required=True,
        key=state.PART,
        label_visibility="collapsed",
        on_change=_open_part,
    )


def _names_a_study(ws: Workspace) -> bool:
    number = link.number("job")
    if number is None:
        return False
    with ResultStore.for_workspace(ws) as store:
        job = store.job(number)
    return bool(job) and studies.StudySpec.matches(job.spec)


def _open_part() -> None:
    st.query_params.pop("job", None)
    st.query_params[state.PART] = st.session_state[state.PART]


def _draw_import(ws: Workspace) -> None:
    bring.draw(ws)
    predictions.draw(ws)


def _draw_models(ws: Workspace) -> None:
    models.draw(ws)
    recipes.draw(ws)


def _draw_features(ws: Workspace) -> None:
    features.draw(ws)
    copies.draw(ws)


DRAWN = {
    "jobs": job_list.draw,
    "import": _draw_import,
    "models": _draw_models,
    "features": _draw_features,
    "studies": studies.draw,
    "machine": machine.draw,
}

main()
