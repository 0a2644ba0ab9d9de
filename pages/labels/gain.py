"""What the corrections gain: models trained on them, beside the labels as given and random images re-inspected."""

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from attribution import UserError, Workspace
from attribution.audit import gain, review_queue
from attribution.audit.decision_log import DecisionLog
from attribution.experiments import jobs
from attribution.experiments.paired_arms import PairedArmsSpec, load_latest_answer
from attribution.experiments.spec import Spec
from attribution.store.queue import Job
from attribution.store.results import ResultStore
from pages.labels import accuracy_curve, gain_text
from pages.ui import cli_command, job_buttons, sprite_sheet, state
from pages.ui import format as write
from pages.ui.fragments import fragment
from pages.ui.target_card import wall_data
from pages.ui.tile_strip import strip
from pages.ui.verdict import verdict_html

POLL = "1s"
SHOWN = 60  # targets in a strip, at most
COLOURS = {"corrected-none": "#3F8F7F", "random-none": "#808080", "corrected-random": "#9070B0"}
state_of = st.session_state


def draw(ws: Workspace, decided: dict, uses_val: bool) -> None:
    """The question, its cost or how far it is, and what came of it. decided: training image -> its
    current decision; uses_val: as `review_queue.uses_validation` says."""
    goto = state_of.pop(state.GO_TO, None)
    if goto is not None:
        st.switch_page("pages/debug/page.py", query_params={state.TARGET: str(goto)})
    with ResultStore.for_workspace(ws) as store:
        _draw(ws, store, decided, uses_val)


def _draw(ws: Workspace, store: ResultStore, decided: dict, uses_val: bool) -> None:
    st.header("Does the model improve?", anchor=False)
    st.caption(
        write.plain(
            f"Trains the model with {gain.DEFAULT_SEEDS} seeds each on the original labels, on the corrected labels, "
            "and with as many random images re-inspected instead, and compares the accuracies seed by seed."
        )
    )
    state.show_error()
    spec, missing, without = None, None, []
    try:
        with DecisionLog.of(ws) as log:
            without = review_queue.starting_targets(log)
        spec = gain.gain_spec(ws, decided, uses_val=uses_val, without=without)
    except UserError as error:
        missing = error
    answer = spec.answer(ws, store) if spec else None
    job = next(iter(store.jobs_of_verb("worth", 1)), None)
    if job and not job.has_ended:
        _progress(ws, job, spec)
    elif spec and not answer:
        _ask(ws, store, job, spec)
    elif missing:
        st.caption(write.sentence(missing))
    shown = answer or load_latest_answer(ws, store)
    if shown:
        if not answer:
            st.info(write.plain(gain_text.earlier_text(shown, spec)), icon=":material/history:")
        _answer(ws, shown)
    if spec or shown:
        _export(ws, shown)
    accuracy_curve.draw(ws, decided, uses_val, without)


# -- asking


def _ask(ws: Workspace, store: ResultStore, last: Job | None, spec: Spec) -> None:
    """What it costs, and the button."""
    if last and last.state in ("cancelled", "failed"):
        job_buttons.ended_early(ws, last)
    st.markdown(write.plain(gain_text.cost_sentence(spec, spec.cost(ws, store))))
    cost = spec.cost(ws, store)
    about = f", about {write.seconds(cost.seconds)}" if cost.known < cost.max_trainings else ", known at once"
    label = f"Train and compare{about}"
    st.button(label, key="train and compare", type="primary", on_click=_start, args=(ws, spec))


def _start(ws: Workspace, spec: Spec) -> None:
    try:
        jobs.submit(ws, spec)
    except UserError as error:
        state.set_error(error)


def _progress(ws: Workspace, job: Job, spec: Spec | None) -> None:
    """The job that has not ended, drawn anew every second, with ways to pause and stop it."""
    number = job.id

    @fragment(POLL)
    def draw_now():
        try:
            with ResultStore.for_workspace(ws) as store:
                now = store.job(number)
                if now.has_ended:
                    st.rerun()
                left, ahead = PairedArmsSpec.from_json(now.spec).cost(ws, store).seconds, store.count_jobs_ahead(number)
        except UserError as error:
            st.error(write.sentence(error))
            return
        state.show_error()
        job_buttons.keep_going(ws, now)
        st.progress(now.done / now.total if now.total else 0.0, write.plain(gain_text.progress_text(now, ahead, left)))
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            job_buttons.draw(ws, now, "worth")
            if not spec or spec["arms"] != now.spec["arms"]:
                st.caption(
                    write.plain(
                        f"This run uses earlier decisions: {gain_text.decisions(now.spec)}. To measure the current "
                        "ones, cancel it or wait for its end."
                    ),
                    width="content",
                )

    draw_now()


# -- what came of it


def _answer(ws: Workspace, answer: dict) -> None:
    st.html(verdict_html(*gain_text.verdict(answer)))
    st.plotly_chart(
        _chart(answer),
        key="worth",
        config={"displayModeBar": False},
        alt="differences in accuracy, one dot per seed; the table below has their means and intervals",
    )
    st.html(gain_text.arms_html(answer))
    st.caption(write.plain(gain_text.provenance(ws, answer)))
    with st.expander("By class"):
        st.html(gain_text.classes_html(ws, answer))
        st.caption(write.plain(gain_text.classes_note(answer)))
    _targets(ws, answer)


def _chart(answer: dict) -> go.Figure:
    """A line a comparison: a dot a seed, and the mean with its 95 % interval."""
    chart = go.Figure()
    names = list(COLOURS)[::-1]
    for y, name in enumerate(names):
        difference, colour = answer["differences"][name], COLOURS[name]
        values, mean = 100 * np.array(difference["values"]), 100 * difference["mean"]
        low, high = (100 * end for end in difference["ci"])
        chart.add_scatter(
            x=values,
            y=y + np.linspace(-0.12, -0.34, len(values)),
            mode="markers",
            showlegend=False,
            marker={"color": colour, "size": 7, "opacity": 0.6},
            customdata=answer["seeds"],
            hovertemplate="seed %{customdata}: %{x:+.2f} points<extra></extra>",
        )
        chart.add_scatter(
            x=[mean],
            y=[y + 0.12],
            mode="markers",
            showlegend=False,
            marker={"color": colour, "size": 11, "symbol": "diamond"},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [high - mean],
                "arrayminus": [mean - low],
                "color": colour,
                "thickness": 2.5,
                "width": 7,
            },
            hovertemplate=f"mean %{{x:+.2f}} points, 95 % {low:+.2f} to {high:+.2f}<extra></extra>",
        )
    chart.add_vline(x=0, line={"color": "#808080", "width": 1, "dash": "dot"})
    chart.update_layout(
        height=240,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        dragmode=False,
        xaxis={"title": "difference in accuracy, points", "zeroline": False},
        yaxis={
            "tickvals": list(range(len(names))),
            "range": [-0.5, len(names) - 0.6],
            "ticktext": [gain_text.PAIRS[name] for name in names],
            "showgrid": False,
            "zeroline": False,
        },
    )
    return chart


def _targets(ws: Workspace, answer: dict) -> None:
    """The targets that changed; each leads to its lineup."""
    seeds, by_chance = len(answer["seeds"]), answer["targets"]["random"]
    for name, changed in answer["targets"]["corrected"].items():
        more = f", the first {SHOWN} here" if len(changed) > SHOWN else ""
        st.markdown(write.plain(gain_text.changed_text(name, len(changed), len(by_chance[name]), seeds) + more + "."))
        if not changed:
            continue
        ids = np.array([row["target"] for row in changed[:SHOWN]])
        data = wall_data(ws, ids, sprite_sheet.sheet(ws, "val", ids), None, False, sprite_sheet.scale(ws))
        for tile, row in zip(data["rows"][0]["tiles"], changed):
            tile.pop("mark", None)
            tile["caption"] = f"{row['before']} → {row['after']}"
            tile["text"] = (
                f"validation image {row['target']}, {ws.classes[ws.val_labels[row['target']]]}, correct in "
                f"{row['before']} of {seeds} seeds before and {row['after']} after"
            )
        data["rows"][0] |= {"id": name, "label": f"{name} targets"}
        strip(f"{name} targets", data, on_pick=_go)


def _go(tile: dict) -> None:
    state_of[state.GO_TO] = tile["id"]


def _export(ws: Workspace, answer: dict | None) -> None:
    with st.container(horizontal=True, gap="small"):
        if answer:
            st.download_button(
                "Download comparison (.csv)",
                data=gain_text.to_csv(ws, answer),
                file_name="worth.csv",
                on_click="ignore",
                icon=":material/download:",
            )
        cli_command.popover(ws, "worth")
