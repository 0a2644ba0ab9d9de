"""What retrains: the devices, whether a runner is at work on them, and what waits for it."""

import streamlit as st

from attribution import UserError, Workspace
from attribution.experiments import jobs
from attribution.runner import executors
from attribution.store.lock import runner_alive
from attribution.store.results import ResultStore
from pages.ui import format as write
from pages.ui.fragments import fragment

POLL = "2s"


def draw(ws: Workspace) -> None:
    """The section of the page; it follows a runner that is at work."""
    st.subheader("Devices", anchor=False)
    st.caption("The processors and GPUs that retrain models when Debug, a study or a command asks.")
    try:
        store = ResultStore.for_workspace(ws)
    except UserError as error:
        st.caption(write.sentence(error))
        return
    store.close()

    @fragment(POLL if runner_alive(store.folder) else None)
    def follow():
        try:
            expected = _expected_resources(ws)
        except UserError as error:
            st.caption(write.sentence(error))
            return
        with ResultStore.for_workspace(ws) as store:
            at_work = jobs.runner_info(store.folder)
            text = runner_text(at_work, expected, store)
        if rows := (at_work or expected)["devices"]:
            st.dataframe(rows, hide_index=True, width="content")
        st.caption(write.plain(text))

    follow()


@st.cache_data(ttl=60, max_entries=4, show_spinner=False)
def _expected_resources(_ws: Workspace) -> dict:
    """Kept for a minute: a GPU's driver may take a second to answer."""
    return executors.expected_resources(_ws)


def runner_text(at_work: dict | None, expected: dict, store: ResultStore) -> str:
    """What the runner does, in a few sentences. at_work, expected: `Executor.describe` of the runner, None where
    there is none, and of one to come."""
    states = [job.state for job in store.open_jobs()]
    queued = states.count("queued")
    if at_work:
        workers = sum(int(row["workers"].split()[0]) for row in at_work["devices"])
        begun = write.counted(len(states) - queued, "job")
        text = (
            f"Training now ({at_work['executor']}): {write.counted(len(store.live_trainings()), 'training')} under way "
            f"on {write.counted(workers, 'worker')}; {begun} running, {write.count(queued)} waiting."
        )
    elif states:
        text = (
            f"Nothing trains at the moment, and {write.counted(len(states), 'job')} not done; the next retraining that "
            "is asked for starts them, as does python -m attribution runner."
        )
    else:
        text = f"Nothing trains, and nothing waits ({expected['executor']}); training starts when a page asks for it."
    log = store.folder / "runner.log"
    return f"{text} The log is {log}." if log.exists() else text
