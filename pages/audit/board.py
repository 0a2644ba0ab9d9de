"""What stands of an audit, for the page: the log of decisions is read once, and then only what is new in it."""

import itertools
import threading

import streamlit as st

from attribution import UserError, Workspace
from attribution.decisions import DECISIONS, REASON, REVISIONS, Decisions, Fold
from attribution.store import Store


class Board:
    """The decisions about one data set, folded. Threads share it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.fold = Fold()

    def read(self, log: Decisions) -> tuple[dict, int]:
        """What stands, image -> `decisions.Standing`, and the newest entry that it rests on."""
        with self.lock:
            self.fold.add(log.entries(after=self.fold.newest))
            return dict(self.fold.standing), self.fold.newest


def board(ws: Workspace) -> Board:
    """The board of a workspace's data set, of the folder that its results are in now."""
    return _board(str(Store.folder_of(ws)))


@st.cache_resource(max_entries=4, show_spinner=False)
def _board(folder: str) -> Board:
    return Board()


def take(ws: Workspace, log: Decisions, outbox: dict, who: str, written: set[str]) -> dict:
    """Writes the decisions that a browser sent, each with the queue it was made in, whichever is on view by now:
    {"acked": [uids], "error": sentence or None}. written: the uids that this session has written before, which grows.

    What can never be written, because it fits no image or class of its queue, counts as acknowledged and is told of;
    where the log cannot be written nothing is acknowledged, and the browser sends it again.
    """
    good, told, bad = [], [], None
    images = {
        number: set(queue.items)
        for number in {_number(entry) for entry in outbox["entries"]}
        if (queue := log.queue(number))
    }
    uids = {str(entry.get(name)) for entry in outbox["entries"] for name in ("uid", "of")}
    known = log.known(uids) | {entry["uid"] for entry in outbox["entries"] if entry.get("action") in DECISIONS}
    for entry in outbox["entries"]:
        wrong = _wrong(ws, entry, images.get(_number(entry), set())) or _unfit(log, entry)
        if not wrong and entry["action"] in REVISIONS and entry.get("of") not in known:
            wrong = "A decision to take back is no longer in the log; the one who took it back may make it anew."
        if wrong:
            bad = wrong
        elif entry["uid"] not in written:
            good.append(entry)
        told.append(entry["uid"])
    if good:
        try:
            for number, of_it in itertools.groupby(good, _number):
                log.append(list(of_it), who, str(outbox["client"])[:64], number)
        except UserError as error:
            return {"acked": [], "error": f"{error}. Nothing is lost here: it is tried again."}
    written.update(told)
    return {"acked": told, "error": bad}


def _number(entry: dict) -> int:
    """The queue that an entry was made in, 0 where it names none."""
    number = entry.get("queue")
    return number if type(number) is int and 0 < number < 1 << 62 else 0


def _unfit(log: Decisions, entry: dict) -> str | None:
    """What the log has against an entry, such as half a character in its note, or None."""
    try:
        log.checked(entry)
    except UserError as error:
        return f"A decision was left out: {error}."
    return None


def _wrong(ws: Workspace, entry: dict, images: set[int]) -> str | None:
    """Why an entry cannot be written, or None. A browser's widget is no check."""
    if not isinstance(entry.get("uid"), str) or entry.get("item") not in images:
        return "A decision about an image that is not in this queue was left out."
    if entry.get("action") not in DECISIONS + REVISIONS:
        return f"A decision {str(entry.get('action'))[:20]!r} that this Lineup does not know was left out."
    if entry["action"] == "relabel" and entry.get("label") not in range(len(ws.classes)):
        return f"A label that is none of the {len(ws.classes)} classes was left out."
    if len(str(entry.get("reason") or "")) > REASON:
        return f"A note of more than {REASON} characters was left out, with its decision."
    return None
