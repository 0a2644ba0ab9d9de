"""Sanity: does a ranking notice whether the model was trained, and how do exact duplicates dilute its scores?"""

import csv
import io

import plotly.graph_objects as go
import streamlit as st

from attribution import UserError, Workspace, sanity
from pages.methods import words
from pages.ui import asked, command, look, palette
from pages.ui import format as write

MEASURE = ["evaluate", "sanity"]
#: what is compared with TRAK on trained networks
PAIRS = {
    "other": "TRAK, other trained networks",
    "untrained": "TRAK, the same networks untrained",
    "unrelated": "TRAK, untrained networks of other seeds",
}


def draw(ws: Workspace) -> None:
    st.markdown("##### Sanity: an untrained network, and exact duplicates")
    busy = asked.under_way(ws, MEASURE)
    try:
        found = _stored(ws, look.stamp(ws))
    except UserError as error:
        st.error(write.sentence(error))
        return
    if found is None:
        if not busy:
            st.info(
                "This has not been measured yet, or models or features have changed since. It takes TRAK's "
                "gradients of some more models: minutes."
            )
            asked.button(ws, MEASURE, "Check the rankings")
        return
    part, seeds = found["untrained"], f"{found['checkpoints']} models, {found['dim']} dimensions"
    st.caption(
        write.plain(
            f"How far the order of training images is that of TRAK on {found['checkpoints']} trained networks where these "
            "are other trained ones, or untrained, as they were initialised. Similarity rows ask no classifier: computed "
            "where there is none, they are the same image for image, by construction. So they tell nothing of what a model "
            "has learned, only of the features."
        )
    )
    st.html(untrained_html(found))
    st.caption(
        write.plain(
            f"TRAK: {seeds}; {part['targets']} targets drawn at random; 95 % over targets"
            + ("; LDS over held-out halves, 95 % over halves and targets" if part["lds"] else "")
            + ". Similarity: the row "
            "with the workspace's models against the row without any."
        )
    )
    st.caption(
        write.plain(
            f"Exact copies of the image that helps a target most by TRAK were planted ({found['copies']} in all, "
            f"{found['each']} targets for each number of copies), and TRAK was computed on models trained anew. Without "
            "copies a score falls, too: an image chosen for its high score scores lower when it is measured again."
        )
    )
    st.plotly_chart(
        figure(found),
        key="sanity",
        config={"displayModeBar": False},
        alt="scores against the copies planted; the table below has the numbers",
    )
    st.html(duplicates_html(found))
    about = ws.manifest["parts"][sanity.PART]
    st.caption(
        write.plain(
            f"Of scores without copies; 95 % over {found['each']} targets each. A similarity's score counts from the least "
            f"similar candidate. Places: how many of the first {found['k']} the image and its copies hold. Datamodels is "
            "not checked: it would need hundreds of models of the larger set. "
            f"Made {about.get('made', '')} by {about.get('command', '')}."
        )
    )
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Tables as CSV",
            data=to_csv(found),
            file_name="sanity.csv",
            on_click="ignore",
            icon=":material/download:",
            key="sanity as csv",
        )
        with st.popover("Copy command", icon=":material/terminal:", key="sanity command"):
            st.code(
                command.line(
                    ws,
                    *MEASURE,
                    "--checkpoints",
                    found["checkpoints"],
                    "--dim",
                    found["dim"],
                    "--targets",
                    found["each"],
                ),
                language="bash",
                wrap_lines=True,
            )


@st.cache_data(max_entries=4, show_spinner=False)
def _stored(_ws, stamp: str) -> dict | None:
    return sanity.stored(_ws)


def untrained_html(found: dict) -> str:
    """A row a comparison, with the LDS of its second side; chance and the noise ceiling last."""
    part = found["untrained"]
    scored = part["lds"] or {}
    head = (
        f'<th></th><th class="n first" title="overlap of the first {found["k"]}">Jaccard@{found["k"]}</th>'
        '<th>95 %</th><th class="n first" title="of all scores">Spearman</th><th>95 %</th>'
    )
    head += '<th class="n first">LDS</th><th>95 %</th>' if scored else ""
    body = ""
    if scored:
        body += f"<tr><td>TRAK, trained networks</td>{'<td></td>' * 4}{_lds(scored['trained'])}</tr>"
    for name in sorted(part["pairs"], key=lambda name: [*PAIRS, name].index(name)):
        one = part["pairs"][name]
        body += f"<tr><td>{PAIRS.get(name) or words.swatch(name) + write.escape(name)}</td>"
        body += "".join(
            f'<td class="n first"><b>{_number(one[measure])}</b></td><td>{words.interval(one[measure]["ci"], 3)}</td>'
            for measure in ("jaccard", "spearman")
        )
        if scored:
            same = "" if name in PAIRS else "unchanged"
            body += _lds(scored[name]) if name in scored else f'<td class="n first">{same}</td><td></td>'
        body += "</tr>"
    body += (
        f'<tr><td>random orders</td><td class="n first"><b>{part["chance"]:.3f}</b></td><td></td>'
        f'<td class="n first"><b>0.000</b></td><td></td>{"<td></td>" * 2 * bool(scored)}</tr>'
    )
    if part["ceiling"]:
        body += (
            f'<tr class="last"><td>noise ceiling</td>{"<td></td>" * 4}<td class="n first">'
            f"<b>{part['ceiling']:.3f}</b></td><td></td></tr>"
        )
    return words.framed(f"<tr>{head}</tr>", body)


def _lds(one: dict) -> str:
    return f'<td class="n first"><b>{one["lds"]:.3f}</b></td><td>{words.interval(one["ci"], 3)}</td>'.replace("-", "−")


def _number(one: dict) -> str:
    return "–" if one["mean"] is None else f"{one['mean']:.3f}".replace("-", "−")


def duplicates_html(found: dict) -> str:
    """A row a method and number of copies."""
    head = (
        '<th>method</th><th class="n">copies</th><th class="n first">score of one</th><th>95 %</th>'
        '<th class="n first">all together</th><th>95 %</th>'
        f'<th class="n first">places of {found["k"]}</th><th>95 %</th>'
    )
    body = ""
    for name, rows in found["duplicates"].items():
        for at, (copies, row) in enumerate(rows.items()):
            title = "" if at else words.swatch(name.lower()) + write.escape(name)
            body += f'<tr><td>{title}</td><td class="n">{copies}</td>'
            body += "".join(
                f'<td class="n first"><b>{_number(row[what])}</b></td><td>{words.interval(row[what]["ci"])}</td>'
                for what in ("one", "sum", "places")
            )
            body += "</tr>"
    return words.framed(f"<tr>{head}</tr>", body)


def figure(found: dict) -> go.Figure:
    """A line a method: the score of one image against the number of its copies."""
    chart = go.Figure()
    for name, rows in found["duplicates"].items():
        colour, dash, marker = palette.line(name.lower())
        means = [row["one"]["mean"] for row in rows.values()]
        ends = [row["one"]["ci"] or (mean, mean) for row, mean in zip(rows.values(), means)]
        chart.add_scatter(
            x=list(rows),
            y=means,
            name=name,
            mode="lines+markers",
            marker={"size": 9, "symbol": marker},
            line={"color": colour, "dash": dash, "width": 2.5},
            error_y={
                "type": "data",
                "symmetric": False,
                "width": 4,
                "array": [high - mean for mean, (_, high) in zip(means, ends)],
                "arrayminus": [mean - low for mean, (low, _) in zip(means, ends)],
            },
            hovertemplate=write.escape(name) + ", %{x} copies: %{y:.2f}<extra></extra>",
        )
    chart.update_xaxes(title="copies planted", type="category")
    chart.update_yaxes(title="score of the image, without copies = 1", rangemode="tozero")
    chart.update_layout(
        height=340, margin={"l": 8, "r": 8, "t": 40, "b": 8}, legend={"orientation": "h", "y": 1.15, "x": 0}
    )
    return chart


def to_csv(found: dict) -> str:
    """A row a figure of either table."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["check", "method", "copies", "measure", "mean", "low", "high", "targets"])

    def write_row(check, method, copies, measure, one):
        writer.writerow([check, method, copies, measure, one["mean"], *(one["ci"] or ("", "")), one.get("n", "")])

    for name, one in found["untrained"]["pairs"].items():
        for measure in ("jaccard", "spearman"):
            write_row("untrained", PAIRS.get(name, name), "", measure, one[measure])
    for name, one in (found["untrained"]["lds"] or {}).items():
        write_row("untrained", f"TRAK, {name}", "", "lds", {"mean": one["lds"], "ci": one["ci"]})
    for name, rows in found["duplicates"].items():
        for copies, row in rows.items():
            for measure, one in row.items():
                write_row("duplicates", name, copies, measure, one)
    return out.getvalue()
