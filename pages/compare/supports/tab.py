"""Supports: how few training images decide predictions, as curves, with the table behind them and LDS beside them."""

import streamlit as st

from attribution import Workspace
from attribution.evaluation import support_report
from attribution.experiments.study import Study
from attribution.experiments.support_search import seeds_text
from pages.compare import tab_frame
from pages.compare.supports import chosen_study, study_form, tables
from pages.compare.supports.curves import support_curves, target_sentence
from pages.ui import format as write
from pages.ui import theme

APPROXIMATE = {True: "24 trainings did not settle the size", False: "other seeds gave another size"}  # by: adaptive?
OUTCOMES = {  # status of a support -> its name
    "flipped": "flipped",
    "unstable": "approximate (≈)",
    "censored": "no flip",
    "already_wrong": "already wrong",
}
REPAIR_OUTCOMES = {
    "repaired": "repaired",
    "unstable": "approximate (≈)",
    "censored": "no repair",
    "already_right": "already right",
}


def draw(ws: Workspace, lds: dict | None, target: int | None) -> None:
    """Draws the curves of the study that is chosen, or the way to one. lds: the report of LDS, with "own_heads";
    target: the one that is marked."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        tab_frame.section("How few training images decide a prediction?")
        study = chosen_study.choose(ws)
    if not study.tables:
        _without_study(ws, study)
        return
    study = chosen_study.choose_rankings(ws, study)
    if not study.tables:
        st.info("Choose at least one ranking.")
        return
    evaluated = chosen_study.evaluate(study)
    repair = (
        " A repair removes the most harmful images until a wrong target becomes right; it has targets and a curve of "
        "its own."
    )
    tab_frame.caption(
        "A support: the fewest top images of a ranking whose removal (or relabelling) flips a target. Each curve is "
        "the share of targets flipped by k images: the higher, the better the ranking finds the images that "
        "matter." + (repair if "repair" in study.tables else "")
    )
    if target is not None:
        tab_frame.caption(target_sentence(ws, study, target))
    selected = st.session_state.get("cdfs")
    study_form.progress(ws, study, bool(selected and selected.selection.points))
    picked = tab_frame.chart(
        _curves(study, study.version, target),
        "cdfs",
        "support curves of each ranking; the table below has their numbers",
        picture="support-cdfs",
        on_select="rerun",
        selection_mode=("points", "box"),
    )
    _table(evaluated, lds, study)
    tab_frame.caption(_basis(ws, study, evaluated, lds))
    note = tables.few_targets(evaluated)
    if note:
        tab_frame.caption(note)
    _downloads(ws, study, evaluated, lds)
    _pairs(evaluated)
    _targets(ws, study, [point["customdata"] for point in picked.selection.points if point.get("customdata")])


@st.cache_resource(max_entries=8, show_spinner=False)
def _curves(_study, version: str, target: int | None):
    """Cached so that the chart is the same object, or a selection in it would be lost."""
    return support_curves(_study, target)


# -- drawing


def _without_study(ws: Workspace, study: Study) -> None:
    """How to get a study."""
    if ws.has_base:
        st.info(
            "No study has been made in this workspace yet. Ask for one here; the curves appear as its searches finish."
        )
        study_form.form(ws, study)
        return
    with st.container(width=760):
        theme.train_first(
            ws,
            "Support curves compare rankings by how few images change a prediction, and no model has "
            "been trained here yet.",
        )


def _table(evaluated: dict, lds: dict | None, study: Study) -> None:
    """The rankings that were studied; what else has LDS stands behind a click."""
    studied = {name for kind in evaluated.values() for name in kind["rankings"]}
    scores = (lds or {}).get("rankings", {})
    others = {name: row for name, row in scores.items() if name not in studied}
    lds_of_studied = lds and {**lds, "rankings": {name: row for name, row in scores.items() if name in studied}}
    st.html(tables.table_html(evaluated, lds_of_studied, study))
    if others:
        plural = "s" * (len(others) > 1)
        with st.expander(f"LDS of {len(others)} more ranking{plural}, whose supports were not studied here"):
            st.html(tables.table_html({}, {**lds, "rankings": others}, study))


def _basis(ws: Workspace, study: Study, evaluated: dict, lds: dict | None) -> str:
    recipe = ws.get_recipe()
    counts = ". ".join(tables.counts(kind, evaluated[kind]["rankings"]) for kind in evaluated)
    halves = f" LDS over {tab_frame.held_out_halves(lds)}." if lds else ""
    approximate = f" Approximate (≈): {APPROXIMATE[study.protocol == 'adaptive']}."
    approximate = "" if recipe.deterministic else approximate
    return (
        f"{counts}. Recipe {recipe.name} {recipe.hash}; protocol {study.protocol}, K = {study.k_max}; "
        f"{seeds_text(study.protocol, recipe.deterministic)}. Each method as published: similarity and random rank "
        f"images of the target's class only.{approximate}{halves}{write.planted_note(ws.planted)}"
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
    files = {
        "supports.csv": ("Table as CSV", lambda: tables.to_csv(evaluated, lds, provenance)),
        "support-cdfs.csv": ("Curves as CSV", lambda: tables.curves_csv(study, provenance)),
    }
    commands = [tables.evaluate_command(["evaluate", "supports"], study), *lds_command]
    line = tab_frame.download_line(ws, files, commands, "supports", **tables.study_options(study))
    with line:
        study_form.popover(ws, study)


def _pairs(evaluated: dict) -> None:
    """Every two rankings compared, behind a click."""
    if not any(summary["pairs"] for summary in evaluated.values()):
        return
    with st.expander("Ranking against ranking on the same targets, with p-values"):
        for kind, summary in evaluated.items():
            if summary["pairs"]:
                st.caption(tables.KINDS[kind])
                st.html(tables.pairs_html(summary["pairs"]))


def _targets(ws: Workspace, study: Study, picked: list) -> None:
    """The targets selected in the chart, else those of a ranking and an outcome; each leads to its lineup."""
    tab_frame.section("Targets of the study")
    if picked:
        rows = sorted({(kind, ranking, int(target)) for kind, ranking, target, _ in picked})
        st.caption(
            f"{len(rows)} selected in the chart; double-click the chart to clear. Choose one to open it in Debug."
        )
    else:
        rows = _targets_of_outcome(study)
        st.caption("Choose one to open it in Debug, or select some in the chart: click a step or draw a box.")
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
        size = f"flips at {k}" if k < float("inf") else "no flip"
        captions[target] = (size, f"{size} under {ranking}")
    tab_frame.target_wall(ws, "study targets", captions)


def _targets_of_outcome(study: Study) -> list[tuple[str, str, int]]:
    """(kind, ranking, target) of the kind, ranking and outcome that are chosen."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        kind = st.segmented_control(
            "Edit",
            list(study.tables),
            default=next(iter(study.tables)),
            required=True,
            format_func=support_report.KINDS.get,
        )
        ranking = st.selectbox("Ranking", list(study.tables[kind]), width=190)
        statuses = REPAIR_OUTCOMES if kind == "repair" else OUTCOMES
        outcomes: dict[str, list[int]] = {status: [] for status in statuses}
        for target, support in study.tables[kind][ranking].items():
            outcomes.setdefault(support_report.support_status(support), []).append(target)
        status = st.segmented_control(
            "Outcome",
            list(statuses),
            default=next((status for status in statuses if outcomes[status]), next(iter(statuses))),
            required=True,
            key=f"outcome {kind} {ranking}",
            format_func=lambda status: f"{statuses[status]}: {len(outcomes[status])}",
        )
    return [(kind, ranking, target) for target in outcomes[status]]
