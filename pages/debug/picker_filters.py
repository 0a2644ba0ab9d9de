"""The filters of the picker: which targets match. They stand in the address, so a reload and Back keep them."""

from dataclasses import dataclass

import numpy as np
import streamlit as st

from attribution import UserError, Workspace
from attribution.explore import groups, image_sets
from attribution.explore.targets import choose_targets
from pages.debug import retraining
from pages.ui import format as write
from pages.ui import glossary, state

ANY = "any"
ALL_CONFIDENCES = (0.0, 1.0)
#: how the page calls a kind of target -> its name in `attribution.explore.targets`
KINDS = {
    "all": "all",
    "right": "right",
    "wrong": "wrong",
    "models disagree": "unstable",
    "tested": "tested",
    "ranked": "ranked",
}
KIND_HELP = {
    "models disagree": "Models disagree: only some base models are right.",
    "tested": "Tested: the smallest removal that flips it was searched for.",
    "ranked": "Ranked: by the rankings that cover some targets only.",
}
state_of = st.session_state


@dataclass(frozen=True)
class Filters:
    """What the filters say. targets: those that match, int64 ascending. values: of each filter, to see a change.
    active: whether any filter is set. classes: numbers of the true and of the predicted class, None for any. versus:
    (how a second model tells the targets apart, as in `groups.BESIDE`; that model), None for any."""

    targets: np.ndarray
    values: tuple
    active: bool
    classes: tuple[int | None, int | None]
    versus: tuple[str, str] | None = None


def draw(ws: Workspace, ranked: np.ndarray) -> Filters:
    """The line of filters, folded away until it is asked for. ranked: the targets that most rankings cover.

    The widgets are on the page even while they are folded away (assets/page.css hides them): in a popover that is
    closed, Streamlit would not write what another control sets into the address."""
    numbers = write.class_numbers(ws.classes, ANY)
    predicted, confidence = ANY, ALL_CONFIDENCES
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="picker-filters"):
        kind = _kind(ws, ranked)
        label = st.selectbox("True class", [ANY, *numbers], key=state.LABEL, bind="query-params", width=150)
        if ws.has_base:
            predicted = st.selectbox(
                "Predicted class", [ANY, *numbers], key=state.PREDICTED, bind="query-params", width=150
            )
            confidence = st.slider(
                "Confidence",
                *ALL_CONFIDENCES,
                ALL_CONFIDENCES,
                0.05,
                key=state.CONFIDENCE,
                bind="query-params",
                width=170,
                help=glossary.meaning("confidence"),
            )
        beside = _beside(ws)
        versus = ANY
        if beside:
            versus = st.selectbox("Second model", [ANY, *beside], key=state.VERSUS, bind="query-params", width=240)
        kept = _kept_sets(ws)
        name = ANY
        if kept:
            name = st.selectbox("Kept set", [ANY, *kept], key=state.SET, bind="query-params", width=150)
        st.button("Clear filters", key="clear filters", type="tertiary", on_click=clear)
    supports = retraining.supports(ws)
    targets = choose_targets(ws, KINDS[kind], numbers.get(label), numbers.get(predicted), tuple(confidence), supports)
    if name in kept:
        targets = np.intersect1d(targets, kept[name])
    if versus in beside:
        targets = targets[groups.beside(ws, *beside[versus])[targets]]
    values = (kind, label, predicted, tuple(confidence), versus, name)
    active = values != ("all", ANY, ANY, ALL_CONFIDENCES, ANY, ANY)
    return Filters(targets, values, active, (numbers.get(label), numbers.get(predicted)), beside.get(versus))


def choose(ws: Workspace, kind: str = "all", label: int | None = None, predicted: int | None = None) -> np.ndarray:
    """Sets the filters; a callback. label, predicted: class numbers, None for any. Returns what matches now."""
    clear()
    names = {number: name for name, number in write.class_numbers(ws.classes, ANY).items()}
    state_of[state.SHOW] = kind
    state_of[state.LABEL], state_of[state.PREDICTED] = names.get(label, ANY), names.get(predicted, ANY)
    return choose_targets(ws, KINDS[kind], label, predicted)


def clear() -> None:
    """Sets all filters back; a callback."""
    state_of[state.SHOW], state_of[state.LABEL] = "all", ANY
    state_of[state.PREDICTED], state_of[state.CONFIDENCE] = ANY, ALL_CONFIDENCES
    state_of[state.VERSUS] = state_of[state.SET] = ANY


def _beside(ws: Workspace) -> dict[str, tuple[str, str]]:
    """What a second model can tell apart: words -> (how, the model)."""
    others = [name for name in ws.models() if name != ws.recipe] if ws.has_base else []
    words = {state.BESIDE[how].format(name): (how, name) for name in others for how in state.BESIDE}
    if state_of.get(state.VERSUS) not in (None, ANY, *words):  # the model looked at is that one now
        del state_of[state.VERSUS]
    return words


def _kept_sets(ws: Workspace) -> dict[str, np.ndarray]:
    """The validation images of the sets that were kept on the map and hold any, by name."""
    try:
        kept = image_sets.load_sets(ws)
    except UserError:  # the map says what is wrong
        return {}
    return {write.visible(name): found.val for name, found in kept.items() if len(found.val)}


def _kind(ws: Workspace, ranked: np.ndarray) -> str:
    some_ranked = len(ranked) < ws.n_val
    kinds = [kind for kind in KINDS if kind == "all" or (some_ranked if kind == "ranked" else ws.has_base)]
    if len(kinds) == 1:
        return "all"
    return st.segmented_control(
        "Targets",
        kinds,
        default="all",
        required=True,
        key=state.SHOW,
        bind="query-params",
        help=" ".join(KIND_HELP[kind] for kind in kinds if kind in KIND_HELP),
    )
