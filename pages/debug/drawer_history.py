"""The drawer's history: the jobs about this target, and the supports found for it."""

import streamlit as st

from attribution import Workspace
from attribution.store.queue import Job
from attribution.store.results import ResultStore
from pages.debug import kept_answers, question
from pages.debug import verdict_text as text
from pages.ui import format as write
from pages.ui import job_buttons, model_choice, state
from pages.ui.fragments import fragment

MOST = 200  # newest jobs of the data set that are looked through


def draw(ws: Workspace, target: int) -> None:
    """The panel."""
    _draw_jobs(ws, target)
    with ResultStore.for_workspace(ws) as store:
        _draw_supports(ws, store, target)


def _draw_jobs(ws: Workspace, target: int) -> None:
    """The jobs, newest first, drawn again every other second while one is at work."""
    st.header("Jobs of this target", anchor=False)
    with ResultStore.for_workspace(ws) as store:
        polled = store.has_open_jobs()

    @fragment("2s" if polled else None)
    def draw_now():
        with ResultStore.for_workspace(ws) as own_store:
            busy, listed = own_store.has_open_jobs(), own_store.jobs(MOST)
        if busy and not polled:
            st.rerun()
        listed = [job for job in listed if job.spec.get("target") == target]
        if not listed:
            st.caption("No job yet. What is asked for here or on the command line stays listed here.")
        for job in listed:
            _job(ws, job)
        if busy:
            job_buttons.ensure_runner(ws)

    draw_now()


def _draw_supports(ws: Workspace, store: ResultStore, target: int) -> None:
    """The supports found for this target under all rankings, smallest first; each is a button that opens its trace."""
    rows = [row for row in kept_answers.all_answers(ws, store) if row["target"] == target]
    if rows:
        st.header("Smallest sets found", anchor=False)
    for row in sorted(rows, key=lambda row: (row["kind"] != "remove", row["answer"]["support"] or 10**6)):
        _support(ws, row)


def _job(ws: Workspace, job: Job) -> None:
    values = question.widget_values(job.spec)
    model = job.spec.get("model") or ws.own_recipe
    if values and model in model_choice.options(ws):
        values |= {state.MODEL: model}
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button(
            f"{job.id}",
            key=f"job {job.id}",
            on_click=question.show,
            args=(values, job.id),
            help="Open this job",
            disabled=not values,
            width=64,
        ):
            st.rerun()  # the whole page, not this fragment
        st.html(text.job_html(job))
        job_buttons.draw(ws, job, str(job.id), "tertiary")


def _support(ws: Workspace, row: dict) -> None:
    answer = row["answer"]
    word, _ = text.support_verdict(ws, row["target"], row["ranking"], row["kind"], answer)
    source = "bundled study" if row["shipped"] else f"found {write.date_time(row['created'])}"
    status = ", approximate" if answer["status"] == "unstable" else ""
    status += f" · {row['protocol']}" if row["protocol"] != "default" else ""
    values = {
        state.TEST: question.SEARCH,
        state.KIND: row["kind"],
        state.CUT_RANKING: row["ranking"],
        state.PROTOCOL: row["protocol"],
        state.K_MAX: row["k_max"],
        state.DISJOINT: 1,
        state.WITH_NEAR_DUPLICATES: False,
    }
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            f"{row['ranking']}, {row['kind']}",
            type="tertiary",
            on_click=question.show,
            args=(values,),
            key=f"support {row['ranking']} {row['kind']} {row['protocol']} {row['k_max']}",
        )
        st.caption(write.plain(f"{word.lower()}{status} · {answer['trainings']} trainings · {source}"))
