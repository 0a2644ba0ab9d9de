"""Was it worth it? The models trained on the audit's corrections, beside none and random images re-inspected."""

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from attribution import UserError, Workspace, jobs, queues, replay, worth
from attribution.decisions import Decisions
from attribution.store import Job, Store
from pages.audit import told
from pages.ui import cli_command, job_buttons, sprite_sheet, state
from pages.ui import format as write
from pages.ui.target_card import wall_data
from pages.ui.tile_strip import strip
from pages.ui.verdict import verdict_html

POLL = "1s"
SHOWN = 60  # targets in a strip, at most
COLOURS = {"corrected-none": "#3F8F7F", "random-none": "#808080", "corrected-random": "#9070B0"}
state_of = st.session_state


def draw(ws: Workspace, standing: dict, uses_val: bool) -> None:
    """The question, its cost or how far it is, and what came of it. standing: what stands of the audit, training image
    -> decision; uses_val: as `queues.used_validation` says."""
    goto = state_of.pop(state.GO_TO, None)
    if goto is not None:
        st.switch_page("pages/explore/page.py", query_params={state.TARGET: str(goto)})
    store = Store.of(ws)
    try:
        _draw(ws, store, standing, uses_val)
    finally:
        store.close()


def _draw(ws: Workspace, store: Store, standing: dict, uses_val: bool) -> None:
    st.markdown("##### Was it worth it?")
    st.caption(
        write.plain(
            f"Trains the same recipe with {worth.SEEDS} seeds each on the labels as given, on the corrected ones, and "
            "with as many random images re-inspected instead; the same seeds in each, compared seed by seed."
        )
    )
    _say()
    spec, missing = None, None
    try:
        with Decisions.of(ws) as log:
            without = queues.began_with(log)
        spec = worth.spec(ws, standing, uses_val=uses_val, without=without)
    except UserError as error:
        missing = error
    found = worth.answer(ws, store, spec) if spec else None
    job = next(iter(store.of_verb("worth", 1)), None)
    if job and not job.ended:
        _progress(ws, job, spec)
    elif spec and not found:
        _ask(ws, store, job, spec)
    elif missing:
        st.caption(write.sentence(missing))
    shown = found or worth.latest(ws, store)
    if shown:
        if not found:
            st.info(write.plain(told.earlier(shown, spec)), icon=":material/history:")
        _answer(ws, shown)
    if spec or shown:
        _take_away(ws, shown)


def _say() -> None:
    """What went wrong in a callback."""
    if state.ERROR in state_of:
        st.error(write.sentence(state_of.pop(state.ERROR)))


# -- asking


def _ask(ws: Workspace, store: Store, last: Job | None, spec: dict) -> None:
    """What it costs, and the button."""
    if last and last.state in ("cancelled", "failed"):
        reason = f" {last.message}." if last.message else ""
        st.warning(
            write.plain(
                f"Job {last.id} {'was cancelled' if last.state == 'cancelled' else 'failed'}.{reason} "
                "What it trained is kept: asked again, it goes on from there."
            )
        )
    st.markdown(write.plain(told.asked(spec, replay.cost(ws, store, spec))))
    st.button("Train and compare", key="train and compare", type="primary", on_click=_start, args=(ws, spec))


def _start(ws: Workspace, spec: dict) -> None:
    try:
        jobs.submit(ws, spec)
    except UserError as error:
        state.say_once(error)


def _progress(ws: Workspace, job: Job, spec: dict | None) -> None:
    """The job that has not ended, drawn anew every second, with ways to pause and stop it."""
    number = job.id

    @st.fragment(run_every=POLL)
    def draw_progress():
        store = Store.of(ws)
        try:
            now = store.job(number)
            if now.ended:
                st.rerun()
            if now.open:
                jobs.ensure_runner(ws)  # one that was killed is replaced while somebody watches
            left, ahead = replay.cost(ws, store, now.spec).seconds, store.ahead(number)
        except UserError as error:
            st.error(write.sentence(error))
            return
        finally:
            store.close()
        _say()
        st.progress(now.done / now.total if now.total else 0.0, write.plain(told.progress(now, ahead, left)))
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            job_buttons.draw(ws, now, "worth")
            if not spec or spec["arms"] != now.spec["arms"]:
                st.caption(
                    write.plain(
                        f"It is of an earlier state: {told.decisions(now.spec)}. To compare what stands "
                        "now, cancel it or wait for its end."
                    ),
                    width="content",
                )

    draw_progress()


# -- what came of it


def _answer(ws: Workspace, found: dict) -> None:
    st.html(verdict_html(*told.verdict(found)))
    st.plotly_chart(
        _chart(found),
        key="worth",
        config={"displayModeBar": False},
        alt="differences in accuracy, a dot a seed; the table below has their means and intervals",
    )
    st.html(told.arms_html(found))
    st.caption(write.plain(told.made(ws, found)))
    with st.expander("By class"):
        st.html(told.classes_html(ws, found))
        st.caption(write.plain(told.of_classes(found)))
    _targets(ws, found)


def _chart(found: dict) -> go.Figure:
    """A line a comparison: a dot a seed, and the mean with its 95 % interval."""
    chart = go.Figure()
    names = list(COLOURS)[::-1]
    for y, name in enumerate(names):
        one, colour = found["differences"][name], COLOURS[name]
        values, mean = 100 * np.array(one["values"]), 100 * one["mean"]
        low, high = (100 * end for end in one["ci"])
        chart.add_scatter(
            x=values,
            y=y + np.linspace(-0.12, -0.34, len(values)),
            mode="markers",
            showlegend=False,
            marker={"color": colour, "size": 7, "opacity": 0.6},
            customdata=found["seeds"],
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
            "ticktext": [told.PAIRS[name] for name in names],
            "showgrid": False,
            "zeroline": False,
        },
    )
    return chart


def _targets(ws: Workspace, found: dict) -> None:
    """The targets that changed; each leads to its lineup."""
    seeds, by_chance = len(found["seeds"]), found["targets"]["random"]
    for name, one in found["targets"]["corrected"].items():
        more = f", the first {SHOWN} here" if len(one) > SHOWN else ""
        st.markdown(write.plain(told.changed(name, len(one), len(by_chance[name]), seeds) + more + "."))
        if not one:
            continue
        ids = np.array([row["target"] for row in one[:SHOWN]])
        data = wall_data(ws, ids, sprite_sheet.sheet(ws, "val", ids), None, False, sprite_sheet.scale(ws))
        for tile, row in zip(data["rows"][0]["tiles"], one):
            tile.pop("mark", None)
            tile["caption"] = f"{row['before']} → {row['after']}"
            tile["text"] = (
                f"validation image {row['target']}, {ws.classes[ws.val_labels[row['target']]]}, right in "
                f"{row['before']} of {seeds} seeds before and {row['after']} after"
            )
        data["rows"][0] |= {"id": name, "label": f"{name} targets"}
        strip(f"{name} targets", data, on_pick=_go)


def _go(tile: dict) -> None:
    state_of[state.GO_TO] = tile["id"]


def _take_away(ws: Workspace, found: dict | None) -> None:
    with st.container(horizontal=True, gap="small"):
        if found:
            st.download_button(
                "Comparison as CSV",
                data=told.to_csv(ws, found),
                file_name="worth.csv",
                on_click="ignore",
                icon=":material/download:",
            )
        with st.popover("Copy command", icon=":material/terminal:"):
            st.code(cli_command.line(ws, "worth"), language="bash", wrap_lines=True)
