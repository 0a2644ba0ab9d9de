"""What the map draws: which points, where, in which colours, and what its legend says."""

import base64

import numpy as np

from attribution import UserError, Workspace
from attribution.audit import detectors
from attribution.export import palette
from attribution.features.projection import Projection
from attribution.metrics.label_detection import suspicion_order
from pages.ui import sprite_sheet

#: training and validation images that are drawn at most: a random sample of them
MAX_POINTS = {"train": 10_000, "val": 2_000}
#: Paul Tol's muted set, told apart by everyone; a tenth class is grey. Names stand on the map as well.
COLOURS = ("#CC6677", "#6A5ACD", "#C9AF45", "#117733", "#56A9D6", "#882255", "#44AA99", "#999933", "#AA4499", "#8C8C8C")
GREY = "#8C8C8C"
#: from least to most suspicious, fifths of the training images but for the last two
SUSPICION = (("the least suspicious half", "#B9C4CC"), ("50 to 80 %", "#E0C36A"), ("80 to 95 %", "#E08A3C"),
             ("the most suspicious 5 %", "#A8201A"))  # fmt: skip
SHARES = (0.5, 0.8, 0.95)
#: what points can be coloured by
BY = ("class", "error", "suspicion")
GRID = 65535  # places are whole numbers up to it


def points_shown(n: int, most: int, keep=()) -> np.ndarray:
    """Which of n images are drawn: all, or a random sample of `most` with those of `keep`; int64 ascending."""
    if n <= most:
        return np.arange(n)
    return np.union1d(np.random.default_rng(0).permutation(n)[:most], np.asarray(keep, np.int64))


def has_class_colours(ws: Workspace) -> bool:
    """Whether every class has a colour of its own."""
    return len(ws.classes) <= len(COLOURS)


def colourings(ws: Workspace) -> list[str]:
    """What the points of a workspace can be coloured by."""
    return [by for by in BY if by == "class" or (ws.has_base if by == "error" else bool(detectors.names(ws)))]


def map_data(
    ws: Workspace,
    points: Projection,
    by: str,
    targets: np.ndarray,
    target: int,
    marked: np.ndarray,
    marked_text: str,
    harmful: bool,
) -> dict:
    """Data of the component (assets/target_map.js). Training images, and the validation images `targets`, those that
    the filters leave, with the open one. marked: training images in a square, named `marked_text`."""
    train = points_shown(ws.n_train, MAX_POINTS["train"], marked)
    val = targets[points_shown(len(targets), MAX_POINTS["val"])] if len(targets) else targets
    train_codes, val_codes, legend = colours(ws, by, int(ws.val_labels[target]))
    predicted = ws.base.prediction if ws.has_base else ws.val_labels
    return {
        "tiles": sprite_sheet.image_folder(ws),
        "classes": ws.classes,
        "legend": legend,
        "by": by,
        "train": _points(train, points.train, train_codes, ws.train_labels, ws.train_labels),
        "val": _points(np.asarray(val), points.val, val_codes, ws.val_labels, predicted),
        "target": {"id": target, "place": _grid(np.asarray(points.val[[target]])).tolist()[0]},
        "marked": {
            "ids": marked.tolist(),
            "places": _grid(np.asarray(points.train[marked])).tolist(),
            "text": marked_text,
            "colour": palette.HARMFUL if harmful else palette.HELPFUL,
            "dashed": harmful,
        },
        "names": _class_names(ws, points) if by == "class" and has_class_colours(ws) else [],
    }


def colours(ws: Workspace, by: str, label: int) -> tuple[np.ndarray, np.ndarray, list[dict]]:
    """(code of each training image, of each validation image, the legend: name and colour of each code)."""
    if by == "error":
        wrong = (ws.base.prediction != ws.val_labels).astype(int)
        legend = [("training images", GREY), ("predicted right", palette.HELPFUL), ("predicted wrong", palette.HARMFUL)]
        return np.zeros(ws.n_train, int), 1 + wrong, _legend(legend)
    if by == "suspicion":
        name = detectors.default_detector(ws)
        share = np.empty(ws.n_train)
        share[suspicion_order(detectors.load(ws, name).scores)[::-1]] = np.arange(ws.n_train) / ws.n_train
        codes = np.searchsorted(SHARES, share, side="right")
        return codes, np.full(ws.n_val, len(SUSPICION)), _legend([*SUSPICION, ("validation images", GREY)])
    if has_class_colours(ws):
        return ws.train_labels, ws.val_labels, _legend(list(zip(ws.classes, COLOURS)))
    legend = [("other classes", GREY), (ws.classes[label], palette.HIGHLIGHT)]
    return (ws.train_labels == label) * 1, (ws.val_labels == label) * 1, _legend(legend)


def _legend(pairs) -> list[dict]:
    return [{"name": name, "colour": colour} for name, colour in pairs]


def _class_names(ws: Workspace, points: Projection) -> list[dict]:
    """The names of the classes, at the median of their points."""
    named = []
    for c, name in enumerate(ws.classes):
        of_class = np.asarray(points.train, np.float32)[ws.train_labels == c]
        if len(of_class):
            named.append({"text": name, "place": _grid(np.median(of_class, axis=0)[None]).tolist()[0]})
    return named


def _points(ids: np.ndarray, places, codes, labels, predicted) -> dict:
    """Arrays of points as text: a component's data is JSON, and ten thousand numbers in it take long."""
    place = _grid(np.asarray(places)[ids])
    arrays = {"x": place[:, 0], "y": place[:, 1], "code": codes[ids], "label": labels[ids], "predicted": predicted[ids]}
    coded = {name: base64.b64encode(np.asarray(a).astype("<u2").tobytes()).decode() for name, a in arrays.items()}
    return coded | {"id": base64.b64encode(ids.astype("<u4").tobytes()).decode(), "n": len(ids)}


def _grid(places: np.ndarray) -> np.ndarray:
    """Places within [-1, 1], y upwards, as whole numbers from 0 to GRID, y downwards. The range is that of every map,
    so that no choice of points moves them."""
    places = np.clip(np.asarray(places, np.float32).reshape(-1, 2) * [1, -1], -1.05, 1.05)
    return np.round((places + 1.05) / 2.1 * GRID).astype(int)


def from_grid(corners) -> np.ndarray:
    """Corners of a lasso as the component says them, in the map's own places. Raises UserError for what is none."""
    try:
        places = np.array(corners, np.float64).reshape(-1, 2)
    except (TypeError, ValueError):
        raise UserError("a lasso needs corners") from None
    return (places / GRID * 2.1 - 1.05) * [1, -1]
