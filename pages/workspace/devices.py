"""What retrains on the Workspace page: the devices, whether a runner is at work on them, and what waits for it."""

import streamlit as st

from attribution import UserError, Workspace, executors
from attribution.experiments import jobs
from attribution.store import Store
from pages.ui import format as write

POLL = "2s"


def draw(ws: Workspace) -> None:
    """The section of the page; it follows a runner that is at work."""
    st.markdown("##### Retraining")
    try:
        store = Store.of(ws)
    except UserError as error:
        st.caption(write.sentence(error))
        return
    store.close()

    @st.fragment(run_every=POLL if jobs.runner_alive(store.folder) else None)
    def follow():
        try:
            expected = _expected(ws)
        except UserError as error:
            st.caption(write.sentence(error))
            return
        store = Store.of(ws)
        at_work = jobs.runner_info(store.folder)
        if rows := (at_work or expected)["devices"]:
            st.dataframe(rows, hide_index=True, width="content")
        st.caption(write.plain(told(at_work, expected, store)))
        store.close()

    follow()


@st.cache_data(ttl=60, max_entries=4, show_spinner=False)
def _expected(_ws: Workspace) -> dict:
    """Kept for a minute: a GPU's driver may take a second to answer."""
    return executors.expected(_ws)


def told(at_work: dict | None, expected: dict, store: Store) -> str:
    """What is going on, in a few sentences. at_work, expected: `Executor.about` of the runner that is there, and of one
    to come."""
    states = [job.state for job in store.open_jobs()]
    queued = states.count("queued")
    if at_work:
        workers = sum(int(row["workers"].split()[0]) for row in at_work["devices"])
        said = (
            f"A runner is at work ({at_work['executor']}): {_n(len(store.live()), 'training')} under way, "
            f"{_n(workers, 'worker')}; {_n(len(states) - queued, 'job')} begun, {write.count(queued)} queued."
        )
    elif states:
        said = (
            f"No runner is at work ({expected['executor']}), and {_n(len(states), 'job')} not done; the next "
            "retraining that is asked for starts one, as does python -m attribution runner."
        )
    else:
        said = (
            f"No runner is at work, and nothing is queued; one starts by itself when a retraining is asked for "
            f"({expected['executor']})."
        )
    log = store.folder / "runner.log"
    return f"{said} Its log is {log}." if log.exists() else said


def _n(n: int, noun: str) -> str:
    return f"{write.count(n)} {noun}" if n == 1 else f"{write.count(n)} {noun}s"
