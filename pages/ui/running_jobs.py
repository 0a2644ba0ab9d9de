"""The chip in the header of every page: what runs in the background, how far it is, and the way to its result."""

import sqlite3
import time

import streamlit as st

from attribution import UserError, Workspace
from attribution.experiments.disjoint import DisjointSpec
from attribution.experiments.group import GroupSpec
from attribution.experiments.paired_arms import PairedArmsSpec
from attribution.experiments.pruning import PruningSpec
from attribution.experiments.retrain import RetrainSpec
from attribution.experiments.study import StudySpec
from attribution.experiments.support import SupportSpec
from attribution.experiments.unrolled import UnrolledSpec
from attribution.rankings.unrolled import on_demand
from attribution.runner import commands
from attribution.runner.commands import Command
from attribution.store.database import FILE
from attribution.store.queue import Job
from attribution.store.results import ResultStore
from pages.ui import format as write
from pages.ui import job_buttons, state
from pages.ui.fragments import fragment

POLL = 2  # seconds between two looks, while something runs
PAUSED_SECONDS = 600  # for so long a paused job stays in the chip, to be resumed
#: jobs whose result is a verdict on one target
OF_A_TARGET = (RetrainSpec, SupportSpec, DisjointSpec)
Task = Job | Command
session = st.session_state


def draw(ws: Workspace, room: str) -> None:
    """The chip, where something runs or has ended since it was looked at last; nothing else. room: the page that is
    open, "" the front page. app.py calls it before the page."""
    place = st.empty()  # always there: after an element that comes in between, the browser draws the whole page anew
    under_way = current_tasks(ws)
    ended = _note_ended(ws, under_way, room)
    if not under_way and not ended:
        return
    polled = bool(under_way)

    @fragment(POLL if polled else None)
    def chip():
        now = current_tasks(ws)
        finished = _note_ended(ws, now, room)
        if polled and not now:
            st.rerun()  # the page shows what came of it, and nobody looks any more
        _chip(ws, now, finished)

    with place.container(key="running-jobs"):
        chip()


def has_news(ws: Workspace) -> bool:
    """Whether something is under way and the page has no chip yet, as after a command elsewhere."""
    return not session.get(state.WATCHED_TASKS) and bool(current_tasks(ws))


def current_tasks(ws: Workspace) -> dict[str, Task]:
    """What is under way, oldest first, by a name such as "job 7" or "command 3"; jobs that were paused just now are
    among it. Nothing where the data folder cannot be read: pages say so themselves."""
    folder = ResultStore.folder_of(ws)
    jobs: list[Job] = []
    try:
        if (folder / FILE).exists():
            with ResultStore.for_workspace(ws) as store:
                jobs = store.current_jobs(paused_after=time.time() - PAUSED_SECONDS)
        running = commands.running_commands(ws)
    except (UserError, OSError, sqlite3.Error):
        return {}
    return {f"job {job.id}": job for job in jobs} | {f"command {one.number}": one for one in reversed(running)}


# -- what has ended since


def _note_ended(ws: Workspace, under_way: dict[str, Task], room: str) -> dict[str, Task]:
    """What ended while this visit watched it, and was not looked at yet."""
    watched = session.setdefault(state.WATCHED_TASKS, [])
    ended = session.setdefault(state.ENDED_TASKS, {})
    for name in [name for name in watched if name not in under_way]:
        task = _find(ws, name)
        if task and task.state in ("done", "failed", "lost"):
            ended[name] = task
    session[state.WATCHED_TASKS] = list(under_way)
    for name in [name for name, task in ended.items() if _is_looked_at(task, room)]:
        del ended[name]
    return dict(ended)


def _find(ws: Workspace, name: str) -> Task | None:
    kind, number = name.split()
    if kind == "command":
        return commands.find_command(ws, int(number))
    with ResultStore.for_workspace(ws) as store:
        return store.job(int(number))


def _is_looked_at(task: Task, room: str) -> bool:
    """Whether the page that is open is the one that shows a task's result."""
    folder, link = result_address(task)
    tells = {name: link[name] for name in (("job",) if "job" in link else (state.STEP, "panel")) if name in link}
    return folder == (room or "debug") and all(st.query_params.get(name) == tells[name] for name in tells)


def result_address(task: Task) -> tuple[str, dict[str, str]]:
    """(folder of the page that shows what comes of a task, the parameters of its link)."""
    if isinstance(task, Command):
        return "data", {}
    if any(kind.matches(task.spec) for kind in OF_A_TARGET):
        model = {state.MODEL: task.spec["model"]} if task.spec.get("model") else {}
        return "debug", {state.TARGET: str(task.spec["target"]), "job": str(task.id), "panel": "verdict"} | model
    if UnrolledSpec.matches(task.spec):
        model = {state.MODEL: task.spec["model"]} if task.spec.get("model") else {}
        return "debug", {state.TARGET: str(task.spec["target"]), state.CUT_RANKING: on_demand.NAME} | model
    if GroupSpec.matches(task.spec):
        model = {state.MODEL: task.spec["model"]} if task.spec.get("model") else {}
        return "debug", state.group_link(task.spec) | model
    if PairedArmsSpec.matches(task.spec):
        return "labels", {state.STEP: state.BENEFIT}
    if StudySpec.matches(task.spec):
        return "data", {"job": str(task.id)}
    return ("compare" if PruningSpec.matches(task.spec) else "data"), {}


# -- what is drawn


def _chip(ws: Workspace, under_way: dict[str, Task], ended: dict[str, Task]) -> None:
    tasks = list(under_way.values())
    label, icon = (chip_label(tasks), "progress_activity") if tasks else ended_label(list(ended.values()))
    with st.popover(label, icon=f":material/{icon}:", key="jobs under way"):
        for name, task in ended.items():
            _ended(name, task)
        if tasks:
            _warn(ws, tasks)
        for name, task in under_way.items():
            _running(ws, name, task)


def chip_label(tasks: list[Task]) -> str:
    """Such as "2 jobs running · 45 % · about 3 min left", in markdown: what stands in asterisks is left out where there
    is little room."""
    shares = [part for task in tasks if (part := share_done(task)) is not None]
    left = [seconds_left(task) for task in tasks]
    number, what = write.counted(len(tasks), "job"), _state_of(tasks)
    if not shares:
        return f"{number} *{what}*"
    rest = "" if None in left else f" *· about {roughly(sum(left))} left*"
    return f"*{number} {what} ·* {write.percent(sum(shares) / len(shares), 0)}{rest}"


def _state_of(tasks: list[Task]) -> str:
    states = {task.state for task in tasks}
    if states & {"running", "cancelling"}:
        return "running"
    return "waiting" if "queued" in states else "paused"


def ended_label(tasks: list[Task]) -> tuple[str, str]:
    """(the chip's text once nothing runs, its icon)."""
    failed = [task for task in tasks if task.state != "done"]
    if failed:
        return f"*{write.counted(len(failed), 'job')}* failed *· see why*", "error"
    return f"*{write.counted(len(tasks), 'job')}* done *· show result*", "check_circle"


def share_done(task: Task) -> float | None:
    """How much of a task is done, from 0 to 1; None where nobody knows."""
    done, total = task.progress[1:] if isinstance(task, Command) and task.progress else _counts(task)
    return min(1.0, done / total) if total else None


def _counts(task: Task) -> tuple[int, int]:
    return (0, 0) if isinstance(task, Command) else (task.done, task.total)


def seconds_left(task: Task) -> float | None:
    """How long a task takes yet if it goes on as before; None where nobody knows."""
    done = share_done(task)
    if task.state != "running" or not done:
        return None
    return task.seconds * (1 - done) / done


def roughly(seconds: float) -> str:
    """Such as "20 s", "3 min" or "1 h 20 min": an estimate knows no more."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{max(5, 5 * round(seconds / 5))} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def title(task: Task) -> str:
    """What a task is, in a line."""
    if not isinstance(task, Command):
        return f"Job {task.id} · {task.what}"
    words = task.words[: task.words.index("--workspace")] if "--workspace" in task.words else task.words
    return f"Command · {' '.join(words)}"


def progress_text(task: Task) -> str:
    """How far a task is, in words."""
    if task.state in ("queued", "paused", "cancelling"):
        waits = {"queued": "waiting for its turn", "paused": "paused", "cancelling": "stopping"}[task.state]
        return waits + (f" after {task.done} of {task.total}" if task.state == "paused" and task.total else "")
    what, (done, total) = "", _counts(task)
    if isinstance(task, Command) and task.progress:
        what, done, total = f"{task.progress[0]}, ", *task.progress[1:]
    left = seconds_left(task)
    counts = f"{write.count(done)} of {write.count(total)}" if total else "starting"
    return f"{what}{counts}" + (f" · about {roughly(left)} left" if left is not None else "")


def _running(ws: Workspace, name: str, task: Task) -> None:
    st.markdown(f"**{write.plain(title(task))}**")
    st.progress(share_done(task) or 0.0, write.plain(progress_text(task)))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if isinstance(task, Command):
            cancel = {"on_click": commands.cancel_command, "args": (ws, task.number), "help": job_buttons.CANCEL}
            st.button("Cancel", key=f"cancel chip {name}", **cancel)
        else:
            job_buttons.draw(ws, task, f"chip {name}")
        _result_link(task)


def _warn(ws: Workspace, tasks: list[Task]) -> None:
    """Why the oldest job does not go on, if it does not."""
    job = next((task for task in tasks if isinstance(task, Job) and task.is_open), None)
    if job:
        job_buttons.keep_going(ws, job)


def _ended(name: str, task: Task) -> None:
    outcome = {"done": "done", "failed": "failed", "lost": "gone without a word; start it again"}[task.state]
    why = f": {task.message}" if task.message and task.state == "failed" else ""
    st.markdown(f"**{write.plain(title(task))}** {write.plain(f'{outcome}{why}')}")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        _result_link(task)
        st.button("Dismiss", key=f"dismiss {name}", on_click=_dismiss, args=(name,), type="tertiary")


def _result_link(task: Task) -> None:
    folder, link = result_address(task)
    st.page_link(f"pages/{folder}/page.py", label="Show result", icon=":material/arrow_forward:", query_params=link)


def _dismiss(name: str) -> None:
    session[state.ENDED_TASKS].pop(name, None)
