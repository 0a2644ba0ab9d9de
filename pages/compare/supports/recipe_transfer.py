"""Does what a ranking is worth hold under another recipe? One support curve a recipe, side by side."""

import plotly.graph_objects as go
import streamlit as st
from plotly.subplots import make_subplots

from attribution import Workspace
from attribution.evaluation import recipe_transfer, support_report
from attribution.experiments.study import Study
from attribution.experiments.support_search import SEEDS
from attribution.export import palette
from attribution.metrics import support_curves
from attribution.store.results import ResultStore
from pages.compare import plots, tab_frame
from pages.compare.supports.curves import PANEL_TITLES
from pages.compare.supports.tables import KINDS, median_text
from pages.ui import format as write
from pages.ui import tables
from pages.ui.tables import Column, estimate


def draw(ws: Workspace) -> None:
    """Draws the topic."""
    tab_frame.header("Does a ranking's lead hold under another recipe?")
    others = [name for name in ws.recipe_names() if name != ws.recipe]
    if not others or not ws.has_base:
        st.info("This compares studies under two recipes, and there is one, or no model yet.")
        return
    with ResultStore.for_workspace(ws) as store:
        _draw(ws, store, others)


def _draw(ws: Workspace, store: ResultStore, others: list[str]) -> None:
    """The curves of one ranking under all recipes that a study was made of."""
    names = recipe_transfer.studied_recipes(ws, store)
    version = (store.supports_version(), store.newest_job(), len(store.open_jobs()))
    by_recipe = _compared(ws, store, f"{ws.path} {ws.recipe}", tuple(names), version) if len(names) > 1 else {}
    studied = [table for study in by_recipe.values() for table in study.tables.values()]
    rankings = list(dict.fromkeys(name for table in studied for name in table))
    if not rankings:
        tab_frame.caption(
            f"All studies here are of {ws.recipe}. This makes one of the same rankings under another recipe too, on "
            "targets on which the models of both agree; it resumes where it was stopped:"
        )
        tab_frame.command_line(ws, "study", "--recipes", f"{ws.recipe},{others[0]}", "--targets", 20)
        return
    tab_frame.caption(
        "Supports under different recipes are not comparable as numbers: one network may be harder to flip "
        "altogether. They stand side by side to ask whether a ranking keeps its lead over random images."
    )
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        ranking = st.selectbox("Ranking", rankings, key="transfer ranking", width=190)
        tab_frame.download_buttons(
            ws,
            {"transfer.csv": ("Transfer as CSV", to_csv(ws, by_recipe))},
            [["evaluate", "transfer", "--recipes", ",".join(names), "--json"]],
        )
    tab_frame.chart(
        figure(ws, by_recipe, ranking),
        "transfer",
        "support curves of one ranking under each recipe; the table below has the numbers",
    )
    first = next(iter(by_recipe.values()))
    tab_frame.caption(
        f"Targets are those on which the models of all of these agree. Protocol {first.protocol}, K = {first.k_max}; "
        f"seeds {SEEDS[0]} "
        f"to {SEEDS[-1]} for every edit, one training under a head; a ranking's order and the new labels are the same "
        "under each."
        f"{write.planted_note(ws.planted)}"
    )
    st.html(table_html(ws, by_recipe, ranking))


@st.cache_resource(max_entries=4, show_spinner="Comparing the recipes")
def _compared(_ws, _store, path: str, names: tuple, version: tuple) -> dict[str, Study]:
    return recipe_transfer.common_studies(_ws, _store, list(names))


def recipe_label(ws: Workspace, name: str) -> str:
    """A recipe's name with its hash."""
    return f"{name} {ws.get_recipe(name).hash}"


def figure(ws: Workspace, by_recipe: dict[str, Study], ranking: str) -> go.Figure:
    """A panel a kind, a line a recipe, and thin the random control under the same recipe."""
    first = next(iter(by_recipe.values()))
    kinds = [kind for kind in first.tables if ranking in first.tables[kind]]
    titles = [PANEL_TITLES[kind] for kind in kinds]
    chart = make_subplots(1, len(kinds), subplot_titles=titles, shared_yaxes=True, horizontal_spacing=0.05)
    widths = {"random": 1.2, ranking: 2.5}
    for column, kind in enumerate(kinds, 1):
        for at, (recipe, study) in enumerate(by_recipe.items()):
            colour, dash = palette.RECIPE_STYLES[at % len(palette.RECIPE_STYLES)]
            for name in dict.fromkeys((ranking, "random")):
                if name not in study.tables[kind]:
                    continue
                share = support_curves.support_cdf(study.tables[kind][name].values(), study.k_max)
                label = recipe_label(ws, recipe) if name == ranking else f"random, {recipe}"
                line_dash = dash if name == ranking else "dot"
                chart.add_scatter(
                    x=list(range(len(share))),
                    y=share,
                    name=label,
                    mode="lines",
                    legendgroup=label,
                    showlegend=column == 1,
                    row=1,
                    col=column,
                    line={"shape": "hv", "color": colour, "width": widths[name], "dash": line_dash},
                    hovertemplate=f"{label}: " + "%{y:.0%} by k = %{x}<extra></extra>",
                )
    chart.update_xaxes(range=[0, first.k_max * 1.01], title="k, top images edited")
    chart.update_yaxes(range=[0, 1.02], tickformat=".0%")
    chart.update_yaxes(title="targets flipped", col=1)
    plots.set_layout(
        chart,
        380,
    )
    return chart


def table_html(ws: Workspace, by_recipe: dict[str, Study], ranking: str) -> str:
    """A row for each kind and recipe: the AUC, and how far it is above the random control on the same targets."""
    columns = [Column("kind"), Column("recipe"), Column("targets", "n"), Column("AUC", "n"), tables.INTERVAL]
    columns += [Column("median", "n"), Column("above random", "n"), tables.INTERVAL]
    rows = []
    for name, study in by_recipe.items():
        for kind, table in study.tables.items():
            if ranking not in table:
                continue
            summary = support_curves.summarise_supports(table[ranking].values(), study.k_max)
            lead = ["–"]
            if "random" in table and ranking != "random":
                versus = support_curves.compare_pair(table[ranking], table["random"], study.k_max)
                if versus["auc_difference"] is not None:
                    lead = [
                        write.decimal(versus["auc_difference"], sign=True),
                        write.interval(versus["auc_difference_ci"], sign=True),
                    ]
            auc = estimate(summary["auc"], summary["auc_ci"])
            label = write.escape(recipe_label(ws, name))
            row = [KINDS[kind], label, summary["n"], *auc, median_text(summary, study.k_max)]
            rows.append([*row, *lead])
    return tables.table_html(columns, rows)


def to_csv(ws: Workspace, by_recipe: dict[str, Study]) -> str:
    """A row for each recipe, kind, ranking and target."""
    return tables.to_csv(
        {
            "recipe": name,
            "recipe_hash": ws.get_recipe(name).hash,
            "kind": kind,
            "ranking": ranking,
            "target": target,
            "status": support_report.support_status(support),
            "support": support and support.support,
            "K": study.k_max,
            "protocol": study.protocol,
        }
        for name, study in by_recipe.items()
        for kind, table in study.tables.items()
        for ranking, results in table.items()
        for target, support in results.items()
    )
