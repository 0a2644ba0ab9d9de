"""Debug's rows: which rankings are shown and how, the cut, and the strip that draws them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import streamlit as st

from attribution import Workspace
from attribution.explore.lineup import LineupRow, lineup_rows
from attribution.explore.opening_target import OpeningTarget
from attribution.inputs import names
from attribution.live.ahead import AHEAD
from attribution.rankings.base import Ranking
from attribution.rankings.own import OwnRanking
from attribution.rankings.unrolled import on_demand
from pages.debug import computed_row, drawer, lineup_view, retraining, row_picker, trust
from pages.debug.lineup_view import Choice
from pages.ui import sprite_sheet, state, theme
from pages.ui.tile_strip import strip

session = st.session_state


def load(ws: Workspace, target: int, choice: Choice) -> list[LineupRow]:
    """The rows of the rankings that are chosen; raises UserError where one cannot be read."""
    versions = [ws.ranking(name).version_of(target) for name in choice.rankings]  # of own code, too
    asked = (
        ws,
        f"{theme.cache_key(ws)} {versions}",
        target,
        choice.rankings,
        choice.shown,
        choice.ends,
        choice.explain,
        None if choice.candidates == "published" else choice.candidates,
    )
    rows = _lineup_rows(*asked)
    if any(row.failed for row in rows):
        _lineup_rows.clear(*asked)  # what failed is tried again by the next run
    return rows


@st.cache_data(max_entries=500, show_spinner=False)
def _lineup_rows(
    _ws, cache_key: str, target: int, rankings: tuple, n: int, ends: str, explain: str, candidates
) -> list[LineupRow]:
    return lineup_rows(_ws, target, list(rankings), n, ends, explain, candidates)


# -- the controls


@dataclass(frozen=True)
class Rows:
    """What the popover of the rows says; see `lineup_view.Choice`."""

    rankings: tuple[str, ...]
    candidates: str
    shown: int
    scores: bool
    planted: bool


def draw_rows(ws: Workspace) -> Rows:
    """The popover of the rows: the same for all targets."""
    with st.popover("Rows", icon=":material/tune:"):
        rankings = row_picker.draw(ws)
        return Rows(tuple(rankings), *_draw_options(ws))


def draw_ends(ws: Workspace, target: int, rows: Rows) -> Choice:
    """Which ends and which class the rows show. Returns that, and what the rows are besides."""
    ends = st.segmented_control(
        "Show", ("helpful", "harmful", "both"), default="helpful", required=True, key=state.END, bind="query-params"
    )
    explain = "true"
    if _is_wrong(ws, target):  # of a right prediction both are one
        explain = st.segmented_control(
            "Explain",
            tuple(state.EXPLAINED),
            format_func=state.EXPLAINED.get,
            default="predicted",
            required=True,
            key=state.EXPLAIN,
            bind="query-params",
            help="Prediction: what made the models say it. Similarity rows look among images of that class; signed "
            "rows show what speaks against the true label.",
        )
    return Choice(rows.rankings, ends, explain, rows.candidates, rows.shown, rows.scores, rows.planted)


def explained(ws: Workspace, target: int) -> str:
    """The class that the rows explain, "true" or "predicted", for what is drawn before they are."""
    return session.get(state.EXPLAIN, "predicted") if _is_wrong(ws, target) else "true"


def _is_wrong(ws: Workspace, target: int) -> bool:
    return ws.has_base and bool(ws.base.prediction[target] != ws.val_labels[target])


def _draw_options(ws: Workspace) -> tuple[str, int, bool, bool]:
    """(candidates, tiles in a row, whether scores show, whether planted labels do)."""
    with st.expander("Options"):
        candidates = st.segmented_control(
            "Candidates",
            ("published", "true", "predicted", "all") if ws.has_base else ("published", "true", "all"),
            default="published",
            required=True,
            key=state.CANDIDATES,
            bind="query-params",
            help="Which training images are ranked: as each method's authors did, only those with the target's "
            f"true {'or predicted ' if ws.has_base else ''}label, or all.",
        )
        shown = st.segmented_control("Images in a row", (10, 20, 40, 80), default=20, required=True, key=state.TILES)
        scores = st.toggle("Scores", key=state.SCORES, help="Each row has its own units: compare within a row.")
        planted = bool(ws.planted) and st.toggle("Show planted labels", key=state.PLANTED)
    return candidates, shown, scores, planted


def draw_cut(ws: Workspace, choice: Choice, first: OpeningTarget | None) -> tuple[int, str]:
    """The cut in numbers. Returns k and the ranking that is cut."""
    names = choice.rankings
    if session.get(state.CUT_RANKING) not in names:
        session[state.CUT_RANKING] = first.ranking if first and first.ranking in names else names[0]
    k = st.number_input("Top", 1, retraining.K_MAX, key=state.K, bind="query-params", width=110)
    ranking = st.selectbox("of", names, key=state.CUT_RANKING, bind="query-params", width=150)
    if not ws.has_base:
        with st.popover("Retrain without these"):
            theme.train_first(
                ws, "What changes without these images shows beside models that had them all, and there are none yet."
            )
    return k, ranking


def draw_strip(
    ws: Workspace,
    target: int,
    rows: list[LineupRow],
    choice: Choice,
    k: int,
    cut_ranking: str,
    image: int | None,
    planted: np.ndarray | None,
    on_pick: Callable[[int], None],
) -> None:
    """The rows with the cut over them. image: the training image that is selected; planted: as in
    `lineup_view.strip_data`; on_pick(training image) is called where one is chosen."""
    make = partial(_strip_data, ws, k=k, cut_ranking=cut_ranking, planted=planted, present=state.presenting())
    data = make(target, rows, choice, image=image, ahead=_offer(ws, choice, make))
    strip(
        "rows",
        data,
        on_pick=lambda tile: on_pick(tile["id"]),
        on_row=_cut_row,
        on_cut=_move_cut,
        on_act=lambda act: computed_row.ask(ws, act["of"]),
        on_trust=lambda row: drawer.open_panel(drawer.TRUST),
    )


def _strip_data(
    ws: Workspace,
    target: int,
    rows: list[LineupRow],
    choice: Choice,
    *,
    k: int,
    cut_ranking: str,
    planted: np.ndarray | None,
    present: bool,
    image: int | None,
    ahead: str | None,
) -> dict:
    shown = np.unique(np.concatenate([row.ids for row in rows]))
    data = lineup_view.strip_data(
        ws,
        target,
        rows,
        sprite_sheet.sheet(ws, "train", shown),
        {int(image): place for place, image in enumerate(shown)},
        k=k,
        shown=choice.shown,
        cut_max=retraining.K_MAX,
        chosen=cut_ranking,
        selected=image,
        supports=retraining.supports(ws).get(target, {}).get("remove", {}),
        explain=choice.explain,
        scores=choice.scores,
        planted=planted,
        scale=sprite_sheet.scale(ws),
        trust=trust.marks(ws, target, rows),
        present=present,
        ahead=ahead,
    )
    for line, row in zip(data["rows"], rows):
        if row.undefined and row.ranking == on_demand.NAME:
            line |= computed_row.empty_row(ws, target)
    return data


def _is_own(ranking: Ranking) -> bool:
    """Whether a ranking, what it chooses from other candidates, or a part of it, is a person's own code."""
    inside = [*getattr(ranking, "parts", ()), getattr(ranking, "inner", None)]
    return isinstance(ranking, OwnRanking) or any(_is_own(one) for one in inside if one is not None)


def _offer(ws: Workspace, choice: Choice, make: Callable[..., dict]) -> str | None:
    """Offers the rows of every other target as these are shown, for the browser to have them before they are chosen.
    Returns the address; None where nobody would ask, or where a ranking is a person's own code, which may take long."""
    if not AHEAD.is_served or any(_is_own(ws.ranking(name)) for name in choice.rankings):
        return None
    wanted = session.get(state.EXPLAIN, "predicted")  # of a right prediction both are one
    about = (theme.cache_key(ws), choice.rankings, choice.candidates, choice.ends, choice.shown, choice.scores)
    about += (wanted, choice.planted, *(make.keywords[name] for name in ("k", "cut_ranking", "present")))

    def make_rows(target: int) -> dict | None:
        if not 0 <= target < ws.n_val:
            return None
        there = replace(choice, explain=wanted if _is_wrong(ws, target) else "true")
        rows = load(ws, target, there)
        if any(row.failed for row in rows):
            return None
        return names.visible_all(make(target, rows, there, image=None, ahead=address))

    address = AHEAD.offer(about, make_rows)
    return address


def _cut_row(row_id: str) -> None:
    session[state.CUT_RANKING] = row_id.rsplit(" ", 1)[0]


def _move_cut(k: int) -> None:
    session[state.K] = max(1, min(retraining.K_MAX, int(k)))
