"""The decision log: what people decided about suspect labels, append-only in SQLite, and the queues it was about.

Nothing in it is ever changed or deleted (the file itself refuses it): a decision is undone by one more entry. A row
that is not what was written, by its checksum, stays where it is, is read no more, and is said to be damaged. The log
lies in the data folder beside the results, so that reinstalling Lineup loses nothing.
"""

import json
import operator
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attribution.audit.decisions import DECISIONS, REVISIONS, CurrentDecision, DecisionFold, Entry
from attribution.errors import UserError
from attribution.files import keep_private, locked, make_folder
from attribution.store.database import Transaction, check_not_empty, create_database, store_error
from attribution.store.results import ResultStore
from attribution.store.schema import is_empty, read_text, row_crc
from attribution.workspace.workspace import Workspace

FILE = "audit.sqlite"
SCHEMA = 2
#: characters of a reason; of a uid, a name or a client
MAX_REASON_LENGTH, MAX_WORD_LENGTH = 500, 200
TABLES = """
CREATE TABLE about (fingerprint TEXT);
CREATE TABLE entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE, at REAL NOT NULL, who TEXT NOT NULL,
    client TEXT NOT NULL, item INTEGER NOT NULL, action TEXT NOT NULL, label INTEGER, of TEXT, old_action TEXT,
    old_label INTEGER, reason TEXT NOT NULL, queue INTEGER, seen INTEGER NOT NULL, crc INTEGER);
CREATE INDEX entries_item ON entries (item, id);
CREATE INDEX entries_of ON entries (of, id) WHERE of IS NOT NULL;
CREATE TABLE queues (
    number INTEGER PRIMARY KEY AUTOINCREMENT, spec TEXT NOT NULL, n INTEGER NOT NULL, items BLOB NOT NULL,
    controls BLOB NOT NULL, scores BLOB, suggestions BLOB, who TEXT NOT NULL, created REAL NOT NULL, crc INTEGER);
"""
DAMAGED_TABLE = "CREATE TABLE damaged (source TEXT, key INTEGER, found REAL, PRIMARY KEY (source, key))"
#: table -> its columns without the checksum, the key first
CHECKED = {
    "entries": (
        "id", "uid", "at", "who", "client", "item", "action", "label", "of", "old_action", "old_label", "reason",
        "queue", "seen",
    ),
    "queues": ("number", "spec", "n", "items", "controls", "scores", "suggestions", "who", "created"),
}  # fmt: skip
#: what nothing may be done to a table: name -> trigger. An INSERT OR REPLACE deletes without asking a trigger on
#: deletion, hence `insert`; an older Lineup that has the file open writes without a checksum, hence `crc`
GUARD_TRIGGERS = {
    "update": "BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT, 'nothing here is changed'); END",
    "delete": "BEFORE DELETE ON {table} BEGIN SELECT RAISE(ABORT, 'nothing here is deleted'); END",
    "insert": "BEFORE INSERT ON {table} WHEN EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key}) "
    "BEGIN SELECT RAISE(ABORT, 'nothing here is replaced'); END",
    "crc": "BEFORE INSERT ON {table} WHEN NEW.crc IS NULL "
    "BEGIN SELECT RAISE(ABORT, 'nothing here is without a checksum; start the newest Lineup'); END",
}
UID_TRIGGER = """
CREATE TRIGGER entries_uid BEFORE INSERT ON entries WHEN EXISTS (SELECT 1 FROM entries WHERE uid = NEW.uid)
    BEGIN SELECT RAISE(ABORT, 'nothing here is replaced'); END"""
#: of a queue's items, controls, scores and suggestions
QUEUE_DTYPES = ("<i8", "?", "<f8", "<i8")


@dataclass(frozen=True)
class Queue:
    """A review queue as it was made. spec: how, see `review_queue.queue_spec`. items: training images in the order they
    are shown. controls: which of them are random controls. scores, suggestions: the detector's, one an item, or None.
    created: seconds since 1970."""

    number: int
    spec: dict
    items: list[int]
    controls: list[bool]
    scores: list[float] | None
    suggestions: list[int] | None
    who: str
    created: float


@dataclass(frozen=True)
class QueueRow:
    """A row of the list of queues: `Queue` without its n images."""

    number: int
    spec: dict
    n: int
    who: str
    created: float


class DecisionLog:
    """The log of one data set. Safe to open from many processes; each thread opens its own.

    n_train, n_classes: of the data set; nothing beyond them is written. Raises UserError where the data folder cannot
    be used, for a damaged file, and for one of another version or another data set.
    """

    def __init__(self, folder: Path, fingerprint: str, n_train: int, n_classes: int):
        self.folder, self.fingerprint = folder, fingerprint
        self.n_train, self.n_classes = n_train, n_classes
        self._fold = DecisionFold()
        file = folder / FILE
        try:
            make_folder(folder)
            keep_private(folder)
            if not file.exists():
                create_database(file, self._write_tables)
            check_not_empty(file, "decisions")
            self.db = sqlite3.connect(file, timeout=30, isolation_level=None)
            self.db.text_factory = read_text
        except (OSError, sqlite3.Error) as error:
            raise store_error(error, folder) from None
        try:
            self._check_version()
            self.db.execute("PRAGMA journal_mode=WAL")
            self.db.execute("PRAGMA synchronous=FULL")  # what is decided outlives the power, too
            of = self.db.execute("SELECT fingerprint FROM about").fetchone()[0]
            if of != fingerprint:
                raise UserError(
                    f"the decisions in {folder / FILE} are about another data set ({of[:16]}); put the "
                    "file back where it was"
                )
            self._migrate()
            self.file = os.stat(folder / FILE)
        except UserError:
            self.db.close()
            raise
        except (OSError, sqlite3.Error) as error:
            self.db.close()
            raise store_error(error, folder) from None

    @staticmethod
    def of(workspace: Workspace) -> "DecisionLog":
        """The log of a workspace's data set. Raises UserError as the constructor."""
        return DecisionLog(
            ResultStore.folder_of(workspace), workspace.fingerprint, workspace.n_train, len(workspace.classes)
        )

    def close(self) -> None:
        """Closes the file."""
        self.db.close()

    def __enter__(self) -> "DecisionLog":
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def _check_version(self) -> None:
        if is_empty(self.db):  # its maker, of an older version, was killed
            with locked(self.folder.parent):
                if is_empty(self.db):
                    self._write_tables(self.db)
        version = self.db.execute("PRAGMA user_version").fetchone()[0]
        if version not in (1, SCHEMA):  # nothing of it is touched
            raise UserError(
                f"the decisions in {self.folder} have schema version {version}, and this Lineup reads "
                f"{SCHEMA}; set LINEUP_DATA to another folder, or use the Lineup that wrote them"
            )

    def _write_tables(self, db: sqlite3.Connection) -> None:
        db.executescript(f"BEGIN IMMEDIATE;{TABLES}{DAMAGED_TABLE};{UID_TRIGGER};")
        for table in CHECKED:
            _guard(db, table)
        db.execute("INSERT INTO about VALUES (?)", (self.fingerprint,))
        db.execute(f"PRAGMA user_version={SCHEMA}")
        db.execute("COMMIT")

    def _migrate(self) -> None:
        if self.db.execute("PRAGMA user_version").fetchone()[0] != SCHEMA:
            with Transaction(self.db):
                if self.db.execute("PRAGMA user_version").fetchone()[0] != SCHEMA:  # another process may just have
                    self._add_checksums()

    def _add_checksums(self) -> None:
        """Gives each row of a log of schema 1 the checksum that vouches for it from now on. The caller holds a
        transaction: it is done whole, or not at all; others wait."""
        self.db.create_function("row_crc", -1, row_crc, deterministic=True)
        for table, columns in CHECKED.items():
            self.db.execute(f"ALTER TABLE {table} ADD COLUMN crc INTEGER")
            for name in ("update", "delete", "insert"):
                self.db.execute(f"DROP TRIGGER {table}_{name}")
            self.db.execute(f"UPDATE {table} SET crc = row_crc({', '.join(columns)})")
            _guard(self.db, table)
        self.db.execute(DAMAGED_TABLE)
        self.db.execute(f"PRAGMA user_version={SCHEMA}")

    @contextmanager
    def _explain_errors(self):
        """Raises UserError, in one sentence, where the file cannot be used (any more)."""
        try:
            there = os.path.samestat(self.file, os.stat(self.folder / FILE))
        except OSError:
            there = False
        if not there:  # nobody would find what is written into it now
            raise UserError(f"{self.folder / FILE} was moved or deleted while in use; put it back, and ask again")
        try:
            yield
        except (sqlite3.ProgrammingError, sqlite3.IntegrityError):  # mistakes of this code
            raise
        except sqlite3.Error as error:
            raise store_error(error, self.folder) from None

    # -- decisions

    def append(self, entries: list[dict], who: str, client: str, queue: int | None = None) -> list[int]:
        """Writes entries, all or none, and returns their ids in the log; once it returns they are on the disk.

        Each entry has "uid" (the client's own, unique: one that is there already is not written again, and its old id
        returned), "item", "action" and "seen" (id of the newest entry the client knew, 0 for none); a relabel has
        "label"; undo and redo have "of", the uid of a decision, whoever's, and need no item; "reason" is text. who: a
        person's name; client: a browser or a program, whose own entries are never in conflict; queue: number of the
        queue they were made in. Raises UserError for anything else, and where nothing can be written.
        """
        entries = [self.check_entry(entry) for entry in entries]
        who, client = _check_text(who, "a name", MAX_WORD_LENGTH), _check_text(client, "a client", MAX_WORD_LENGTH)
        now = time.time()
        with self._explain_errors(), Transaction(self.db):
            if queue is not None and not self.db.execute("SELECT 1 FROM queues WHERE number = ?", (queue,)).fetchone():
                raise UserError(f"there is no queue {queue}; load the page again")
            return [self._append(entry, now, who, client, queue) for entry in entries]

    def _append(self, entry: dict, now: float, who: str, client: str, queue: int | None) -> int:
        known = self.db.execute("SELECT id FROM entries WHERE uid = ?", (entry["uid"],)).fetchone()
        if known:
            return known[0]
        item = entry["item"]
        if entry["of"] is not None:
            row = next(iter(self._entries("uid = ?", (entry["of"],))), None)
            if row is None or row.action in REVISIONS or item not in (None, row.item):
                why = "names no decision" if row is None or row.action in REVISIONS else f"is about image {row.item}"
                raise UserError(f"the {entry['action']} {why}: {entry['of']!r}; load the page again")
            item = row.item
        old_action, old_label = self._newest_decision(item)
        values = entry | {"at": now, "who": who, "client": client, "item": item, "queue": queue}
        # a client may come from a log that was lost since, and has not seen what is new here
        values |= {"seen": min(entry["seen"], self.newest_id())}
        values |= {"old_action": old_action, "old_label": old_label}
        return self._insert("entries", values)

    def _newest_decision(self, item: int) -> tuple[str | None, int | None]:
        """(action, label) of an image's newest decision that is not undone; no more is read than that takes."""
        action, label, uid = (CHECKED["entries"].index(name) for name in ("action", "label", "uid"))
        for row in self._sound_rows("entries", "item = ? AND of IS NULL ORDER BY id DESC", (item,)):
            last = next(self._sound_rows("entries", "of = ? ORDER BY id DESC", (row[uid],)), None)
            if last is None or last[action] == "redo":
                return row[action], row[label]
        return None, None

    def check_entry(self, entry: dict) -> dict:
        """The entry with all keys that there are, None where it has no value. Raises UserError for one that can never
        be written."""
        action = entry.get("action")
        if action not in DECISIONS + REVISIONS:
            raise UserError(f"there is no action {action!r}; say one of {', '.join(DECISIONS + REVISIONS)}")
        item, label, of = (entry.get(name) for name in ("item", "label", "of"))
        if item is not None or action in DECISIONS:
            item = _check_number(item, self.n_train, "training image")
        if action == "relabel":
            label = _check_number(label, self.n_classes, "class")
        elif label is not None:
            raise UserError(f"{action} takes no label; leave it out, or say relabel")
        if action in REVISIONS:
            of = _check_text(of, f"the decision to {action}", MAX_WORD_LENGTH)
        elif of is not None:
            raise UserError(f"{action} acts on no other entry; say undo or redo, or leave it out")
        uid = _check_text(entry.get("uid"), "a uid", MAX_WORD_LENGTH)
        if not uid:
            raise UserError("an entry has no uid; load the page again")
        reason = _check_text(entry.get("reason") or "", "a reason", MAX_REASON_LENGTH)
        seen = _check_number(entry.get("seen"), 1 << 62, "entry seen")
        return {"uid": uid, "item": item, "action": action, "label": label, "of": of, "reason": reason, "seen": seen}

    def newest_id(self) -> int:
        """The id of the newest entry, 0 where there is none."""
        with self._explain_errors():
            return self.db.execute("SELECT coalesce(max(id), 0) FROM entries").fetchone()[0]

    def known_uids(self, uids: Iterable[str]) -> set[str]:
        """Those of the uids that are in the log."""
        with self._explain_errors():
            return {uid for uid in uids if any(self._sound_rows("entries", "uid = ?", (uid,)))}

    def entries(self, after: int = 0, limit: int | None = None) -> list[Entry]:
        """The entries with ids above `after`, oldest first, at most `limit` of them."""
        return self._entries("id > ? ORDER BY id LIMIT ?", (after, -1 if limit is None else limit))

    def _entries(self, where: str, values: tuple) -> list[Entry]:
        with self._explain_errors():
            rows = list(self._sound_rows("entries", where, values))
        return [
            Entry(*row[:9], None if row[9] is None else {"action": row[9], "label": row[10]}, *row[11:]) for row in rows
        ]

    def current_decisions(self, up_to_id: int | None = None) -> dict[int, CurrentDecision]:
        """Image -> its current decision; as of the entry `up_to_id` where that is given. Only new entries are read."""
        if up_to_id is not None:
            fold = DecisionFold()
            fold.add(self._entries("id <= ? ORDER BY id", (up_to_id,)))
            return fold.current
        self._fold.add(self.entries(self._fold.newest_id))
        return dict(self._fold.current)

    # -- queues

    def add_queue(self, spec: dict, items: list[int], controls: list[bool], scores, suggestions, who: str) -> int:
        """Keeps a queue for good, and returns its number. spec: JSON; items: training images, in order; controls: bool
        an item; scores: float, suggestions: int an item, or None. Raises UserError for an image or a class that there
        is not, and where nothing can be written."""
        items = [_check_number(item, self.n_train, "training image") for item in items]
        if suggestions is not None:
            suggestions = [_check_number(label, self.n_classes, "class") for label in suggestions]
        parts = (items, controls, scores, suggestions)
        if any(len(part) != len(items) for part in parts if part is not None):
            raise ValueError("one control, score and suggestion an item")
        arrays = [
            None if part is None else np.asarray(part, dtype).tobytes() for part, dtype in zip(parts, QUEUE_DTYPES)
        ]
        who = _check_text(who, "a name", MAX_WORD_LENGTH)
        row = (json.dumps(spec), len(items), *arrays, who, time.time())
        with self._explain_errors(), Transaction(self.db):
            return self._insert("queues", dict(zip(CHECKED["queues"][1:], row)))

    def queue(self, number: int) -> Queue | None:
        """The queue `number`, or None."""
        with self._explain_errors():
            rows = list(self._sound_rows("queues", "number = ?", (number,)))
        if not rows:
            return None
        _, spec, _, *parts, who, created = rows[0]
        arrays = (
            None if part is None else np.frombuffer(part, dtype).tolist() for part, dtype in zip(parts, QUEUE_DTYPES)
        )
        return Queue(number, json.loads(spec), *arrays, who, created)

    def queues(self) -> list[QueueRow]:
        """All queues, the newest first."""
        with self._explain_errors():
            rows = self._sound_rows("queues", "TRUE ORDER BY number DESC", ())
            return [QueueRow(row[0], json.loads(row[1]), row[2], *row[-2:]) for row in rows]

    def decided_queues(self) -> set[int]:
        """The numbers of the queues in which anything was decided, taken back or not."""
        with self._explain_errors():
            return {row[0] for row in self.db.execute("SELECT DISTINCT queue FROM entries WHERE queue IS NOT NULL")}

    # -- checksums

    def count_damaged(self) -> int:
        """How many rows were found not to be what was written, so far."""
        with self._explain_errors():
            return self.db.execute("SELECT count(*) FROM damaged").fetchone()[0]

    def damage(self) -> str:
        """A sentence without a full stop where any were found; "" where none was."""
        count = self.count_damaged()
        if not count:
            return ""
        rows = f"{count:,} rows of it are" if count > 1 else "one row of it is"
        return (
            f"the decisions in {self.folder / FILE} are not all that was written: {rows} damaged and left out; put a "
            "copy of that file back, or decide anew what is missing"
        )

    def _insert(self, table: str, values: dict) -> int:
        """Writes a row with its checksum, and returns its key. The caller holds a transaction."""
        key, *columns = CHECKED[table]
        last = self.db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
        row = (last[0] + 1 if last else 1, *(values[column] for column in columns))
        places = ", ".join("?" * (len(row) + 1))
        self.db.execute(
            f"INSERT INTO {table} ({key}, {', '.join(columns)}, crc) VALUES ({places})", (*row, row_crc(*row))
        )
        return row[0]

    def _sound_rows(self, table: str, where: str, values: tuple) -> Iterator[tuple]:
        """The rows that the condition picks, without their checksums. Those that are not what was written are noted in
        the table `damaged`, and are as if they had never been; nothing here is deleted, so they stay where they are."""
        for *row, crc in self.db.execute(f"SELECT {', '.join(CHECKED[table])}, crc FROM {table} WHERE {where}", values):
            if row_crc(*row) == crc:
                yield tuple(row)
            else:
                self._note_damaged(table, row[0])

    def _note_damaged(self, table: str, key: int) -> None:
        noted = self.db.execute("SELECT 1 FROM damaged WHERE source = ? AND key = ?", (table, key)).fetchone()
        with suppress(sqlite3.OperationalError):  # a full disk: noted later, and left out all the same
            if not noted:
                self.db.execute("INSERT OR IGNORE INTO damaged VALUES (?, ?, ?)", (table, key, time.time()))


def _guard(db: sqlite3.Connection, table: str) -> None:
    for name, trigger in GUARD_TRIGGERS.items():
        db.execute(f"CREATE TRIGGER {table}_{name} {trigger.format(table=table, key=CHECKED[table][0])}")


def _check_number(value, n: int, name: str) -> int:
    """`value` as an int. Raises UserError where it is not a whole number from 0 to n - 1."""
    try:
        number = -1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = -1
    if not 0 <= number < n:
        raise UserError(f"there is no {name} {value!r}; give a whole number from 0 to {n - 1}")
    return number


def _check_text(value, name: str, max_length: int) -> str:
    """`value`. Raises UserError where it is not text of at most `max_length` characters that UTF-8 can hold."""
    if not isinstance(value, str) or len(value) > max_length:
        problem = f"has {len(value):,} characters" if isinstance(value, str) else f"is {value!r}"
        raise UserError(f"{name} {problem}; give a text of at most {max_length} characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UserError(f"{name} holds half of a character; write it again") from None
    if "\0" in value:  # few programs read on behind one in a CSV
        raise UserError(f"{name} holds a NUL character; write it again without")
    return value
