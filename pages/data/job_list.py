"""The jobs and commands of this data set: unfinished ones first, then the newest, each with a way to its result."""

import time

import streamlit as st

from attribution import UserError, Workspace
from attribution.evaluation import lds_report
from attribution.experiments import jobs
from attribution.inputs.names import visible_lines
from attribution.rankings import default_rankings
from attribution.runner import commands as background
from attribution.runner.commands import Command
from attribution.store.queue import Job
from attribution.store.results import ResultStore
from pages.data import job_text
from pages.ui import format as write
from pages.ui import job_buttons, model_choice, state, theme
from pages.ui.fragments import fragment

LISTED, MOST = 8, 100  # ended jobs listed at first, and at most
POLL = "1s"
ALL_JOBS = "all jobs"  # key of the toggle
PAGES = {"debug": "pages/debug/page.py", "compare": "pages/compare/page.py",
         "labels": "pages/labels/page.py"}  # fmt: skip
PACES = "where a step of a command began"


def draw(ws: Workspace) -> None:
    """The list, drawn again every second while something is at work."""
    busy, _ = _read(ws, 1)

    @fragment(POLL if busy else None)
    def draw_now():
        state.show_error()
        working, items = _read(ws, MOST if st.session_state.get(ALL_JOBS) else LISTED)
        if busy:
            theme.expect_change()
        if busy != working:
            st.rerun()
        if not items:
            _draw_nothing()
        for item in items:
            _draw_job(ws, *item) if isinstance(item[0], Job) else _draw_command(ws, item[0])
        if len(items) >= LISTED:
            st.toggle(f"Show up to {MOST} jobs", key=ALL_JOBS)

    draw_now()


def _read(ws: Workspace, most: int) -> tuple[list, list]:
    """(what is at work, what is listed): jobs with the number of those before each, and commands."""
    listed: list[tuple] = [(command, 0) for command in background.list_commands(ws)]
    with ResultStore.for_workspace(ws) as store:
        for job in store.jobs(MOST):
            listed.append((job, store.count_jobs_ahead(job.id) if job.state == "queued" else 0))
    unfinished = [item for item in listed if not _has_ended(item[0])]
    ended = sorted((item for item in listed if _has_ended(item[0])), key=_moment, reverse=True)
    at_work = [_name(item[0]) for item in unfinished if item[0].is_open]
    return at_work, sorted(unfinished, key=_moment, reverse=True) + ended[:most]


def _has_ended(one: Job | Command) -> bool:
    return one.has_ended if isinstance(one, Job) else not one.is_open


def _moment(item: tuple) -> float:
    return item[0].created if isinstance(item[0], Job) else item[0].started


def _name(one: Job | Command) -> str:
    return f"job {one.id}" if isinstance(one, Job) else f"command {one.number}"


def _draw_nothing() -> None:
    st.markdown("Nothing has run here yet. What you ask for on any page or on the command line is listed here.")
    with st.container(horizontal=True, gap="small"):
        for part, label, icon in (
            ("import", "Import scores", ":material/upload:"),
            ("features", "Compute features or scores", ":material/memory:"),
            ("studies", "Start a study", ":material/science:"),
        ):
            _draw_button(label, icon, {state.PART: part}, "secondary")


def _draw_job(ws: Workspace, job: Job, ahead: int) -> None:
    with st.container(border=not job.has_ended, gap="xsmall", key=f"item-job-{job.id}"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            text = job_text.ended_text(job) if job.has_ended else ""
            _draw_line(job.state, job_text.title(job, ws.own_recipe), text)
            job_buttons.draw(ws, job, f"{job.id}", "tertiary")
            draw_link(job_text.result_link(job, ws.own_recipe))
        if not job.has_ended:
            share = job.done / job.total if job.total else 0.0
            st.progress(min(1.0, share), write.plain(write.capitalised(job_text.progress_text(job, ahead))))
            job_buttons.keep_going(ws, job)
        elif job.state == "failed" and (output := jobs.output_of(ResultStore.folder_of(ws), job.id)):
            with st.expander("Details: what it wrote last"):
                st.code(visible_lines(output), language=None, wrap_lines=True)


def _draw_command(ws: Workspace, command: Command) -> None:
    title = job_text.command_title(job_text.own_words(command.words))
    with st.container(border=command.is_open, gap="xsmall", key=f"item-command-{command.number}"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            answer = background.answer_of(ws, command) if command.state == "done" else None
            imported = answer if answer and "alignment" in answer else None
            text = "" if command.is_open else job_text.command_text(command)
            _draw_line(
                command.state, title, job_text.import_text(imported, stored_lds(ws, imported)) if imported else text
            )
            if command.is_open:
                st.button("Cancel", key=f"cancel {command.number}", type="tertiary", on_click=background.cancel_command,
                          args=(ws, command.number))  # fmt: skip
            draw_link(command_link(ws, command, imported))
        if command.is_open:
            draw_progress(command)


def _draw_line(name: str, title: str, text: str) -> None:
    word = write.capitalised(job_text.state_word(name)) if not text else ""
    said = f"  \n{write.plain(write.capitalised(text or word))}"
    st.markdown(f"{job_text.ICONS[name]} **{write.plain(title)}**{said}", width="stretch")


def draw_progress(command: Command) -> None:
    """How far a command is, and when the step that it is at will be done by the pace of that step."""
    text, done, total = command.progress or ("starting", 0, 1)
    done, total = done or 0, total or 0
    paces = st.session_state.setdefault(PACES, {})
    begun, first = paces.setdefault((command.number, text), (time.monotonic(), done))
    left = job_text.seconds_left(done - first, total - first, time.monotonic() - begun)
    of = f": {write.count(done)} of {write.count(total)}" if total > 1 else ""
    said = f"{write.capitalised(text)}{of}, {write.seconds(command.seconds)} so far{job_text.left_text(left)}"
    st.progress(min(1.0, done / total) if total else 0.0, write.plain(said))


def command_link(ws: Workspace, command: Command, imported: dict | None) -> tuple[str, str, dict] | None:
    """(page, label, parameters) that show what a command made; None where it made nothing that a page shows."""
    words = command.words
    if imported:
        return "debug", "Show it in Debug", {state.RANKINGS: rows_with(ws, imported["ranking"])}
    if command.state != "done":
        return None
    if words[:2] in (["base", "import"], ["base", "train"]):
        option = "--recipe" if words[1] == "import" else "--model"
        name = words[words.index(option) + 1] if option in words[:-1] else ws.own_recipe
        return ("debug", "Explain it in Debug", {state.MODEL: name}) if name in model_choice.options(ws) else None
    if words[:2] == ["detectors", "build"]:
        return "labels", "Show in Clean labels", {}
    return None


def rows_with(ws: Workspace, name: str) -> list[str]:
    """The rows that Debug shows by itself, with the ranking `name` before them."""
    return [name, *(other for other in default_rankings(ws) if other != name)]


def stored_lds(ws: Workspace, answer: dict) -> dict[str, float]:
    """Ranking -> its stored LDS, of the rows that Debug shows by itself, the best first; those that were measured on
    the same models as the import that gave `answer`."""
    if not answer.get("halves"):
        return {}
    try:
        report = lds_report.load(ws) or {}
    except UserError:  # whoever shows LDS says why
        return {}
    if report.get("recipe_hash") != answer["halves"]["recipe_hash"]:
        return {}
    known = {name: report["rankings"][name]["lds"] for name in default_rankings(ws) if name in report["rankings"]}
    return dict(sorted(known.items(), key=lambda pair: -pair[1]))


def draw_link(link: tuple[str, str, dict] | None) -> None:
    """A link to (page, label, parameters), as `job_text.result_link` and `command_link` give it; nothing for None."""
    if not link:
        return
    page, label, parameters = link
    if page == "data":
        _draw_button(label, ":material/arrow_forward:", parameters, "tertiary")
    else:
        st.page_link(PAGES[page], label=label, icon=":material/arrow_forward:", query_params=parameters)


def _draw_button(label: str, icon: str, parameters: dict, kind: str) -> None:
    """Opens another part of this page: a link to the page that is open would leave the address as it is."""
    key = "open " + " ".join(parameters.values())
    if st.button(label, key=key, icon=icon, type=kind, on_click=_open, args=(parameters,)):
        st.rerun()  # the whole page, not this fragment


def _open(parameters: dict) -> None:
    model = parameters.get(state.MODEL)
    if model and model != st.session_state.get(state.MODEL, model):  # a widget holds it
        st.session_state[state.MODEL] = model
    st.query_params.update({name: value for name, value in parameters.items() if name != state.MODEL})
