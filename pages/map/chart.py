"""The map as a picture: what is drawn, in which colours, and what a point is."""

import numpy as np
import plotly.graph_objects as go

from attribution import Workspace
from attribution.export import palette
from attribution.features.projection import Projection
from pages.ui import format as write

#: training and validation images that are drawn at most: a random sample of them
MAX_POINTS = {"train": 10_000, "val": 2_000}
#: Paul Tol's muted set, told apart by everyone; a tenth class is grey. Names stand on the map as well.
COLOURS = ("#CC6677", "#6A5ACD", "#C9AF45", "#117733", "#56A9D6", "#882255", "#44AA99", "#999933", "#AA4499", "#8C8C8C")
GREY = "#8C8C8C"
#: of the names on the map, by whether the theme is dark
LABEL_STYLES = {
    False: {"font": {"size": 12, "color": "#111111"}, "bgcolor": "rgba(255,255,255,0.72)", "borderpad": 1},
    True: {"font": {"size": 12, "color": "#fafafa"}, "bgcolor": "rgba(20,20,20,0.72)", "borderpad": 1},
}


def points_shown(n: int, most: int, keep=()) -> np.ndarray:
    """Which of n images are drawn: all, or a random sample of `most` with those of `keep`; int64 ascending."""
    if n <= most:
        return np.arange(n)
    return np.union1d(np.random.default_rng(0).permutation(n)[:most], np.asarray(keep, np.int64))


def has_class_colours(ws: Workspace) -> bool:
    """Whether every class has a colour of its own."""
    return len(ws.classes) <= len(COLOURS)


def map_figure(
    ws: Workspace,
    points: Projection,
    target: int,
    ids: np.ndarray,
    harmful: bool,
    ranking: str,
    label: int | None,
    val: bool,
    dark: bool = False,
) -> go.Figure:
    """Training images by class, or those of class `label` alone where there are too many classes; validation images if
    `val`; the training images `ids`, a ranking's first or, if `harmful`, most harmful; and the target. dark: the theme.

    A point's customdata is ["train" or "val", image, what it is]."""
    chart = go.Figure()
    train, val_points = np.asarray(points.train, np.float32), np.asarray(points.val, np.float32)
    for name, colour, shown in _groups(ws, label):
        style = {"color": colour, "size": 5, "opacity": 0.55}
        _scatter(chart, ws, train, shown, "train", write.plotted(name), style)
    if val:
        style = {"color": GREY, "size": 5, "symbol": "diamond-open", "opacity": 0.8}
        _scatter(chart, ws, val_points, points_shown(ws.n_val, MAX_POINTS["val"]), "val", "validation images", style)
    if len(ids):
        colour = palette.HARMFUL if harmful else palette.HELPFUL
        name = f"{'most harmful' if harmful else 'first'} {len(ids)} of {write.plotted(ranking)}"
        style = {"color": "rgba(0,0,0,0)", "size": 12, "symbol": "square", "line": {"color": colour, "width": 2.5}}
        _scatter(chart, ws, train, ids, "train", name, style)
    style = {"color": palette.HIGHLIGHT, "size": 19, "symbol": "star", "line": {"color": "#000000", "width": 1.5}}
    _scatter(chart, ws, val_points, np.array([target]), "val", f"target {target}", style)
    if has_class_colours(ws):
        _name_classes(chart, ws, train, dark)
    x, y = np.asarray(points.val[target], float).tolist()
    chart.add_annotation(
        x=x, y=y, text=f"target {target}", ax=45, ay=-55, arrowwidth=1.5, arrowcolor=GREY, **LABEL_STYLES[dark]
    )
    hidden = {"showgrid": False, "zeroline": False, "showticklabels": False, "title": None}
    chart.update_xaxes(**hidden)
    chart.update_yaxes(**hidden, scaleanchor="x")
    chart.update_layout(
        height=640,
        margin={"l": 4, "r": 4, "t": 8, "b": 4},
        dragmode="lasso",
        hovermode="closest",
        legend={"itemsizing": "constant", "y": 0.94},
    )
    return chart


def _groups(ws: Workspace, label: int | None) -> list[tuple[str, str, np.ndarray]]:
    """(name, colour, training images) of what is drawn in one colour."""
    given, shown = ws.train_labels, points_shown(ws.n_train, MAX_POINTS["train"])
    if has_class_colours(ws):
        return [(name, COLOURS[c], shown[given[shown] == c]) for c, name in enumerate(ws.classes)]
    return [
        ("other classes", GREY, shown[given[shown] != label]),
        (ws.classes[label], palette.HIGHLIGHT, np.flatnonzero(given == label)[: MAX_POINTS["train"]]),
    ]


def _name_classes(chart: go.Figure, ws: Workspace, train: np.ndarray, dark: bool) -> None:
    """The names of the classes, at the median of their points."""
    for c, name in enumerate(ws.classes):
        of_class = train[ws.train_labels == c]
        if len(of_class):
            x, y = np.median(of_class, axis=0).tolist()
            chart.add_annotation(x=x, y=y, text=f"<b>{write.plotted(name)}</b>", showarrow=False, **LABEL_STYLES[dark])


def _scatter(
    chart: go.Figure, ws: Workspace, places: np.ndarray, ids: np.ndarray, split: str, name: str, marker: dict
) -> None:
    labels = ws.train_labels if split == "train" else ws.val_labels
    what = {"train": "training", "val": "validation"}[split]
    customdata = [[split, int(i), f"{what} image {i}, {write.plotted(ws.classes[labels[i]])}"] for i in ids]
    chart.add_scattergl(
        x=places[ids, 0],
        y=places[ids, 1],
        mode="markers",
        name=name,
        marker=marker,
        customdata=customdata,
        hovertemplate="%{customdata[2]}<extra></extra>",
    )
