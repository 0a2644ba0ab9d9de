"""Asking for a study: its targets, rankings and kinds, what it costs, and the button that starts it."""

from collections.abc import Callable

import streamlit as st

from attribution import UserError, Workspace
from attribution.evaluation.support_report import KINDS
from attribution.experiments import jobs
from attribution.experiments.prefixes import EDIT_KINDS as EDITS
from attribution.experiments.prefixes import SUPPORT_KINDS
from attribution.experiments.study import STUDY_SEED, study_spec
from attribution.explore.targets import draw_stable_targets, draw_wrong_targets, stable_targets
from attribution.rankings import default_rankings
from attribution.store.results import ResultStore
from pages.ui import cli_command, state
from pages.ui import format as write

TARGETS = 20  # as many as the intervals are worth reading from (`tables.few_targets` of Compare)


def draw(ws: Workspace, protocol: str, busy: bool, started: Callable[[int], None] | None = None) -> None:
    """The form. busy: whether a study is at work already, and this one has to wait; started: called with the number of
    the job that the button queued."""
    most = len(stable_targets(ws))
    if not most:
        st.info("A study needs validation images that at least 9 of 10 base models get right, and there are none here.")
        return
    targets = st.number_input(
        "Targets, drawn at random",
        1,
        most,
        min(TARGETS, most),
        key=state.STUDY_TARGETS,
        help="Validation images that at least 9 of 10 base models get right; for repairs, at most 1 of 10. A "
        "larger study includes the smaller one: its first targets are the same.",
    )
    rankings = st.pills(
        "Rankings", ws.rankings(), default=default_rankings(ws), selection_mode="multi", key=state.STUDY_RANKINGS
    )
    kinds = st.pills(
        "Kinds of support",
        SUPPORT_KINDS,
        default=EDITS,
        selection_mode="multi",
        key=state.STUDY_KINDS,
        format_func=KINDS.get,
    )
    target_draw = draw_wrong_targets if "repair" in kinds else draw_stable_targets
    try:
        spec = study_spec(ws, target_draw(ws, targets, STUDY_SEED), rankings, kinds, protocol)
        with ResultStore.for_workspace(ws) as store:
            cost = spec.cost(ws, store)
    except UserError as error:
        st.caption(write.sentence(error))
        return
    st.caption(write.plain(cost_text(cost)))
    st.button(
        "Start the study",
        key="start study",
        type="primary",
        on_click=_submit,
        args=(ws, spec, started),
        disabled=cost.known == cost.searches or busy,
    )
    options = ["--targets", targets, "--rankings", ",".join(rankings), "--kinds", ",".join(kinds)]
    cli_command.show(ws, "study", *options, "--protocol", protocol)


def _submit(ws: Workspace, spec, started: Callable[[int], None] | None) -> None:
    """Callback: queues the study; what goes wrong is shown when the page is drawn."""
    try:
        number = jobs.submit(ws, spec)
    except UserError as error:
        state.set_error(error)
        return
    if started:
        started(number)


def cost_text(cost) -> str:
    """ "200 searches, 12 known; some 4,400 trainings, about 2 h 10 min on 2 workers (...)"."""
    known = f", {cost.known} of them answered already" if cost.known else ""
    if cost.known == cost.searches:
        return f"All {cost.searches} searches of this study are answered already."
    workers = "1 worker" if cost.workers == 1 else f"{cost.workers} workers"
    basis = f"from {cost.measured} searches done here" if cost.measured else "a guess: nothing was searched here yet"
    return (
        f"{cost.searches} searches{known}. To do: about {write.count(round(cost.trainings))} trainings, about "
        f"{write.seconds(cost.seconds)} on {workers} ({basis}; {write.seconds(cost.each)} a training). It runs in "
        "the background, lets shorter jobs go first, and resumes where it was stopped."
    )
