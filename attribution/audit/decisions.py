"""What people decided about suspect labels, and which of their decisions are current: the log's entries, folded."""

from collections.abc import Iterable
from dataclasses import dataclass, field

#: keep: the given label is right; relabel: another is; remove: the image is to be left out; unsure: none of these
DECISIONS = ("keep", "relabel", "remove", "unsure")
#: what acts on a decision, by its uid
REVISIONS = ("undo", "redo")


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the log. at: seconds since 1970. label: the class given, of a relabel. of: the uid that an undo or redo
    acts on. old: the image's current decision before, {"action", "label"}, or None. queue: the number of the queue it
    was made in, or None. seen: the id of the newest entry that its client knew."""

    id: int
    uid: str
    at: float
    who: str
    client: str
    item: int
    action: str
    label: int | None
    of: str | None
    old: dict | None
    reason: str
    queue: int | None
    seen: int


@dataclass(frozen=True, slots=True)
class CurrentDecision(Entry):
    """The newest decision about a training image that is not undone. conflict: the current decisions of other clients
    that differ and were not known to the one who made it, oldest first."""

    conflict: tuple[Entry, ...] = ()


@dataclass
class DecisionFold:
    """The current decisions after the entries added so far; further ones cost no more than themselves.

    current: image -> decision, for every image with a decision that is not undone. newest_id: of the newest entry
    added, 0 before the first.
    """

    current: dict[int, CurrentDecision] = field(default_factory=dict)
    newest_id: int = 0
    _decisions: dict[int, list[Entry]] = field(default_factory=dict)
    _undone: set[str] = field(default_factory=set)

    def add(self, entries: Iterable[Entry]) -> set[int]:
        """Adds further entries, in the log's order, and returns the images they are about; known ones are skipped."""
        images = set()
        for entry in entries:
            if entry.id <= self.newest_id:
                continue
            self.newest_id = entry.id
            images.add(entry.item)
            if entry.action == "undo":
                self._undone.add(entry.of)
            elif entry.action == "redo":
                self._undone.discard(entry.of)
            else:
                self._decisions.setdefault(entry.item, []).append(entry)
        for image in images:
            decision = self._current_decision(image)
            if decision:
                self.current[image] = decision
            else:
                self.current.pop(image, None)
        return images

    def _current_decision(self, image: int) -> CurrentDecision | None:
        newest, clients, conflict = None, set(), []
        for entry in reversed(self._decisions.get(image, ())):
            if entry.uid in self._undone:
                continue
            if newest is None:
                newest = entry
            elif entry.id <= newest.seen:  # and so are all before it
                break
            elif entry.client not in clients and (entry.action, entry.label) != (newest.action, newest.label):
                conflict.append(entry)
            clients.add(entry.client)  # of each client the newest alone is current
        if newest is None:
            return None
        return CurrentDecision(*(getattr(newest, name) for name in Entry.__slots__), tuple(reversed(conflict)))
