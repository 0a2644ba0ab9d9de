"""The study that is on view: of the protocol and the rankings that are chosen, where there is a choice."""

import streamlit as st

from attribution import Workspace
from attribution.evaluation import support_report
from attribution.experiments.study import Study, only_rankings, read_study
from attribution.experiments.support_table import answered_protocols, default_protocol
from attribution.rankings import default_rankings
from attribution.store.results import ResultStore
from pages.compare.supports import tables
from pages.ui import state

SHOWN = 8  # rankings, beyond which they are chosen
UNDER_WAY = 20  # studies whose progress is looked at, at most


def studies(ws: Workspace) -> dict[str, Study]:
    """Protocol -> its study, the workspace's usual one first. Read anew when an answer or a study has come in, or the
    study under way has come further."""
    with ResultStore.for_workspace(ws) as store:
        file = ws.supports_file
        shipped = file.stat().st_mtime if file.exists() else None
        under_way = tuple((job.id, job.state, job.done) for job in store.studies(UNDER_WAY) if not job.has_ended)
        version = (shipped, store.supports_version(), store.newest_job(), under_way)
        return _read(ws, store, f"{ws.path} {ws.recipe}", version)


def usual(ws: Workspace) -> Study:
    """The study of the protocol that the workspace goes by, else of the first that was made."""
    by_protocol = studies(ws)
    return next((study for study in by_protocol.values() if study.tables), by_protocol[default_protocol(ws)])


def choose(ws: Workspace) -> Study:
    """The study of the protocol that is chosen; draws the choice where there is one."""
    by_protocol = studies(ws)
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
        help="How supports were searched for. Figures of different protocols are not comparable.",
    )
    return by_protocol[chosen]


def choose_rankings(ws: Workspace, study: Study) -> Study:
    """The rankings that are chosen, where there are more than a chart can hold."""
    names = tables.study_options(study)["rankings"]
    if len(names) <= SHOWN:
        return study
    usual = [name for name in names if name in default_rankings(ws)] or names[:SHOWN]
    chosen = st.pills("Rankings studied", names, default=usual, selection_mode="multi", key=state.STUDIED)
    return only_rankings(study, chosen)


def evaluate(study: Study) -> dict:
    """`support_report.evaluate_study`, computed once a version of the study."""
    return _evaluated(study, study.version)


@st.cache_resource(max_entries=8, show_spinner=False)
def _read(_ws, _store, path: str, version: tuple) -> dict[str, Study]:
    usual = default_protocol(_ws)
    others = [protocol for protocol in answered_protocols(_ws, _store) if protocol != usual]
    return {protocol: read_study(_ws, _store, protocol) for protocol in (usual, *others)}


@st.cache_resource(max_entries=8, show_spinner="Comparing the rankings")
def _evaluated(_study, version: str) -> dict:
    return support_report.evaluate_study(_study)
