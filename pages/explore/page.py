"""Explore: pick a validation image, see every ranking's suspects side by side, cut, and retrain without them."""

import numpy as np
import streamlit as st

from attribution import UserError, Workspace
from attribution import figure as figures
from attribution.lineup import default_rankings, line_up, misalignment, rank_of
from attribution.opening import opening
from attribution.targets import KINDS, choose, neighbours, ranked
from pages.explore import backend, reach, suspects
from pages.explore.rows import image_html, sentence, strip_data, votes_html
from pages.ui import cli_command, sprite_sheet, state, theme
from pages.ui import format as write
from pages.ui.downloads import report_button
from pages.ui.target_card import card_html, wall_data
from pages.ui.tile_strip import strip

PAGE_SIZE = 60
KIND_HELP = {
    "unstable": "Unstable: right in some base models only.",
    "tested": "Tested: its support was searched.",
    "ranked": "Ranked: by the rankings that were made for some targets only.",
}
K_MAX = 128
ANY = "any"
#: What a link can ask for that only base models can answer; None: any value.
OF_PREDICTIONS = {
    state.SHOW: ("right", "wrong", "unstable"),
    state.PREDICTED: None,
    state.EXPLAIN: ("predicted",),
    state.CANDIDATES: ("predicted",),
}
state_of = st.session_state


def main() -> None:
    ws = theme.workspace()
    first = _opening(ws, theme.cache_key(ws))
    _start(ws, first)
    with st.container(gap="xxsmall"):
        targets, target = _pick_target(ws, first)
        _film(ws, targets, target)
        measured = backend.supports(ws, theme.cache_key(ws)).get(target, {})
        st.header(write.plain(sentence(ws, target, measured)), anchor=False)
        with st.container(horizontal=True, gap="small"):
            with st.container(width=204):
                st.html(
                    card_html(
                        ws, target, measured, sprite_sheet.image_url(ws, "val", target), sprite_sheet.scale(ws, 200)
                    )
                )
            with st.container(gap="xsmall"):
                _lineup(ws, target, measured, first)
        _trail(ws, target)


# -- which target


@st.cache_resource(max_entries=4, show_spinner=False)
def _opening(_ws, stamp: str):
    return opening(_ws)


@st.cache_resource(max_entries=4, show_spinner=False)
def _ranked(_ws, stamp: str) -> np.ndarray:
    try:
        return ranked(_ws)
    except UserError:  # of a ranking that cannot be read, which its row says
        return np.arange(_ws.n_val)


def _start(ws: Workspace, first) -> None:
    """Sets target and k where the address has none to offer, and says what in the address cannot be had."""
    link = st.query_params
    wrong = []
    start = first.target if first else int(_ranked(ws, theme.cache_key(ws))[0])
    for name, value, check in ((state.TARGET, start, ws.check_target), (state.K, first.k if first else 10, _check_k)):
        if name in state_of:
            continue
        try:
            if name in link:
                check(link[name])
                continue
        except UserError as error:
            wrong.append(error)
        state_of[name] = value
    if state.RANKINGS not in state_of:
        wrong += [
            f"no ranking {name!r} here; there is {', '.join(ws.rankings())}"
            for name in link.get_all(state.RANKINGS)
            if name not in ws.rankings()
        ]
    if not ws.has_base:
        asked = [
            name for name, values in OF_PREDICTIONS.items() if name in link and (values is None or link[name] in values)
        ]
        for name in asked:
            del link[name]
        wrong += ["this link asks for predictions, and no model has been trained here yet"] if asked else []
    for error in wrong:
        st.warning(write.sentence(error), icon=":material/link_off:")


def _check_k(k: str) -> None:
    if not (k.isdigit() and 1 <= int(k) <= K_MAX):
        raise UserError(f"k = {k} is not a number of training images; give 1 to {K_MAX}")


def _pick_target(ws: Workspace, first) -> tuple[np.ndarray, int]:
    """The row of filters. Returns the targets that fit, ascending, and the one that is shown."""
    kinds = [
        kind
        for kind in KINDS
        if kind == "all" or (len(_ranked(ws, theme.cache_key(ws))) < ws.n_val if kind == "ranked" else ws.has_base)
    ]
    number = write.class_numbers(ws.classes, ANY)
    kind, said, confidence = "all", ANY, (0.0, 1.0)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        if len(kinds) > 1:
            kind = st.segmented_control(
                "Targets",
                kinds,
                default="all",
                required=True,
                key=state.SHOW,
                bind="query-params",
                help=" ".join(KIND_HELP[kind] for kind in kinds if kind in KIND_HELP),
            )
        label = st.selectbox("True class", [ANY, *number], key=state.LABEL, bind="query-params", width=130)
        if ws.has_base:
            said = st.selectbox("Predicted class", [ANY, *number], key=state.PREDICTED, bind="query-params", width=130)
            confidence = st.slider("Confidence", 0.0, 1.0, (0.0, 1.0), 0.05, key=state.CONFIDENCE, width=150)
        targets = choose(
            ws, kind, number.get(label), number.get(said), confidence, backend.supports(ws, theme.cache_key(ws))
        )
        buttons = st.container(horizontal=True, vertical_alignment="bottom", gap="small", width="content")
        target = st.number_input("Target", 0, ws.n_val - 1, key=state.TARGET, bind="query-params", width=130)
        before, after = neighbours(targets, target)
        with buttons:
            st.button("Previous", key="previous", shortcut="J", disabled=before is None, on_click=_go, args=(before,))
            st.button("Next", key="next", shortcut="K", disabled=after is None, on_click=_go, args=(after,))
    return targets, target


def _go(target: int | None) -> None:
    if target is not None:
        state_of[state.TARGET] = int(target)


def _film(ws: Workspace, targets: np.ndarray, target: int) -> None:
    """The targets that fit, a page of them, as a strip or a wall; the page follows the target."""
    if not len(targets):
        st.info("No validation image fits these filters. Set one of them back to *any* or *all*.")
        return
    pages = -(-len(targets) // PAGE_SIZE)
    seen = (target, len(targets), int(targets[0]), int(targets[-1]))
    if state_of.get(state.PAGE_OF) != seen:  # a new target or filter, rather than a turned page
        state_of[state.PAGE_OF] = seen
        at = int(np.searchsorted(targets, target))
        state_of[state.PAGE] = min(at // PAGE_SIZE, pages - 1)
    page = min(state_of[state.PAGE], pages - 1)
    ids = targets[page * PAGE_SIZE : (page + 1) * PAGE_SIZE]
    wall = state_of.get(state.WALL, False)
    strip(
        "film",
        wall_data(ws, ids, sprite_sheet.sheet(ws, "val", ids), target, wall, sprite_sheet.scale(ws)),
        on_pick=lambda tile: _go(tile["id"]),
    )
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(
            f"{write.count(page * PAGE_SIZE + 1)}–{write.count(page * PAGE_SIZE + len(ids))} of "
            f"{write.count(len(targets))} that fit, of {write.count(ws.n_val)} · {write.plain(ws.name)}",
            width="content",
        )
        st.button(
            "‹",
            key="page back",
            disabled=page == 0,
            on_click=_turn,
            args=(page - 1,),
            type="tertiary",
            help="earlier targets",
        )
        st.button(
            "›",
            key="page on",
            disabled=page == pages - 1,
            on_click=_turn,
            args=(page + 1,),
            type="tertiary",
            help="later targets",
        )
        st.toggle("Wall", key=state.WALL)


def _turn(page: int) -> None:
    state_of[state.PAGE] = page


def _trail(ws: Workspace, target: int) -> None:
    """The targets looked at in this visit, to go back to: the address bar keeps no history."""
    trail = state_of.setdefault(state.TRAIL, [])
    if not trail or trail[-1] != target:
        trail[:] = [*[seen for seen in trail if seen != target][-19:], target]
    if len(trail) < 2:
        return
    st.caption("Looked at, latest first")
    ids = np.array(trail[::-1])
    data = wall_data(ws, ids, sprite_sheet.sheet(ws, "val", ids), target, False, sprite_sheet.scale(ws, 28))
    strip("looked at", data | {"pitch": 0}, on_pick=lambda tile: _go(tile["id"]))


# -- the rows


@st.cache_data(max_entries=500, show_spinner=False)
def _rows(_ws, stamp, target, rankings, n, ends, explain, candidates):
    return line_up(_ws, target, list(rankings), n, ends, explain, candidates)


def _lineup(ws: Workspace, target: int, measured: dict, first) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        ends = st.segmented_control(
            "End", ("helpful", "harmful", "both"), default="helpful", required=True, key=state.END, bind="query-params"
        )
        explain, right, pools = "true", True, ("published", "true", "all")
        if ws.has_base:
            right = ws.base.prediction[target] == ws.val_labels[target]
            explain = st.segmented_control(
                "Explain the class",
                ("true", "predicted"),
                default="true",
                required=True,
                key=state.EXPLAIN,
                bind="query-params",
                disabled=bool(right),
                help="Predicted: what made the models say it. Similarity rows look among images of that class; signed "
                "rows show what speaks against the true class. Where the prediction is right, both are one.",
            )
            pools = ("published", "true", "predicted", "all")
        with st.popover("Rows", icon=":material/tune:"):
            names = st.pills(
                "Rankings",
                ws.rankings(),
                default=default_rankings(ws),
                selection_mode="multi",
                key=state.RANKINGS,
                bind="query-params",
            )
            candidates = st.segmented_control(
                "Candidates",
                pools,
                default="published",
                required=True,
                key=state.CANDIDATES,
                bind="query-params",
                help="Which training images are ranked: as each method's authors did, only those with the target's "
                f"true {'or predicted ' if ws.has_base else ''}label, or all.",
            )
            shown = st.segmented_control("Tiles in a row", (10, 20, 40, 80), default=20, required=True, key=state.TILES)
            scores = st.toggle("Scores", key=state.SCORES, help="Each row has its own units: compare within a row.")
            planted = ws.planted and st.toggle("Show planted labels", key=state.PLANTED)
        bar = st.container(horizontal=True, vertical_alignment="bottom", gap="small", width="content")
    if not names:
        st.info("No ranking is chosen. Choose one or more under *Rows*.")
        return
    try:
        rows = _rows(
            ws,
            theme.cache_key(ws),
            target,
            tuple(names),
            shown,
            ends,
            explain,
            None if candidates == "published" else candidates,
        )
    except UserError as error:
        st.error(write.sentence(error))
        return
    with bar:
        k, chosen = _cut(ws, target, names, rows, first)
    for name in names:
        warning = misalignment(ws, name)
        if warning:
            st.caption(f":material/warning: {write.plain(f'{name}: {warning}')}")
    _votes_of(ws, target)
    places = {int(image): at for at, image in enumerate(np.unique(np.concatenate([row.ids for row in rows])))}
    if state_of.get(state.IMAGE) is not None and state_of[state.IMAGE][0] != target:
        state_of[state.IMAGE] = None
    image = state_of[state.IMAGE][1] if state_of.get(state.IMAGE) else None
    truth = _planted(ws, ws.fingerprint) if planted else None
    strip(
        "rows",
        strip_data(
            ws,
            target,
            rows,
            sprite_sheet.sheet(ws, "train", places),
            places,
            k=k,
            shown=shown,
            cut_max=K_MAX,
            chosen=chosen,
            selected=image,
            supports=measured.get("remove", {}),
            explain="true" if right else explain,
            scores=scores,
            planted=truth,
            scale=sprite_sheet.scale(ws),
        ),
        on_pick=lambda tile: _select(target, tile["id"]),
        on_row=lambda row: _choose_row(row),
        on_cut=_move_cut,
    )
    if image is not None:
        _image_card(ws, target, image, rows, truth)
        reach.draw(
            ws,
            image,
            list(dict.fromkeys(row.ranking for row in rows)),
            on_target=lambda target: _follow(target, image),
            on_image=lambda image: _select(target, image),
        )
    suspects.draw(ws, target, on_pick=lambda image: _select(target, image))
    _take_away(ws, target, rows, names, k, chosen, ends, explain, candidates, shown)


def _cut(ws: Workspace, target: int, names: list[str], rows, first) -> tuple[int, str]:
    """The cut in numbers, and the button beside it."""
    if state_of.get(state.CUT_RANKING) not in names:
        state_of[state.CUT_RANKING] = first.ranking if first and first.ranking in names else names[0]
    k = st.number_input("Cut at k", 1, K_MAX, key=state.K, bind="query-params", width=110)
    chosen = st.selectbox("of", names, key=state.CUT_RANKING, bind="query-params", width=150)
    row = _row_of(rows, chosen)
    if not ws.has_base:
        with st.popover("Retrain without these"):
            theme.train_first(
                ws, "What changes without these images shows beside models that had them all, and there are none yet."
            )
        return k, chosen
    st.button(
        "Retrain without these",
        key="retrain",
        type="primary",
        on_click=_retrain,
        args=(ws, target, row, k),
        disabled=row is None,
        help=f"Trains the classifier anew without the first {k} images of {chosen}, with five seeds, beside "
        "as many random images of the same classes.",
    )
    return k, chosen


def _row_of(rows: list, ranking: str):
    """The first row of a ranking that shows something, or None."""
    return next((row for row in rows if row.ranking == ranking and not row.undefined), None)


def _select(target: int, image: int) -> None:
    chosen = (target, int(image))
    state_of[state.IMAGE] = None if state_of.get(state.IMAGE) == chosen else chosen


def _follow(target: int, image: int) -> None:
    """Goes to a target, with the training image's card still open."""
    _go(target)
    state_of[state.IMAGE] = (target, image)


def _choose_row(row: str) -> None:
    state_of[state.CUT_RANKING] = row.rsplit(" ", 1)[0]


def _move_cut(k: int) -> None:
    state_of[state.K] = max(1, min(K_MAX, int(k)))


@st.cache_data(max_entries=4, show_spinner=False)
def _planted(_ws, fingerprint: str) -> np.ndarray:
    """Original label of each training image whose label was changed on purpose, -1 elsewhere."""
    truth = _ws.truth()
    return np.where(truth["planted"], truth["original"], -1)


def _image_card(ws: Workspace, target: int, image: int, rows, planted) -> None:
    """A training image: its given label, and its rank in each row."""
    ranks = [(row, rank_of(ws, row, target, image)) for row in rows if not row.undefined]
    with st.container(horizontal=True, vertical_alignment="top"):
        st.html(
            image_html(
                ws,
                image,
                ranks,
                planted,
                sprite_sheet.image_url(ws, "train", image),
                sprite_sheet.scale(ws, 112),
                target,
            )
        )
        st.button("Close", key="close image", on_click=_select, args=(target, image), type="tertiary")


# -- retraining


def _retrain(ws: Workspace, target: int, row, k: int) -> None:
    try:
        state_of[state.JOB] = (target, backend.submit(ws, target, row, k))
    except UserError as error:
        state_of[state.JOB] = (target, error)


def _votes_of(ws: Workspace, target: int) -> None:
    """The retraining asked for on this target: a dot for each seed, drawn anew every second while it runs."""
    of, asked = state_of.get(state.JOB) or (None, None)
    if of != target:
        return
    if isinstance(asked, UserError):
        st.error(write.plain(f"{asked}."))
        return
    running = backend.view(ws, asked)["running"]

    @st.fragment(run_every="1s" if running else None)
    def draw():
        view = backend.view(ws, asked)
        st.html(votes_html(view["groups"], view["message"]))
        if running and not view["running"]:
            st.rerun()

    draw()


# -- taking it away


def _take_away(ws, target, rows, names, k, chosen, ends, explain, candidates, shown) -> None:
    """The figure as a file, and the command lines that make the same."""
    figure = ["export", "figure", "--target", target, "--rankings", ",".join(names), "--top", shown, "--k", k]
    for option, value, default in (
        ("--ends", ends, "helpful"),
        ("--explain", explain, "true"),
        ("--candidates", candidates, "published"),
    ):
        figure += [option, value] if value != default else []
    report = ["export", "report", *figure[2:], "--out", f"report-{target}.html"]
    figure += ["--out", f"lineup-{target}.png"]
    commands = [("This figure", figure)]
    row = _row_of(rows, chosen)
    if row and ws.has_base:
        commands.append(
            (
                f"Retraining without the first {k} of {chosen}",
                cli_command.arguments({"verb": "retrain", **backend.question(ws, target, row, k)}),
            )
        )
    commands.append(("The report", report))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if ws.has_base:
            st.page_link(
                "pages/brittleness/page.py",
                label="Test it in Brittleness",
                icon=":material/science:",
                query_params={state.TARGET: str(target), state.CUT_RANKING: chosen, state.K: str(k)},
            )
            st.page_link("pages/methods/page.py", label="How typical is this?", icon=":material/show_chart:")
        with st.popover("Export the figure", icon=":material/download:"):
            for ending in figures.FORMATS:
                st.download_button(
                    ending[1:].upper(),
                    data=_encode(ws, target, rows, ending, k),
                    on_click="ignore",
                    file_name=f"lineup-{target}{ending}",
                    key=f"download {ending}",
                    width="stretch",
                )
        report_button(ws, target, rows=rows, k=k)
        with st.popover("Copy command", icon=":material/terminal:"):
            for words, ask in commands:
                st.caption(write.plain(words))
                st.code(cli_command.line(ws, *ask), language="bash", wrap_lines=True)


def _encode(ws, target, rows, ending, k):
    return lambda: figures.encode(ws, target, rows, ending, k)


main()
