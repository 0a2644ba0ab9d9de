"""Features: what each feature set is good for, and what it takes for alike."""

import numpy as np
import streamlit as st

from attribution import Workspace
from attribution.evaluation import cost
from attribution.rankings.similarity import METHODS
from pages.compare import auc_columns, tab_frame
from pages.compare.costs.ranking_cost import build_time
from pages.ui import format as write
from pages.ui import state, tables, theme
from pages.ui.tables import Column
from pages.ui.tile_strip import tiles

METHODS_NOTE = (
    "How well rankings by similarity do in each feature set. ESVM: exemplar SVM; L2, Cosine: nearest first; "
    "Ridge: the inner product, whitened, as influence in a linear model; Signed cosine: images of other classes are "
    "harmful, a heuristic."
)
N_TARGETS = 3
N_NEAREST = 12
#: values of a feature set beyond which it is not looked through for neighbours while somebody waits
MAX_VALUES = 500_000_000


def draw(ws: Workspace) -> None:
    """Draws the tab."""
    tab_frame.header("Which feature set gives the best rankings?")
    if not ws.features():
        st.info("There is no feature set yet. Train one here, or bring your own: similarity rankings rest on it.")
        tab_frame.command_line(ws, "features", "train", "moco")
        return
    lds, supports = tab_frame.from_store(ws, cost.PART, cost.lds_and_feature_aucs)
    rows = cost.feature_rows(ws, lds, supports)
    tab_frame.caption(METHODS_NOTE)
    st.html(table_html(rows, supports))
    tab_frame.caption(_basis(rows, lds, supports))
    tab_frame.download_line(ws, {"features.csv": ("Table as CSV", to_csv(rows))}, figure="features")
    _draw_neighbours(ws)


def _measured_methods(rows: list[dict], key: str) -> list[str]:
    """The methods of which any feature set has a value."""
    return [method for method in METHODS if any(method in row[key] for row in rows)]


def table_html(rows: list[dict], supports: dict) -> str:
    """A row for each feature set; a column for each method that was measured in any."""
    auc = auc_columns.title(supports, "remove") if "remove" in supports else ""
    groups = {"lds": ("LDS (95 %)", "ci", 3), "auc": (f"{auc} (95 %)", "auc_ci", 2)}
    methods = {key: _measured_methods(rows, key) for key in groups}
    columns = [Column("features"), Column("dimensions", "n"), Column("build time", "n"), Column("kNN accuracy", "n")]
    help = {"lds": tables.LDS_HELP, "auc": auc_columns.AUC_HELP}
    columns += [Column(METHODS[method].method, "first", help[key]) for key in groups for method in methods[key]]
    body = []
    for row in rows:
        accuracy = "–" if row["knn_accuracy"] is None else write.percent(row["knn_accuracy"])
        cells = [write.escape(row["features"]), row["dim"] or "–", build_time(row["seconds"]), f"<b>{accuracy}</b>"]
        for key, (_, interval, digits) in groups.items():
            cells += [_value_cell(row[key].get(method, {}), key, interval, digits) for method in methods[key]]
        body.append(cells)
    above = [("", 4), *((title, len(methods[key])) for key, (title, *_) in groups.items() if methods[key])]
    return tables.table_html(columns, body, above)


def _value_cell(measured: dict, key: str, interval: str, digits: int) -> str:
    return tables.stacked(measured.get(key), measured.get(interval), digits)


def _basis(rows: list[dict], lds: dict | None, supports: dict) -> str:
    measured = sorted({row["measured_on"] for row in rows if row["measured_on"]})
    sentences = [f"kNN accuracy on {', '.join(measured)}." if measured else "kNN accuracy was not measured."]
    if lds and _measured_methods(rows, "lds"):
        ceiling = f", noise ceiling {lds['ceiling']:.3f}" if lds.get("ceiling") is not None else ""
        sentences.append(f"LDS over {tab_frame.held_out_halves(lds)}{ceiling}.")
    if any(row["auc"] for row in rows):
        sentences += auc_columns.sentences({"remove": supports["remove"]})
    return " ".join(sentences)


def to_csv(rows: list[dict]) -> str:
    """A row for each feature set and method."""
    lines = []
    for row in rows:
        about = {key: row[key] for key in ("features", "dim", "seconds", "knn_accuracy", "measured_on")}
        for method in METHODS:
            lds, auc = row["lds"].get(method, {}), row["auc"].get(method, {})
            scores = {"lds": lds.get("lds"), **tables.low_high(lds.get("ci"), "lds")}
            areas = {"auc": auc.get("auc"), **tables.low_high(auc.get("auc_ci"), "auc"), "auc_n": auc.get("n")}
            lines.append({**about, "method": method, **scores, **areas})
    return tables.to_csv(lines)


# -- what they take for alike


def _draw_neighbours(ws: Workspace) -> None:
    """A few targets, and the nearest training images of any class in every feature set."""
    tab_frame.section("Nearest training images, of any class")
    names = [name for name in ws.features() if _is_quick(ws, name)]
    if not names:
        st.caption("These sets are too large to be looked through here.")
        return
    order = np.random.default_rng(0).permutation(ws.n_val)
    first = st.session_state.get(state.FEATURE_TARGETS, 0) % len(order)
    for target in np.roll(order, -first)[: min(N_TARGETS, len(order))].tolist():
        _neighbour_rows(ws, target, names)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Other targets",
            key="other targets",
            icon=":material/refresh:",
            on_click=_show_targets_from,
            args=(first + N_TARGETS,),
        )
        st.caption("Drawn at random. L2 distance, nearest first; click an image to open the target in Debug.")


def _is_quick(ws: Workspace, name: str) -> bool:
    """Whether a feature set is small enough to be looked through at once."""
    dim = ws.manifest["parts"][f"features/{name}"].get("dim")
    if name == "pixels":
        if ws.manifest["dataset"].get("images"):
            return False  # read in place: they would all have to be decoded
        dim = dim or int(np.prod(ws.val_images.shape[1:]))
    return ws.n_train * (dim or ws.feature(name).train.shape[1]) <= MAX_VALUES


def _neighbour_rows(ws: Workspace, target: int, names: list[str]) -> None:
    nearest = {name: _nearest_images(ws, theme.cache_key(ws), name, target) for name in names}
    label = int(ws.val_labels[target])
    shown = np.unique(np.concatenate(list(nearest.values())))
    places, rows = {int(image): place for place, image in enumerate(shown)}, []
    for name, ids in nearest.items():
        labels = ws.train_labels[ids]
        texts = [f"training image {image}, {ws.classes[c]}" for image, c in zip(ids, labels)]
        marks = [f"label: {ws.classes[c]}" if c != label else None for c in labels]
        rows.append(
            {
                "id": name,
                "name": name,
                "label": f"nearest in {name}, nearest first",
                "notes": [f"{write.share(int((labels == label).sum()), len(ids))} same class"],
                "tiles": tiles(places, ids, texts, mark=marks),
            }
        )
    tab_frame.target_rows(ws, f"neighbours {target}", target, rows, shown)


@st.cache_data(max_entries=200, show_spinner=False)
def _nearest_images(_ws, stamp: str, name: str, target: int) -> np.ndarray:
    return _ws.ranking(f"l2-{name}").top(target, N_NEAREST, "all").ids


def _show_targets_from(place: int) -> None:
    st.session_state[state.FEATURE_TARGETS] = place
