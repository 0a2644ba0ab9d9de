"""Supports: how few training images decide predictions, as curves, with the table behind them and LDS beside them."""

import streamlit as st

from attribution import Workspace
from attribution.evaluation import lds_report, support_report
from attribution.experiments.study import Study, only_rankings, read_study
from attribution.experiments.support_search import seeds_text
from attribution.experiments.support_table import answered_protocols, default_protocol
from attribution.rankings import default_rankings
from attribution.store.results import ResultStore
from pages.compare import tab_frame
from pages.compare.lds import under_own_heads
from pages.compare.supports import adaptive, lds_vs_support, pruning, recipe_transfer, study_form, tables
from pages.compare.supports.curves import support_curves
from pages.ui import format as write
from pages.ui import state, theme

UNSTABLE = {True: "24 trainings did not settle them", False: "fresh seeds changed a verdict"}  # by: adaptive?
SHOWN = 8  # rankings, beyond which they are chosen
UNDER_WAY = 20  # studies whose progress is looked at, at most
STATUSES = ("flipped", "unstable", "censored", "already_wrong")
REPAIR_STATUSES = ("repaired", "unstable", "censored", "already_right")


def draw(ws: Workspace) -> None:
    """Draws the tab."""
    study, lds = _study(ws), lds_report.load(ws)
    if lds:
        lds |= {"own_heads": tab_frame.load_answer(ws, under_own_heads)}
    if not study.tables and lds:
        tab_frame.header("How well does a ranking foretell what retraining does?")
    else:
        tab_frame.header("How few training images decide a prediction?")
    if not study.tables:
        _without_study(ws, study, lds)
        return
    study = _chosen_rankings(ws, study)
    if not study.tables:
        st.info("No ranking is chosen. Choose one or more.")
        return
    evaluated = _evaluated(study, study.version)
    repair = (
        " A repair removes the most harmful images until a target that is wrong is right: other targets, a curve of "
        "its own."
    )
    tab_frame.caption(
        "A support is the shortest tested prefix of a ranking whose removal (or relabelling) flips a target. The "
        "curve is the share of targets flipped by k: the higher, the better the ranking finds the images that matter."
        + (repair if "repair" in study.tables else "")
    )
    selected = st.session_state.get("cdfs")
    study_form.progress(ws, study, bool(selected and selected.selection.points))
    picked = tab_frame.chart(
        _curves(study, study.version),
        "cdfs",
        "support curves of each ranking; the table below has their numbers",
        picture="support-cdfs",
        on_select="rerun",
        selection_mode=("points", "box"),
    )
    tab_frame.caption(_basis(ws, study, evaluated, lds))
    _table(evaluated, lds, study.k_max)
    note = tables.few_targets(evaluated)
    if note:
        tab_frame.caption(note)
    _downloads(ws, study, evaluated, lds)
    adaptive.section(ws)
    _targets(ws, study, [point["customdata"] for point in picked.selection.points if point.get("customdata")])
    tab_frame.section("Ranking against ranking, on the same targets")
    for kind in evaluated:
        if evaluated[kind]["pairs"]:
            st.caption(tables.KINDS[kind])
            st.html(tables.pairs_html(evaluated[kind]["pairs"]))
    lds_vs_support.section(ws, study)
    _further(ws)


# -- reading; cached so that the chart is the same object, or a selection in it would be lost


def _study(ws: Workspace) -> Study:
    """Of the protocol that is chosen, where there is a choice. Read anew when an answer or a study has come in, or the
    study under way has come further."""
    with ResultStore.for_workspace(ws) as store:
        file = ws.supports_file
        shipped = file.stat().st_mtime if file.exists() else None
        under_way = tuple((job.id, job.state, job.done) for job in store.studies(UNDER_WAY) if not job.has_ended)
        version = (shipped, store.supports_version(), store.newest_job(), under_way)
        by_protocol = _read(ws, store, f"{ws.path} {ws.recipe}", version)
    studied = [protocol for protocol, study in by_protocol.items() if study.tables]
    if len(studied) < 2:
        return by_protocol[studied[0] if studied else default_protocol(ws)]
    chosen = st.segmented_control(
        "Protocol",
        studied,
        required=True,
        key=state.STUDY_PROTOCOL,
        bind="query-params",
        default=studied[0],
        help="How a support was searched for; README has what each does. Studies of different protocols stand apart.",
    )
    return by_protocol[chosen]


def _chosen_rankings(ws: Workspace, study: Study) -> Study:
    """The rankings that are chosen, where there are more than a chart can hold."""
    names = tables.study_options(study)["rankings"]
    if len(names) <= SHOWN:
        return study
    usual = [name for name in names if name in default_rankings(ws)] or names[:SHOWN]
    chosen = st.pills("Rankings studied", names, default=usual, selection_mode="multi", key=state.STUDIED)
    return only_rankings(study, chosen)


@st.cache_resource(max_entries=8, show_spinner=False)
def _read(_ws, _store, path: str, version: tuple) -> dict[str, Study]:
    """Protocol -> its study, the workspace's usual one first."""
    usual = default_protocol(_ws)
    others = [protocol for protocol in answered_protocols(_ws, _store) if protocol != usual]
    return {protocol: read_study(_ws, _store, protocol) for protocol in (usual, *others)}


@st.cache_resource(max_entries=4, show_spinner="Comparing the rankings")
def _evaluated(_study, version: str) -> dict:
    return support_report.evaluate_study(_study)


@st.cache_resource(max_entries=4, show_spinner=False)
def _curves(_study, version: str):
    return support_curves(_study)


# -- drawing


def _without_study(ws: Workspace, study: Study, lds: dict | None) -> None:
    """What is known without a study: LDS, if there is any; and how to get one."""
    if lds:
        tab_frame.caption(
            "LDS, the linear datamodeling score: the rank correlation of how sure models are that were trained on "
            "random halves of the images, with how sure they should be by a ranking's scores, averaged over targets."
        )
        st.html(tables.table_html({}, lds, study.k_max))
        tab_frame.caption(f"LDS over {tab_frame.held_out_halves(lds)}.")
        _downloads(ws, study, {}, lds)
    if ws.has_base:
        st.info(
            "No study has been made in this workspace yet. Ask for one here; the curves appear as its searches finish."
        )
        study_form.form(ws, study)
        adaptive.section(ws)
        _further(ws)
        return
    with st.container(width=760):
        theme.train_first(
            ws,
            "Support curves compare rankings by how few images change a prediction, and no model has "
            "been trained here yet.",
        )


def _further(ws: Workspace) -> None:
    """What else retraining tells of rankings; nothing where no model was trained yet."""
    if not ws.has_base:
        return
    with ResultStore.for_workspace(ws) as store:
        recipe_transfer.section(ws, store)
        pruning.section(ws, store)


def _table(evaluated: dict, lds: dict | None, k_max: int) -> None:
    """The rankings that were studied; what else has LDS stands behind a click."""
    studied = {name for kind in evaluated.values() for name in kind["rankings"]}
    scores = (lds or {}).get("rankings", {})
    others = {name: row for name, row in scores.items() if name not in studied}
    lds_of_studied = lds and {**lds, "rankings": {name: row for name, row in scores.items() if name in studied}}
    st.html(tables.table_html(evaluated, lds_of_studied, k_max))
    if others:
        plural = "s" * (len(others) > 1)
        with st.expander(f"LDS of {len(others)} more ranking{plural}, whose supports were not studied here"):
            st.html(tables.table_html({}, {**lds, "rankings": others}, k_max))


def _basis(ws: Workspace, study: Study, evaluated: dict, lds: dict | None) -> str:
    recipe = ws.get_recipe()
    counts = ". ".join(tables.counts(kind, evaluated[kind]["rankings"]) for kind in evaluated)
    halves = f" LDS over {tab_frame.held_out_halves(lds)}." if lds else ""
    unstable = f" Open markers are unstable: {UNSTABLE[study.protocol == 'adaptive']}."
    unstable = "" if recipe.deterministic else unstable
    return (
        f"{counts}. Recipe {recipe.name} {recipe.hash}; protocol {study.protocol}, K = {study.k_max}; "
        f"{seeds_text(study.protocol, recipe.deterministic)}. Each method as published: similarity and random rank "
        f"images of the target's class only.{unstable}{halves}{write.planted_note(ws.planted)}"
    )


def _downloads(ws: Workspace, study: Study, evaluated: dict, lds: dict | None) -> None:
    recipe = ws.get_recipe()
    provenance = {
        "K": study.k_max,
        "protocol": study.protocol,
        "recipe": recipe.name,
        "recipe_hash": recipe.hash,
        "planted_errors": ws.planted,
    }
    lds_command = [["evaluate", "lds", "--json"]] if lds else []
    table = ("Table as CSV", tables.to_csv(evaluated, lds, provenance))
    if not evaluated:
        tab_frame.download_line(ws, {"lds.csv": table}, lds_command)
        return
    files = {"supports.csv": table, "support-cdfs.csv": ("Curves as CSV", tables.curves_csv(study, provenance))}
    commands = [tables.evaluate_command(["evaluate", "supports"], study), *lds_command]
    line = tab_frame.download_line(ws, files, commands, "supports", **tables.study_options(study))
    with line, st.popover("Run a study", icon=":material/science:"):
        study_form.form(ws, study)


def _targets(ws: Workspace, study: Study, picked: list) -> None:
    """The targets selected in the chart, else those of a ranking and an outcome; each leads to its lineup."""
    tab_frame.section("Targets")
    if picked:
        rows = sorted({(kind, ranking, int(target)) for kind, ranking, target in picked})
        st.caption(f"{len(rows)} selected in the chart; double-click it to let go. Choose one to see its lineup.")
    else:
        rows = _targets_of_outcome(study)
        st.caption("Choose one to see its lineup, or click a step or draw a box in the chart.")
    if not rows:
        st.caption("None.")
        return
    smallest: dict[int, tuple[float, str]] = {}  # target -> its smallest support, and under which ranking
    for kind, ranking, target in rows:
        support = (study.tables[kind][ranking][target].support or float("inf"), ranking)
        smallest[target] = min(support, smallest.get(target, support))
    captions = {}
    for target in sorted(smallest, key=smallest.get):
        k, ranking = smallest[target]
        size = f"support {k}" if k < float("inf") else "no support"
        captions[target] = (size, f"{size} under {ranking}")
    tab_frame.target_wall(ws, "study targets", captions)


def _targets_of_outcome(study: Study) -> list[tuple[str, str, int]]:
    """(kind, ranking, target) of the kind, ranking and outcome that are chosen."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        kind = st.segmented_control("Kind", list(study.tables), default=next(iter(study.tables)), required=True)
        ranking = st.selectbox("Ranking", list(study.tables[kind]), width=190)
        statuses = REPAIR_STATUSES if kind == "repair" else STATUSES
        outcomes: dict[str, list[int]] = {status: [] for status in statuses}
        for target, support in study.tables[kind][ranking].items():
            outcomes.setdefault(support_report.support_status(support), []).append(target)
        status = st.segmented_control(
            "Outcome",
            statuses,
            default=next((status for status in statuses if outcomes[status]), statuses[0]),
            required=True,
            key=f"outcome {kind} {ranking}",
            format_func=lambda status: f"{status.replace('_', ' ')} {len(outcomes[status])}",
        )
    return [(kind, ranking, target) for target in outcomes[status]]
