"""Audit: look through suspect labels with the keyboard, take the corrections home, and see what they are worth."""

import secrets

import streamlit as st

from attribution import Workspace, detectors, queues
from attribution.decisions import Decisions, Queue
from pages.audit import board, deck, making, take_home, worth
from pages.ui import audit_queue, measurement, state, theme
from pages.ui import format as write

VIEWS = ("queue", "take home", "was it worth it")
MODES = ("one image", "wall")
WALLS = (50, 100, 200)  # images
LISTEN = 3  # seconds between two looks for what others decide
BUILD = ["detectors", "build"]
state_of = st.session_state


def main() -> None:
    ws = theme.workspace()
    if len(ws.classes) < 2:
        st.info(
            write.plain(
                f"{ws.name} has one class, {ws.classes[0]}: where every label is the same, none can be "
                "suspected. Bring images of at least two classes."
            )
        )
        return
    names = detectors.names(ws)
    if not names:
        _compute_first(ws)
        return
    log = Decisions.of(ws)
    try:
        _audit(ws, log)
    finally:
        log.close()


def _audit(ws: Workspace, log: Decisions) -> None:
    rows = log.queues()
    if not rows:
        making.first(ws, log)
        rows = log.queues()
    by_name = {str(row.number): row for row in rows}
    _start(by_name)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        view = (
            st.segmented_control("Audit", VIEWS, required=True, key=state.ROOM_OF_AUDIT, bind="query-params")
            or VIEWS[0]
        )
        if view == VIEWS[0]:
            number = st.selectbox(
                "Queue",
                list(by_name),
                key=state.QUEUE,
                width=280,
                persist_state="session",
                format_func=lambda number: _named(ws, by_name[number]),
            )
            _remember(number)
            making.form(ws, rows[0].number)
            mode = st.segmented_control(
                "Show",
                MODES,
                default=MODES[0],
                required=True,
                key=state.MODE,
                bind="query-params",
                persist_state="session",
            )
            per = WALLS[1]
            if mode == MODES[1]:
                per = st.segmented_control(
                    "On a wall", WALLS, default=per, required=True, key=state.PER_WALL, persist_state="session"
                )
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
        who = name.strip() or audit_queue.user_name()
    if state.ERROR in state_of:
        st.error(write.sentence(state_of.pop(state.ERROR)))
    if view == VIEWS[0]:
        queue = log.queue(int(number))
        _deck(ws, queue, who, "wall" if mode == MODES[1] else "one", per)
        _post(ws, queue, who)
        st.caption(write.plain(_about(ws, queue)))
        return
    state_of.pop(state.JUMP, None)  # the deck begins anew when it is drawn again
    _post(ws, None, who)
    if view == VIEWS[1]:
        take_home.draw(ws, log, who)
    else:
        standing, _ = board.board(ws).read(log)
        worth.draw(ws, standing, queues.used_validation(ws, log, standing))


def _start(by_name: dict) -> None:
    """Says what in the address cannot be had, and sets where to begin where it says nothing."""
    if state.ROOM_OF_AUDIT not in state_of and state.ROOM_OF_AUDIT not in st.query_params:
        state_of[state.ROOM_OF_AUDIT] = VIEWS[0]
    link = st.query_params.get(state.QUEUE)
    if not link or link == state_of.get(state.QUEUE_LINK):
        return
    if link in by_name:
        state_of[state.QUEUE] = link
        return
    st.warning(
        write.sentence(f"there is no queue {link[:40]} here; this is the newest one"), icon=":material/link_off:"
    )
    del st.query_params[state.QUEUE]


def _remember(number: str) -> None:
    """Puts the queue's number in the address: it is what a reload opens, whatever has been made meanwhile. (A bound
    widget would put its words there, and take nothing else.)"""
    state_of[state.QUEUE_LINK] = number
    if st.query_params.get(state.QUEUE) != number:
        st.query_params[state.QUEUE] = number


def _named(ws: Workspace, row) -> str:
    """A queue in a list."""
    spec = row.spec
    what = spec["detector"]
    if "from" in spec:
        what = f"suspects of target {spec['from']}"
    elif spec.get("of") == "conflicts":
        what = "two answers"
    parts = [f"{row.number}", what, f"{write.count(row.n)} images"]
    given, suggested = (None if spec.get(name) is None else ws.classes[spec[name]] for name in ("given", "suggested"))
    if given or suggested:
        parts.append(f"{given or making.ANY} → {suggested or making.ANY}")
    parts += ["controls"] if spec.get("controls") else []
    parts += ["blind"] if spec.get("blind") else []
    return " · ".join(parts)


def _about(ws: Workspace, queue: Queue) -> str:
    """What the queue rests on."""
    name = queue.spec["detector"]
    made = write.date_time(queue.created)
    known = name in detectors.names(ws)
    found = f": {detectors.load(ws, name).about}" if known else ", which is no longer there"
    planted = f" Labels are as given, with {ws.planted} planted errors." if ws.planted else ""
    return (
        f"Order of {made} by {name}{found}. It stays as it is, whatever is decided or computed. Decisions are "
        f"written as they are made; the 95 % intervals are Wilson's, of the images decided so far.{planted}"
    )


# -- the deck and its post


def _deck(ws: Workspace, queue: Queue, who: str, mode: str, per: int) -> None:
    token, first = _begin(ws, queue, mode, per)

    @st.fragment
    def draw():
        wanted = (state_of.get("deck") or {}).get("at") or {}
        at = wanted.get("at") if wanted.get("token") == token else None
        at = at if isinstance(at, int) and 0 <= at <= len(queue.items) else first
        with Decisions.of(ws) as log:
            standing, upto = board.board(ws).read(log)
        deck.deck(deck.deck_data(ws, queue, standing, upto, who=who, mode=mode, per=per, at=at, token=token))

    draw()


def _begin(ws: Workspace, queue: Queue, mode: str, per: int) -> tuple[str, int]:
    """The deck's token, and the place it begins at: the image that was asked for, or the first one not decided. Both
    stay as they are until another deck is asked for."""
    link = state_of.pop(state.OPEN_AT, None) or st.query_params.get(state.AUDIT_IMAGE, "")
    of = (queue.number, mode, per, link)
    known = state_of.get(state.JUMP)
    st.query_params.pop(state.AUDIT_IMAGE, None)  # it is of this deck, and of none that is asked for later
    if known and known["of"][:3] == of[:3] and not link:
        return known["token"], known["at"]
    if link.isdigit() and int(link) in queue.items:
        at = queue.items.index(int(link))
    else:
        if link:
            st.warning(write.sentence(f"image {link} is not in this queue"), icon=":material/link_off:")
        with Decisions.of(ws) as log:
            standing, _ = board.board(ws).read(log)
        at = next((at for at, image in enumerate(queue.items) if image not in standing), 0)
    token = secrets.token_hex(6)
    state_of[state.JUMP] = {"of": of, "token": token, "at": at}
    return token, at


def _post(ws: Workspace, queue: Queue | None, who: str) -> None:
    """Takes decisions in as the browser sends them, and tells it what is written, by others, too. Without a queue on
    view it takes those that were still on their way, and draws the page anew with them."""

    @st.fragment(run_every=LISTEN if queue else None)
    def draw():
        outbox = (state_of.get("post") or {}).get("outbox")
        answer, seen = {"acked": [], "error": None}, 0
        written = state_of.setdefault(state.WRITTEN, set())
        known = len(written)
        with Decisions.of(ws) as log:
            if isinstance(outbox, dict):
                answer = board.take(ws, log, outbox, who, written)
                seen = int(outbox["seen"])
            standing, upto = board.board(ws).read(log)
            changed = {entry.item for entry in log.entries(after=seen)} & set(queue.items) if queue else set()
        deck.post(deck.post_data(ws, queue, standing, upto, changed, answer))
        if queue is None and answer["error"]:
            st.error(write.sentence(answer["error"]))
        if queue is None and len(written) > known:
            st.rerun()

    draw()


# -- where nothing has been computed


def _compute_first(ws: Workspace) -> None:
    st.markdown("#### No detector has looked at these labels yet")
    st.markdown(
        "Detectors compare each label with what the nearest images are called and, where there are models, "
        "with what they say of images they were not trained on."
    )
    if state.ERROR in state_of:
        st.error(write.sentence(state_of.pop(state.ERROR)))
    if not measurement.under_way(ws, BUILD):
        measurement.button(ws, BUILD, "Compute them")


main()
