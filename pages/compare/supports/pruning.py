"""Pruning: what the models lose without the images a ranking holds for the least influential, beside random ones."""

import plotly.graph_objects as go
import streamlit as st

from attribution import UserError, Workspace
from attribution.experiments import jobs, pruning
from attribution.experiments.pruning import PruningSpec
from attribution.experiments.spec import SEEDS, common_fields
from attribution.export import palette
from attribution.rankings import default_rankings
from attribution.store.queue import Job
from attribution.store.results import ResultStore
from pages.compare import plots, tab_frame
from pages.ui import format as write
from pages.ui import state, tables, theme
from pages.ui.tables import Column, estimate, ranking_cell


def draw(ws: Workspace) -> None:
    """Draws the topic."""
    tab_frame.header("Which training images can be left out?")
    if not ws.has_base:
        theme.train_first(ws, "Pruning needs a trained model, and there is none yet.")
        return
    with ResultStore.for_workspace(ws) as store:
        _draw(ws, store)


def _draw(ws: Workspace, store: ResultStore) -> None:
    """The accuracy curves that are known, their table, and a way to ask for more."""
    answers = _answers(ws, store)
    job = next((job for job in store.open_jobs() if PruningSpec.matches(job.spec)), None)
    tab_frame.caption(
        "Drop the training images that matter least under a ranking, and train again. A good ranking loses less "
        "accuracy than dropping as many random images of the same classes."
    )
    if job:
        tab_frame.watch_job(ws, job, _progress_text, lambda job: _cancel_button(ws, job), lambda job: not job.is_open)
    if answers:
        tab_frame.chart(
            figure(answers), "prune", "accuracy against the share of images dropped; the table below has the numbers"
        )
        tab_frame.caption(_basis(ws, answers))
        st.html(table_html(answers))
    elif not job:
        st.caption("Nothing has been pruned here yet.")
    files = {"prune.csv": ("Pruning as CSV", to_csv(answers))} if answers else {}
    with tab_frame.download_line(ws, files), st.popover("Prune", icon=":material/content_cut:"):
        _form(ws, job)


def _answers(ws: Workspace, store: ResultStore) -> list[dict]:
    """The last answer of each ranking that is still there, as `PruningSpec.answer`, in the order of the rankings."""
    answers = {}
    for question, _ in store.answers(ws.get_recipe().hash, "prune"):
        if question["ranking"] in ws.rankings():
            answer = PruningSpec.from_json({**common_fields(ws), **question}).answer(ws, store)
            answers |= {question["ranking"]: answer} if answer else {}
    return [answers[name] for name in ws.rankings() if name in answers]


def _form(ws: Workspace, job: Job | None) -> None:
    names = default_rankings(ws)
    ranking = st.selectbox(
        "Ranking", ws.rankings(), index=ws.rankings().index(names[0]) if names else 0, key=state.PRUNE_RANKING
    )
    shares = st.pills(
        "Percent dropped",
        range(10, 100, 10),
        default=pruning.DEFAULT_SHARES,
        selection_mode="multi",
        key=state.PRUNE_SHARES,
    )
    seeds = st.number_input("Seeds", 1, 20, len(SEEDS), key=state.PRUNE_SEEDS)
    try:
        spec = pruning.pruning_spec(ws, ranking, shares, range(seeds))
    except UserError as error:
        st.caption(write.sentence(error))
        return
    st.caption(f"{spec.total - 1} trainings in the background; those stored already are not repeated.")
    st.button(
        "Start pruning",
        key="start pruning",
        type="primary",
        on_click=tab_frame.submit,
        args=(ws, spec),
        disabled=job is not None,
    )
    shares = ",".join(map(str, spec["shares"]))
    tab_frame.command_line(ws, "prune", "--ranking", ranking, "--shares", shares, "--seeds", seeds)


def _progress_text(job: Job, ahead: int) -> str:
    done = f"{job.done} of {job.total}" if job.total else "waiting for the runner"
    return f"Job {job.id}, {job.what}: {done}."


def _cancel_button(ws: Workspace, job: Job) -> None:
    cancelling = job.state == "cancelling"
    st.button("Cancel", key="cancel pruning", on_click=jobs.cancel, args=(ws, job.id), disabled=cancelling)


def figure(answers: list[dict]) -> go.Figure:
    """A solid line a ranking, with a dotted one of its random control, a little aside so that their bars, 95 %
    intervals over seeds, are told apart."""
    chart = go.Figure()
    for answer in answers:
        colour, _, marker = palette.ranking_style(answer["ranking"])
        for part, dash, symbol, aside in (("pruned", "solid", marker, 0), ("random", "dot", f"{marker}-open", 0.7)):
            rows = [{"share": 0, part: answer["full"]}, *answer["shares"]]
            means = [row[part]["mean"] for row in rows]
            name = answer["ranking"] if part == "pruned" else f"random, classes of {answer['ranking']}"
            chart.add_scatter(
                x=[row["share"] + aside for row in rows],
                y=means,
                name=name,
                mode="lines+markers",
                customdata=[row["share"] for row in rows],
                line={"color": colour, "dash": dash, "width": 2.5 if part == "pruned" else 1.5},
                marker={"symbol": symbol, "size": 8, "color": colour},
                error_y=plots.error_bars(means, [row[part]["ci"] for row in rows], color=colour, width=3),
                hovertemplate=name + ": %{y:.1%} with %{customdata} % dropped<extra></extra>",
            )
    most = max(row["share"] for answer in answers for row in answer["shares"])
    plots.set_layout(
        chart,
        360,
        xaxis={"title": "training images dropped, %", "range": [-2, most + 5]},
        yaxis={"title": "accuracy", "tickformat": ".0%"},
    )
    return chart


def _basis(ws: Workspace, answers: list[dict]) -> str:
    seeds = " or ".join(map(str, sorted({len(answer["seeds"]) for answer in answers})))
    return (
        f"Recipe {answers[0]['recipe']} {answers[0]['recipe_hash']}, {seeds} seeds per point, each with its own random "
        "draw; intervals are 95 % over seeds, not over validation images. "
        "Influence is averaged over one half of the validation images, accuracy measured on the other "
        f"({answers[0]['targets']} images). Influence of an image: its mean absolute score (signed rankings), or its "
        "mean rank (similarities). It says nothing of how images act together."
        f"{write.planted_note(ws.planted)}"
    )


def table_html(answers: list[dict]) -> str:
    """A row for each ranking and share."""
    columns = [Column(""), Column("dropped", "n"), Column("images", "n")]
    for heading in ("accuracy", "random", "difference"):
        columns += [Column(heading, "n"), tables.INTERVAL]
    rows = []
    for answer in answers:
        rows.append([ranking_cell(answer["ranking"]), "nothing", 0, *_percent(answer["full"])])
        for row in answer["shares"]:
            cells = [*_percent(row["pruned"]), *_percent(row["random"]), *_percent(row["difference"], sign=True)]
            rows.append(["", f"{row['share']} %", write.count(row["k"]), *cells])
    return tables.table_html(columns, rows)


def _percent(mean: dict, sign: bool = False) -> list[str]:
    interval = mean["ci"] and [100 * end for end in mean["ci"]]
    return estimate(100 * mean["mean"], interval, 1, sign)


def to_csv(answers: list[dict]) -> str:
    """A row for each ranking, share, part ("full", "pruned", "random") and seed."""
    rows = []
    for answer in answers:
        for row in ({"share": 0, "k": 0, "full": answer["full"]}, *answer["shares"]):
            for part in ("full", "pruned", "random"):
                for seed, accuracy in zip(answer["seeds"], row.get(part, {}).get("values", ())):
                    rows.append(
                        {
                            "ranking": answer["ranking"],
                            "share": row["share"],
                            "images": row["k"],
                            "part": part,
                            "seed": seed,
                            "accuracy": round(accuracy, 6),
                            **{key: answer[key] for key in ("targets", "recipe", "recipe_hash")},
                        }
                    )
    return tables.to_csv(rows)
