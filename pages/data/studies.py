"""Studies: starting one, and while it runs how far it is, a way to pause, resume and cancel it, and its curves."""

import streamlit as st

from attribution import UserError, Workspace
from attribution.experiments import jobs, support, support_table
from attribution.experiments.study import StudySpec
from attribution.experiments.study_progress import StudyMonitor, StudyProgress
from attribution.experiments.support_search import seeds_text
from attribution.store.queue import Job
from attribution.store.results import ResultStore
from pages.data import study_curves, study_text
from pages.ui import cli_command, job_buttons, link, state, study_form, theme
from pages.ui import format as write
from pages.ui.fragments import fragment

MAX_LISTED = 5
POLL = "1s"


def draw(ws: Workspace) -> None:
    """Starting one; then the study that the address names, else the newest that has not ended, else the newest."""
    if not ws.has_base:
        return theme.train_first(ws, "A study asks which images decide predictions, so it needs models that predict.")
    with ResultStore.for_workspace(ws) as store:
        listed = store.studies(MAX_LISTED)
        number = link.number("job")
        named = None if number is None else store.job(number)
    if named and StudySpec.matches(named.spec) and named.id not in [job.id for job in listed]:
        listed.append(named)
    st.page_link("pages/compare/page.py", label="What studies found, in Compare", icon=":material/show_chart:")
    with st.expander("Start a study", expanded=not listed):
        _draw_form(ws, busy=any(job.is_open for job in listed))
    if not listed:
        return
    numbers = [job.id for job in listed]
    if st.session_state.get(state.STUDY) not in numbers:
        st.session_state[state.STUDY] = named.id if named and named.id in numbers else numbers[0]
    if len(listed) > 1:
        names = {job.id: study_text.name(job) for job in listed}
        st.pills("Study", numbers, format_func=names.get, required=True, key=state.STUDY, on_change=_open_chosen)
    chosen = next(job for job in listed if job.id == st.session_state[state.STUDY])
    st.subheader(write.plain(study_text.heading(chosen.spec)), anchor=False)
    _follow(ws, chosen.id, chosen.has_ended)


def _draw_form(ws: Workspace, busy: bool) -> None:
    protocol = st.segmented_control(
        "How a support is searched for",
        support.PROTOCOLS,
        default=support_table.default_protocol(ws),
        required=True,
        key=state.NEW_STUDY_PROTOCOL,
        help="Default stops a test once its majority is decided, and confirms both ends with fresh seeds. Adaptive "
        "trains one model at a time where there is most doubt, in a third of the trainings. Paper: always five seeds.",
    )
    study_form.draw(ws, protocol, busy, _open_study)


def _open_chosen() -> None:
    _open_study(st.session_state[state.STUDY])


def _open_study(number: int) -> None:
    st.session_state[state.STUDY] = number
    st.query_params.update({state.PART: "studies", "job": str(number)})


def _follow(ws: Workspace, number: int, ended: bool) -> None:
    """The study, drawn anew every second until it has ended: a pause may be lifted elsewhere."""

    @fragment(None if ended else POLL)
    def draw_now():
        try:
            with ResultStore.for_workspace(ws) as store:
                job = store.job(number)
                progress = _monitor(ws, theme.cache_key(ws), number, StudySpec.from_json(job.spec)).read(store, job)
                ahead = store.count_jobs_ahead(number) if job.state == "queued" else 0
        except UserError as error:
            st.error(write.sentence(error))
            return
        state.show_error()
        if job.has_ended != ended:
            st.rerun()
        job_buttons.keep_going(ws, job)
        _draw_progress(ws, job, progress, ahead)
        _draw_curves(ws, job, progress)

    draw_now()


@st.cache_resource(max_entries=8, show_spinner=False)
def _monitor(_ws, stamp: str, number: int, _spec) -> StudyMonitor:
    return StudyMonitor(_ws, _spec)


def _draw_progress(ws: Workspace, job: Job, progress: StudyProgress, ahead: int) -> None:
    st.progress(progress.answered / progress.searches, write.plain(study_text.progress_text(job, progress, ahead)))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        job_buttons.draw(ws, job, "study")
        if job.state in ("cancelled", "failed"):
            tip = "Asks for the same study again: what is known is not trained twice."
            if st.button(
                "Go on", key="go on", help=tip, on_click=_resume_study, args=(ws, StudySpec.from_json(job.spec))
            ):
                st.rerun()  # the whole page, not this fragment
        with st.popover("Copy command", icon=":material/terminal:"):
            for verb in ("pause", "resume", "cancel"):
                st.code(cli_command.line(ws, "jobs", verb, job.id), language="bash", wrap_lines=True)
        if not job.has_ended:
            st.caption(study_text.PAUSING, width="content")
    st.html(study_text.facts_html(job, progress))


def _resume_study(ws: Workspace, spec: dict) -> None:
    try:
        number = jobs.submit(ws, spec)
    except UserError as error:
        state.set_error(error)
        return
    _open_study(number)


def _draw_curves(ws: Workspace, job: Job, progress: StudyProgress) -> None:
    panels = study_curves.panels(progress.study, progress.brackets)
    st.plotly_chart(
        study_curves.figure(panels, progress.study.k_max),
        key="growth",
        config={"displayModeBar": False},
        alt="bands between the least and the most targets that can have flipped by each k; the table below "
        "has their ends",
    )
    recipe, spec = ws.get_recipe(job.spec["recipe"]), job.spec
    made = f"recipe {recipe.name} {recipe.hash}; protocol {spec['protocol']}, K = {spec['k_max']}"
    seeds = f"{seeds_text(spec['protocol'], recipe.deterministic)}.{write.planted_note(ws.planted)}"
    st.caption(write.plain(f"{study_text.BAND} {len(spec['targets'])} targets; {made}; {seeds}"))
    st.html(study_text.bands_html(panels))
