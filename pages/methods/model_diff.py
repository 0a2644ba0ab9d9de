"""Two learning algorithms: whose influence changes with the recipe, over all targets and for one."""

import csv
import io

import plotly.graph_objects as go
import streamlit as st

from attribution import UserError, Workspace, algorithms, recipes
from pages.methods import words
from pages.ui import asked, atlas, command, look, palette, state
from pages.ui import format as write
from pages.ui.strip import strip, tiles

MEASURE = ["evaluate", "algorithms"]
MOST = 20  # training images that are shown as changed most
POINTS = 5000  # of the chart
ABOUT = {
    "first": "most helpful",
    "second": "most helpful",
    "risen": "more helpful by the second",
    "fallen": "less helpful by the second",
}
state_of = st.session_state


def draw(ws: Workspace) -> None:
    st.header("Whose influence changes with the learning algorithm?", anchor=False)
    if state.ERROR in state_of:
        st.error(write.sentence(state_of.pop(state.ERROR)))
    busy = asked.under_way(ws, MEASURE)
    try:
        found = _stored(ws, look.stamp(ws))
    except UserError as error:
        st.error(write.sentence(error))
        return
    if found is None:
        _ask(ws, busy)
        return
    first, second = found.recipes
    st.caption(
        write.plain(
            f"TRAK of {found.about['models']} models trained by {first}, and of as many trained by {second}, on the same "
            "images. Scores are standardised for each target, since their scale is arbitrary. Models that differ in the "
            f"seed alone disagree, too: a second set of {first} models says how much of a change is noise."
        )
    )
    with st.container(horizontal=True, gap="large"):
        for table in tables_html(found):
            st.html(table, width="content")
    st.caption(write.plain(_made(ws, found)))
    _target(ws, found)
    st.markdown("##### Training images whose influence changed most")
    _most(ws, found)
    st.plotly_chart(
        chart(ws, found),
        key="algorithms",
        config={"displayModeBar": False},
        alt="change of each training image's influence between the recipes against its noise; the strip "
        "above shows those furthest above the line",
    )
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "All images as CSV",
            data=lambda: to_csv(ws, found),
            file_name="algorithms.csv",
            on_click="ignore",
            icon=":material/download:",
        )
        with st.popover("Copy command", icon=":material/terminal:"):
            st.code(command.line(ws, *MEASURE, "--recipe", second), language="bash", wrap_lines=True)


@st.cache_resource(max_entries=4, show_spinner=False)
def _stored(_ws, stamp: str):
    return algorithms.stored(_ws)


def _ask(ws: Workspace, busy: bool) -> None:
    """Which recipe to compare with, and the button."""
    if not ws.has_base:
        look.train_first(
            ws, "Two learning algorithms are compared by what their models say, and no model has been trained here yet."
        )
        return
    if busy:
        return
    st.info("No second learning algorithm was compared with this workspace's yet, or what that rested on has changed.")
    others = [name for name in recipes.NAMES if name != ws.recipe]
    other = st.selectbox("Compare with", others, width=230, key=state.OTHER_RECIPE)
    try:
        algorithms.check(ws, other)
    except UserError as error:
        st.caption(write.sentence(error))
        return
    st.caption(
        write.plain(
            f"Trains {algorithms.MODELS} models by {other} and takes the gradients of these and of "
            f"{2 * algorithms.MODELS} base models, in the background; it goes on where it was stopped."
        )
    )
    asked.button(ws, [*MEASURE, "--recipe", other], "Compare")


def _made(ws: Workspace, found: algorithms.Change) -> str:
    about = ws.manifest["parts"][algorithms.PART]
    named = ", ".join(
        f"{name} {hash_}: {write.percent(right)} of the validation images right"
        for name, hash_, right in zip(found.recipes, found.about["hashes"], found.about["accuracy"])
    )
    lds = found.about.get("lds")
    judged = f" LDS is on held-out halves trained by {found.recipes[0]}, which favours that recipe." if lds else ""
    return (
        f"{write.count(ws.n_val)} targets, 95 % over targets; {named}; {found.about['dim']} dimensions.{judged} "
        f"Influence of {write.percent(found.about['moved'], 0)} of the training images changed more between the "
        f"recipes than between the two sets of models, where {write.percent(0.5, 0)} would by chance. "
        f"Made {about.get('made', '')} by {about.get('command', '')}."
    )


def tables_html(found: algorithms.Change) -> list[str]:
    """How alike the scores are, between the recipes and between two sets of models of the first; and what each is
    worth, where there are held-out halves."""
    first, second = found.recipes
    about, body = found.about, ""
    for which, what in (("between", f"{first} and {second}"), ("within", f"{first}, two sets of models")):
        cells = "".join(
            f'<td class="n"><b>{_number(about[key][which]["mean"])}</b></td>'
            f"<td>{words.interval(about[key][which]['ci'], 3)}</td>"
            for key in ("spearman", "jaccard")
        )
        body += f"<tr><td>{write.escape(what)}</td>{cells}</tr>"
    tables = [
        words.framed(
            '<tr><th>TRAK of</th><th class="n">Spearman of all scores</th><th>95 %</th>'
            '<th class="n">Jaccard of the first 20</th><th>95 %</th></tr>',
            body,
        )
    ]
    if "lds" in about:
        rows = "".join(
            f'<tr><td>{write.escape(name)}</td><td class="n"><b>{_number(one["lds"])}</b></td>'
            f"<td>{words.interval(one['ci'], 3)}</td></tr>"
            for name, one in about["lds"].items()
        )
        tables.append(words.framed('<tr><th>recipe</th><th class="n">LDS</th><th>95 %</th></tr>', rows))
    return tables


def _number(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")


def _target(ws: Workspace, found: algorithms.Change) -> None:
    """One target's most helpful images under both, and what rose and fell most."""
    first, second = found.recipes
    st.markdown("##### One target under both")
    st.caption(
        write.plain(
            f"Beneath an image its standardised score, {first} → {second}. Click one to see the target's lineup."
        )
    )
    target = st.number_input("Target", 0, ws.n_val - 1, key=state.TARGET, bind="query-params", width=130)
    label = int(ws.val_labels[target])
    heads = {"first": first, "second": second, "risen": "risen most", "fallen": "fallen most"}
    shown = sorted({int(image) for image in found.ids[target].ravel()})
    places, rows = {image: at for at, image in enumerate(shown)}, []
    for at, name in enumerate(algorithms.LISTS):
        ids, scores = found.ids[target, at], found.scores[target, at]
        given = ws.train_labels[ids]
        texts = [
            f"training image {image}, {ws.classes[c]}, {first} {a:+.1f}, {second} {b:+.1f} standard deviations"
            for image, c, (a, b) in zip(ids, given, scores)
        ]
        marks = [f"≠ {ws.classes[c]}" if c != label else None for c in given]
        rows.append(
            {
                "id": name,
                "name": heads[name],
                "label": f"{heads[name]}: {ABOUT[name]}",
                "notes": [ABOUT[name]],
                "tiles": tiles(
                    places, ids, texts, mark=marks, score=[f"{a:.1f} → {b:.1f}".replace("-", "−") for a, b in scores]
                ),
            }
        )
    scale, name = atlas.scale(ws), write.escape(ws.classes[label])
    with st.container(horizontal=True, vertical_alignment="top", gap="small"):
        st.html(
            f'<div class="lu-card"><img src="{atlas.picture(ws, "val", target)}" '
            f'width="{scale * ws.val_images.shape[2]}" alt="validation image {target}, {name}">'
            f'<div class="name">{name}</div><div class="lu-faint">validation image {target}</div></div>',
            width=150,
        )
        with st.container():
            strip(
                "algorithms target",
                {
                    "layout": "rows",
                    "of": target,
                    "rows": rows,
                    "selected": None,
                    "scale": scale,
                    "pitch": 70,
                    "zoom": 5 if scale > 1 else 2,
                    "atlas": atlas.atlas(ws, "train", shown),
                },
                on_pick=lambda tile: _go(target),
            )


def _most(ws: Workspace, found: algorithms.Change) -> None:
    st.caption(
        "Root mean square change of the standardised score over all targets, those first that are furthest "
        "above their noise."
    )
    ids = algorithms.most_changed(found, MOST)
    texts = [
        f"training image {image}, {ws.classes[ws.train_labels[image]]}, change {found.change[image]:.2f}, noise "
        f"{found.noise[image]:.2f}"
        for image in ids
    ]
    places = {image: at for at, image in enumerate(sorted(ids))}
    strip(
        "algorithms most",
        {
            "layout": "line",
            "scale": atlas.scale(ws),
            "zoom": 5,
            "pitch": 84,
            "selected": None,
            "atlas": atlas.atlas(ws, "train", sorted(ids)),
            "rows": [
                {
                    "id": "most",
                    "label": "training images whose influence changed most, most first",
                    "tiles": tiles(
                        places,
                        ids,
                        texts,
                        caption=[ws.classes[ws.train_labels[image]] for image in ids],
                        mark=[f"{found.change[image]:.2f}" for image in ids],
                    ),
                }
            ],
        },
    )


def chart(ws: Workspace, found: algorithms.Change) -> go.Figure:
    """A point a training image (evenly taken where there are many): noise across, change up, and where both are one."""
    step = -(-len(found.change) // POINTS)
    ids = range(0, len(found.change), step)
    noise, change = found.noise[::step], found.change[::step]
    most = float(max(noise.max(), change.max()))
    drawn = go.Figure()
    drawn.add_scattergl(
        x=noise,
        y=change,
        mode="markers",
        name="training image",
        showlegend=False,
        marker={"color": palette.HELPFUL, "size": 5, "opacity": 0.45},
        customdata=[f"image {image}, {write.escape(ws.classes[ws.train_labels[image]])}" for image in ids],
        hovertemplate="%{customdata}: change %{y:.2f}, noise %{x:.2f}<extra></extra>",
    )
    drawn.add_scatter(
        x=[0, most],
        y=[0, most],
        mode="lines",
        name="as much as between two sets of models",
        hoverinfo="skip",
        line={"color": "#808080", "dash": "dot", "width": 1.5},
    )
    drawn.update_layout(
        height=380,
        margin={"l": 8, "r": 8, "t": 48, "b": 8},
        legend={"orientation": "h", "y": 1.14},
        xaxis={"title": f"change between two sets of {found.recipes[0]} models", "rangemode": "tozero"},
        yaxis={"title": "change between the recipes", "rangemode": "tozero"},
    )
    return drawn


def to_csv(ws: Workspace, found: algorithms.Change) -> str:
    """A row a training image."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["image", "label", "change", "noise", "first_recipe", "second_recipe", "models", "targets"])
    for image, (change, noise) in enumerate(zip(found.change, found.noise)):
        writer.writerow(
            [
                image,
                ws.classes[ws.train_labels[image]],
                f"{change:.4f}",
                f"{noise:.4f}",
                *found.recipes,
                found.about["models"],
                ws.n_val,
            ]
        )
    return out.getvalue()


def _go(target: int) -> None:
    state_of[state.GO_TO] = target
