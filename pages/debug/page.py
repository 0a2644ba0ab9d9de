"""Explore: pick a validation image, see every ranking's suspects side by side, cut, and retrain without them."""

import numpy as np
import streamlit as st

from attribution import UserError, Workspace
from attribution.explore.lineup import LineupRow, alignment_warning, lineup_rows, rank_of_image
from attribution.explore.opening_target import OpeningTarget, opening_target
from attribution.rankings import default_rankings
from pages.debug import copies, export, influence, lineup_view, retraining, suspects, target_picker
from pages.debug.lineup_view import Choice
from pages.ui import format as write
from pages.ui import model_choice, sprite_sheet, state, theme
from pages.ui.target_card import card_html
from pages.ui.tile_strip import strip

session = st.session_state


def main() -> None:
    """Draws the page."""
    ws = theme.workspace()
    first = _opening_target(ws, theme.cache_key(ws))
    target_picker.restore(ws, first)
    with st.container(gap="xxsmall"):
        targets, target = target_picker.draw_filters(ws)
        target_picker.draw_film(ws, targets, target)
        supports = retraining.supports(ws, theme.cache_key(ws)).get(target, {})
        st.header(write.plain(lineup_view.sentence(ws, target, supports)), anchor=False)
        with st.container(horizontal=True, gap="small"):
            with st.container(width=204):
                url = sprite_sheet.image_url(ws, "val", target)
                st.html(card_html(ws, target, supports, url, sprite_sheet.scale(ws, 200)))
                copies.draw(ws, target, on_image=lambda image: _select_image(target, image))
            with st.container(gap="xsmall"):
                _draw_lineup(ws, target, supports, first)
        target_picker.draw_trail(ws, target)


@st.cache_resource(max_entries=4, show_spinner=False)
def _opening_target(_ws, cache_key: str) -> OpeningTarget | None:
    return opening_target(_ws)


def _draw_lineup(ws: Workspace, target: int, supports: dict, first: OpeningTarget | None) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        choice = _controls(ws, target)
        bar = st.container(horizontal=True, vertical_alignment="bottom", gap="small", width="content")
    if not choice.rankings:
        st.info("No ranking is chosen. Choose one or more under *Rows*.")
        return
    try:
        asked = (
            ws,
            f"{theme.cache_key(ws)} {[ws.ranking(name).version for name in choice.rankings]}",  # of own code, too
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
    except UserError as error:
        st.error(write.sentence(error))
        return
    with bar:
        k, cut_ranking = _draw_cut(ws, target, choice, rows, first)
    model_choice.draw_warning(ws)
    for name in choice.rankings:
        warning = alignment_warning(ws, name)
        if warning:
            st.caption(f":material/warning: {write.plain(f'{name}: {warning}')}")
    _retraining(ws, target)
    image = _selected_image(target)
    planted = _planted_originals(ws, ws.fingerprint) if choice.planted else None
    _strip(ws, target, rows, choice, k, cut_ranking, image, supports.get("remove", {}), planted)
    if image is not None:
        _draw_image_card(ws, target, image, rows, planted)
        influence.draw(
            ws,
            image,
            list(dict.fromkeys(row.ranking for row in rows)),
            on_target=lambda target: _follow_image(target, image),
            on_image=lambda image: _select_image(target, image),
        )
    suspects.draw(ws, target, on_pick=lambda image: _select_image(target, image))
    export.draw(ws, target, rows, choice, k, cut_ranking)


# -- the controls


def _controls(ws: Workspace, target: int) -> Choice:
    ends = st.segmented_control(
        "End", ("helpful", "harmful", "both"), default="helpful", required=True, key=state.END, bind="query-params"
    )
    explain, right = "true", True
    if ws.has_base:
        right = bool(ws.base.prediction[target] == ws.val_labels[target])
        explain = st.segmented_control(
            "Explain the class",
            ("true", "predicted"),
            default="true",
            required=True,
            key=state.EXPLAIN,
            bind="query-params",
            disabled=right,
            help="Predicted: what made the models say it. Similarity rows look among images of that class; signed "
            "rows show what speaks against the true class. Where the prediction is right, both are one.",
        )
    with st.popover("Rows", icon=":material/tune:"):
        rankings = st.pills(
            "Rankings",
            ws.rankings(),
            default=default_rankings(ws),
            selection_mode="multi",
            key=state.RANKINGS,
            bind="query-params",
        )
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
        shown = st.segmented_control("Tiles in a row", (10, 20, 40, 80), default=20, required=True, key=state.TILES)
        scores = st.toggle("Scores", key=state.SCORES, help="Each row has its own units: compare within a row.")
        planted = bool(ws.planted) and st.toggle("Show planted labels", key=state.PLANTED)
    return Choice(tuple(rankings), ends, explain, "true" if right else explain, candidates, shown, scores, planted)


@st.cache_data(max_entries=500, show_spinner=False)
def _lineup_rows(
    _ws, cache_key: str, target: int, rankings: tuple, n: int, ends: str, explain: str, candidates
) -> list[LineupRow]:
    return lineup_rows(_ws, target, list(rankings), n, ends, explain, candidates)


def _draw_cut(
    ws: Workspace, target: int, choice: Choice, rows: list[LineupRow], first: OpeningTarget | None
) -> tuple[int, str]:
    """The cut in numbers, and the button beside it. Returns k and the ranking that is cut."""
    names = choice.rankings
    if session.get(state.CUT_RANKING) not in names:
        session[state.CUT_RANKING] = first.ranking if first and first.ranking in names else names[0]
    k = st.number_input("Cut at k", 1, target_picker.K_MAX, key=state.K, bind="query-params", width=110)
    ranking = st.selectbox("of", names, key=state.CUT_RANKING, bind="query-params", width=150)
    if not ws.has_base:
        with st.popover("Retrain without these"):
            theme.train_first(
                ws, "What changes without these images shows beside models that had them all, and there are none yet."
            )
        return k, ranking
    row = retraining.row_of(rows, ranking)
    st.button(
        "Retrain without these",
        key="retrain",
        type="primary",
        on_click=_start_retraining,
        args=(ws, target, row, k),
        disabled=row is None or bool(ws.get_recipe().problem),
        help=f"Trains the classifier anew without the first {k} images of {ranking}, "
        f"{'once' if ws.get_recipe().deterministic else 'with five seeds'}, beside "
        "as many random images of the same classes.",
    )
    return k, ranking


# -- the rows, and the training image that is selected in them


def _strip(ws, target, rows, choice: Choice, k, cut_ranking, image, supports, planted) -> None:
    shown = np.unique(np.concatenate([row.ids for row in rows]))
    data = lineup_view.strip_data(
        ws,
        target,
        rows,
        sprite_sheet.sheet(ws, "train", shown),
        {int(image): place for place, image in enumerate(shown)},
        k=k,
        shown=choice.shown,
        cut_max=target_picker.K_MAX,
        chosen=cut_ranking,
        selected=image,
        supports=supports,
        explain=choice.explained,
        scores=choice.scores,
        planted=planted,
        scale=sprite_sheet.scale(ws),
    )
    strip("rows", data, on_pick=lambda tile: _select_image(target, tile["id"]), on_row=_cut_row, on_cut=_move_cut)


def _cut_row(row_id: str) -> None:
    session[state.CUT_RANKING] = row_id.rsplit(" ", 1)[0]


def _move_cut(k: int) -> None:
    session[state.K] = max(1, min(target_picker.K_MAX, int(k)))


def _selected_image(target: int) -> int | None:
    """The training image whose card is open; it is closed when the target changes."""
    if session.get(state.IMAGE) is not None and session[state.IMAGE][0] != target:
        session[state.IMAGE] = None
    return session[state.IMAGE][1] if session.get(state.IMAGE) else None


def _select_image(target: int, image: int) -> None:
    """Opens a training image's card, or closes it."""
    selection = (target, int(image))
    session[state.IMAGE] = None if session.get(state.IMAGE) == selection else selection


def _follow_image(target: int, image: int) -> None:
    """Goes to a target, with the training image's card still open."""
    target_picker.go_to(target)
    session[state.IMAGE] = (target, image)


@st.cache_data(max_entries=4, show_spinner=False)
def _planted_originals(_ws, fingerprint: str) -> np.ndarray:
    """Original label of each training image whose label was changed on purpose, -1 elsewhere."""
    truth = _ws.truth()
    return np.where(truth["planted"], truth["original"], -1)


def _draw_image_card(ws: Workspace, target: int, image: int, rows: list[LineupRow], planted: np.ndarray | None) -> None:
    """A training image: its given label, and its rank in each row."""
    ranks = [(row, rank_of_image(ws, row, target, image)) for row in rows if not row.undefined]
    url, scale = sprite_sheet.image_url(ws, "train", image), sprite_sheet.scale(ws, 112)
    with st.container(horizontal=True, vertical_alignment="top"):
        st.html(lineup_view.image_html(ws, image, ranks, planted, url, scale, target))
        st.button("Close", key="close image", on_click=_select_image, args=(target, image), type="tertiary")


# -- retraining


def _start_retraining(ws: Workspace, target: int, row: LineupRow, k: int) -> None:
    try:
        session[state.JOB] = (target, retraining.submit(ws, target, row, k))
    except UserError as error:
        session[state.JOB] = (target, error)


def _retraining(ws: Workspace, target: int) -> None:
    """The retraining asked for on this target: a dot for each seed, drawn anew every second while it runs."""
    job_target, request = session.get(state.JOB) or (None, None)
    if job_target != target:
        return
    if isinstance(request, UserError):
        st.error(write.plain(f"{request}."))
        return
    running = retraining.view(ws, request)["running"]

    @st.fragment(run_every="1s" if running else None)
    def draw_now():
        now = retraining.view(ws, request)
        st.html(lineup_view.votes_html(now["groups"], now["message"]))
        if running and not now["running"]:
            st.rerun()

    draw_now()


main()
