"""Asking for a study from the page, and watching one under way."""

import streamlit as st

from attribution import UserError, Workspace
from attribution.experiments.prefixes import EDIT_KINDS as EDITS
from attribution.experiments.prefixes import SUPPORT_KINDS
from attribution.experiments.study import STUDY_SEED, Study, study_spec
from attribution.explore.targets import draw_stable_targets, draw_wrong_targets, stable_targets
from attribution.rankings import default_rankings
from attribution.store.results import ResultStore
from pages.compare import tab_frame
from pages.ui import format as write
from pages.ui import job_buttons, state

TARGETS = 20  # as many as the intervals are worth reading from (`tables.few_targets`)


def form(ws: Workspace, study: Study) -> None:
    """Targets, rankings and kinds of a new study, what it costs, and the button that starts it."""
    most = len(stable_targets(ws))
    if not most:
        st.info("No validation image is read right by nine of ten base models: a study has nothing to flip here.")
        return
    targets = st.number_input(
        "Targets, drawn at random",
        1,
        most,
        min(TARGETS, most),
        key=state.STUDY_TARGETS,
        help="Those on which the models agree; for repairs those that at most 1 of 10 base models reads right. A "
        "larger study holds the smaller one: its first targets are the same.",
    )
    rankings = st.pills(
        "Rankings", ws.rankings(), default=default_rankings(ws), selection_mode="multi", key=state.STUDY_RANKINGS
    )
    kinds = st.pills("Kinds of support", SUPPORT_KINDS, default=EDITS, selection_mode="multi", key=state.STUDY_KINDS)
    draw = draw_wrong_targets if "repair" in kinds else draw_stable_targets
    try:
        spec = study_spec(ws, draw(ws, targets, STUDY_SEED), rankings, kinds, study.protocol)
        with ResultStore.for_workspace(ws) as store:
            cost = spec.cost(ws, store)
    except UserError as error:
        st.caption(write.sentence(error))
        return
    tab_frame.caption(cost_text(cost))
    st.button(
        "Start the study",
        key="start study",
        type="primary",
        on_click=tab_frame.submit,
        args=(ws, spec),
        disabled=cost.known == cost.searches or bool(study.job and study.job.is_open),
    )
    options = ["--targets", targets, "--rankings", ",".join(rankings), "--kinds", ",".join(kinds)]
    tab_frame.command_line(ws, "study", *options, "--protocol", study.protocol)


def cost_text(cost) -> str:
    """ "200 searches, 12 known; some 4,400 trainings, about 2 h 10 min on 2 workers (...)"."""
    known = f", {cost.known} of them answered already" if cost.known else ""
    if cost.known == cost.searches:
        return f"All {cost.searches} searches of this study are answered already."
    workers = "1 worker" if cost.workers == 1 else f"{cost.workers} workers"
    basis = f"judged by {cost.measured} searches done here" if cost.measured else "a guess: no search was done here yet"
    return (
        f"{cost.searches} searches{known}. The rest: some {write.count(round(cost.trainings))} trainings, about "
        f"{write.seconds(cost.seconds)} on {workers} ({basis}; {write.seconds(cost.each)} a training). It runs in "
        "the background, lets shorter jobs pass, and goes on where it was stopped."
    )


def progress(ws: Workspace, study: Study, selected: bool) -> None:
    """The study that has not ended: how far it is, and ways to pause and stop it. Draws the page anew as searches
    finish, unless targets are selected in the chart, which would be lost."""
    if not study.job:
        return
    drawn = study.job.done

    def buttons(job) -> None:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            job_buttons.draw(ws, job, "study")
            st.page_link(
                "pages/data/page.py",
                label="Watch it in Data & jobs",
                icon=":material/monitoring:",
                query_params={"job": str(job.id)},
            )

    tab_frame.watch_job(
        ws, study.job, progress_text, buttons, lambda job: job.has_ended or job.done != drawn and not selected
    )


def progress_text(job, ahead: int) -> str:
    """ "Study under way (job 3): 12 of 201 searches, 4 min 3 s so far. ..."."""
    if job.state == "queued":
        return f"Study (job {job.id}): waiting for the runner" + (f", {ahead} jobs before it." if ahead else ".")
    if job.state == "cancelling":
        return f"Study (job {job.id}): stopping. What it has found is kept."
    if job.state == "paused":
        return f"Study (job {job.id}): paused after {job.done} of {job.total} searches."
    return (
        f"Study under way (job {job.id}): {job.done} of {job.total} searches, {write.seconds(job.seconds)} so far. "
        "Each curve is drawn over the targets that are finished, with a band from the worst to the best case of "
        "those that are not: targets that never flip finish first."
    )
