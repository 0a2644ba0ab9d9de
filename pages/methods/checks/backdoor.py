"""Backdoor: do rankings find the poisoned images, and is the attack over without what they accuse?"""

import csv
import io

import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from attribution import UserError, Workspace, backdoor, poison
from pages.methods import words
from pages.ui import asked, atlas, command, look, palette, state
from pages.ui import format as write
from pages.ui.strip import strip, tiles

MEASURE = ["evaluate", "backdoor"]
SHOWN = 12  # images and targets
#: what a value is compared with: colour and marker
CHANCE, CONTROL, PLAIN = ("#808080", "line-ns-open"), ("#808080", "x-thin-open"), ("#808080", "circle-open")


def draw(ws: Workspace) -> None:
    """Where the workspace is poisoned what was measured on it, or the way to; else what Lineup brings, or the command
    that makes a poisoned copy."""
    st.markdown("##### Backdoor: do rankings find the images that a trigger came by?")
    about = poison.poisoned(ws)
    busy = about and asked.under_way(ws, MEASURE)
    try:
        found = _stored(ws, look.stamp(ws))
        if about:
            _pictures(ws, about)
    except UserError as error:
        st.error(write.sentence(error))
        return
    if found is None:
        if not about:
            st.caption(
                "A poisoned copy of this workspace shows it: some images of other classes get a small patch and "
                "one class's label."
            )
            st.code(
                command.line(ws, "workspace", "poison", "PATH", "--class", ws.classes[0]),
                language="bash",
                wrap_lines=True,
            )
        elif not busy:
            st.info("The backdoor has not been measured yet, or a ranking has changed since.")
            asked.button(ws, MEASURE, "Measure the backdoor")
        return
    name = ws.classes[found["class"]]
    st.caption(
        write.plain(
            f"{found['n']} training images of other classes bear a chequered patch of {found['side']} x {found['side']} "
            f"pixels and the label {name}. {found['models']} models trained on them take {_percent(found['success'])} of "
            f"{found['triggered']} triggered images of other classes for {name}, and {_percent(found['untriggered'])} of "
            "the same images without the patch. Each ranking is asked why; then models are trained without the "
            f"{found['n']} images that it accuses most."
        )
    )
    st.plotly_chart(
        figure(found, name),
        key="backdoor",
        config={"displayModeBar": False},
        alt="precision of each ranking and what is left of the attack; the table below has the numbers",
    )
    st.html(table_html(found, name))
    st.caption(write.plain(_made(ws, found)))
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Table as CSV",
            data=to_csv(found),
            file_name="backdoor.csv",
            on_click="ignore",
            icon=":material/download:",
            key="backdoor as csv",
        )
        with st.popover("Copy command", icon=":material/terminal:", key="backdoor command"):
            st.code(_command(ws, found, about), language="bash", wrap_lines=True)


@st.cache_data(max_entries=4, show_spinner=False)
def _stored(_ws, stamp: str) -> dict | None:
    return backdoor.stored(_ws)


def _command(ws: Workspace, found: dict, about: dict | None) -> str:
    measure = [
        *MEASURE,
        "--rankings",
        ",".join(dict.fromkeys(row["ranking"] for row in found["rankings"])),
        "--seeds",
        len(found["seeds"]),
    ]
    return command.line(ws, *measure) if about else "\n".join(found["about"]["commands"])


def _pictures(ws: Workspace, about: dict) -> None:
    """Some poisoned images and triggered targets; a click on one of these leads to its lineup."""
    poisoned, targets, _ = poison.record(ws)
    name, scale = ws.classes[about["class"]], atlas.scale(ws)
    for split, ids, title, said, classes in (
        ("train", poisoned, "poisoned", f"all labelled {name}; truly:", ws.truth()["original"]),
        ("val", targets, "triggered", "targets; models say:", ws.base.prediction),
    ):
        ids = ids[:SHOWN].tolist()
        captions = [ws.classes[classes[image]] for image in ids]
        texts = [f"{title} image {image}, {said} {caption}" for image, caption in zip(ids, captions)]
        row = {
            "id": split,
            "name": title,
            "about": said,
            "label": f"{title} images, {said}",
            "tiles": tiles({image: at for at, image in enumerate(ids)}, ids, texts, caption=captions),
        }
        strip(
            f"backdoor {split}",
            {
                "layout": "rows",
                "of": split,
                "rows": [row],
                "selected": None,
                "scale": scale,
                "atlas": atlas.atlas(ws, split, ids),
                "zoom": 5 if scale > 1 else 2,
            },
            on_pick=_go if split == "val" else None,
        )


def _go(tile: dict) -> None:
    st.session_state[state.GO_TO] = tile["id"]


def _label(row: dict, name: str) -> str:
    return f"{row['ranking']}, among {name}" if row["candidates"] else row["ranking"]


def _percent(one: dict) -> str:
    return write.percent(one["mean"])


def _made(ws: Workspace, found: dict) -> str:
    about = found.get("about") or ws.manifest["parts"][backdoor.PART]
    none, oracle = (found["removals"][name] for name in (backdoor.NONE, backdoor.ORACLE))
    text = (
        f"Precision: the share of poisoned images among the first k of {write.count(found['hit'])} targets that "
        "were taken for the class; 95 % over targets. A similarity looks among images of the predicted class, a "
        "signed ranking for what speaks against the true class, among all images and once more among the predicted "
        "class alone. As published, among images of the true class, a similarity can find none: they carry another "
        f"label. Unpatched: precision@{found['n']} for the same targets without the patch, among the same images; "
        "where it is as high, images were found that look unlike their label, and not the trigger. Accused most: "
        f"in the first {found['n']} of most targets. {len(found['seeds'])} seeds each. With nothing removed "
        f"the attack succeeds on {_percent(none['success'])}, accuracy on ordinary images is "
        f"{_percent(none['accuracy'])}; without exactly the poisoned images {_percent(oracle['success'])} and "
        f"{_percent(oracle['accuracy'])}. Random: as many images of the same classes. "
    )
    text += f"Made {about.get('made', '')} by {about.get('command', '')}"
    return text + (f" on a poisoned copy of this workspace; {about['note']}." if found.get("about") else ".")


def figure(found: dict, name: str) -> go.Figure:
    """Left the precision of each row beside chance, right what is left of the attack beside a random removal."""
    n, rows = found["n"], found["rankings"]
    places = list(range(len(rows)))
    chart = make_subplots(
        1,
        2,
        shared_yaxes=True,
        horizontal_spacing=0.04,
        subplot_titles=[f"poisoned among the first {n}", f"attack without the {n} accused most"],
    )
    precision, left = [row["precision"][str(n)] for row in rows], [row["success"] for row in rows]
    for column, values, others in (
        (
            1,
            precision,
            [
                ("chance", [row["chance"] for row in rows], CHANCE),
                ("targets without the patch", [row["plain"]["mean"] for row in rows], PLAIN),
            ],
        ),
        (2, left, [("random removal", [row["control"]["success"]["mean"] for row in rows], CONTROL)]),
    ):
        means, ends = [one["mean"] for one in values], [one["ci"] or (one["mean"], one["mean"]) for one in values]
        chart.add_scatter(
            x=means,
            y=places,
            mode="markers",
            name="the ranking",
            legendgroup="ranking",
            showlegend=column == 1,
            marker={"size": 11, "color": [palette.line(row["ranking"])[0] for row in rows]},
            error_x={
                "type": "data",
                "symmetric": False,
                "width": 4,
                "color": "#808080",
                "array": [high - mean for mean, (_, high) in zip(means, ends)],
                "arrayminus": [mean - low for mean, (low, _) in zip(means, ends)],
            },
            customdata=[
                f"{write.escape(_label(row, name))}: {write.percent(mean)} ({_interval(one)})"
                for row, mean, one in zip(rows, means, values)
            ],
            hovertemplate="%{customdata}<extra></extra>",
            row=1,
            col=column,
        )
        for title, other, (colour, marker) in others:
            chart.add_scatter(
                x=other,
                y=places,
                mode="markers",
                name=title,
                row=1,
                col=column,
                hovertemplate=title + " %{x:.1%}<extra></extra>",
                marker={"size": 12, "color": colour, "symbol": marker, "line": {"width": 2}},
            )
    chart.update_yaxes(
        tickvals=places, ticktext=[write.escape(_label(row, name)) for row in rows], range=[len(rows) - 0.5, -0.5]
    )
    chart.update_xaxes(range=[-0.03, 1.03], tickformat=".0%")
    chart.update_layout(
        height=130 + 34 * len(rows),
        margin={"l": 8, "r": 8, "t": 70, "b": 8},
        legend={"orientation": "h", "y": 1.28, "x": 0},
    )
    return chart


def table_html(found: dict, name: str) -> str:
    """A row a ranking and set of candidates."""
    ks = list(found["rankings"][0]["precision"])
    head = "".join(
        f'<th class="n" title="{title}">{what}</th>'
        for what, title in (("among", "images it chooses from"), ("chance", "share of these that is poisoned"))
    )
    head += "".join(f'<th class="n first">precision@{k}</th><th>95 %</th>' for k in ks)
    head += (
        '<th class="n first" title="precision for the same targets without the patch">unpatched</th>'
        f'<th class="n first" title="of the {found["n"]} images accused most">found</th>'
        '<th class="n first">attack without</th><th>95 %</th><th class="n">random</th>'
        '<th class="n first">accuracy</th>'
    )
    body = ""
    for row in found["rankings"]:
        body += (
            f"<tr><td>{words.swatch(row['ranking'])}{write.escape(_label(row, name))}</td>"
            f'<td class="n">{write.count(row["pool"])}</td><td class="n">{write.percent(row["chance"])}</td>'
        )
        for k in ks:
            one = row["precision"][k]
            body += f'<td class="n first"><b>{_percent(one)}</b></td><td>{_interval(one)}</td>'
        body += (
            f'<td class="n first" title="{_interval(row["plain"])}">{_percent(row["plain"])}</td>'
            f'<td class="n first">{row["removed"]} of {found["n"]}</td>'
            f'<td class="n first"><b>{_percent(row["success"])}</b></td><td>{_interval(row["success"])}</td>'
            f'<td class="n">{_percent(row["control"]["success"])}</td>'
            f'<td class="n first">{_percent(row["accuracy"])}</td></tr>'
        )
    return words.framed(f"<tr><th>ranking</th>{head}</tr>", body)


def _interval(one: dict) -> str:
    return "–" if one["ci"] is None else f"{100 * one['ci'][0]:.0f} to {100 * one['ci'][1]:.0f}"


def to_csv(found: dict) -> str:
    """A row a ranking, set of candidates and k; then one a removal that is no ranking's."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [
            "ranking",
            "candidates",
            "pool",
            "chance",
            "k",
            "precision",
            "low",
            "high",
            "targets",
            "precision_unpatched",
            "accused",
            "poisoned_among_accused",
            "attack_without",
            "attack_low",
            "attack_high",
            "attack_random",
            "accuracy",
            "seeds",
        ]
    )
    for row in found["rankings"]:
        for k, one in row["precision"].items():
            plain = row["plain"]["mean"] if k == str(found["n"]) else ""
            writer.writerow(
                [
                    row["ranking"],
                    row["candidates"] or "as asked",
                    row["pool"],
                    row["chance"],
                    k,
                    one["mean"],
                    *(one["ci"] or ("", "")),
                    one["n"],
                    plain,
                    found["n"],
                    row["removed"],
                    row["success"]["mean"],
                    *(row["success"]["ci"] or ("", "")),
                    row["control"]["success"]["mean"],
                    row["accuracy"]["mean"],
                    len(found["seeds"]),
                ]
            )
    for name, one in found["removals"].items():
        writer.writerow(
            [
                f"without {name}",
                *[""] * 11,
                one["success"]["mean"],
                *(one["success"]["ci"] or ("", "")),
                "",
                one["accuracy"]["mean"],
                len(found["seeds"]),
            ]
        )
    return out.getvalue()
