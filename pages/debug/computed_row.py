"""The row that is computed when it is asked for, `attribution.rankings.unrolled.on_demand`: what it costs, how far it
is, and how it gets sharper; and where it is not on view, the way to it."""

import streamlit as st

from attribution import UserError, Workspace
from attribution.experiments import jobs
from attribution.experiments.unrolled import unrolled_spec
from attribution.rankings.unrolled import on_demand
from attribution.rankings.unrolled.on_demand import NAME, UnrolledExact
from attribution.store.database import FILE
from attribution.store.queue import Job
from attribution.store.results import ResultStore
from pages.ui import format as write
from pages.ui import job_buttons, running_jobs, state
from pages.ui.fragments import fragment

LOOKED_AT = 50  # jobs of this kind among which that of a target is sought, those that have not ended first
ASKED = "a row was asked for"  # of a callback: then the whole page is drawn, and its header has the job
MORE = "Trains another model and goes back through it: the row is the mean over all models."
STORED_METHOD = "Unrolled"  # of `builds.unrolled`
session = st.session_state


def is_offered(ws: Workspace) -> bool:
    """Whether the row can be computed under the model that is looked at."""
    return not on_demand.refusal(ws)


def empty_row(ws: Workspace, target: int) -> dict:
    """What stands in the row as long as it is empty, as of `tile_strip`: its button, or that a job is at work on it."""
    job = _job_of(ws, target)
    if job and not job.has_ended:
        return {"empty": "Being computed: how far it is stands below the rows"}
    action = {"text": f"Compute ({_price(ws, target, 1)})", "title": _help(ws)}
    return {"empty": "Not computed for this target yet", "action": action}


def draw(ws: Workspace, target: int, rankings: tuple[str, ...]) -> None:
    """Below the rows: the state of the row where it is on view, else the way to it where the target has no Unrolled
    scores yet. rankings: the rows on view."""
    if session.pop(ASKED, False):
        st.rerun()
    if not is_offered(ws):
        return
    if NAME not in rankings:
        return
    ranking = ws.ranking(NAME)
    if not isinstance(ranking, UnrolledExact):  # an import of that name
        return
    job = _job_of(ws, target)
    if job and not job.has_ended:
        _follow(ws, target, ranking, job)
    else:
        _draw_state(ws, target, ranking, job)


def draw_offer(ws: Workspace, target: int, rankings: tuple[str, ...]) -> None:
    """The way to the row where it is not on view, and the target has no other Unrolled scores."""
    if is_offered(ws) and NAME not in rankings and not _has_scores(ws, target):
        st.button(
            f"Unrolled, exact: {_price(ws, target, 1)}",
            key="add computed row",
            type="tertiary",
            icon=":material/add:",
            help=f"Adds a row. {_help(ws)}",
            on_click=_add,
            args=(ws, target, rankings),
        )


def ask(ws: Workspace, target: int, models: int | None = None) -> None:
    """Has the row computed by so many models, one more than there are if not given; a callback."""
    try:
        if models is None:
            models = len(ws.ranking(NAME).seeds_of(target)) + 1
        jobs.submit(ws, unrolled_spec(ws, target, models))
        session[ASKED] = True
    except UserError as error:
        state.set_error(error)


def _add(ws: Workspace, target: int, rankings: tuple[str, ...]) -> None:
    session[state.RANKINGS] = [*rankings, NAME]
    if not ws.ranking(NAME).seeds_of(target):
        ask(ws, target, 1)


def _has_scores(ws: Workspace, target: int) -> bool:
    """Whether a stored ranking of the method has the target, whatever it is called."""
    stored = [part for part, made in ws.manifest["parts"].items() if made.get("method") == STORED_METHOD]
    return any(target in ws.ranking(part.removeprefix("rankings/")).targets for part in stored)


def _draw_state(ws: Workspace, target: int, ranking: UnrolledExact, job: Job | None) -> None:
    """How many models there are, and the button for one more."""
    models = len(ranking.seeds_of(target))
    if models:  # else the row itself says so, and has the button
        with _line():
            st.caption(write.plain(state_text(ranking, target)), width="content")
            if models < len(on_demand.SEEDS):
                label = f"+1 model ({_price(ws, target, models + 1)})"
                st.button(label, key="sharpen computed row", help=MORE, on_click=ask, args=(ws, target))
    if job and job.state == "failed":
        st.caption(f":material/error: {write.sentence(job.message)}")


def state_text(ranking: UnrolledExact, target: int) -> str:
    """How many models are behind a target's row, and how stable its first images are between them."""
    models = len(ranking.seeds_of(target))
    if models == 1:
        return "Unrolled, exact: 1 model. How stable the row is shows with a second."
    shared = ranking.shared(target) or 0.0
    return (
        f"Unrolled, exact: the mean of {models} models. Of the first {on_demand.N_FIRST} images by one model alone, "
        f"{shared:.0f} are among the first {on_demand.N_FIRST} by another."
    )


def _follow(ws: Workspace, target: int, ranking: UnrolledExact, job: Job) -> None:
    """How far the job is, again every second; the page is drawn anew once there is a model more, or the job ends."""
    before = ranking.seeds_of(target)

    @fragment("1s" if job.is_open else None)
    def follow():
        with ResultStore.for_workspace(ws) as store:
            now = store.job(job.id)
            if now is None or now.is_open != job.is_open or now.has_ended or ranking.seeds_of(target) != before:
                st.rerun()
            share = share_done(store, now)
        with _line():
            st.progress(share, write.plain(progress_text(now, share)), width=420)
            job_buttons.draw(ws, now, "computed row")
        job_buttons.keep_going(ws, now)

    follow()


def share_done(store: ResultStore, job: Job) -> float:
    """How much of a job is done, from 0 to 1, those models included that are under way."""
    under_way = [live for live in store.live_trainings().values() if live["job"] == job.id]
    parts = job.done + sum(live["epoch"] / max(1, live["epochs"]) for live in under_way)
    return min(1.0, parts / max(1, job.total))


def progress_text(job: Job, share: float) -> str:
    """How far a job is, in words."""
    if job.state != "running":
        return f"Unrolled, exact: {running_jobs.progress_text(job)}"
    left = f" · about {running_jobs.roughly(job.seconds * (1 - share) / share)} left" if share > 0.02 else ""
    return f"Unrolled, exact: model {min(job.done + 1, job.total)} of {job.total} · {write.percent(share, 0)}{left}"


def _job_of(ws: Workspace, target: int) -> Job | None:
    """The job about this row that has not ended, else the newest one; None where there is none."""
    if not (ResultStore.folder_of(ws) / FILE).exists():
        return None
    with ResultStore.for_workspace(ws) as store:
        found = store.jobs_of_verb(on_demand.VERB, LOOKED_AT)
    return next((job for job in found if (job.spec["target"], job.spec["recipe"]) == (target, ws.recipe)), None)


def _price(ws: Workspace, target: int, models: int) -> str:
    """Such as "about 20 s": what a row of so many models takes yet."""
    spec = unrolled_spec(ws, target, models)
    with ResultStore.for_workspace(ws) as store:
        return f"about {running_jobs.roughly(spec.cost(ws, store).seconds)}"


def _line():
    return st.container(horizontal=True, vertical_alignment="center", gap="small")


def _help(ws: Workspace) -> str:
    return (
        "By how much each training image moves this target's margin, with the exact curvature: trains the model anew "
        f"and goes back through its {ws.ranking(NAME).epochs_text}, in the background. "
        "What was computed is kept."
    )
