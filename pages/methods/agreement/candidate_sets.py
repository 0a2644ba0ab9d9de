"""Candidates: what is left of a ranking when it may choose from more, or fewer, classes than as published."""

import csv
import io

import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from attribution import UserError, Workspace, conditioning
from pages.methods import areas, words
from pages.ui import asked, command, figures, look, palette
from pages.ui import format as write

MEASURE = ["evaluate", "conditioning"]
#: colour and marker of each set of candidates
MARKS = {
    "true": (palette.RECIPES[0][0], "circle"),
    "pair": (palette.RECIPES[1][0], "diamond"),
    "all": (palette.RECIPES[2][0], "square-open"),
}


def draw(ws: Workspace) -> None:
    """Nothing where there is nothing to measure it with."""
    if "lds" not in ws.manifest["parts"] or not ws.has_base:
        return
    st.markdown("##### What is left without choosing among the target's class?")
    busy = asked.under_way(ws, MEASURE)
    try:
        found = _stored(ws, look.stamp(ws))
    except UserError as error:
        st.error(write.sentence(error))
        return
    if found is None:
        if not busy:
            st.info(
                "Rankings have not been measured among several sets of candidates yet, or one of them has changed "
                "since."
            )
            asked.button(ws, MEASURE, "Measure candidates")
        return
    st.caption(
        write.plain(
            "LDS of each ranking where it may choose among images of the target's true class, among these and those of the "
            "class it is mistaken for, or among all. Choosing among the class alone is worth something by itself: it "
            "counts how many images of the class a half happens to hold. Random, the control, shows how much."
        )
    )
    supports = areas.read(ws, conditioning, found)
    st.plotly_chart(
        figure(found, supports),
        key="conditioning",
        config={"displayModeBar": False},
        alt="LDS and support AUC of each ranking among three sets of candidates; the table below has the numbers",
    )
    st.html(table_html(found, supports))
    st.caption(write.plain(_made(ws, found, supports)))
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Table as CSV",
            data=to_csv(found, supports),
            file_name="conditioning.csv",
            on_click="ignore",
            icon=":material/download:",
            key="conditioning as csv",
        )
        figures.popover(ws, "conditioning")
        with st.popover("Copy command", icon=":material/terminal:", key="conditioning command"):
            st.code(
                command.line(ws, *MEASURE, "--rankings", ",".join(found["rankings"]), "--k", found["k"]),
                language="bash",
                wrap_lines=True,
            )


@st.cache_data(max_entries=4, show_spinner=False)
def _stored(_ws, stamp: str) -> dict | None:
    return conditioning.stored(_ws)


def _made(ws: Workspace, found: dict, supports: dict) -> str:
    about = ws.manifest["parts"][conditioning.PART]
    n = max(row["n_targets"] for one in found["rankings"].values() for row in one["sets"].values())
    studied = words.side_by_side(supports) or ["Their supports were not studied here yet."]
    return (
        f"* as published. {write.count(n)} targets, {found['masks']} held-out halves with {found['seeds']} seeds "
        f"each; 95 % over halves and targets (LDS) and over targets (shares). A prediction that is the same for "
        f"every half counts as 0. {' '.join(studied)} Made {about.get('made', '')} by {about.get('command', '')}."
    )


def figure(found: dict, supports: dict) -> go.Figure:
    """A mark and its interval a ranking and set of candidates: LDS, and AUC of each kind of support that was
    studied."""
    names, panels = list(found["rankings"]), ["LDS", *(areas.TITLES[kind] for kind in supports)]
    chart = make_subplots(1, len(panels), shared_yaxes=True, subplot_titles=panels, horizontal_spacing=0.04)
    for at, (which, what) in enumerate(conditioning.SETS.items()):
        colour, marker = MARKS[which]
        rows = [found["rankings"][name] for name in names]
        columns = [[(one["sets"][which]["lds"], one["sets"][which]["ci"]) for one in rows]]
        for kind in supports:
            some = [
                areas.row(supports, kind, conditioning.ranking_of(name, which, one["published"]))
                for name, one in zip(names, rows)
            ]
            columns.append([(one.get("auc"), one.get("auc_ci")) for one in some])
        for column, values in enumerate(columns, 1):
            places = [place for place, (value, _) in enumerate(values) if value is not None]
            middles, ends = ([values[place][part] for place in places] for part in (0, 1))
            digits = 3 if column == 1 else 2
            chart.add_scatter(
                x=middles,
                y=[place + 0.2 * (at - 1) for place in places],
                name=what,
                legendgroup=which,
                showlegend=column == 1,
                mode="markers",
                marker={"color": colour, "symbol": marker, "size": 11},
                error_x=areas.bars(middles, ends),
                row=1,
                col=column,
                hovertemplate="%{customdata}<extra></extra>",
                customdata=[
                    f"{write.escape(names[place])}, {what}: {middle:.{digits}f} ({words.interval(end, digits)})"
                    for place, middle, end in zip(places, middles, ends)
                ],
            )
    if found["ceiling"] is not None:
        chart.add_vline(
            found["ceiling"],
            line={"color": "#808080", "width": 1, "dash": "dash"},
            annotation_text="noise ceiling",
            annotation_position="top left",
            row=1,
            col=1,
        )
    chart.update_yaxes(range=[len(names) - 0.5, -0.5])
    chart.update_yaxes(tickvals=list(range(len(names))), ticktext=names, row=1, col=1)
    chart.update_xaxes(zeroline=True)
    chart.update_layout(
        height=140 + 60 * len(names),
        margin={"l": 8, "r": 8, "t": 70, "b": 8},
        legend={"orientation": "h", "y": 1.28, "x": 0},
    )
    return chart


def table_html(found: dict, supports: dict) -> str:
    """A row a ranking, two columns a set of candidates and measure; the noise ceiling last."""
    sets = conditioning.SETS
    width = 3 + 2 * len(supports)
    groups = "".join(f'<th colspan="{width}" class="group">{what}</th>' for what in sets.values())
    heads = (
        f'<th class="n first">LDS</th><th>95 %</th><th class="n" title="with 95 % over targets on hover">of the '
        f"class, first {found['k']}</th>{areas.heads(supports)}"
    ) * len(sets)
    body = ""
    for name, one in found["rankings"].items():
        body += f"<tr><td>{words.swatch(name)}{write.escape(name)}</td>"
        for which in sets:
            row, share = one["sets"][which], one["sets"][which]["same_class"]
            star = " *" * (which == one["published"])
            mean = f"{row['lds']:.3f}{star}".replace("-", "−")
            same = "–" if share["mean"] is None else write.percent(share["mean"])
            body += (
                f'<td class="n first"><b>{mean}</b></td><td>{words.interval(row["ci"], 3)}</td>'
                f'<td class="n" title="{words.interval(share["ci"], 3)}">{same}</td>'
                + areas.cells(supports, conditioning.ranking_of(name, which, one["published"]))
            )
        body += "</tr>"
    ceiling = f"{found['ceiling']:.3f}" if found["ceiling"] is not None else "–"
    body += (
        f'<tr class="last"><td>noise ceiling</td><td class="n first"><b>{ceiling}</b></td>'
        f"{'<td></td>' * (width * len(sets) - 1)}</tr>"
    )
    return words.framed(f"<tr><th></th>{groups}</tr><tr><th>ranking</th>{heads}</tr>", body)


def to_csv(found: dict, supports: dict) -> str:
    """A row a ranking and set of candidates."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        [
            "ranking",
            "candidates",
            "as_published",
            "lds",
            "low",
            "high",
            "targets",
            "constant",
            "k",
            "same_class",
            "same_class_low",
            "same_class_high",
            "ceiling",
            "masks",
            "seeds",
            *areas.csv_heads(),
        ]
    )
    for name, one in found["rankings"].items():
        for which, row in one["sets"].items():
            share = row["same_class"]
            writer.writerow(
                [
                    name,
                    which,
                    which == one["published"],
                    row["lds"],
                    *(row["ci"] or ("", "")),
                    row["n_targets"],
                    row["n_constant"],
                    found["k"],
                    share["mean"],
                    *(share["ci"] or ("", "")),
                    found["ceiling"],
                    found["masks"],
                    found["seeds"],
                    *areas.csv_cells(supports, conditioning.ranking_of(name, which, one["published"])),
                ]
            )
    return out.getvalue()
