"""Agreement: do the rankings choose the same training images, and on which targets do they differ most?"""

import csv
import io

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from attribution import UserError, Workspace, agreement
from pages.explore.rows import wall_data
from pages.methods import conditioning, words
from pages.ui import asked, atlas, command, figures, look, state
from pages.ui import format as write
from pages.ui.strip import strip

NAMES = {"jaccard": "Jaccard of the first k", "rbo": "rank-biased overlap", "spearman": "Spearman over the union"}
HELP = {
    "jaccard": "Of the images that either has among its first k, the share that both have.",
    "rbo": "Overlap of the first d images, for every d, the first ones weighing most.",
    "spearman": "Correlation of the places in both, over the images that either has among its first k. It is below "
    "0 where what is first in one is far down in the other; two random orders are well below 0.",
}
SHOWN = 60  # targets
COMPARE = ["evaluate", "agreement"]
state_of = st.session_state


def draw(ws: Workspace) -> None:
    _compared(ws)
    conditioning.draw(ws)


def _compared(ws: Workspace) -> None:
    st.header("Do the methods choose the same images?", anchor=False)
    if state.ERROR in state_of:
        st.error(write.sentence(state_of.pop(state.ERROR)))
    asked.under_way(ws, COMPARE)
    try:
        found = _stored(ws, look.stamp(ws))
    except UserError as error:
        st.error(write.sentence(error))
        return
    if found is None:
        st.info("These rankings have not been compared yet, or one of them has changed since.")
        asked.button(ws, COMPARE, "Compare them")
        return
    told = _summary(found, look.stamp(ws))
    n = write.count(len(found.targets))
    st.caption(
        write.plain(
            f"Each ranking as published, its first {found.k} training images, on {n} targets; means, with "
            "95 % bootstrap intervals over targets. Similarity and random rank images of the target's class "
            "only, so that with others they can share no more than these choose of it."
        )
    )
    measure = st.segmented_control(
        "Measure",
        list(NAMES),
        default="jaccard",
        required=True,
        key=state.MEASURE,
        bind="query-params",
        format_func=NAMES.get,
        label_visibility="collapsed",
    )
    st.caption(write.plain(HELP[measure]))
    st.plotly_chart(
        _matrix(told, measure),
        key="agreement matrix",
        config={"displayModeBar": False},
        alt=f"{NAMES[measure]} of every two rankings; the table below has the numbers",
    )
    st.html(pairs_html(told))
    st.caption(f"Whose labels the first {told['k']} of each carry, as shares of them.")
    st.html(classes_html(told))
    _take_away(ws, told, measure)
    _targets(ws, found, measure)


@st.cache_resource(max_entries=4, show_spinner=False)
def _stored(_ws, stamp: str):
    return agreement.stored(_ws)


@st.cache_data(max_entries=4, show_spinner="Comparing the rankings", hash_funcs={agreement.Agreement: id})
def _summary(found: agreement.Agreement, stamp: str) -> dict:
    return agreement.summary(found)


def _matrix(told: dict, measure: str) -> go.Figure:
    """A square for every two rankings; their own are left empty."""
    names = list(told["pairs"])
    cells = [[told["pairs"][a].get(b, {}).get(measure) for b in names] for a in names]
    values = [[one and one["mean"] for one in row] for row in cells]
    hover = [
        [f"{a} and {b}: {_text(one)}" if one else "" for b, one in zip(names, row)] for a, row in zip(names, cells)
    ]
    shown = [[f"{one['mean']:.2f}" if one and one["mean"] is not None else "" for one in row] for row in cells]
    low = -1 if measure == "spearman" else 0
    chart = go.Figure(
        go.Heatmap(
            z=values,
            x=names,
            y=names,
            text=shown,
            texttemplate="%{text}",
            customdata=hover,
            zmin=low,
            zmax=1,
            xgap=2,
            ygap=2,
            hovertemplate="%{customdata}<extra></extra>",
            colorscale="RdBu" if low else "Blues",
            colorbar={"thickness": 10, "len": 0.9},
        )
    )
    chart.update_layout(
        height=110 + 46 * len(names),
        width=220 + 90 * len(names),
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        xaxis={"showgrid": False},
        yaxis={"autorange": "reversed", "showgrid": False},
    )
    return chart


def _text(one: dict) -> str:
    if one["mean"] is None:
        return "–"
    return f"{one['mean']:.3f}" + (f" (95 % {one['ci'][0]:.3f} to {one['ci'][1]:.3f})" if one["ci"] else "")


def pairs_html(told: dict) -> str:
    """Every pair once, with all measures."""
    heads = "".join(f'<th class="n">{name}</th><th>95 %</th>' for name in NAMES.values())
    names, body = list(told["pairs"]), ""
    for at, a in enumerate(names):
        for b in names[at + 1 :]:
            cells = "".join(_cells(told["pairs"][a][b][measure]) for measure in NAMES)
            body += (
                f"<tr><td>{words.swatch(a)}{write.escape(a)}</td><td>{words.swatch(b)}{write.escape(b)}</td>"
                f"{cells}</tr>"
            )
    return words.framed(f"<tr><th>ranking</th><th>and</th>{heads}</tr>", body)


def classes_html(told: dict) -> str:
    """What share of each ranking's first images carry the target's class, and another."""
    body = "".join(
        f"<tr><td>{words.swatch(name)}{write.escape(name)}</td>{_cells(one['same_class'])}"
        f"{_cells(one['cross_class'])}</tr>"
        for name, one in told["rankings"].items()
    )
    return words.framed(
        '<tr><th>ranking</th><th class="n">of the target\'s class</th><th>95 %</th>'
        '<th class="n">of another</th><th>95 %</th></tr>',
        body,
    )


def _cells(one: dict) -> str:
    if one["mean"] is None:
        return '<td class="n">–</td><td></td>'
    ends = words.interval(one["ci"], 3) if one["ci"] else "–"
    mean = f"{one['mean']:.3f}".replace("-", "−")
    return f'<td class="n"><b>{mean}</b></td><td>{ends}</td>'


def _take_away(ws: Workspace, told: dict, measure: str) -> None:
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Table as CSV", data=to_csv(told), file_name="agreement.csv", on_click="ignore", icon=":material/download:"
        )
        figures.popover(ws, "agreement", measure=measure)
        with st.popover("Copy command", icon=":material/terminal:"):
            st.code(
                command.line(ws, *COMPARE, "--rankings", ",".join(told["pairs"]), "--k", told["k"]),
                language="bash",
                wrap_lines=True,
            )


def to_csv(told: dict) -> str:
    """A row for each pair and measure."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["a", "b", "measure", "mean", "low", "high", "targets", "k", "p"])
    names = list(told["pairs"])
    for at, a in enumerate(names):
        for b in names[at + 1 :]:
            for measure, one in told["pairs"][a][b].items():
                writer.writerow([a, b, measure, one["mean"], *(one["ci"] or ("", "")), one["n"], told["k"], told["p"]])
    return out.getvalue()


def _targets(ws: Workspace, found: agreement.Agreement, measure: str) -> None:
    """The targets on which a pair agrees least; each leads to its lineup of the two."""
    st.markdown("##### Where they differ most")
    names = list(found.names)
    with st.container(horizontal=True, gap="small"):
        a = st.selectbox("Ranking", names, key=state.ONE_RANKING, width=190)
        others = [name for name in names if name != a]
        b = st.selectbox("and", others, min(1, len(others) - 1), key=state.OTHER_RANKING, width=190)
    pair = (a, b) if (a, b) in found.pairs else (b, a)
    values = found.pairs[pair][measure]
    ids = agreement.disagreement(found, a, b, measure)[:SHOWN]
    if not len(ids):
        st.caption("No target has a value.")
        return
    at = np.searchsorted(found.targets, ids)
    data = wall_data(ws, ids, atlas.atlas(ws, "val", ids), None, True, atlas.scale(ws))
    for tile, value in zip(data["rows"][0]["tiles"], values[at]):
        tile.pop("mark", None)
        tile["caption"] = f"{value:.2f}"
        tile["text"] += f", {NAMES[measure]} {value:.3f}"
    st.caption(write.plain(f"{NAMES[measure]} of {a} and {b}, least first. Choose a target to see its lineup."))
    strip("disagreement", data, on_pick=lambda tile: _go(tile["id"]))


def _go(target: int) -> None:
    state_of[state.GO_TO] = target
