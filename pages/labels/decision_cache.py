"""The current decisions of an audit: the log is read once, then only its new entries; what browsers send is checked."""

import itertools
import threading
import time

import streamlit as st

from attribution import UserError, Workspace
from attribution.audit.decision_log import MAX_REASON_LENGTH, DecisionLog, Queue
from attribution.audit.decisions import DECISIONS, REVISIONS, DecisionFold
from attribution.store.results import ResultStore

RECENT = 300  # seconds for which a tab that has decided counts as one that is in use


class DecisionCache:
    """The current decisions about one data set. Threads share it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.fold = DecisionFold()
        self.tabs: dict[tuple[str, str], float] = {}  # (who, client) -> when it decided last
        self.queues: dict[int, Queue] = {}  # by number: none of them ever changes

    def read(self, log: DecisionLog) -> tuple[dict, int]:
        """The current decisions, image -> `CurrentDecision`, and the newest entry of the log they rest on."""
        with self.lock:
            entries = log.entries(after=self.fold.newest_id)
            self.fold.add(entries)
            self.tabs |= {(entry.who, entry.client): entry.at for entry in entries}
            return dict(self.fold.current), self.fold.newest_id

    def queues_of(self, log: DecisionLog, decided: dict) -> list[Queue]:
        """The queues that decisions were made in. decided: image -> decision, as of `read`."""
        numbers = {decision.queue for decision in decided.values()} - {None}
        with self.lock:
            for number in numbers - self.queues.keys():
                if queue := log.queue(number):
                    self.queues[number] = queue
            return [self.queues[number] for number in sorted(numbers & self.queues.keys())]

    def tabs_of(self, who: str, since: float) -> list[str]:
        """The clients that decided under a name after a moment, as read so far."""
        with self.lock:
            mine = (client for (name, client), at in self.tabs.items() if name == who and at > since)
            return [client for client in mine if not client.startswith("import ")]


def current(ws: Workspace, log: DecisionLog) -> tuple[dict, int]:
    """The current decisions about a workspace's data set, as `DecisionCache.read`."""
    return _cache(str(ResultStore.folder_of(ws))).read(log)


def decided_queues(ws: Workspace, log: DecisionLog, decided: dict) -> list[Queue]:
    """The queues that the current decisions were made in, each read once."""
    return _cache(str(ResultStore.folder_of(ws))).queues_of(log, decided)


def recent_tabs(ws: Workspace, who: str) -> list[str]:
    """The tabs that decided under a name in the last RECENT seconds, as of the last `current`."""
    return _cache(str(ResultStore.folder_of(ws))).tabs_of(who, time.time() - RECENT)


@st.cache_resource(max_entries=4, show_spinner=False)
def _cache(folder: str) -> DecisionCache:
    return DecisionCache()


def write_outbox(ws: Workspace, log: DecisionLog, outbox: dict, who: str, written: set[str]) -> dict:
    """Writes the decisions that a browser sent, each with the queue it was made in, whichever is on view by now:
    {"acked": [uids], "error": sentence or None}. written: the uids that this session has written before, which grows.

    What can never be written, because it fits no image or class of its queue, counts as acknowledged and is reported;
    where the log cannot be written nothing is acknowledged, and the browser sends it again.
    """
    valid, acknowledged, error = [], [], None
    images = {
        number: set(queue.items)
        for number in {_queue_number(entry) for entry in outbox["entries"]}
        if (queue := log.queue(number))
    }
    uids = {str(entry.get(name)) for entry in outbox["entries"] for name in ("uid", "of")}
    known = log.known_uids(uids) | {entry["uid"] for entry in outbox["entries"] if entry.get("action") in DECISIONS}
    for entry in outbox["entries"]:
        problem = _problem(ws, log, entry, images.get(_queue_number(entry), set()), known)
        if problem:
            error = problem
        elif entry["uid"] not in written:
            valid.append(entry)
        acknowledged.append(entry["uid"])
    try:
        for number, entries in itertools.groupby(valid, _queue_number):
            log.append(list(entries), who, str(outbox["client"])[:64], number)
    except UserError as failure:
        return {"acked": [], "error": f"{failure}. Nothing is lost here: it is tried again."}
    written.update(acknowledged)
    return {"acked": acknowledged, "error": error}


def _queue_number(entry: dict) -> int:
    """The queue that an entry was made in, 0 where it names none."""
    number = entry.get("queue")
    return number if type(number) is int and 0 < number < 1 << 62 else 0


def _problem(ws: Workspace, log: DecisionLog, entry: dict, images: set[int], known: set[str]) -> str | None:
    """Why an entry cannot be written, or None. images: those of its queue; known: uids that can be taken back.

    The browser's own checks are not relied upon."""
    if not isinstance(entry.get("uid"), str) or entry.get("item") not in images:
        return "A decision about an image that is not in this queue was left out."
    if entry.get("action") not in DECISIONS + REVISIONS:
        return f"A decision {str(entry.get('action'))[:20]!r} that this Lineup does not know was left out."
    if entry["action"] == "relabel" and entry.get("label") not in range(len(ws.classes)):
        return f"A label that is none of the {len(ws.classes)} classes was left out."
    if len(str(entry.get("reason") or "")) > MAX_REASON_LENGTH:
        return f"A note of more than {MAX_REASON_LENGTH} characters was left out, with its decision."
    try:
        log.check_entry(entry)  # such as half a character in its note
    except UserError as error:
        return f"A decision was left out: {error}."
    if entry["action"] in REVISIONS and entry.get("of") not in known:
        return "A decision to take back is no longer in the log; the one who took it back may make it anew."
    return None
