"""Clean labels: review suspect labels with the keyboard, export the corrections, and measure the benefit."""

import secrets
from contextlib import closing

import streamlit as st

from attribution import Workspace
from attribution.audit import detectors, faults, gather, review_queue
from attribution.audit.decision_log import DecisionLog, Queue
from attribution.audit.detectors.stored import COMBINED
from attribution.inputs.limits import read_whole, shortened
from pages.labels import corrections, decision_cache, gain, new_queue, review_component
from pages.ui import audit_queue, link, measurement, old_links, state, theme
from pages.ui import format as write
from pages.ui.fragments import fragment

STEPS = REVIEW, EXPORT, _ = state.REVIEW_STEP, state.EXPORT_STEP, state.BENEFIT
MODES = ONE_IMAGE, WALL = "one image", "wall"
WALLS = (50, 100, 200)  # images
POLL = 3  # seconds between two looks for what others decide
RANDOM_NOTE = (
    "A tenth of it is drawn at random from all training images, marked once decided: they say how many labels are "
    "wrong in all. Decide the images in the order shown. "
)
BUILD = ["audit", "start"]
session = st.session_state


def main() -> None:
    """Draws the page."""
    seen = theme.workspace()
    ws = _by_evidence(seen)
    if len(ws.classes) < 2:
        st.info(
            write.plain(
                f"{ws.name} has one class, {ws.classes[0]}: where every label is the same, none can be "
                "suspected. Import images of at least two classes."
            )
        )
    elif not detectors.names(ws) or (not _has_combined(ws) and measurement.is_running(ws, BUILD)):
        _without_detectors(ws)
    else:
        with closing(DecisionLog.of(ws)) as log:
            _draw_audit(ws, seen, log)


def _by_evidence(seen: Workspace) -> Workspace:
    """The workspace by the model whose evidence about labels is shown, which are no model's: the one looked at where it
    has all that there is, else the workspace's own."""
    if _has_combined(seen):
        return seen
    own = seen.with_model(None)
    return own if detectors.default_detector(own) else seen


def _has_combined(ws: Workspace) -> bool:
    """Whether the evidence is put together: a first queue of a part of it would stay as it is."""
    return detectors.default_detector(ws) == COMBINED


def _draw_audit(ws: Workspace, seen: Workspace, log: DecisionLog) -> None:
    """The three steps. ws: by the model whose evidence is shown; seen: by the one that is looked at, whose accuracy the
    third step is about."""
    decision_cache.current(ws, log)
    rows = log.queues()
    if damage := log.damage():  # found as it was read
        st.error(write.sentence(damage), icon=":material/error:")
    if not rows:
        audit_queue.add(ws, log, review_queue.queue_spec(ws))
        rows = log.queues()
    by_number = {str(row.number): row for row in rows}
    _restore_step()
    _restore_queue(by_number)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="steps"):
        step = _step_control()
        who = _name_input()
    if step == REVIEW:
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            number, mode, per = _review_controls(ws, by_number, rows[0].number)
    state.show_error()
    if step == REVIEW:
        _review(ws, log.queue(int(number)), who, mode, per)
        return
    session.pop(state.JUMP_TO, None)  # the review begins anew when it is drawn again
    _read_outbox(ws, None, who)
    if step == EXPORT:
        corrections.draw(ws, log, who)
    else:
        decided, _ = decision_cache.current(ws, log)
        gain.draw(seen, decided, review_queue.uses_validation(ws, log, decided))


def _restore_step() -> None:
    """Begins with the step that the address names, also as an earlier version named it, else with the first."""
    old = link.text(state.OLD_STEP)
    st.query_params.pop(state.OLD_STEP, None)
    if state.STEP_ASKED in session:
        session[state.STEP] = session.pop(state.STEP_ASKED)
    elif old in old_links.STEPS:
        session[state.STEP] = old_links.STEPS[old]
    elif state.STEP not in session and state.STEP not in st.query_params:
        session[state.STEP] = REVIEW


def _restore_queue(by_number: dict) -> None:
    """Opens the queue that the address names, and warns where there is none of that number."""
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


def _step_control() -> str:
    """The step that is open."""
    step = st.segmented_control(
        "Steps", STEPS, required=True, key=state.STEP, bind="query-params", label_visibility="collapsed"
    )
    return step or REVIEW


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
        "View",
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
        "Images per wall", WALLS, default=WALLS[1], required=True, key=state.PER_WALL, persist_state="session"
    )
    return number, "wall", per


def _name_input() -> str:
    """Who decides: the name given here, or the user of this system."""
    name = st.text_input(
        "Your name",
        key=state.WHO,
        bind="query-params",
        width=170,
        max_chars=60,
        persist_state="session",
        placeholder=f"Your name ({audit_queue.user_name()})",
        help="Recorded with each of your decisions.",
        label_visibility="collapsed",
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
        what = "conflicts"
    elif spec.get("of") == faults.STORED.name:
        what = f"image faults: {faults.KINDS.get(spec['fault'], new_queue.ANY)}"
    what = spec.get("name") or what
    parts = [f"{row.number}", what, write.counted(row.n, "image")]
    given, suggested = (None if spec.get(name) is None else ws.classes[spec[name]] for name in ("given", "suggested"))
    if given or suggested:
        parts.append(f"{given or new_queue.ANY} → {suggested or new_queue.ANY}")
    parts += [name for name in ("controls", "blind") if spec.get(name)]
    return write.visible(" · ".join(parts))


# -- the review: one component draws, the other carries decisions


def _controls() -> tuple:
    """What the controls above say. A click on one of them that the browser sends together with a decision draws only
    the part that the decision is of: such a part draws the page anew where the controls say other than they did."""
    return tuple(session.get(name) for name in (state.STEP, state.QUEUE, state.MODE, state.PER_WALL, state.WHO))


def _review(ws: Workspace, queue: Queue, who: str, mode: str, per: int) -> None:
    token, first = _start_at(ws, queue, mode, per)
    drawn = _controls()

    @fragment()
    def draw_now():
        wanted = (session.get("deck") or {}).get("at") or {}
        at = wanted.get("at") if wanted.get("token") == token else None
        at = at if isinstance(at, int) and 0 <= at <= len(queue.items) else first
        with DecisionLog.of(ws) as log:
            decided, newest = decision_cache.current(ws, log)
        data = review_component.review_data(ws, queue, decided, newest, who=who, mode=mode, per=per, at=at, token=token)
        review_component.review(data, on_go=_turn_to_export)
        if state.STEP_ASKED in session or _controls() != drawn:
            st.rerun()

    draw_now()
    _read_outbox(ws, queue, who)
    st.caption(write.plain(_queue_note(ws, queue)))


def _turn_to_export() -> None:
    """A callback: the key for the next step was pressed in the review, whose fragment then draws the page anew."""
    session[state.STEP_ASKED] = EXPORT


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
    drawn = _controls()

    @fragment(POLL if queue else None)
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
            queues = decision_cache.decided_queues(ws, log, decided) if queue else []
        tabs = decision_cache.recent_tabs(ws, who)
        review_component.post(review_component.post_data(ws, queue, decided, newest, changed, answer, tabs, queues))
        if queue is None and answer["error"]:
            st.error(write.sentence(answer["error"]))
        if (queue is None and len(written) > before) or _controls() != drawn:
            st.rerun()

    draw_now()


def _queue_note(ws: Workspace, queue: Queue) -> str:
    """What the queue rests on."""
    if queue.spec.get("of") == faults.STORED.name:
        return (
            f"Image faults found by {faults.LIBRARY}, worst first; queue made {write.date_time(queue.created)}. "
            "Labels play no part. Remove an image that harms training, keep any other."
        )
    name = queue.spec["detector"]
    known = name in detectors.names(ws)
    basis, again = ", which was removed since", ""
    if known:
        detector = detectors.load(ws, name)
        basis = f" ({detector.description})"
        if queue.spec.get("version") not in (None, detector.version):
            again = "It was computed again since: a new queue has its order now. "
    made = write.date_time(queue.created)
    return (
        f"Most suspicious first, by detector {name}{basis}; queue made {made}, its order is fixed. {again}"
        f"{RANDOM_NOTE if queue.spec.get('random') else ''}"
        "Each decision is saved at once. Intervals of shares are 95 % Wilson intervals over the images decided so far."
        f"{write.planted_note(ws.planted)}"
    )


# -- where nothing has been computed


def _without_detectors(ws: Workspace) -> None:
    running = measurement.is_running(ws, BUILD)
    st.header("Label suspicions are being computed" if running else "No label suspicions computed yet", anchor=False)
    st.markdown(
        "Detectors compare each label with the labels of the most similar images and, where there are models, "
        "with their held-out predictions: those of models that were not trained on the image."
    )
    state.show_error()
    if measurement.under_way(ws, BUILD):
        return
    to_come = gather.steps(ws)
    if to_come:
        expected = sum(step.seconds for step in to_come)
        st.caption(
            write.plain(
                f"About {write.seconds(expected)} in the background, and the review can begin after about "
                f"{write.seconds(to_come[0].seconds)}: {'; '.join(step.name for step in to_come)}."
            )
        )
    measurement.button(ws, BUILD, "Compute label suspicions")


main()
