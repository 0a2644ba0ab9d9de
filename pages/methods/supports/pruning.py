"""Pruning: what the models lose without the images a ranking holds for the least influential, beside random ones."""

import csv
import io

import plotly.graph_objects as go
import streamlit as st

from attribution import UserError, Workspace, jobs, prune, questions, recipes
from attribution.lineup import default_rankings
from attribution.store import Job, Store
from pages.methods import words
from pages.ui import command, palette, state
from pages.ui import format as write

POLL = "2s"
PARTS = ("pruned", "random", "difference")


def section(ws: Workspace, store: Store) -> None:
    """The accuracy curves that are known, their table, and a way to ask for more."""
    st.markdown("##### Pruning: which training images can be spared?")
    known = _known(ws, store)
    job = next((job for job in store.open_jobs() if job.spec["verb"] == "prune"), None)
    st.caption(
        write.plain(
            "Drop the share of the training images that matters least by a ranking, and train anew. A good ranking loses "
            "less than dropping as many random images of the same classes."
        )
    )
    if job:
        _progress(ws, job)
    if known:
        st.plotly_chart(
            _chart(known),
            key="prune",
            config={"displayModeBar": False},
            alt="accuracy against the share of images dropped; the table below has the numbers",
        )
        st.caption(write.plain(_made(ws, known)))
        st.html(table_html(known))
    elif not job:
        st.caption("Nothing has been pruned here yet.")
    with st.container(horizontal=True, gap="small"):
        if known:
            st.download_button(
                "Pruning as CSV",
                data=to_csv(known),
                file_name="prune.csv",
                on_click="ignore",
                icon=":material/download:",
            )
        with st.popover("Prune", icon=":material/content_cut:"):
            _form(ws, job)


def _known(ws: Workspace, store: Store) -> list[dict]:
    """Answers as `prune.answer`, the last one of each ranking that is there still, in the order of the rankings."""
    found = {}
    for question, _ in store.answers(recipes.get(ws.recipe).hash, "prune"):
        if question["ranking"] in ws.rankings():
            answer = prune.answer(ws, store, {**question, "recipe": ws.recipe})
            found |= {question["ranking"]: answer} if answer else {}
    return [found[name] for name in ws.rankings() if name in found]


def _form(ws: Workspace, job: Job | None) -> None:
    names = default_rankings(ws)
    ranking = st.selectbox(
        "Ranking", ws.rankings(), index=ws.rankings().index(names[0]) if names else 0, key=state.PRUNE_RANKING
    )
    shares = st.pills(
        "Percent dropped", range(10, 100, 10), default=prune.SHARES, selection_mode="multi", key=state.PRUNE_SHARES
    )
    seeds = st.number_input("Seeds", 1, 20, len(jobs.SEEDS), key=state.PRUNE_SEEDS)
    try:
        spec = questions.prune_spec(ws, ranking, shares, range(seeds))
    except UserError as error:
        st.caption(write.sentence(error))
        return
    st.caption(f"{jobs.total(spec) - 1} trainings, in the background; those that are known are not repeated.")
    st.button(
        "Start pruning", key="start pruning", type="primary", on_click=_start, args=(ws, spec), disabled=job is not None
    )
    st.code(
        command.line(
            ws, "prune", "--ranking", ranking, "--shares", ",".join(map(str, spec["shares"])), "--seeds", seeds
        ),
        language="bash",
        wrap_lines=True,
    )


def _start(ws: Workspace, spec: dict) -> None:
    try:
        jobs.submit(ws, spec)
    except UserError as error:
        state.say_once(error)


def _progress(ws: Workspace, job: Job) -> None:
    @st.fragment(run_every=POLL)
    def draw():
        store = Store.of(ws)
        now = store.job(job.id)
        store.close()
        if not now.open:
            st.rerun()
        try:
            jobs.ensure_runner(ws)
        except UserError as error:
            st.error(write.sentence(error))
        done = f"{now.done} of {now.total}" if now.total else "waiting for the runner"
        st.progress(now.done / now.total if now.total else 0.0, write.plain(f"Job {now.id}, {now.what}: {done}."))
        st.button(
            "Cancel", key="cancel pruning", on_click=jobs.cancel, args=(ws, now.id), disabled=now.state == "cancelling"
        )

    draw()


def _chart(known: list[dict]) -> go.Figure:
    """A solid line a ranking, with a dotted one of its random control, a little aside so that their bars, 95 %
    intervals over seeds, are told apart."""
    chart = go.Figure()
    for found in known:
        colour, _, marker = palette.line(found["ranking"])
        for part, dash, symbol, aside in (("pruned", "solid", marker, 0), ("random", "dot", f"{marker}-open", 0.7)):
            rows = [{"share": 0, part: found["full"]}, *found["shares"]]
            means = [row[part]["mean"] for row in rows]
            ends = [row[part]["ci"] or (row[part]["mean"],) * 2 for row in rows]
            name = found["ranking"] if part == "pruned" else f"random, classes of {found['ranking']}"
            chart.add_scatter(
                x=[row["share"] + aside for row in rows],
                y=means,
                name=name,
                mode="lines+markers",
                customdata=[row["share"] for row in rows],
                line={"color": colour, "dash": dash, "width": 2.5 if part == "pruned" else 1.5},
                marker={"symbol": symbol, "size": 8, "color": colour},
                error_y={
                    "type": "data",
                    "symmetric": False,
                    "thickness": 1.2,
                    "width": 3,
                    "color": colour,
                    "array": [high - mean for (_, high), mean in zip(ends, means)],
                    "arrayminus": [mean - low for (low, _), mean in zip(ends, means)],
                },
                hovertemplate=name + ": %{y:.1%} with %{customdata} % dropped<extra></extra>",
            )
    most = max(row["share"] for found in known for row in found["shares"])
    chart.update_layout(
        height=360,
        margin={"l": 8, "r": 8, "t": 48, "b": 8},
        legend={"orientation": "h", "y": 1.16},
        xaxis={"title": "training images dropped, %", "range": [-2, most + 5]},
        yaxis={"title": "accuracy", "tickformat": ".0%"},
    )
    return chart


def _made(ws: Workspace, known: list[dict]) -> str:
    seeds = sorted({len(found["seeds"]) for found in known})
    kept = (
        "Influence is read from one half of the validation images, accuracy measured on the other "
        f"({known[0]['targets']}); of a signed ranking it is the mean absolute score, of a similarity the mean "
        "place among a target's candidates. It adds up single images: of sets it says nothing."
    )
    planted = f" Labels are as given, with {ws.planted} planted errors." if ws.planted else ""
    made = f"Recipe {known[0]['recipe']} {known[0]['recipe_hash']}, {' or '.join(map(str, seeds))} seeds a point"
    return (
        f"{made}, each with a random draw of its own; intervals are 95 % over seeds, not over validation images. "
        f"{kept}{planted}"
    )


def table_html(known: list[dict]) -> str:
    """A row for each ranking and share."""
    head = "".join(
        f'<th class="n">{name}</th>'
        for name in ("", "dropped", "images", "accuracy", "95 %", "random", "95 %", "difference", "95 %")
    )
    body = ""
    for found in known:
        name = f"{words.swatch(found['ranking'])}{write.escape(found['ranking'])}"
        body += (
            f'<tr><td>{name}</td><td class="n">nothing</td><td class="n">0</td>{_cells(found["full"])}'
            + "<td></td>" * 4
            + "</tr>"
        )
        for row in found["shares"]:
            cells = "".join(_cells(row[part], part == "difference") for part in PARTS)
            body += (
                f'<tr><td></td><td class="n">{row["share"]} %</td><td class="n">{write.count(row["k"])}</td>'
                f"{cells}</tr>"
            )
    return words.framed(f"<tr>{head}</tr>", body)


def _cells(found: dict, sign: bool = False) -> str:
    show = f"{100 * found['mean']:{'+' if sign else ''}.1f}".replace("-", "−")
    ends = "–"
    if found["ci"]:
        ends = " to ".join(f"{100 * end:{'+' if sign else ''}.1f}" for end in found["ci"]).replace("-", "−")
    return f'<td class="n"><b>{show}</b></td><td>{ends}</td>'


def to_csv(known: list[dict]) -> str:
    """A row for each ranking, share, part ("full", "pruned", "random") and seed."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["ranking", "share", "images", "part", "seed", "accuracy", "targets", "recipe", "recipe_hash"])
    for found in known:
        about = [found["targets"], found["recipe"], found["recipe_hash"]]
        for seed, value in zip(found["seeds"], found["full"]["values"]):
            writer.writerow([found["ranking"], 0, 0, "full", seed, round(value, 6), *about])
        for row in found["shares"]:
            for part in ("pruned", "random"):
                for seed, value in zip(found["seeds"], row[part]["values"]):
                    writer.writerow([found["ranking"], row["share"], row["k"], part, seed, round(value, 6), *about])
    return out.getvalue()
