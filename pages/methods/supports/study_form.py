"""Asking for a study from the page, and watching one under way."""

import streamlit as st

from attribution import UserError, Workspace, jobs, replay, studies
from attribution.lineup import default_rankings
from attribution.measure import KINDS, random_stable, random_wrong, stable
from attribution.probes import KINDS as EDITS
from attribution.store import Store
from pages.methods import words
from pages.ui import command, controls, state
from pages.ui import format as write

TARGETS = 20  # as many as the intervals are worth reading from (words.few)
POLL = "2s"


def form(ws: Workspace, found: studies.Study) -> None:
    """Targets, rankings and kinds of a new study, what it costs, and the button that starts it."""
    most = len(stable(ws))
    if not most:
        st.info("No validation image is read right by nine of ten base models: a study has nothing to flip here.")
        return
    targets = st.number_input(
        "Targets, drawn at random",
        1,
        most,
        min(TARGETS, most),
        key=state.STUDY_TARGETS,
        help="Stable ones; for repairs those that at most 1 of 10 base models reads right. A "
        "larger study holds the smaller one: its first targets are the same.",
    )
    rankings = st.pills(
        "Rankings", ws.rankings(), default=default_rankings(ws), selection_mode="multi", key=state.STUDY_RANKINGS
    )
    kinds = st.pills("Kinds of support", KINDS, default=EDITS, selection_mode="multi", key=state.STUDY_KINDS)
    draw = random_wrong if "repair" in kinds else random_stable
    try:
        spec = jobs.study_spec(ws, draw(ws, targets, jobs.STUDY_SEED), rankings, kinds, found.protocol)
        store = Store.of(ws)
        cost = replay.study_cost(ws, store, spec)
        store.close()
    except UserError as error:
        st.caption(write.sentence(error))
        return
    st.caption(write.plain(words.study_cost(cost)))
    st.button(
        "Start the study",
        key="start study",
        type="primary",
        on_click=_start,
        args=(ws, spec),
        disabled=cost.known == cost.searches or bool(found.job and found.job.open),
    )
    st.code(
        command.line(
            ws,
            "study",
            "--targets",
            targets,
            "--rankings",
            ",".join(rankings),
            "--kinds",
            ",".join(kinds),
            "--protocol",
            found.protocol,
        ),
        language="bash",
        wrap_lines=True,
    )


def _start(ws: Workspace, spec: dict) -> None:
    try:
        jobs.submit(ws, spec)
    except UserError as error:
        state.say_once(error)


def progress(ws: Workspace, found: studies.Study, picked: bool) -> None:
    """The study that has not ended: how far it is, and ways to pause and stop it. Draws the page anew as searches
    finish, unless targets are selected in the chart, which would be lost."""
    if not found.job:
        return
    number, seen = found.job.id, found.job.done

    @st.fragment(run_every=POLL)
    def draw():
        store = Store.of(ws)
        job, ahead = store.job(number), store.ahead(number)
        store.close()
        if job.open:
            try:
                jobs.ensure_runner(ws)  # one that was killed is replaced while somebody watches
            except UserError as error:
                st.error(write.sentence(error))
        if job.ended or job.done != seen and not picked:
            st.rerun()
        st.progress(job.done / job.total if job.total else 0.0, write.plain(words.study_progress(job, ahead)))
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            controls.buttons(ws, job, "study")
            st.page_link(
                "pages/brittleness/page.py",
                label="Watch it in Brittleness",
                icon=":material/monitoring:",
                query_params={"job": str(number)},
            )

    draw()
