"""How far each row can be trusted: a mark under its name, and the drawer's panel that says what it rests on."""

import streamlit as st

from attribution import UserError, Workspace
from attribution.builds.firsts import FIRST
from attribution.evaluation import calibration
from attribution.evaluation.trust import Change, Overlap, RowTrust, TrustMeter, removals_of_target
from attribution.experiments.retrain import RetrainSpec
from attribution.explore.lineup import LineupRow
from attribution.store.results import ResultStore
from pages.debug import retraining
from pages.ui import cli_command, theme
from pages.ui import format as write


def marks(ws: Workspace, target: int, rows: list[LineupRow]) -> dict[str, dict]:
    """Row id -> {"level", "text", "details"}, as the strip takes them; none for controls and empty rows, and none at
    all where what is stored cannot be read."""
    try:
        trusts = of_rows(ws, target, rows)
    except UserError:  # said in the panel
        return {}
    return {
        name: {"level": trust.verdict, "text": trust.short, "details": write.sentence(trust.sentence)}
        for name, trust in trusts.items()
    }


def of_rows(ws: Workspace, target: int, rows: list[LineupRow]) -> dict[str, RowTrust]:
    """Row id -> how far the row can be trusted, without controls and empty rows. Raises UserError where what is stored
    for that cannot be read."""
    shown = [row for row in rows if not row.undefined and not row.is_control]
    key = theme.cache_key(ws)
    versions = [ws.ranking(row.ranking).version for row in shown]  # of own code, too
    state = retraining.store_state(ws) if ws.has_base else []
    removals_key = str(state) if target in _retrained_targets(ws, key, state) else ""
    asked = [(row.ranking, row.end, row.candidates) for row in shown]
    known = {row: line.ids for row, line in zip(asked, shown) if len(line.ids) >= FIRST}
    return dict(zip([row.id for row in shown], _of_rows(ws, f"{key} {versions}", target, asked, removals_key, known)))


@st.cache_resource(max_entries=500, show_spinner=False)
def _of_rows(_ws, cache_key: str, target: int, asked: list, removals_key: str, _known: dict) -> list[RowTrust]:
    meter, removals = _meter(_ws, theme.cache_key(_ws)), None
    if removals_key:
        with ResultStore.for_workspace(_ws) as store:
            removals = removals_of_target(_ws, store, target)
    return meter.rows(target, asked, removals, _known)


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
        "Chance draws as many images of each class at random as the row has; the control by norm takes those with the "
        "largest self-influence, whatever the target. A change is predicted on the scale that fits other targets best."
    )
    first = next(iter(trusts.values()))
    names = ",".join(dict.fromkeys(trust.ranking for trust in trusts.values()))
    end = [] if first.end == "helpful" else ["--end", first.end]
    cli_command.popover(ws, "evaluate", "trust", "--target", target, "--rankings", names, *end)


def row_html(trust: RowTrust) -> str:
    """A row's verdict, and the table of what it rests on."""
    end = " (harmful)" if trust.end == "harmful" else ""
    lines = [
        ("between seeds", *_seeds_cells(trust)),
        ("a norm-only control", *_overlap_cells(trust.norm, trust, "norm")),
    ]
    lines += [(write.escape(name), overlap.text, overlap.chance_text) for name, overlap in trust.others.items()]
    lines += _change_lines(trust)
    body = "".join(f"<tr><td>{a}</td><td>{b}</td><td>{c}</td></tr>" for a, b, c in lines)
    return (
        f'<div class="lu-trust"><h2 class="name">{write.escape(trust.ranking)}{end}</h2>'
        f"<div>{write.escape(write.sentence(trust.sentence))}</div>"
        '<div class="lu-scroll"><table class="lu-table"><thead><tr>'
        f"<th>first {len(trust.ids)} shared with</th><th></th><th></th></tr></thead>"
        f"<tbody>{body}</tbody></table></div></div>"
    )


def _seeds_cells(trust: RowTrust) -> tuple[str, str]:
    if trust.seeds is None:
        return "not known", write.escape(trust.unknown["seeds"])
    seeds, ways = trust.seeds, ""
    if seeds.half > 1:
        ways = f"; two single models {seeds.single.text}"
    return seeds.text, f"{seeds.halves.chance_text}{ways}"


def _overlap_cells(overlap: Overlap | None, trust: RowTrust, what: str) -> tuple[str, str]:
    if overlap is None:
        return "not known", write.escape(trust.unknown[what])
    return overlap.text, overlap.chance_text


def _change_lines(trust: RowTrust) -> list[tuple[str, str, str]]:
    if "change" in trust.unknown:
        return [("margin when removed", "not known", write.escape(trust.unknown["change"]))]
    changes = sorted(trust.changes, key=lambda change: change.k)
    return [(_removed(trust, change), change.text, _outcome(change)) for change in changes]


def _removed(trust: RowTrust, change: Change) -> str:
    of = "" if change.removed == trust.ranking else f" ({write.escape(change.removed)})"
    return f"margin without {change.k}{of}"


def _outcome(change: Change) -> str:
    words = {
        "held": "held",
        "less": "less than half of it",
        "more": "more than twice as much",
        "too small": "too small to tell",
    }
    return f"{words[change.outcome]}, {write.counted(change.seeds, 'seed')}, ± {2 * change.error:.1f}"
