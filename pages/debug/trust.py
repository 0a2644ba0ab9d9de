"""How far each row can be trusted: a mark under its name, and the drawer's panel that says what it rests on."""

import streamlit as st

from attribution import UserError, Workspace
from attribution.builds.firsts import FIRST
from attribution.evaluation import calibration
from attribution.evaluation.trust import Overlap, RowTrust, TrustMeter, of_lineup, removals_of_target, signed
from attribution.experiments.retrain import RetrainSpec
from attribution.explore.lineup import LineupRow
from attribution.store.results import ResultStore
from pages.debug import retraining
from pages.ui import cli_command, theme
from pages.ui import format as write

MOST_CHANGES = 10  # tested removals that are listed, those nearest to the images compared
OUTCOMES = {
    "held": "held",
    "less": "less than half",
    "more": "more than twice",
    "too small": "too small to tell",
}


def marks(ws: Workspace, target: int, rows: list[LineupRow]) -> dict[str, dict]:
    """Row id -> {"level", "text", "details"}, as the strip takes them; none for controls and empty rows, and none at
    all where what is stored cannot be read."""
    try:
        trusts = of_rows(ws, target, rows)
    except UserError:  # said in the panel
        return {}
    return {
        name: {"level": trust.verdict, "text": trust.short, "details": f"{write.capitalised(trust.sentence)}."}
        for name, trust in trusts.items()
    }


def of_rows(ws: Workspace, target: int, rows: list[LineupRow]) -> dict[str, RowTrust]:
    """Row id -> how far the row can be trusted, without controls and empty rows. Raises UserError where what is stored
    for that cannot be read."""
    key = theme.cache_key(ws)
    versions = [ws.ranking(row.ranking).version for row in rows]  # of own code, too
    state = retraining.store_state(ws) if ws.has_base else []
    retrained = str(state) if target in _retrained_targets(ws, key, state) else ""
    asked = [(row.id, row.candidates, len(row.ids)) for row in rows]
    return _of_rows(ws, f"{key} {versions}", target, asked, retrained, rows)


@st.cache_resource(max_entries=500, show_spinner=False)
def _of_rows(_ws, cache_key: str, target: int, asked: list, retrained: str, _rows: list) -> dict[str, RowTrust]:
    removals = None
    if retrained:
        with ResultStore.for_workspace(_ws) as store:
            removals = removals_of_target(_ws, store, target)
    return of_lineup(_meter(_ws, theme.cache_key(_ws)), target, _rows, removals)


@st.cache_resource(max_entries=4, show_spinner=False)
def _meter(_ws, cache_key: str) -> TrustMeter:
    return TrustMeter(_ws)


@st.cache_resource(max_entries=4, show_spinner=False)
def _retrained_targets(_ws, cache_key: str, state: list) -> frozenset[int]:
    """The targets that something was removed for on this machine: what the workspace brings does not know of it."""
    if not any(state):
        return frozenset()
    with ResultStore.for_workspace(_ws) as store:
        jobs = store.jobs_of_verb("retrain", calibration.MAX_RETRAIN_JOBS)
        supports = store.supports(_ws.get_recipe().hash)
    asked = [RetrainSpec.from_json(job.spec) for job in jobs if job.state == "done"]
    return frozenset([spec.target for spec in asked] + [int(row["target"]) for row in supports])


# -- the panel


def draw(ws: Workspace, target: int, rows: list[LineupRow]) -> None:
    """The panel: a row a ranking."""
    try:
        trusts = of_rows(ws, target, rows)
    except UserError as error:
        return st.error(write.sentence(error))
    if not trusts:
        return st.caption("No row has images that could be compared.")
    for trust in trusts.values():
        st.html(row_html(trust))
    st.caption(
        "The norm-only control has as many images of each class as the row, those with the largest self-influence, "
        "whatever the target; chance draws them at random. A change is predicted on the scale that fits other targets "
        "best; ± two standard errors."
    )
    first = next(iter(trusts.values()))
    names = ",".join(dict.fromkeys(trust.ranking for trust in trusts.values()))
    end = [] if first.end == "helpful" else ["--end", first.end]
    cli_command.popover(ws, "evaluate", "trust", "--target", target, "--rankings", names, *end)


def row_html(trust: RowTrust) -> str:
    """A row's verdict, and the tables of what it rests on."""
    end = " (harmful)" if trust.end == "harmful" else ""
    body = "".join(_table(*table) for table in (_shared_table(trust), _change_table(trust)) if table[1])
    names = {"seeds": "between seeds", "norm": "a norm-only control", "change": "a predicted change"}
    unknown = "; ".join(f"{names[what]} ({why})" for what, why in trust.unknown.items())
    said = f'<div class="lu-faint">Not tested: {write.escape(unknown)}.</div>' if unknown else ""
    return (
        f'<div class="lu-trust"><h2 class="name">{write.escape(trust.ranking)}{end}</h2>'
        f"<div>{write.escape(write.capitalised(trust.sentence))}.</div>{body}{said}</div>"
    )


def _table(head: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    columns = "".join(f"<th>{name}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{write.escape(cell)}</td>" for cell in line) + "</tr>" for line in lines)
    table = f'<table class="lu-table"><thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div class="lu-scroll">{table}</div>'


def _shared_table(trust: RowTrust) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    overlaps: dict[str, Overlap] = {}
    if trust.seeds:
        seeds = trust.seeds
        halves = f"{seeds.half} of its {seeds.models} models and {seeds.half} others"
        overlaps = {halves: seeds.halves} if seeds.half > 1 else {}
        overlaps["two fits, each on half of its models" if seeds.fits else "two of its models"] = seeds.single
    if trust.norm:
        overlaps["it and a norm-only control"] = trust.norm
    overlaps |= {f"it and {name}": overlap for name, overlap in trust.others.items()}
    lines = [(name, overlap.text, overlap.chance_text) for name, overlap in overlaps.items()]
    return (f"first {len(trust.ids)}", "shared", "by chance"), lines


def _change_table(trust: RowTrust) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    nearest = sorted(trust.changes, key=lambda change: abs(change.k - FIRST))
    lines = [
        (
            f"top {change.k}" if change.removed == trust.ranking else f"{change.k}, {change.removed}",
            signed(change.predicted),
            f"{signed(change.measured)} ± {2 * change.error:.1f}",
            str(change.seeds),
            OUTCOMES[change.outcome],
        )
        for change in sorted(nearest[:MOST_CHANGES], key=lambda change: change.k)
    ]
    return ("margin without", "predicted", "measured", "seeds", ""), lines
