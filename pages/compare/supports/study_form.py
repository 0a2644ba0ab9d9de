"""Asking for a study from the page, and watching one under way."""

import streamlit as st

from attribution import Workspace
from attribution.experiments.study import Study
from pages.compare import tab_frame
from pages.ui import format as write
from pages.ui import job_buttons, state, study_form
from pages.ui.fragments import fragment

OPEN = "run a study"
QUEUED = "study queued"


def form(ws: Workspace, study: Study) -> None:
    """The form of a new study under the protocol that is looked at."""
    study_form.draw(ws, study.protocol, busy=bool(study.job and study.job.is_open))


def popover(ws: Workspace, study: Study) -> None:
    """The same form behind a button. What a study would cost is asked of the store once it is open."""
    with st.container(width="content"):
        _popover_content(ws, study)


@fragment()
def _popover_content(ws: Workspace, study: Study) -> None:
    with st.popover("Run a study", icon=":material/science:", key=OPEN, on_change="rerun") as opened:
        if opened.open:
            study_form.draw(ws, study.protocol, bool(study.job and study.job.is_open), _queued)
    if state.ERROR in st.session_state or st.session_state.pop(QUEUED, None):
        st.rerun()  # the whole tab: what went wrong and how far the study is stand outside


def _queued(number: int) -> None:
    st.session_state[QUEUED] = number


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
                query_params={state.PART: "studies", "job": str(job.id)},
            )

    tab_frame.watch_job(
        ws, study.job, progress_text, buttons, lambda job: job.has_ended or job.done != drawn and not selected
    )


def progress_text(job, ahead: int) -> str:
    """ "Study under way (job 3): 12 of 201 searches, 4 min 3 s so far. ..."."""
    if job.state == "queued":
        return f"Study (job {job.id}): waiting for the runner" + (f", {ahead} jobs ahead." if ahead else ".")
    if job.state == "cancelling":
        return f"Study (job {job.id}): stopping. What it has found is kept."
    if job.state == "paused":
        return f"Study (job {job.id}): paused after {job.done} of {job.total} searches."
    return (
        f"Study under way (job {job.id}): {job.done} of {job.total} searches, {write.seconds(job.seconds)} so far. "
        "Each curve is drawn over the targets that are finished, with a band from the worst to the best case of "
        "those that are not: targets that never flip finish first."
    )
