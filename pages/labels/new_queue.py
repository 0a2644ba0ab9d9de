"""The form that makes a new queue of the most suspicious images."""

import streamlit as st

from attribution import UserError, Workspace
from attribution.audit import detectors, faults, review_queue
from attribution.explore import image_sets
from pages.ui import audit_queue, measurement, state, theme
from pages.ui import format as write

ANY = "any"
state_of = st.session_state


def draw(ws: Workspace, newest: int) -> None:
    """A button that opens the form. newest: number of the queue made last; a new one closes the form."""
    with st.popover("New queue", icon=":material/playlist_add:", key=f"new queue after {newest}"):
        names = detectors.names(ws)
        name = st.selectbox("Detector", names, names.index(detectors.default_detector(ws)), key=state.DETECTOR)
        st.caption(write.plain(detectors.load(ws, name).description))
        numbers = write.class_numbers(ws.classes, ANY)
        with st.container(horizontal=True):
            st.selectbox("Given label", [ANY, *numbers], key=state.GIVEN)
            st.selectbox("Suggested label", [ANY, *numbers], key=state.SUGGESTED)
        st.number_input(
            "Maximum number of images", 1, review_queue.MAX_SIZE, review_queue.default_size(ws), key=state.QUEUE_SIZE
        )
        st.toggle(
            "Random images",
            value=True,
            key=state.CONTROLS,
            help="A tenth of the queue is drawn at random from all training images, unmarked until you decide. They "
            "say how many labels are wrong in all. With a label chosen above: one random image of that label per "
            "twenty suspects.",
        )
        st.toggle(
            "Hide suggestions",
            key=state.BLIND,
            help="Blind review: suggested label and predictions appear once you decide.",
        )
        st.button("Create queue", key="make queue", type="primary", on_click=_make, args=(ws, numbers))
    with st.popover("Image faults", icon=":material/broken_image:", key=f"faults after {newest}"):
        _draw_faults(ws)
    _draw_sets(ws, newest)


def _draw_sets(ws: Workspace, newest: int) -> None:
    """The sets that were kept on Debug's map, each a queue; nothing where there are none."""
    try:
        sets = [kept for kept in image_sets.load_sets(ws).values() if len(kept.train)]
    except UserError as error:
        st.warning(write.sentence(error))
        return
    if not sets:
        return
    with st.popover("Kept sets", icon=":material/bookmark:", key=f"sets after {newest}"):
        st.caption("Images kept under a name on the map of Debug. Each opens as a queue.")
        for kept in sets:
            fits = len(kept.train) <= review_queue.MAX_SIZE
            st.button(
                f"{write.plain(kept.name)} · {write.counted(len(kept.train), 'image')}",
                key=f"review set {kept.name}",
                type="tertiary",
                on_click=audit_queue.select_set,
                args=(ws, kept.train, kept.name),
                disabled=not fits,
                help=None if fits else f"A queue has at most {write.count(review_queue.MAX_SIZE)} images.",
            )


def _make(ws: Workspace, numbers: dict[str, int]) -> None:
    given, suggested = numbers.get(state_of[state.GIVEN]), numbers.get(state_of[state.SUGGESTED])
    is_whole, mixed = given is None and suggested is None, state_of[state.CONTROLS]
    audit_queue.make(
        ws,
        detector=state_of[state.DETECTOR],
        size=int(state_of[state.QUEUE_SIZE]),
        given=given,
        suggested=suggested,
        random=mixed and is_whole,
        controls=mixed and not is_whole,
        blind=state_of[state.BLIND],
    )


def _draw_faults(ws: Workspace) -> None:
    """The form that makes a queue of pictures that are dark, blurred and so on, or that looks for them."""
    found = _known_faults(ws, theme.cache_key(ws))
    problem = faults.missing_requirement()
    if isinstance(found, UserError):
        st.warning(write.sentence(found))
        found = None
    if found is None:
        st.caption("Images that are dark, bright, blurred, of odd size or shape, nearly one colour, or duplicates.")
        if problem:
            st.caption(write.sentence(problem))
        elif not measurement.under_way(ws, [faults.STORED.name]):
            measurement.button(ws, [faults.STORED.name], "Find image faults")
        return
    st.caption(write.plain(faults_text(ws, found)))
    telling = found.telling()
    if telling:
        counts = found.counts()
        names = {ANY: f"{ANY} ({write.count(len(found.order()))})"}
        names |= {kind: f"{faults.KINDS[kind]} ({write.count(counts[kind])})" for kind in telling}
        st.selectbox("Fault", list(names), format_func=names.get, key=state.FAULT)
        most = review_queue.MAX_SIZE
        st.number_input("Maximum number of images", 1, most, review_queue.default_size(ws), key=state.FAULT_QUEUE_SIZE)
        st.button("Create queue", key="make queue of faults", type="primary", on_click=_make_of_faults, args=(ws,))


@st.cache_resource(max_entries=4, show_spinner=False)
def _known_faults(_ws: Workspace, cache_key: str) -> faults.Faults | None | UserError:
    try:
        return faults.load(_ws)
    except UserError as error:
        return error


def faults_text(ws: Workspace, found: faults.Faults) -> str:
    """How many images have a fault, and what most have, which is none."""
    by = faults.STORED.provenance(ws)["library"]
    texts = [
        f"{write.count(len(found.order()))} of {write.count(ws.n_train)} training images have a fault, found by {by}."
    ]
    texts += [
        f"{write.capitalised(faults.KINDS[kind])}: {write.percent(n / ws.n_train, 0)}, a property of the data set "
        "rather than a fault of an image."
        for kind, n in found.counts().items()
        if n and kind not in found.telling()
    ]
    return " ".join(texts)


def _make_of_faults(ws: Workspace) -> None:
    kind = None if state_of[state.FAULT] == ANY else state_of[state.FAULT]
    audit_queue.make_of_faults(ws, kind, int(state_of[state.FAULT_QUEUE_SIZE]))
