"""Studies while they run: how far each is, a way to pause, resume and cancel it, and its curves as results come in."""

import streamlit as st

from attribution import UserError, Workspace, jobs, recipes
from attribution.progress import Watch
from attribution.store import Store
from attribution.support import CONFIRM_SEEDS, SEEDS
from pages.brittleness import growth, words
from pages.ui import cli_command, job_buttons, state, theme
from pages.ui import format as write

LISTED = 5
POLL = "1s"


def draw(ws: Workspace) -> None:
    """The study that the address names, else the newest that has not ended, else the newest."""
    store = Store.of(ws)
    try:
        listed = store.studies(LISTED)
        number = st.query_params.get("job", "")
        named = store.job(int(number)) if number.isdigit() else None
    finally:
        store.close()
    if named and named.spec["verb"] == "study" and named.id not in [job.id for job in listed]:
        listed.append(named)
    if not listed:
        return _none()
    numbers = [job.id for job in listed]
    if st.session_state.get(state.STUDY) not in numbers:
        st.session_state[state.STUDY] = named.id if named and named.id in numbers else numbers[0]
    if len(listed) > 1:
        names = {job.id: words.study_name(job) for job in listed}
        st.pills("Study", numbers, format_func=names.get, required=True, key=state.STUDY, on_change=_choose)
    chosen = next(job for job in listed if job.id == st.session_state[state.STUDY])
    st.header(write.plain(words.study_heading(chosen.spec)), anchor=False)
    _watch(ws, chosen.id, chosen.ended)


def _choose() -> None:
    st.query_params["job"] = str(st.session_state[state.STUDY])


def _none() -> None:
    st.header("No study has been asked for here", anchor=False)
    with st.container(width=760):
        st.markdown(
            "A study searches the supports of many targets under several rankings, in the background, for "
            "hours if need be. Here it is watched, paused, resumed and cancelled while its curves grow."
        )
        st.page_link("pages/methods/page.py", label="Ask for a study in Methods", icon=":material/science:")


def _watch(ws: Workspace, number: int, ended: bool) -> None:
    """The study, drawn anew every second until it has ended: a pause may be lifted elsewhere."""

    @st.fragment(run_every=None if ended else POLL)
    def draw_one():
        store = Store.of(ws)
        try:
            job = store.job(number)
            if job.open:
                jobs.ensure_runner(ws)  # one that was killed is replaced while somebody watches
            found = _watcher(ws, theme.cache_key(ws), number, job.spec).look(store, job)
            ahead = store.ahead(number) if job.state == "queued" else 0
        except UserError as error:
            st.error(write.sentence(error))
            return
        finally:
            store.close()
        if state.ERROR in st.session_state:
            st.error(write.sentence(st.session_state.pop(state.ERROR)))
        if job.ended != ended:
            st.rerun()
        _progress(ws, job, found, ahead)
        _curves(ws, job, found)

    draw_one()


@st.cache_resource(max_entries=8, show_spinner=False)
def _watcher(_ws, stamp: str, number: int, _spec) -> Watch:
    return Watch(_ws, _spec)


def _progress(ws: Workspace, job, found, ahead: int) -> None:
    st.progress(found.answered / found.searches, write.plain(words.study_state(job, found, ahead)))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        job_buttons.draw(ws, job, "study")
        if job.state in ("cancelled", "failed"):
            about = "Asks for the same study again: what is known is not trained twice."
            if st.button("Go on", key="go on", help=about, on_click=_go_on, args=(ws, job.spec)):
                st.rerun()  # the whole page, not this fragment
        st.page_link("pages/methods/page.py", label="Compare the rankings in Methods", icon=":material/show_chart:")
        with st.popover("Copy command", icon=":material/terminal:"):
            for verb in ("pause", "resume", "cancel"):
                st.code(cli_command.line(ws, "jobs", verb, job.id), language="bash", wrap_lines=True)
        if not job.ended:
            st.caption(words.PAUSING, width="content")
    st.html(words.study_facts_html(job, found))


def _go_on(ws: Workspace, spec: dict) -> None:
    try:
        number = jobs.submit(ws, spec)
    except UserError as error:
        state.say_once(error)
        return
    st.session_state[state.STUDY] = number
    st.query_params["job"] = str(number)


def _curves(ws: Workspace, job, found) -> None:
    panels = growth.panels(found.study, found.brackets)
    st.plotly_chart(
        growth.figure(panels, found.study.k_max),
        key="growth",
        config={"displayModeBar": False},
        alt="bands between the least and the most targets that can have flipped by each k; the table below "
        "has their ends",
    )
    recipe, spec = recipes.get(job.spec["recipe"]), job.spec
    fresh = f", confirmed with {CONFIRM_SEEDS[0]} to {CONFIRM_SEEDS[-1]}" if spec["protocol"] == "default" else ""
    planted = f" Labels are as given, with {ws.planted} planted errors." if ws.planted else ""
    st.caption(
        write.plain(
            f"{words.BAND} {len(spec['targets'])} targets; recipe {recipe.name} {recipe.hash}; protocol "
            f"{spec['protocol']}, K = {spec['k_max']}; seeds {SEEDS[0]} to {SEEDS[-1]}{fresh}.{planted}"
        )
    )
    st.html(words.growth_html(panels))
