"""Two learning algorithms: whose influence changes with the recipe, over all targets and for one."""

import plotly.graph_objects as go
import streamlit as st

from attribution import UserError, Workspace
from attribution.evaluation import model_diff
from attribution.export import palette
from pages.compare import plots, tab_frame
from pages.ui import format as write
from pages.ui import link, measurement, state, tables, theme
from pages.ui.tables import Column, estimate
from pages.ui.tile_strip import tiles

MEASURE = ["evaluate", "algorithms"]
SHOWN = 20  # training images that are shown as changed most
POINTS = 5000  # of the chart
NOTES = {
    "first": "most helpful",
    "second": "most helpful",
    "risen": "more helpful by the second",
    "fallen": "less helpful by the second",
}


def draw(ws: Workspace) -> None:
    """Draws the tab."""
    tab_frame.header("Which training images matter more under another learning algorithm?")
    change = tab_frame.stored_answer(ws, MEASURE, model_diff.load, ask=_ask)
    if change is None:
        return
    first, second = change.recipes
    tab_frame.caption(
        f"TRAK of {change.summary['models']} models trained by {first}, and of as many trained by {second}, on the "
        "same images. Scores are standardised for each target, since their scale is arbitrary. Models that differ in "
        f"the seed alone disagree, too: a second set of {first} models says how much of a change is noise."
    )
    with st.container(horizontal=True, gap="large"):
        for table in tables_html(change):
            st.html(table, width="content")
    tab_frame.caption(_basis(ws, change))
    _target(ws, change)
    tab_frame.section("Training images whose influence changed most")
    _most_changed(ws, change)
    tab_frame.chart(
        figure(ws, change),
        "algorithms",
        "change of each training image's influence between the recipes against its noise; the strip "
        "above shows those furthest above the line",
    )
    tab_frame.download_line(
        ws,
        {"algorithms.csv": ("All images as CSV", lambda: to_csv(ws, change))},
        [[*MEASURE, "--recipe", second]],
    )


def _ask(ws: Workspace) -> None:
    """Which recipe to compare with, and the button."""
    if not ws.has_base:
        theme.train_first(
            ws, "Two learning algorithms are compared by what their models say, and no model has been trained here yet."
        )
        return
    st.info("No second learning algorithm was compared with this workspace's yet, or what that rested on has changed.")
    others = [name for name in ws.recipe_names() if name != ws.recipe]
    other = st.selectbox("Compare with", others, width=230, key=state.OTHER_RECIPE)
    try:
        model_diff.check_recipe(ws, other)
    except UserError as error:
        st.caption(write.sentence(error))
        return
    tab_frame.caption(
        f"Trains {model_diff.MODELS_PER_RECIPE} models by {other} and takes the gradients of these and of "
        f"{2 * model_diff.MODELS_PER_RECIPE} base models, in the background; it goes on where it was stopped."
    )
    measurement.button(ws, [*MEASURE, "--recipe", other], "Compare")


def _basis(ws: Workspace, change: model_diff.InfluenceChange) -> str:
    about = change.summary
    accuracies = ", ".join(
        f"{name} {hash_}: {write.percent(right)} of the validation images right"
        for name, hash_, right in zip(change.recipes, about["hashes"], about["accuracy"])
    )
    favoured = f" LDS is on held-out halves trained by {change.recipes[0]}, which favours that recipe."
    return (
        f"{write.count(ws.n_val)} targets, 95 % over targets; {accuracies}; {about['dim']} dimensions."
        f"{favoured if about.get('lds') else ''} "
        f"Influence of {write.percent(about['moved'], 0)} of the training images changed more between the "
        f"recipes than between the two sets of models, where {write.percent(0.5, 0)} would by chance. "
        f"{tab_frame.provenance(ws.manifest['parts'][model_diff.PART])}."
    )


def tables_html(change: model_diff.InfluenceChange) -> list[str]:
    """How alike the scores are, between the recipes and between two sets of models of the first; and what each is
    worth, where there are held-out halves."""
    first, second = change.recipes
    spearman, jaccard = change.summary["spearman"], change.summary["jaccard"]
    columns = [Column("TRAK of"), Column("Spearman of all scores", "n"), tables.INTERVAL]
    columns += [Column("Jaccard of the top 20", "n"), tables.INTERVAL]
    rows = [
        [write.escape(title), *_mean(spearman[key]), *_mean(jaccard[key])]
        for key, title in (("between", f"{first} and {second}"), ("within", f"{first}, two sets of models"))
    ]
    made = [tables.table_html(columns, rows)]
    if "lds" in change.summary:
        lds = change.summary["lds"].items()
        rows = [[write.escape(name), *estimate(row["lds"], row["ci"], 3)] for name, row in lds]
        made.append(tables.table_html([Column("recipe"), Column("LDS", "n"), tables.INTERVAL], rows))
    return made


def _mean(mean: dict) -> list[str]:
    return estimate(mean["mean"], mean["ci"], 3)


def _target(ws: Workspace, change: model_diff.InfluenceChange) -> None:
    """One target's most helpful images under both, and what rose and fell most."""
    first, second = change.recipes
    tab_frame.section("One target under both")
    tab_frame.caption(
        f"Beneath an image its standardised score, {first} → {second}. Click one to open the target in Debug."
    )
    if state.TARGET in st.query_params and (error := link.check(state.TARGET, ws.check_target)):
        st.warning(write.sentence(error), icon=":material/link_off:")
    target = st.number_input("Target", 0, ws.n_val - 1, key=state.TARGET, bind="query-params", width=130)
    label = int(ws.val_labels[target])
    heads = {"first": first, "second": second, "risen": "risen most", "fallen": "fallen most"}
    shown = sorted({int(image) for image in change.ids[target].ravel()})
    places, rows = {image: at for at, image in enumerate(shown)}, []
    for name, ids, scores in zip(model_diff.LIST_NAMES, change.ids[target], change.scores[target]):
        labels = ws.train_labels[ids]
        texts = [
            f"training image {image}, {ws.classes[c]}, {first} {a:+.1f}, {second} {b:+.1f} standard deviations"
            for image, c, (a, b) in zip(ids, labels, scores)
        ]
        marks = [f"label: {ws.classes[c]}" if c != label else None for c in labels]
        below = [f"{a:.1f} → {b:.1f}".replace("-", "−") for a, b in scores]
        rows.append(
            {
                "id": name,
                "name": heads[name],
                "label": f"{heads[name]}: {NOTES[name]}",
                "notes": [NOTES[name]],
                "tiles": tiles(places, ids, texts, mark=marks, score=below),
            }
        )
    tab_frame.target_rows(ws, "algorithms target", target, rows, shown, pitch=70)


def _most_changed(ws: Workspace, change: model_diff.InfluenceChange) -> None:
    st.caption(
        "Root mean square change of the standardised score over all targets; ordered by how far it is "
        "above their noise."
    )
    ids = model_diff.most_changed_images(change, SHOWN)
    names = [ws.classes[ws.train_labels[image]] for image in ids]
    texts = [
        f"training image {image}, {name}, change {change.change[image]:.2f}, noise {change.noise[image]:.2f}"
        for image, name in zip(ids, names)
    ]
    shown = sorted(ids)
    places, marks = {image: at for at, image in enumerate(shown)}, [f"{change.change[image]:.2f}" for image in ids]
    row = {
        "id": "most",
        "label": "training images whose influence changed most, most first",
        "tiles": tiles(places, ids, texts, caption=names, mark=marks),
    }
    tab_frame.image_rows(ws, "algorithms most", "train", [row], shown, layout="line", zoom=5, pitch=84)


def figure(ws: Workspace, change: model_diff.InfluenceChange) -> go.Figure:
    """A point a training image (evenly taken where there are many): noise across, change up, and where both are one."""
    step = -(-len(change.change) // POINTS)
    ids = range(0, len(change.change), step)
    across, up = change.noise[::step], change.change[::step]
    most = float(max(across.max(), up.max()))
    chart = go.Figure()
    chart.add_scattergl(
        x=across,
        y=up,
        mode="markers",
        name="training image",
        showlegend=False,
        marker={"color": palette.RECIPE_STYLES[0][0], "size": 5, "opacity": 0.45},
        customdata=[f"image {image}, {write.plotted(ws.classes[ws.train_labels[image]])}" for image in ids],
        hovertemplate="%{customdata}: change %{y:.2f}, noise %{x:.2f}<extra></extra>",
    )
    chart.add_scatter(
        x=[0, most],
        y=[0, most],
        mode="lines",
        name="as much as between two sets of models",
        hoverinfo="skip",
        line={"color": plots.GREY, "dash": "dot", "width": 1.5},
    )
    plots.set_layout(
        chart,
        380,
        xaxis={"title": f"change between two sets of {change.recipes[0]} models", "rangemode": "tozero"},
        yaxis={"title": "change between the recipes", "rangemode": "tozero"},
    )
    return chart


def to_csv(ws: Workspace, change: model_diff.InfluenceChange) -> str:
    """A row a training image."""
    first, second = change.recipes
    return tables.to_csv(
        {
            "image": image,
            "label": ws.classes[ws.train_labels[image]],
            "change": f"{changed:.4f}",
            "noise": f"{noise:.4f}",
            "first_recipe": first,
            "second_recipe": second,
            "models": change.summary["models"],
            "targets": ws.n_val,
        }
        for image, (changed, noise) in enumerate(zip(change.change, change.noise))
    )
