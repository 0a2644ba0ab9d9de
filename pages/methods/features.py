"""Features: what each feature set is good for, and what it takes for alike."""

import csv
import io

import numpy as np
import streamlit as st

from attribution import UserError, Workspace, cost
from attribution.rankings.similarity import METHODS
from attribution.store import Store
from pages.methods import words
from pages.methods.cost import build_text, worth
from pages.ui import cli_command, downloads, sprite_sheet, state, theme
from pages.ui import format as write
from pages.ui.tile_strip import strip, tiles

ABOUT = (
    "What rankings by likeness in each feature set are worth. esvm: an exemplar SVM; l2, cosine: nearest first; "
    "ridge: the inner product, whitened, as influence in a linear model; signed: cosine, with images of other "
    "classes as harmful, a heuristic."
)
TARGETS = 3
NEAREST = 12
#: values of a feature set beyond which it is not looked through for neighbours while somebody waits
MOST = 500_000_000
state_of = st.session_state


def draw(ws: Workspace) -> None:
    st.header("Which features are worth having?", anchor=False)
    names = ws.features()
    if not names:
        st.info("There is no feature set yet. Train one here, or bring your own: similarity rankings rest on it.")
        st.code(cli_command.line(ws, "features", "train", "moco"), language="bash", wrap_lines=True)
        return
    try:
        store = Store.of(ws)
        try:
            lds, supports = worth(ws, store, theme.cache_key(ws), (store.stamp_of_supports(), store.newest_job()))
        finally:
            store.close()
        rows = cost.of_features(ws, lds, supports)
        st.caption(write.plain(ABOUT))
        st.html(table_html(rows))
        _caption(rows, lds, supports)
        with st.container(horizontal=True, gap="small"):
            st.download_button(
                "Table as CSV",
                data=to_csv(rows),
                file_name="features.csv",
                on_click="ignore",
                icon=":material/download:",
            )
            downloads.figure_popover(ws, "features")
        _neighbours(ws)
    except UserError as error:
        st.error(write.sentence(error))


def _shown(rows: list[dict], key: str) -> list[str]:
    """The methods of which any feature set has a value."""
    return [method for method in METHODS if any(method in row[key] for row in rows)]


def table_html(rows: list[dict]) -> str:
    """A row for each feature set; a column for each method that was measured in any."""
    scored, searched = _shown(rows, "lds"), _shown(rows, "auc")
    groups = "".join(
        f'<th colspan="{len(methods)}" class="group">{title}</th>'
        for title, methods in (("LDS (95 %)", scored), ("removal AUC (95 %)", searched))
        if methods
    )
    heads = "".join(f'<th class="first">{method}</th>' for method in [*scored, *searched])
    body = ""
    for row in rows:
        accuracy = "–" if row["knn_accuracy"] is None else write.percent(row["knn_accuracy"])
        body += (
            f'<tr><td>{write.escape(row["features"])}</td><td class="n">{row["dim"] or "–"}</td>'
            f'<td class="n">{build_text(row["seconds"])}</td><td class="n"><b>{accuracy}</b></td>'
        )
        body += "".join(_cell(row["lds"].get(method), "lds", "ci", 3) for method in scored)
        body += "".join(_cell(row["auc"].get(method), "auc", "auc_ci", 2) for method in searched) + "</tr>"
    return words.framed(
        f'<tr><th colspan="4"></th>{groups}</tr><tr><th>features</th><th class="n">dimensions</th>'
        f'<th class="n">training</th><th class="n">kNN accuracy</th>{heads}</tr>',
        body,
    )


def _cell(one: dict | None, key: str, ci: str, digits: int) -> str:
    if not one:
        return '<td class="first">–</td>'
    ends = f'<br><span class="lu-faint">{words.interval(one[ci], digits)}</span>' if one[ci] else ""
    return f'<td class="first"><b>{one[key]:.{digits}f}</b>{ends}</td>'


def _caption(rows: list[dict], lds: dict | None, supports: dict) -> None:
    measured = sorted({row["measured_on"] for row in rows if row["measured_on"]})
    lines = [f"kNN accuracy on {', '.join(measured)}." if measured else "kNN accuracy was not measured."]
    if lds and _shown(rows, "lds"):
        ceiling = f", noise ceiling {lds['ceiling']:.3f}" if lds.get("ceiling") is not None else ""
        lines.append(words.lds_made(lds)[:-1] + ceiling + ".")
    if any(row["auc"] for row in rows):
        lines += words.side_by_side({"remove": supports["remove"]})
    st.caption(write.plain(" ".join(lines)))


def to_csv(rows: list[dict]) -> str:
    """A row for each feature set and method."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    about = ["features", "dim", "seconds", "knn_accuracy", "measured_on"]
    writer.writerow([*about, "method", "lds", "lds_low", "lds_high", "auc", "auc_low", "auc_high", "auc_n"])
    for row in rows:
        for method in METHODS:
            scored, searched = row["lds"].get(method, {}), row["auc"].get(method, {})
            writer.writerow(
                [
                    *(row[key] for key in about),
                    method,
                    scored.get("lds"),
                    *(scored.get("ci") or ("", "")),
                    searched.get("auc"),
                    *(searched.get("auc_ci") or ("", "")),
                    searched.get("n"),
                ]
            )
    return out.getvalue()


# -- what they take for alike


def _neighbours(ws: Workspace) -> None:
    """A few targets, and the nearest training images of any class in every feature set."""
    st.markdown("##### Nearest training images, of any class")
    names = [name for name in ws.features() if _quick(ws, name)]
    if not names:
        st.caption("These sets are too large to be looked through here.")
        return
    order = np.random.default_rng(0).permutation(ws.n_val)
    at = state_of.get(state.FEATURE_TARGETS, 0) % len(order)
    for target in np.roll(order, -at)[: min(TARGETS, len(order))].tolist():
        _one(ws, target, names)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button("Other targets", key="other targets", icon=":material/refresh:", on_click=_turn, args=(at + TARGETS,))
        st.caption("Drawn at random. L2 distance, nearest first; click an image to see the target's lineup.")


def _quick(ws: Workspace, name: str) -> bool:
    dim = ws.manifest["parts"][f"features/{name}"].get("dim")
    if name == "pixels":
        if ws.manifest["dataset"].get("images"):
            return False  # read in place: they would all have to be decoded
        dim = dim or int(np.prod(ws.val_images.shape[1:]))
    return ws.n_train * (dim or ws.feature(name).train.shape[1]) <= MOST


def _one(ws: Workspace, target: int, names: list[str]) -> None:
    near = {name: _nearest(ws, theme.cache_key(ws), name, target) for name in names}
    label = int(ws.val_labels[target])
    shown = np.unique(np.concatenate(list(near.values())))
    places, rows = {int(image): place for place, image in enumerate(shown)}, []
    for name, ids in near.items():
        given = ws.train_labels[ids]
        texts = [f"training image {image}, {ws.classes[c]}" for image, c in zip(ids, given)]
        marks = [f"≠ {ws.classes[c]}" if c != label else None for c in given]
        rows.append(
            {
                "id": name,
                "name": name,
                "label": f"nearest in {name}, nearest first",
                "notes": [f"{write.share(int((given == label).sum()), len(ids))} same class"],
                "tiles": tiles(places, ids, texts, mark=marks),
            }
        )
    scale, name = sprite_sheet.scale(ws), write.escape(ws.classes[label])
    with st.container(horizontal=True, vertical_alignment="top", gap="small"):
        st.html(
            f'<div class="lu-card"><img src="{sprite_sheet.image_url(ws, "val", target)}" '
            f'width="{scale * ws.val_images.shape[2]}" alt="validation image {target}, {name}">'
            f'<div class="name">{name}</div><div class="lu-faint">validation image {target}</div></div>',
            width=150,
        )
        with st.container():
            strip(
                f"neighbours {target}",
                {
                    "layout": "rows",
                    "of": target,
                    "rows": rows,
                    "selected": None,
                    "atlas": sprite_sheet.sheet(ws, "train", shown),
                    "scale": scale,
                    "zoom": 5 if scale > 1 else 2,
                },
                on_pick=lambda tile: _go(target),
            )


@st.cache_data(max_entries=200, show_spinner=False)
def _nearest(_ws, stamp: str, name: str, target: int) -> np.ndarray:
    return _ws.ranking(f"l2-{name}").top(target, NEAREST, "all").ids


def _turn(at: int) -> None:
    state_of[state.FEATURE_TARGETS] = at


def _go(target: int) -> None:
    state_of[state.GO_TO] = target
