"""Supports: how few training images decide predictions, as CDFs, with the table behind them and LDS beside them."""

import numpy as np
import streamlit as st

from attribution import UserError, Workspace, recipes, studies
from attribution.lineup import default_rankings
from attribution.measure import measured_lds
from attribution.store import Store
from attribution.support import CONFIRM_SEEDS, SEEDS
from attribution.supports import protocols, usual_protocol
from pages.explore.rows import wall_data
from pages.methods import asking, orthogonality, prune, transfer, words
from pages.methods.chart import cdfs
from pages.ui import atlas, command, figures, look, state
from pages.ui import format as write
from pages.ui.strip import strip

#: the chart's one button: the picture as a file, drawn by the browser
PICTURE = {
    "modeBarButtons": [["toImage"]],
    "displayModeBar": True,
    "displaylogo": False,
    "toImageButtonOptions": {"format": "svg", "filename": "support-cdfs"},
}
UNSTABLE = {True: "24 trainings did not settle them", False: "fresh seeds changed a verdict"}  # by: adaptive?
SHOWN = 8  # rankings, beyond which they are chosen
UNDER_WAY = 20  # studies whose progress is looked at, at most
STATUSES = ("flipped", "unstable", "censored", "already_wrong")
OF_REPAIR = ("repaired", "unstable", "censored", "already_right")
state_of = st.session_state


def draw(ws: Workspace) -> None:
    try:
        found, lds = _study(ws), measured_lds(ws)
    except UserError as error:
        st.error(write.sentence(error))
        return
    st.header(
        "How few training images decide a prediction?"
        if found.tables or not lds
        else "How well does a ranking foretell what retraining does?",
        anchor=False,
    )
    if state.ERROR in state_of:
        st.error(write.sentence(state_of.pop(state.ERROR)))
    if not found.tables:
        _no_study(ws, found, lds)
        return
    found = _chosen(ws, found)
    if not found.tables:
        st.info("No ranking is chosen. Choose one or more.")
        return
    measured = _measured(found, found.version)
    st.caption(
        write.plain(
            "A support is the shortest tested prefix of a ranking whose removal (or relabelling) flips a target. The curve "
            "is the share of targets flipped by k: the higher, the better the ranking finds the images that matter."
            + (
                " A repair removes the most harmful images until a target that is wrong is right: other targets, a curve of "
                "its own."
                if "repair" in found.tables
                else ""
            )
        )
    )
    selected = state_of.get("cdfs")
    asking.progress(ws, found, bool(selected and selected.selection.points))
    picked = st.plotly_chart(
        _figure(found, found.version),
        key="cdfs",
        on_select="rerun",
        selection_mode=("points", "box"),
        config=PICTURE,
        alt="support curves of each ranking; the table below has their numbers",
    )
    _caption(ws, found, measured, lds)
    _table(measured, lds, found.k_max)
    note = words.few(measured)
    if note:
        st.caption(write.plain(note))
    _take_away(ws, found, measured, lds)
    _targets(ws, found, [point["customdata"] for point in picked.selection.points if point.get("customdata")])
    st.markdown("##### Ranking against ranking, on the same targets")
    for kind in measured:
        if measured[kind]["pairs"]:
            st.caption(words.KINDS[kind])
            st.html(words.pairs_html(measured[kind]["pairs"]))
    orthogonality.section(ws, found)
    _further(ws)


# -- reading; cached so that the chart is the same object, or a selection in it would be lost


def _study(ws: Workspace) -> studies.Study:
    """Of the protocol that is chosen, where there is a choice. Read anew when an answer or a study has come in, or the
    study under way has come further."""
    store = Store.of(ws)
    try:
        file = ws.path / "supports.parquet"
        shipped = file.stat().st_mtime if file.exists() else None
        under_way = tuple((job.id, job.state, job.done) for job in store.studies(UNDER_WAY) if not job.ended)
        stamp = (shipped, store.stamp_of_supports(), store.newest_job(), under_way)
        found = _read(ws, store, str(ws.path), stamp)
    finally:
        store.close()
    some = [protocol for protocol, one in found.items() if one.tables]
    if len(some) < 2:
        return found[some[0] if some else usual_protocol(ws)]
    chosen = st.segmented_control(
        "Protocol",
        some,
        required=True,
        key=state.STUDY_PROTOCOL,
        bind="query-params",
        default=some[0],
        help="How a support was searched for; README has what each does. Studies of different protocols stand apart.",
    )
    return found[chosen]


def _chosen(ws: Workspace, found: studies.Study) -> studies.Study:
    """The rankings that are chosen, where there are more than a chart can hold."""
    names = list(dict.fromkeys(name for table in found.tables.values() for name in table))
    if len(names) <= SHOWN:
        return found
    usual = [name for name in names if name in default_rankings(ws)] or names[:SHOWN]
    kept = st.pills("Rankings studied", names, default=usual, selection_mode="multi", key=state.STUDIED)
    return studies.only(found, kept)


@st.cache_resource(max_entries=8, show_spinner=False)
def _read(_ws, _store, path: str, stamp: tuple) -> dict[str, studies.Study]:
    """Protocol -> its study, the workspace's usual one first."""
    usual = usual_protocol(_ws)
    others = [protocol for protocol in protocols(_ws, _store) if protocol != usual]
    return {protocol: studies.study(_ws, _store, protocol) for protocol in (usual, *others)}


@st.cache_resource(max_entries=4, show_spinner="Comparing the rankings")
def _measured(_found, version: str) -> dict:
    return studies.evaluate(_found)


@st.cache_resource(max_entries=4, show_spinner=False)
def _figure(_found, version: str):
    return cdfs(_found)


# -- drawing


def _no_study(ws: Workspace, found: studies.Study, lds: dict | None) -> None:
    """What is known without a study: LDS, if there is any; and how to get one."""
    if lds:
        st.caption(
            write.plain(
                "LDS, the linear datamodeling score: the rank correlation of how sure models are that were trained on "
                "random halves of the images, with how sure they should be by a ranking's scores, averaged over targets."
            )
        )
        st.html(words.table_html({}, lds, found.k_max))
        st.caption(write.plain(words.lds_made(lds)))
        _take_away(ws, found, {}, lds)
    if ws.has_base:
        st.info(
            "No study has been made in this workspace yet. Ask for one here; the curves appear as its searches finish."
        )
        asking.form(ws, found)
        _further(ws)
        return
    with st.container(width=760):
        look.train_first(
            ws,
            "Support curves compare rankings by how few images change a prediction, and no model has "
            "been trained here yet.",
        )


def _further(ws: Workspace) -> None:
    """What else retraining tells of rankings; nothing where no model was trained yet."""
    if not ws.has_base:
        return
    store = Store.of(ws)
    try:
        transfer.section(ws, store)
        prune.section(ws, store)
    except UserError as error:
        st.error(write.sentence(error))
    finally:
        store.close()


def _table(measured: dict, lds: dict | None, k_max: int) -> None:
    """The rankings that were studied; what else has LDS stands behind a click."""
    studied = {name for kind in measured.values() for name in kind["rankings"]}
    scored = (lds or {}).get("rankings", {})
    others = {name: one for name, one in scored.items() if name not in studied}
    kept = lds and {**lds, "rankings": {name: one for name, one in scored.items() if name in studied}}
    st.html(words.table_html(measured, kept, k_max))
    if others:
        with st.expander(
            f"LDS of {len(others)} more ranking{'s' * (len(others) > 1)}, whose supports were not studied here"
        ):
            st.html(words.table_html({}, {**lds, "rankings": others}, k_max))


def _caption(ws: Workspace, found: studies.Study, measured: dict, lds: dict | None) -> None:
    recipe = recipes.get(ws.recipe)
    lines = [". ".join(words.counts(kind, measured[kind]["rankings"]) for kind in measured) + "."]
    fresh = f", confirmed with {CONFIRM_SEEDS[0]} to {CONFIRM_SEEDS[-1]}" if found.protocol == "default" else ""
    lines.append(
        f"Recipe {recipe.name} {recipe.hash}; protocol {found.protocol}, K = {found.k_max}; seeds {SEEDS[0]} "
        f"to {SEEDS[-1]}{fresh}. Each method as published: similarity and random rank images of "
        f"the target's class only. Open markers are unstable: {UNSTABLE[found.protocol == 'adaptive']}."
    )
    if lds:
        lines.append(words.lds_made(lds))
    if ws.planted:
        lines.append(f"Labels are as given, with {ws.planted} planted errors.")
    st.caption(write.plain(" ".join(lines)))


def _take_away(ws: Workspace, found: studies.Study, measured: dict, lds: dict | None) -> None:
    recipe = recipes.get(ws.recipe)
    about = {
        "K": found.k_max,
        "protocol": found.protocol,
        "recipe": recipe.name,
        "recipe_hash": recipe.hash,
        "planted_errors": ws.planted,
    }
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Table as CSV",
            data=words.to_csv(measured, lds, about),
            file_name="supports.csv" if measured else "lds.csv",
            on_click="ignore",
            icon=":material/download:",
        )
        if measured:
            st.download_button(
                "Curves as CSV",
                data=words.curves_csv(found, about),
                file_name="support-cdfs.csv",
                on_click="ignore",
                icon=":material/download:",
            )
        if measured:
            figures.popover(ws, "supports", **words.of_study(found))
        with st.popover("Copy command", icon=":material/terminal:"):
            of = words.of_study(found)
            study = ["supports", "--protocol", of["protocol"], "--rankings", ",".join(of["rankings"])]
            for verb in (*([study] if measured else []), *([["lds"]] if lds else [])):
                st.code(command.line(ws, "evaluate", *verb, "--json"), language="bash", wrap_lines=True)
        if measured:
            with st.popover("Run a study", icon=":material/science:"):
                asking.form(ws, found)


def _targets(ws: Workspace, found: studies.Study, picked: list) -> None:
    """The targets selected in the chart, else those of a ranking and an outcome; each leads to its lineup."""
    st.markdown("##### Targets")
    if picked:
        rows = sorted({(kind, ranking, int(target)) for kind, ranking, target in picked})
        st.caption(f"{len(rows)} selected in the chart; double-click it to let go. Choose one to see its lineup.")
    else:
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            kind = st.segmented_control("Kind", list(found.tables), default=next(iter(found.tables)), required=True)
            ranking = st.selectbox("Ranking", list(found.tables[kind]), width=190)
            statuses = OF_REPAIR if kind == "repair" else STATUSES
            outcomes = {
                status: [
                    target for target, one in found.tables[kind][ranking].items() if studies.status_of(one) == status
                ]
                for status in statuses
            }
            first = next((status for status in statuses if outcomes[status]), statuses[0])
            status = st.segmented_control(
                "Outcome",
                statuses,
                default=first,
                required=True,
                key=f"outcome {kind} {ranking}",
                format_func=lambda s: f"{s.replace('_', ' ')} {len(outcomes[s])}",
            )
        rows = [(kind, ranking, target) for target in outcomes[status]]
        st.caption("Choose one to see its lineup, or click a step or draw a box in the chart.")
    if not rows:
        st.caption("None.")
        return
    best: dict[int, list] = {}
    for kind, ranking, target in rows:
        best.setdefault(target, []).append((found.tables[kind][ranking][target].support or 10**6, ranking))
    ids = np.array(sorted(best, key=lambda target: min(best[target])))
    data = wall_data(ws, ids, atlas.atlas(ws, "val", ids), None, True, atlas.scale(ws))
    for tile in data["rows"][0]["tiles"]:
        support, ranking = min(best[tile["id"]])
        size = f"support {support}" if support < 10**6 else "no support"
        tile["caption"], tile["text"] = f"{size}", f"{tile['text']}, {size} under {ranking}"
    strip("study targets", data, on_pick=_go)


def _go(tile: dict) -> None:
    state_of[state.GO_TO] = tile["id"]
