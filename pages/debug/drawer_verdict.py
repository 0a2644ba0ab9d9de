"""The drawer's verdict: the sentence, what was trained for it, the job at work on it, and the form of more tests."""

import streamlit as st

from attribution import Workspace
from attribution.evaluation import adaptive_supports
from attribution.experiments.disjoint import DisjointSpec
from attribution.experiments.replay import replay_search
from attribution.experiments.retrain import RetrainSpec
from attribution.experiments.spec import Spec
from attribution.experiments.support import SupportSpec
from attribution.store.queue import Job
from attribution.store.results import ResultStore
from pages.debug import disjoint, edit_preview, kept_answers, question, retraining, search_trace
from pages.debug import verdict_text as text
from pages.ui import cli_command, job_buttons, link, state, theme
from pages.ui import format as write
from pages.ui.fragments import fragment
from pages.ui.verdict import cost_text, verdict_html


def draw(ws: Workspace, target: int, asked: question.Asked) -> None:
    """The panel of the question on view."""
    if asked.spec is None:
        _nothing_to_show(ws, asked)
    else:
        st.html(f"<h2>{write.escape(question.heading(ws, target, asked.spec))}</h2>")
        edit_preview.draw(ws, asked.spec)
        _draw_answer(ws, asked.spec)
    if ws.has_base:
        with st.expander("More tests", key="more tests", expanded=_is_other_test()):
            question.draw_form(ws, target)


def _nothing_to_show(ws: Workspace, asked: question.Asked) -> None:
    if ws.get_recipe().problem:
        st.caption("Nothing can be retrained here; what was found for this target before stands in the history.")
    elif asked.error:
        st.error(write.sentence(asked.error), icon=":material/error:")
    elif st.session_state.get(state.TEST) == question.CHOSEN:
        st.info("Click training images in the rows to choose those to test; click again to take one out.")
    else:
        st.info("Choose a ranking under *Rows*: its top images are those to test.")


def _is_other_test() -> bool:
    """Whether the question on view is not the cut's: then its controls stand open."""
    return st.session_state.get(state.TEST) != question.PREFIX


def _draw_answer(ws: Workspace, spec: Spec) -> None:
    """What is known of the question, again every second while a job of it is at work."""
    with ResultStore.for_workspace(ws) as store:
        job = _job_of(store, spec)
    running = bool(job and job.is_open)
    view = {RetrainSpec: _retraining, SupportSpec: _search, DisjointSpec: _disjoint}[type(spec)]

    @fragment("1s" if running else None)
    def draw_now():
        with ResultStore.for_workspace(ws) as own_store:
            now = own_store.job(job.id) if job else None
            view(ws, own_store, spec, now)
        if running != bool(now and now.is_open):
            st.rerun()

    draw_now()


def _job_of(store: ResultStore, spec: Spec) -> Job | None:
    """The job that the address names, if it is about this question, else one about it that has not ended, or None."""
    number = link.number("job")
    named = None if number is None else store.job(number)
    if named and _same(named.spec, spec):
        return named
    return next((job for job in store.jobs_described(spec.describe()) if _same(job.spec, spec)), None)


def _same(spec: Spec, other: dict) -> bool:
    """Whether two specs ask the same; the path of the workspace may differ."""
    return {**spec, "workspace": None} == {**other, "workspace": None}


# -- the three kinds of answers


def _retraining(ws: Workspace, store: ResultStore, spec: Spec, job: Job | None) -> None:
    answer = spec.answer(ws, store)
    verdict = text.retraining_verdict(ws, spec, answer)
    if not job and not verdict and not answer["n"]:
        return _not_asked_yet(ws, store, spec, "tested", "Retrain")
    if verdict:
        st.html(verdict_html(*verdict))
    st.html(text.retraining_html(ws, spec, answer))
    _job_line(ws, store, spec, job, answer["newest"] if answer["complete"] else None)
    seeds = write.number_ranges(spec["seeds"])
    _provenance(ws, spec, f"seeds {seeds}; trained in {write.seconds(answer['seconds'])} in all")


def _search(ws: Workspace, store: ResultStore, spec: Spec, job: Job | None) -> None:
    known = kept_answers.answer(ws, store, spec)
    played = replay_search(ws, store, spec)
    answer = played.answer or (known and known["answer"])
    if not answer and not job and not played.trained:
        return _not_asked_yet(ws, store, spec, "searched", "Search")
    if answer:
        st.html(verdict_html(*text.support_verdict(ws, spec["target"], spec["ranking"], spec["kind"], answer)))
        found = _orders(ws, theme.cache_key(ws)) if spec["kind"] == "remove" else None
        if found and (said := text.adaptive_text(found, spec["target"])):
            st.caption(write.plain(said))
    probes = text.probes_of_trace(answer["trace"]) if answer and not played.answer else played.probes
    if probes:
        _trace(ws, spec, probes, answer)
    if answer and answer["hi"]:
        k = answer["hi"]
        values = {state.TEST: question.PREFIX, state.K: int(k)}
        if k <= retraining.K_MAX and st.button(
            f"Test {k} beside its controls", key="at support", on_click=question.show, args=(values,)
        ):
            st.rerun()  # the whole page, not this fragment
    if not played.answer and known and known["shipped"]:
        st.caption(f"From the bundled study, {write.date_time(known['created'])}: nothing was trained here.")
    else:
        _job_line(ws, store, spec, job, played.newest if answer else None)
    count = f"{answer['trainings']} trainings asked for" if answer else f"{played.trained} trainings asked for so far"
    _provenance(ws, spec, f"protocol {spec['protocol']}, K = {spec['k_max']}; {count}")


@st.cache_resource(max_entries=4, show_spinner=False)
def _orders(_ws, stamp: str):
    """The supports of a head in both orders, where they were measured."""
    return adaptive_supports.load(_ws)


def _trace(ws: Workspace, spec: Spec, probes: list[dict], answer: dict | None) -> None:
    """What the search tried: a table, and a chart beside it."""
    label = int(ws.val_labels[spec["target"]])
    st.html(f'<div class="lu-scroll">{text.probes_html(ws, spec["target"], probes, spec["kind"])}</div>')
    st.plotly_chart(
        search_trace.figure(
            tuple((probe["k"], probe["confirm"], *search_trace.share_wrong(probe, label)) for probe in probes),
            answer and answer["lo"],
            answer and answer["hi"],
            tuple(text.outcome_words(spec["kind"]).items()),
        ),
        key="trace",
        height=250,
        config={"displayModeBar": False},
        alt="share of wrong models at each k tried; the table above has the same numbers",
    )


def _disjoint(ws: Workspace, store: ResultStore, spec: Spec, job: Job | None) -> None:
    known_since = disjoint.draw(ws, store, spec)
    if not known_since and not job:
        return _not_asked_yet(ws, store, spec, "searched", "Search")
    _job_line(ws, store, spec, job, known_since)
    _provenance(
        ws,
        spec,
        f"protocol {spec['protocol']}, K = {spec['k_max']}; each search passes over the images of the "
        "supports before it, and trains on all others",
    )


# -- what stands below every answer


def _not_asked_yet(ws: Workspace, store: ResultStore, spec: Spec, participle: str, verb: str) -> None:
    cost = spec.cost(ws, store)
    st.markdown(f"**Not {participle} yet.** {write.plain(cost_text(cost))}.")
    _ask_button(ws, spec, f"{verb}, about {write.seconds(cost.seconds)}")
    _command(ws, spec)


def _ask_button(ws: Workspace, spec: Spec, label: str) -> None:
    if st.button(label, key="run", type="primary", on_click=question.ask, args=(ws, spec)):
        st.rerun()  # the whole page, not this fragment


def _job_line(ws: Workspace, store: ResultStore, spec: Spec, job: Job | None, known_since: float | None) -> None:
    """The state of the job, with ways to pause and stop it; or since when the answer is known."""
    if job and not job.has_ended:
        waits = {"queued": "Waiting for the runner", "cancelling": "Stopping", "paused": "Paused"}
        left = f", about {write.seconds(spec.cost(ws, store).seconds)} left" if job.state == "running" else ""
        job_state = waits.get(job.state) or f"Running for {write.seconds(job.seconds)}{left}"
        ahead = store.count_jobs_ahead(job.id)
        before = f", {ahead} before it" if ahead and job.state == "queued" else ""
        closed = " It goes on when this page is closed." if job.is_open else ""
        job_buttons.keep_going(ws, job)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(write.plain(f"Job {job.id}: {job_state}{before}.{closed}"), width="content")
            job_buttons.draw(ws, job)
    elif job and job.state in ("cancelled", "failed"):
        job_buttons.ended_early(ws, job)
        _ask_button(ws, spec, f"Go on, about {write.seconds(spec.cost(ws, store).seconds)}")
    elif job:
        finished = write.date_time(job.finished)
        said = f"; {job.message}" if job.message else ""
        st.caption(write.plain(f"Job {job.id}: done in {write.seconds(job.seconds)}, {finished}{said}."))
    elif known_since:
        st.caption(write.plain(f"Known since {write.date_time(known_since)}: nothing was trained for this."))
    else:
        cost = spec.cost(ws, store)
        before = "" if cost.known == cost.max_trainings else "Partly known from other jobs: "
        st.caption(write.plain(f"{before}{cost_text(cost)}."))
        _ask_button(ws, spec, f"Go on, about {write.seconds(cost.seconds)}")


def _provenance(ws: Workspace, spec: Spec, details: str) -> None:
    """The recipe and the protocol, and the command line that asks the same."""
    recipe = ws.get_recipe()
    planted = f"; labels as given, with {ws.planted} planted errors" if ws.planted else ""
    st.caption(write.plain(f"Recipe {recipe.name} {recipe.hash}; {details}{planted}."))
    _command(ws, spec)


def _command(ws: Workspace, spec: Spec) -> None:
    words = cli_command.arguments(spec)
    if words:
        cli_command.popover(ws, *words)
