"""Audit: review suspect labels with the keyboard, export the corrections, and measure what they gain."""

import secrets
from contextlib import closing

import streamlit as st

from attribution import Workspace
from attribution.audit import detectors, faults, review_queue
from attribution.audit.decision_log import DecisionLog, Queue
from attribution.inputs.limits import read_whole, shortened
from pages.labels import corrections, decision_cache, gain, new_queue, review_component
from pages.ui import audit_queue, link, measurement, state, theme
from pages.ui import format as write

VIEWS = REVIEW, EXPORT, GAIN = "queue", "take home", "was it worth it"
MODES = ONE_IMAGE, WALL = "one image", "wall"
WALLS = (50, 100, 200)  # images
POLL = 3  # seconds between two looks for what others decide
BUILD = ["detectors", "build"]
session = st.session_state


def main() -> None:
    """Draws the page."""
    ws = theme.workspace()
    if len(ws.classes) < 2:
        st.info(
            write.plain(
                f"{ws.name} has one class, {ws.classes[0]}: where every label is the same, none can be "
                "suspected. Bring images of at least two classes."
            )
        )
    elif not detectors.names(ws):
        _without_detectors(ws)
    else:
        with closing(DecisionLog.of(ws)) as log:
            _draw_audit(ws, log)


def _draw_audit(ws: Workspace, log: DecisionLog) -> None:
    decision_cache.current(ws, log)
    rows = log.queues()
    if damage := log.damage():  # found as it was read
        st.error(write.sentence(damage), icon=":material/error:")
    if not rows:
        own = ws.with_model(None)  # labels are no model's: the first queue is what it would be without the others
        audit_queue.add(ws, log, review_queue.queue_spec(own if detectors.default_detector(own) else ws))
        rows = log.queues()
    by_number = {str(row.number): row for row in rows}
    _restore(by_number)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        key = state.AUDIT_VIEW
        view = st.segmented_control("Audit", VIEWS, required=True, key=key, bind="query-params") or REVIEW
        if view == REVIEW:
            number, mode, per = _review_controls(ws, by_number, rows[0].number)
        who = _name_input()
    state.show_error()
    if view == REVIEW:
        _review(ws, log.queue(int(number)), who, mode, per)
        return
    session.pop(state.JUMP_TO, None)  # the review begins anew when it is drawn again
    _read_outbox(ws, None, who)
    if view == EXPORT:
        corrections.draw(ws, log, who)
    else:
        decided, _ = decision_cache.current(ws, log)
        gain.draw(ws, decided, review_queue.uses_validation(ws, log, decided))


def _restore(by_number: dict) -> None:
    """Sets where to begin where the address says nothing, and warns of what it asks for in vain."""
    if state.AUDIT_VIEW not in session and state.AUDIT_VIEW not in st.query_params:
        session[state.AUDIT_VIEW] = REVIEW
    wanted = link.text(state.QUEUE)
    if not wanted or wanted == session.get(state.QUEUE_LINK):
        return
    if wanted in by_number:
        session[state.QUEUE] = wanted
        return
    _warn(f"there is no queue {shortened(wanted)} here; this is the newest one")
    del st.query_params[state.QUEUE]


def _warn(text: str) -> None:
    st.warning(write.sentence(text), icon=":material/link_off:")


# -- the controls


def _review_controls(ws: Workspace, by_number: dict, newest: int) -> tuple[str, str, int]:
    """(number of the queue, "one" image or "wall", images of a wall)."""
    number = st.selectbox(
        "Queue",
        list(by_number),
        key=state.QUEUE,
        width=280,
        persist_state="session",
        format_func=lambda number: _queue_text(ws, by_number[number]),
    )
    _set_queue_link(number)
    new_queue.draw(ws, newest)
    mode = st.segmented_control(
        "Show",
        MODES,
        default=ONE_IMAGE,
        required=True,
        key=state.MODE,
        bind="query-params",
        persist_state="session",
    )
    if mode == ONE_IMAGE:
        return number, "one", WALLS[1]
    per = st.segmented_control(
        "On a wall", WALLS, default=WALLS[1], required=True, key=state.PER_WALL, persist_state="session"
    )
    return number, "wall", per


def _name_input() -> str:
    """Who decides: the name given here, or the user of this system."""
    name = st.text_input(
        "Your name",
        key=state.WHO,
        bind="query-params",
        width=110,
        max_chars=60,
        persist_state="session",
        placeholder=audit_queue.user_name(),
        help="Stands beside your decisions in the log.",
    )
    return name.strip() or audit_queue.user_name()


def _set_queue_link(number: str) -> None:
    """Puts the queue's number in the address: it is what a reload opens, whatever has been made meanwhile. (A bound
    widget would put its words there, and take nothing else.)"""
    session[state.QUEUE_LINK] = number
    if st.query_params.get(state.QUEUE) != number:
        st.query_params[state.QUEUE] = number


def _queue_text(ws: Workspace, row) -> str:
    """A queue in a list."""
    spec = row.spec
    what = spec["detector"]
    if "from" in spec:
        what = f"suspects of target {spec['from']}"
    elif spec.get("of") == "conflicts":
        what = "two answers"
    elif spec.get("of") == faults.STORED.name:
        what = f"faults: {faults.KINDS.get(spec['fault'], new_queue.ANY)}"
    parts = [f"{row.number}", what, f"{write.count(row.n)} images"]
    given, suggested = (None if spec.get(name) is None else ws.classes[spec[name]] for name in ("given", "suggested"))
    if given or suggested:
        parts.append(f"{given or new_queue.ANY} → {suggested or new_queue.ANY}")
    parts += [name for name in ("controls", "blind") if spec.get(name)]
    return write.visible(" · ".join(parts))


# -- the review: one component draws, the other carries decisions


def _review(ws: Workspace, queue: Queue, who: str, mode: str, per: int) -> None:
    token, first = _start_at(ws, queue, mode, per)

    @st.fragment
    def draw_now():
        wanted = (session.get("deck") or {}).get("at") or {}
        at = wanted.get("at") if wanted.get("token") == token else None
        at = at if isinstance(at, int) and 0 <= at <= len(queue.items) else first
        with DecisionLog.of(ws) as log:
            decided, newest = decision_cache.current(ws, log)
        review_component.review(
            review_component.review_data(ws, queue, decided, newest, who=who, mode=mode, per=per, at=at, token=token)
        )

    draw_now()
    _read_outbox(ws, queue, who)
    st.caption(write.plain(_queue_note(ws, queue)))


def _start_at(ws: Workspace, queue: Queue, mode: str, per: int) -> tuple[str, int]:
    """The token of the review, and the place it begins at: the image that was asked for, or the first not decided. Both
    stay as they are until another review is asked for."""
    wanted = session.pop(state.OPEN_AT, None) or link.text(state.AUDIT_IMAGE)
    st.query_params.pop(state.AUDIT_IMAGE, None)  # it is of this review, and of none that is asked for later
    begun = (queue.number, mode, per, wanted)
    known = session.get(state.JUMP_TO)
    if known and known["of"][:3] == begun[:3] and not wanted:
        return known["token"], known["at"]
    image = read_whole(wanted)
    if image in queue.items:
        at = queue.items.index(image)
    else:
        if wanted:
            _warn(f"image {shortened(wanted)} is not in this queue")
        with DecisionLog.of(ws) as log:
            decided, _ = decision_cache.current(ws, log)
        at = next((at for at, image in enumerate(queue.items) if image not in decided), 0)
    token = secrets.token_hex(6)
    session[state.JUMP_TO] = {"of": begun, "token": token, "at": at}
    return token, at


def _read_outbox(ws: Workspace, queue: Queue | None, who: str) -> None:
    """Writes decisions as the browser sends them, and tells it what is written, by others, too. Without a queue on
    view it writes those that were still on their way, and draws the page anew with them."""

    @st.fragment(run_every=POLL if queue else None)
    def draw_now():
        outbox = (session.get("post") or {}).get("outbox")
        answer, seen = {"acked": [], "error": None}, 0
        written = session.setdefault(state.WRITTEN, set())
        before = len(written)
        with DecisionLog.of(ws) as log:
            if isinstance(outbox, dict):
                answer = decision_cache.write_outbox(ws, log, outbox, who, written)
                seen = int(outbox["seen"])
            decided, newest = decision_cache.current(ws, log)
            changed = {entry.item for entry in log.entries(after=seen)} & set(queue.items) if queue else set()
        review_component.post(review_component.post_data(ws, queue, decided, newest, changed, answer))
        if queue is None and answer["error"]:
            st.error(write.sentence(answer["error"]))
        if queue is None and len(written) > before:
            st.rerun()

    draw_now()


def _queue_note(ws: Workspace, queue: Queue) -> str:
    """What the queue rests on."""
    if queue.spec.get("of") == faults.STORED.name:
        return (
            f"Pictures with a fault, the worst first, as {faults.LIBRARY} saw them {write.date_time(queue.created)}; "
            "labels have no part in it. A picture that spoils the training set is removed, any other is kept."
        )
    name = queue.spec["detector"]
    known = name in detectors.names(ws)
    basis = f": {detectors.load(ws, name).description}" if known else ", which is no longer there"
    made = write.date_time(queue.created)
    return (
        f"Order of {made} by {name}{basis}. It stays as it is, whatever is decided or computed."
        " Decisions are written as they are made; the 95 % intervals are Wilson's, of the images decided so far."
        f"{write.planted_note(ws.planted)}"
    )


# -- where nothing has been computed


def _without_detectors(ws: Workspace) -> None:
    st.markdown("#### No detector has looked at these labels yet")
    st.markdown(
        "Detectors compare each label with what the nearest images are called and, where there are models, "
        "with what they say of images they were not trained on."
    )
    state.show_error()
    if not measurement.under_way(ws, BUILD):
        measurement.button(ws, BUILD, "Compute them")


main()
