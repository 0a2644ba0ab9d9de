"""LDS against supports, target by target: the end of the Supports tab."""

import csv
import io

import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from attribution import UserError, Workspace, background, lds_supports
from attribution.studies import Study
from pages.methods import words
from pages.methods.chart import TITLES
from pages.ui import command, figures, look, palette, state
from pages.ui import format as write

COMPARE = ["evaluate", "lds-supports"]
CENSORED = 1.12  # of K: where supports beyond K are drawn
COLUMNS = ("n", "censored", "unstable", "lds", "auc", "spearman", "kendall", "p", "sure", "partial", "reliability")
HEADS = [
    ("targets", "with a support and LDS"),
    ("censored", "flipped by no k up to K: tied for last"),
    ("Spearman", "of a target's LDS with how small its support is: above 0 where they agree"),
    ("95 %", "bootstrap over targets"),
    ("p", "LDS shuffled among targets of one class"),
    ("margin", "Spearman of the base models' margin with how small the support is"),
    ("margin fixed", "the first Spearman with the base models' margin held fixed"),
    ("LDS reliability", "what two measurements of these targets' LDS would correlate; rough"),
]
POLL = "1s"


def section(ws: Workspace, study: Study) -> None:
    """Whether LDS and supports agree; absent where there are no held-out halves or no study to compare."""
    names, targets = lds_supports.wanted(study)
    if "lds" not in ws.manifest["parts"] or not len(targets):
        return
    st.markdown("##### Do LDS and supports agree?")
    try:
        found = _stored(ws, look.stamp(ws))
    except UserError as error:
        st.error(write.sentence(error))
        return
    told = _report(ws, study, found, f"{look.stamp(ws)} {study.version}") if found else {"kinds": {}}
    if told["kinds"]:
        _draw(ws, study, found, told)
    if lds_supports.lacking(found, study):
        _ask(ws, bool(told["kinds"]))


@st.cache_resource(max_entries=4, show_spinner=False)
def _stored(_ws, stamp: str):
    return lds_supports.stored(_ws)


@st.cache_data(max_entries=4, show_spinner="Comparing LDS with supports")
def _report(_ws, _study, _found, stamp: str) -> dict:
    return lds_supports.report(_ws, _study, _found)


def _draw(ws, study, found, told) -> None:
    st.caption(
        write.plain(
            "A point is a target under one ranking: how well its scores foretell models on random halves, and how few "
            "images flip it. Were the two one thing, high LDS would go with small supports; the authors of the paper "
            "expect them to differ."
        )
    )
    points = lds_supports.points(study, found)
    st.plotly_chart(
        _chart(points, told["K"]),
        key="lds against supports",
        config={"displayModeBar": False},
        alt="LDS of each target against its support, by ranking; the tables below have the numbers",
    )
    for kind, one in told["kinds"].items():
        st.caption(words.KINDS[kind])
        st.html(table_html(one["rankings"]))
        st.caption(write.plain(verdict(one)))
    st.caption(
        write.plain(
            f"LDS of single targets over {told['masks']} held-out halves with {told['seeds']} seeds each; protocol "
            f"{told['protocol']}, K = {told['K']}, recipe {told['recipe']}. Targets of one class share what chance did to "
            "the halves and are alike hard to flip: the intervals take targets for independent and are too narrow for "
            "that, the p are not. Where LDS of single targets is not reliable, nothing it goes with can be told from it."
        )
    )
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "LDS and supports as CSV",
            data=to_csv(told),
            file_name="lds-supports.csv",
            on_click="ignore",
            icon=":material/download:",
        )
        st.download_button(
            "Targets as CSV",
            data=points_csv(points),
            file_name="lds-supports-targets.csv",
            on_click="ignore",
            icon=":material/download:",
        )
        figures.popover(ws, "lds-supports", **words.of_study(study))
        with st.popover("Copy command", icon=":material/terminal:"):
            of = words.of_study(study)
            st.code(
                command.line(
                    ws, *COMPARE, "--protocol", of["protocol"], "--rankings", ",".join(of["rankings"]), "--json"
                ),
                language="bash",
                wrap_lines=True,
            )


def _ask(ws: Workspace, some: bool) -> None:
    last = next((one for one in background.commands(ws) if one.words[:2] == COMPARE), None)
    if last and last.open:
        _progress(ws, last.number)
        return
    if last and last.state not in ("done", "cancelled"):
        st.warning(write.plain(f"The last comparison is {last.state}: {last.message}"))
    st.info(
        "Not measured yet: LDS of some of these targets, or under some of these rankings."
        if some
        else "LDS of single targets has not been measured here yet, or a ranking has changed since."
    )
    st.button("Compare LDS with supports", key="compare lds", on_click=_start, args=(ws,))
    st.code(command.line(ws, *COMPARE), language="bash", wrap_lines=True)


def _start(ws: Workspace) -> None:
    try:
        background.start(ws, COMPARE)
    except UserError as error:
        state.say_once(error)


def _progress(ws: Workspace, number: int) -> None:
    @st.fragment(run_every=POLL)
    def draw():
        one = next(one for one in background.commands(ws) if one.number == number)
        if not one.open:
            st.rerun()
        text, done, total = one.progress or ("starting", 0, 1)
        st.progress(min(1.0, done / total) if total else 0.0, write.plain(f"{text}, {write.seconds(one.seconds)}"))
        st.button("Cancel", key="cancel lds comparison", on_click=background.cancel, args=(ws, number))

    draw()


def _chart(points: list[dict], k_max: int) -> go.Figure:
    """A panel a kind, x LDS, y the support; what is censored above a line at K, with open markers."""
    kinds = list(dict.fromkeys(one["kind"] for one in points))
    chart = make_subplots(
        1, len(kinds), subplot_titles=[TITLES[kind] for kind in kinds], shared_yaxes=True, horizontal_spacing=0.05
    )
    named = set()
    for column, kind in enumerate(kinds, 1):
        for name in dict.fromkeys(one["ranking"] for one in points if one["kind"] == kind):
            some = [one for one in points if (one["kind"], one["ranking"]) == (kind, name)]
            colour, _, marker = palette.line(name)
            chart.add_scatter(
                x=[one["lds"] for one in some],
                y=[one["support"] or CENSORED * k_max for one in some],
                name=name,
                mode="markers",
                legendgroup=name,
                showlegend=name not in named,
                marker={
                    "color": colour,
                    "size": 8,
                    "opacity": 0.8,
                    "symbol": [marker if one["support"] else f"{marker}-open" for one in some],
                },
                customdata=[
                    [one["target"], f"support {one['support']}" if one["support"] else f"none up to {k_max}"]
                    for one in some
                ],
                row=1,
                col=column,
                hovertemplate=name + ": target %{customdata[0]}, LDS %{x:.2f}, %{customdata[1]}<extra></extra>",
            )
            named.add(name)
        chart.add_hline(y=1.05 * k_max, line={"color": "#808080", "width": 1, "dash": "dot"}, row=1, col=column)
    ticks = [0, *(round(k_max * part / 4) for part in range(1, 5))]
    chart.update_xaxes(title="LDS of the target")
    chart.update_yaxes(
        range=[-0.03 * k_max, 1.2 * k_max], tickvals=[*ticks, CENSORED * k_max], ticktext=[*map(str, ticks), "censored"]
    )
    chart.update_yaxes(title="support, images", col=1)
    chart.update_layout(
        height=400,
        margin={"l": 8, "r": 8, "t": 70, "b": 8},
        hovermode="closest",
        legend={"orientation": "h", "y": 1.22, "x": 0, "entrywidth": 130},
    )
    return chart


def table_html(found: dict[str, dict]) -> str:
    """A row a ranking, see `lds_supports.relation`."""
    head = "<th>ranking</th>" + "".join(f'<th class="n" title="{title}">{name}</th>' for name, title in HEADS)
    body = ""
    for name, one in found.items():
        numbers = [
            one["n"],
            one["censored"],
            f"<b>{number(one['spearman'])}</b>",
            words.interval(one["ci"], 2) if one["ci"] else "–",
            words.p_text(one["p"]).replace("<", "&lt;") if one["p"] is not None else "–",
            *(number(one[key]) for key in ("sure", "partial", "reliability")),
        ]
        body += (
            f"<tr><td>{words.swatch(name)}{write.escape(name)}</td>"
            + "".join(f'<td class="n">{value}</td>' for value in numbers)
            + "</tr>"
        )
    return words.framed(f"<tr>{head}</tr>", body)


def verdict(one: dict) -> str:
    """What the comparison over rankings, and within single targets, says."""
    across, within = one["across"], one["within"]
    text = (
        f"Over {across['n']} rankings, mean LDS against AUC: Kendall's tau {number(across['kendall'])}"
        f" (p {words.p_text(across['p'])})."
        if across["kendall"] is not None
        else f"{across['n']} rankings are too few, or too alike, to compare mean LDS with AUC."
    )
    if within["kendall"] is None:
        return text
    ci = f" (95 % {words.interval(within['ci'], 2)})" if within["ci"] else ""
    return (
        f"{text} Within a target, where how hard it is to flip cancels out, over {len(within['rankings'])} "
        f"rankings without the random one: mean tau {number(within['kendall'])}{ci}, {within['n']} targets; "
        f"{within['left_out']} more have the same support under all."
    )


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}".replace("-", "−")


def to_csv(told: dict) -> str:
    """A row for each kind and ranking."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    about = {name: told[name] for name in ("K", "protocol", "recipe", "masks", "seeds")}
    writer.writerow(["kind", "ranking", *COLUMNS, "spearman_low", "spearman_high", *about])
    for kind, one in told["kinds"].items():
        for name, row in one["rankings"].items():
            writer.writerow([kind, name, *(row[key] for key in COLUMNS), *(row["ci"] or ("", "")), *about.values()])
    return out.getvalue()


def points_csv(points: list[dict]) -> str:
    """A row for each point of the chart."""
    out = io.StringIO()
    writer = csv.DictWriter(out, ["kind", "ranking", "target", "lds", "support", "status"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(points)
    return out.getvalue()
