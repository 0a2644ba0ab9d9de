"""Accuracy after so many decisions: a head is refitted exactly along the decisions made so far, and the curve grows."""

import plotly.graph_objects as go
import streamlit as st

from attribution import UserError, Workspace
from attribution.audit import accuracy_curve
from attribution.experiments.estimate import cost_of
from attribution.store.results import ResultStore
from pages.labels import gain_text
from pages.ui import cli_command, measurement, state
from pages.ui import format as write

MEASURE = ["evaluate", "inspection", "--decisions"]
FOLLOWED_SECONDS = 30  # that refits may take without being asked for
COLOUR, BAND = "#3F8F7F", "rgba(63, 143, 127, 0.15)"


def draw(ws: Workspace, decided: dict, uses_val: bool, without: list[int]) -> None:
    """The curve of the current decisions or the last one that was measured, and the button that measures it. Under a
    head, and where it was measured before, it follows the decisions by itself. Nothing where they change no label, or
    where there is no head. decided: training image -> its current decision; uses_val, without: as of
    `gain.gain_spec`."""
    name = accuracy_curve.choose_head(ws)
    steps = accuracy_curve.decision_steps(ws, decided)
    if name is None or not steps[-1][1].k:
        return
    st.subheader("Accuracy as decisions come in", anchor=False)
    try:
        accuracy_curve.check_judged(ws, uses_val, tuple(without))
    except UserError as error:
        st.caption(write.sentence(error))
        return
    with ResultStore.for_workspace(ws) as store:
        answer = accuracy_curve.load(ws, store, name, steps, uses_val, tuple(without))
        shown = answer or accuracy_curve.load_latest(ws, store, name)
        head = ws.with_model(name)
        refits = cost_of(head, store, head.get_recipe().hash, len(steps), len(steps), 0)
    seconds = refits.start + len(steps) * refits.each
    if not answer and (shown or name == ws.recipe) and seconds <= FOLLOWED_SECONDS:
        _follow(head, steps)
    running = measurement.under_way(head, MEASURE)
    if not answer and not running:
        st.caption(write.plain(offer_text(ws, name, len(steps), seconds)))
        measurement.button(head, MEASURE, "Refit along the decisions")
    if shown:
        if not answer:
            st.info(write.plain(earlier_text(shown, len(decided))), icon=":material/history:")
        st.caption(write.plain(text(ws, shown)))
        st.plotly_chart(
            chart(shown),
            key="accuracy curve",
            config={"displayModeBar": False},
            alt="accuracy after so many decisions; the sentence above has its first and last value",
        )
    if answer:
        cli_command.popover(head, *MEASURE)


def _follow(head: Workspace, steps: list) -> None:
    """Begins to measure the current decisions, once: what fails is left to the button."""
    asked = (head.recipe, tuple((count, edit.hash) for count, edit in steps))
    if st.session_state.get(state.CURVE) != asked and not measurement.is_running(head, MEASURE):
        st.session_state[state.CURVE] = asked
        measurement.start(head, MEASURE)


def offer_text(ws: Workspace, name: str, refits: int, seconds: float) -> str:
    """What the button does, and what it costs. refits: how many, of the head `name`; seconds: of all."""
    stands_in = "" if name == ws.recipe else f", which stands in for {ws.recipe}"
    return (
        f"{write.counted(refits, 'exact refit')} of {name}{stands_in}, after more and more of the decisions in their "
        f"order: about {write.seconds(seconds)}, in the background."
    )


def earlier_text(answer: dict, decided: int) -> str:
    """What is said above a curve of other decisions than the current ones. decided: how many those are."""
    before = write.counted(answer["curve"][-1]["decided"], "decision")
    return f"Measured when there were {before}; now there are {write.count(decided)}, or other ones."


def text(ws: Workspace, answer: dict) -> str:
    """What was measured, and the first and last value. answer: as `accuracy_curve.measure`."""
    name, first, last = answer["recipe"], answer["curve"][0], answer["curve"][-1]
    measured = f"{name} is" if name == ws.recipe else f"{ws.recipe} would have to be trained; {name} stands in. It is"
    half = " (the second half; the first may have influenced which images were reviewed)" if answer["uses_val"] else ""
    gain = last["gain"]
    interval = f" (95 % {gain_text.interval(gain['ci'])})" if gain["ci"] else ""
    return (
        f"{measured} refitted exactly after so many decisions, in the order in which they were made. "
        f"Accuracy {100 * first['accuracy']:.1f} → {100 * last['accuracy']:.1f} % after "
        f"{write.counted(last['decided'], 'decision')}: {gain_text.points(gain['mean'])} points{interval}, on "
        f"{write.counted(answer['n'], 'validation image')}{half}. The band is the 95 % interval of the difference from "
        "the labels as given, over validation images."
    )


def chart(answer: dict) -> go.Figure:
    """Accuracy in % against decisions, with the interval of its difference from the first point."""
    curve = answer["curve"]
    decided = [point["decided"] for point in curve]
    ends = [point["gain"]["ci"] or [point["gain"]["mean"]] * 2 for point in curve]
    figure = go.Figure()
    for end, fill in ((0, None), (1, "tonexty")):
        figure.add_scatter(
            x=decided,
            y=[100 * (curve[0]["accuracy"] + pair[end]) for pair in ends],
            mode="lines",
            line={"width": 0},
            fill=fill,
            fillcolor=BAND,
            showlegend=False,
            hoverinfo="skip",
        )
    figure.add_scatter(
        x=decided,
        y=[100 * point["accuracy"] for point in curve],
        mode="lines+markers",
        line={"color": COLOUR},
        marker={"size": 7},
        cliponaxis=False,
        showlegend=False,
        customdata=[
            [point["changed"], gain_text.points(point["gain"]["mean"]), gain_text.interval(pair)]
            for point, pair in zip(curve, ends)
        ],
        hovertemplate="after %{x} decisions, %{customdata[0]} labels changed: %{y:.2f} %<br>"
        "%{customdata[1]} points, 95 % %{customdata[2]}<extra></extra>",
    )
    figure.update_layout(
        height=240,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        dragmode=False,
        xaxis={"title": "decisions", "zeroline": False, "rangemode": "tozero"},
        yaxis={"title": "accuracy, %", "zeroline": False},
    )
    return figure
