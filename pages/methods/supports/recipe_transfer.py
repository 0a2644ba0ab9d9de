"""Does what a ranking is worth hold under another recipe? One CDF a recipe, side by side."""

import csv
import io

import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from attribution import Workspace, curves, recipes, studies, transfer
from attribution.store import Store
from attribution.support import SEEDS
from pages.methods import words
from pages.methods.chart import TITLES
from pages.ui import command, palette
from pages.ui import format as write


def section(ws: Workspace, store: Store) -> None:
    """The CDFs of one ranking under all recipes that a study was made of; absent where there is one recipe alone."""
    others = [name for name in recipes.NAMES if name != ws.recipe]
    if not others:
        return
    st.markdown("##### Does it hold under another recipe?")
    names = transfer.studied(ws, store)
    stamp = (store.stamp_of_supports(), store.newest_job(), len(store.open_jobs()))
    found = _compared(ws, store, str(ws.path), tuple(names), stamp) if len(names) > 1 else {}
    rankings = list(dict.fromkeys(name for one in found.values() for table in one.tables.values() for name in table))
    if not rankings:
        st.caption(
            write.plain(
                f"All studies here are of {ws.recipe}. This makes one of the same rankings under another recipe too, on "
                "targets that are stable in both; it goes on where it was stopped:"
            )
        )
        st.code(
            command.line(ws, "study", "--recipes", f"{ws.recipe},{others[0]}", "--targets", 20),
            language="bash",
            wrap_lines=True,
        )
        return
    st.caption(
        write.plain(
            "Supports under different recipes are not comparable as numbers: one network may be harder to flip altogether. "
            "They stand side by side to ask whether a ranking keeps its lead over random images."
        )
    )
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        ranking = st.selectbox("Ranking", rankings, key="transfer ranking", width=190)
        st.download_button(
            "Transfer as CSV",
            data=to_csv(found),
            file_name="transfer.csv",
            on_click="ignore",
            icon=":material/download:",
        )
        with st.popover("Copy command", icon=":material/terminal:"):
            st.code(
                command.line(ws, "evaluate", "transfer", "--recipes", ",".join(names), "--json"),
                language="bash",
                wrap_lines=True,
            )
    st.plotly_chart(
        chart(found, ranking),
        key="transfer",
        config={"displayModeBar": False},
        alt="support curves of one ranking under each recipe; the table below has the numbers",
    )
    first = next(iter(found.values()))
    planted = f" Labels are as given, with {ws.planted} planted errors." if ws.planted else ""
    st.caption(
        write.plain(
            f"Targets are stable under all of these. Protocol {first.protocol}, K = {first.k_max}; seeds {SEEDS[0]} "
            f"to {SEEDS[-1]} for every edit; a ranking's order and the new labels are the same under each.{planted}"
        )
    )
    st.html(table_html(found, ranking))


@st.cache_resource(max_entries=4, show_spinner="Comparing the recipes")
def _compared(_ws, _store, path: str, names: tuple, stamp: tuple) -> dict[str, studies.Study]:
    return transfer.compare(_ws, _store, list(names))


def legend(name: str) -> str:
    return f"{name} {recipes.get(name).hash}"


def chart(found: dict[str, studies.Study], ranking: str) -> go.Figure:
    """A panel a kind, a line a recipe, and thin the random control under the same recipe."""
    first = next(iter(found.values()))
    kinds = [kind for kind in first.tables if ranking in first.tables[kind]]
    drawn = make_subplots(
        1, len(kinds), subplot_titles=[TITLES[kind] for kind in kinds], shared_yaxes=True, horizontal_spacing=0.05
    )
    for column, kind in enumerate(kinds, 1):
        for at, (name, study) in enumerate(found.items()):
            colour, dash = palette.RECIPES[at % len(palette.RECIPES)]
            for shown, width in ((ranking, 2.5), *((("random", 1.2),) if ranking != "random" else ())):
                if shown not in study.tables[kind]:
                    continue
                y = curves.cdf(study.tables[kind][shown].values(), study.k_max)
                label = legend(name) if shown == ranking else f"random, {name}"
                drawn.add_scatter(
                    x=list(range(len(y))),
                    y=y,
                    name=label,
                    mode="lines",
                    legendgroup=label,
                    showlegend=column == 1,
                    row=1,
                    col=column,
                    line={"shape": "hv", "color": colour, "width": width, "dash": dash if shown == ranking else "dot"},
                    hovertemplate=f"{label}: " + "%{y:.0%} by k = %{x}<extra></extra>",
                )
    drawn.update_xaxes(range=[0, first.k_max * 1.01], title="k, first images of the ranking edited")
    drawn.update_yaxes(range=[0, 1.02], tickformat=".0%")
    drawn.update_yaxes(title="targets flipped", col=1)
    drawn.update_layout(
        height=380, margin={"l": 8, "r": 8, "t": 70, "b": 8}, legend={"orientation": "h", "y": 1.22, "x": 0}
    )
    return drawn


def table_html(found: dict[str, studies.Study], ranking: str) -> str:
    """A row for each kind and recipe: the AUC, and how far it is above the random control on the same targets."""
    head = "".join(
        f"<th{' class=n' if at > 1 else ''}>{name}</th>"
        for at, name in enumerate(("kind", "recipe", "targets", "AUC", "95 %", "median", "above random", "95 %"))
    )
    body = ""
    for name, study in found.items():
        for kind, table in study.tables.items():
            if ranking not in table:
                continue
            one = curves.summary(table[ranking].values(), study.k_max)
            median = f"{one['median']:g}" if one["median"] is not None else f"&gt; {study.k_max}"
            lead = '<td class="n">–</td><td></td>'
            if "random" in table and ranking != "random":
                versus = curves.versus(table[ranking], table["random"], study.k_max)
                if versus["auc_difference"] is not None:
                    lead = (
                        f'<td class="n">{words.signed(versus["auc_difference"])}</td>'
                        f"<td>{words.interval(versus['auc_difference_ci'], sign=True)}</td>"
                    )
            auc = "–" if one["auc"] is None else f"{one['auc']:.2f}"
            body += (
                f"<tr><td>{words.KINDS[kind]}</td><td>{write.escape(legend(name))}</td>"
                f'<td class="n">{one["n"]}</td>'
                f'<td class="n"><b>{auc}</b></td><td>{words.interval(one["auc_ci"])}</td>'
                f'<td class="n">{median}</td>{lead}</tr>'
            )
    return words.framed(f"<tr>{head}</tr>", body)


def to_csv(found: dict[str, studies.Study]) -> str:
    """A row for each recipe, kind, ranking and target."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["recipe", "recipe_hash", "kind", "ranking", "target", "status", "support", "K", "protocol"])
    for name, study in found.items():
        for kind, table in study.tables.items():
            for ranking, results in table.items():
                for target, one in results.items():
                    size = "" if one is None or one.support is None else one.support
                    writer.writerow(
                        [
                            name,
                            recipes.get(name).hash,
                            kind,
                            ranking,
                            target,
                            studies.status_of(one),
                            size,
                            study.k_max,
                            study.protocol,
                        ]
                    )
    return out.getvalue()
