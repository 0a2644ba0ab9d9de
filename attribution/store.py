"""The result store: every retraining ever done, once, in SQLite. It is the truth; jobs and pages only read it.

A retraining is keyed by (data fingerprint, recipe, edit, seed) and holds the prediction for every validation image.
The store of a data set lives in the data folder, never in a workspace, so that reinstalling Lineup loses nothing.
"""

import hashlib
import json
import sqlite3
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attribution.edits import Edit
from attribution.errors import UserError
from attribution.files import data_folder

SCHEMA = 1
TABLES = """
CREATE TABLE IF NOT EXISTS edits (hash TEXT PRIMARY KEY, kind TEXT, k INTEGER, body BLOB);
CREATE TABLE IF NOT EXISTS retrainings (
    key TEXT PRIMARY KEY, recipe TEXT, edit TEXT, seed INTEGER, predicted BLOB, margins BLOB,
    seconds REAL, device TEXT, library TEXT, threads INTEGER, created REAL);
CREATE INDEX IF NOT EXISTS retrainings_edit ON retrainings (edit);
CREATE TABLE IF NOT EXISTS out_of_subset (recipe TEXT PRIMARY KEY, sums BLOB, counts BLOB);
CREATE TABLE IF NOT EXISTS supports (
    recipe TEXT, ranking TEXT, target INTEGER, kind TEXT, protocol TEXT, k_max INTEGER, body TEXT, created REAL,
    PRIMARY KEY (recipe, ranking, target, kind, protocol, k_max));
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY, spec TEXT, what TEXT, state TEXT, done INTEGER DEFAULT 0, total INTEGER DEFAULT 0,
    message TEXT DEFAULT '', created REAL, started REAL, finished REAL);
CREATE TABLE IF NOT EXISTS live (key TEXT PRIMARY KEY, job INTEGER, pid INTEGER, epoch INTEGER, epochs INTEGER,
    started REAL);
CREATE TABLE IF NOT EXISTS tries (key TEXT PRIMARY KEY, n INTEGER);
"""
#: added to stores that were made before it; a Lineup that does not know it never looks
ANSWERS = """CREATE TABLE IF NOT EXISTS answers (recipe TEXT, question TEXT, body TEXT, created REAL,
    PRIMARY KEY (recipe, question))"""


@dataclass(frozen=True)
class Retraining:
    """What one training run predicts. predicted: uint8 [n_val], or uint16; margins: float16 [n_val], correct logit less
    the best other. device, library and threads: what it ran on; results are repeatable bit for bit where all three are
    equal."""

    key: str
    seed: int
    predicted: np.ndarray
    margins: np.ndarray
    seconds: float
    device: str
    library: str
    threads: int
    created: float


def predictions(packed: bytes, n: int) -> np.ndarray:
    """The `predicted` of n validation images from its bytes: two an image where one cannot name a class."""
    return np.frombuffer(packed, np.uint8 if len(packed) == n else np.uint16)


@dataclass(frozen=True)
class Job:
    """A row of work. state: queued, running, cancelling, cancelled, done or failed; seconds: since it started."""

    id: int
    spec: dict
    what: str
    state: str
    done: int
    total: int
    message: str
    created: float
    started: float | None
    finished: float | None

    @property
    def open(self) -> bool:
        """True while there is something left to do or to stop."""
        return self.state in ("queued", "running", "cancelling")

    @property
    def seconds(self) -> float:
        """Seconds of work so far; 0 before it starts."""
        return ((self.finished or time.time()) - self.started) if self.started else 0.0


class Store:
    """The store of one data set. Safe to open from many processes; each thread opens its own."""

    def __init__(self, folder: Path, fingerprint: str):
        self.folder = folder
        self.fingerprint = fingerprint
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.db = sqlite3.connect(folder / "results.sqlite", timeout=30, isolation_level=None)
            self.db.execute("PRAGMA journal_mode=WAL")
            self.db.execute("PRAGMA synchronous=NORMAL")
            version = self.db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                self.db.executescript(TABLES)
                self.db.execute(f"PRAGMA user_version={SCHEMA}")
                version = SCHEMA
            if version == SCHEMA:
                self.db.execute(ANSWERS)
        except (OSError, sqlite3.Error) as error:
            raise UserError(f"the data folder {folder} cannot be used ({error}); "
                            "set LINEUP_DATA to a folder you may write to") from None
        if version != SCHEMA:
            raise UserError(f"the results in {folder} have schema version {version}, and this Lineup reads {SCHEMA}; "
                            "set LINEUP_DATA to another folder, or use the Lineup that wrote them")

    @staticmethod
    def of(workspace) -> "Store":
        """The store of a workspace's data set. Raises UserError when the data folder cannot be used."""
        return Store(Store.folder_of(workspace), workspace.fingerprint)

    @staticmethod
    def folder_of(workspace) -> Path:
        """Where the store of a workspace's data set is, or would be."""
        return data_folder() / workspace.fingerprint[:16]

    def close(self) -> None:
        self.db.close()

    # -- retrainings

    def key(self, recipe: str, edit: Edit, seed: int) -> str:
        """The name of a retraining: SHA-256 over data fingerprint, recipe hash, edit and seed, in hex."""
        return hashlib.sha256("|".join((self.fingerprint, recipe, edit.hash, str(seed))).encode()).hexdigest()

    def get(self, key: str) -> Retraining | None:
        """The retraining `key`, or None if it has not been done."""
        row = self.db.execute("SELECT key, seed, predicted, margins, seconds, device, library, threads, created "
                              "FROM retrainings WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        margins = np.frombuffer(row[3], np.float16)
        return Retraining(row[0], row[1], predictions(row[2], len(margins)), margins, *row[4:])

    def put(self, recipe: str, edit: Edit, seed: int, *, predicted, margins, seconds, device, library, threads,
            out_of_subset: np.ndarray | None = None) -> bool:
        """Keeps a retraining; False, and nothing changes, where it is there already.

        out_of_subset: float [k, classes], probabilities of the removed training images, in the order of edit.indices;
        they are added to the running sums in the same transaction, so that each model counts once.
        Raises sqlite3.Error, and nothing changes, where it cannot be written (a full disk).
        """
        body = zlib.compress(json.dumps(edit.to_json()).encode())
        classes = np.asarray(predicted, np.min_scalar_type(int(np.max(predicted))))
        row = (self.key(recipe, edit, seed), recipe, edit.hash, seed, classes.tobytes(),
               np.asarray(margins, np.float16).tobytes(), seconds, device, library, threads, time.time())
        with self.transaction():
            places = ",".join("?" * len(row))
            if not self.db.execute(f"INSERT OR IGNORE INTO retrainings VALUES ({places})", row).rowcount:
                return False
            self.db.execute("INSERT OR IGNORE INTO edits VALUES (?, ?, ?, ?)", (edit.hash, edit.kind, edit.k, body))
            self.db.execute("DELETE FROM tries WHERE key = ?", (row[0],))
            if out_of_subset is not None:
                self._accumulate(recipe, edit, np.asarray(out_of_subset, np.float64))
        return True

    def _accumulate(self, recipe, edit, probabilities):
        old = self.out_of_subset(recipe)
        size = edit.indices[-1] + 1
        sums, counts = old if old else (np.zeros((0, probabilities.shape[1])), np.zeros(0, np.int64))
        grow = max(0, size - len(counts))
        sums, counts = np.pad(sums, ((0, grow), (0, 0))), np.pad(counts, (0, grow))
        sums[list(edit.indices)] += probabilities
        counts[list(edit.indices)] += 1
        self.db.execute("INSERT OR REPLACE INTO out_of_subset VALUES (?, ?, ?)",
                        (recipe, sums.tobytes(), counts.tobytes()))

    def out_of_subset(self, recipe: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Sums float64 [n, classes] and counts int64 [n]: class probabilities of training images, over the models that
        did not see them; n reaches to the last image left out so far."""
        row = self.db.execute("SELECT sums, counts FROM out_of_subset WHERE recipe = ?", (recipe,)).fetchone()
        if row is None:
            return None
        counts = np.frombuffer(row[1], np.int64).copy()
        return np.frombuffer(row[0], np.float64).reshape(len(counts), -1).copy(), counts

    def count(self) -> int:
        """How many retrainings are kept."""
        return self.db.execute("SELECT count(*) FROM retrainings").fetchone()[0]

    def mean_seconds(self, recipe: str, k_at_most: int = 500) -> tuple[float, int] | None:
        """Median seconds of the last 100 retrainings under small edits, and how many they are; None without any."""
        rows = self.db.execute(
            "SELECT seconds FROM retrainings JOIN edits ON edits.hash = retrainings.edit WHERE recipe = ? AND k <= ? "
            "ORDER BY created DESC LIMIT 100", (recipe, k_at_most)).fetchall()
        return (float(np.median(rows)), len(rows)) if rows else None

    # -- supports

    def put_support(self, recipe, ranking, target, kind, protocol, k_max, body: dict) -> None:
        """Keeps the answer of a support search, a JSON-serialisable dict."""
        self.db.execute("INSERT OR REPLACE INTO supports VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                        (recipe, ranking, target, kind, protocol, k_max, json.dumps(body), time.time()))

    def supports(self, recipe: str) -> list[dict]:
        """All answers of support searches under a recipe, each with ranking, target, kind, protocol, k_max, created,
        and the `version` of the ranking it was found with."""
        rows = self.db.execute("SELECT ranking, target, kind, protocol, k_max, created, body FROM supports "
                               "WHERE recipe = ?", (recipe,)).fetchall()
        names = ("ranking", "target", "kind", "protocol", "k_max", "created")
        return [{"version": None, **json.loads(row[-1]), **dict(zip(names, row))} for row in rows]

    def newest_support(self) -> float | None:
        """When the last answer was kept, seconds since 1970: it changes whenever one comes in. None without any."""
        return self.db.execute("SELECT max(created) FROM supports").fetchone()[0]

    # -- answers to other questions

    def put_answer(self, recipe: str, question: dict, body: dict) -> None:
        """Keeps the answer to a question that is no plain support search; both JSON-serialisable dicts."""
        self.db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)",
                        (recipe, json.dumps(question, sort_keys=True), json.dumps(body), time.time()))

    def answer(self, recipe: str, question: dict) -> dict | None:
        """The answer kept to exactly this question, with `created`, or None."""
        row = self.db.execute("SELECT body, created FROM answers WHERE recipe = ? AND question = ?",
                              (recipe, json.dumps(question, sort_keys=True))).fetchone()
        return {**json.loads(row[0]), "created": row[1]} if row else None

    def answers(self, recipe: str, verb: str) -> list[tuple[dict, dict]]:
        """(question, answer) of all answers to questions of a verb, oldest first."""
        rows = self.db.execute("SELECT question, body, created FROM answers WHERE recipe = ? ORDER BY created",
                               (recipe,)).fetchall()
        found = [(json.loads(question), {**json.loads(body), "created": created}) for question, body, created in rows]
        return [one for one in found if one[0]["verb"] == verb]

    # -- jobs

    def add_job(self, spec: dict, what: str) -> int:
        """Queues a job and returns its number. An open job with the same spec is joined, not doubled."""
        body = json.dumps(spec, sort_keys=True)
        with self.transaction():
            same = self.db.execute("SELECT id FROM jobs WHERE spec = ? AND state IN ('queued', 'running')",
                                   (body,)).fetchone()
            if same:
                return same[0]
            return self.db.execute("INSERT INTO jobs (spec, what, state, created) VALUES (?, ?, 'queued', ?)",
                                   (body, what, time.time())).lastrowid

    def job(self, number: int) -> Job | None:
        """The job `number`, or None."""
        found = self._jobs("WHERE id = ?", (number,))
        return found[0] if found else None

    def jobs(self, limit: int = 100) -> list[Job]:
        """The newest jobs first."""
        return self._jobs("ORDER BY id DESC LIMIT ?", (limit,))

    def newest_job(self) -> int | None:
        """The number of the job asked for last, or None."""
        return self.db.execute("SELECT max(id) FROM jobs").fetchone()[0]

    def open_jobs(self) -> list[Job]:
        """Jobs with something left to do, oldest first."""
        return self._jobs("WHERE state IN ('queued', 'running', 'cancelling') ORDER BY id", ())

    def _jobs(self, where, values) -> list[Job]:
        rows = self.db.execute("SELECT id, spec, what, state, done, total, message, created, started, finished "
                               f"FROM jobs {where}", values).fetchall()
        return [Job(row[0], json.loads(row[1]), *row[2:]) for row in rows]

    def start_job(self, number: int, total: int) -> bool:
        """Notes that a job is under way, of `total` parts. False where it was cancelled meanwhile."""
        return self.db.execute("UPDATE jobs SET state = 'running', started = coalesce(started, ?), total = ?, done = 0 "
                               "WHERE id = ? AND state IN ('queued', 'running')",
                               (time.time(), total, number)).rowcount > 0

    def progress_job(self, number: int, done: int) -> None:
        """Notes how many parts of a job are done."""
        self.db.execute("UPDATE jobs SET done = ? WHERE id = ?", (done, number))

    def finish_job(self, number: int, state: str, message: str = "") -> None:
        """Ends a job as done, failed or cancelled."""
        self.db.execute("UPDATE jobs SET state = ?, message = ?, finished = ? WHERE id = ?",
                        (state, message, time.time(), number))

    def cancel_job(self, number: int) -> bool:
        """Asks for a job to be stopped; the runner does it. False when it is not open."""
        return self.db.execute("UPDATE jobs SET state = 'cancelling' WHERE id = ? AND state IN ('queued', 'running')",
                               (number,)).rowcount > 0

    # -- what is running now

    def set_live(self, key: str, job: int, pid: int, epochs: int) -> None:
        """Notes that the training `key` has begun, in process `pid`."""
        self.db.execute("INSERT OR REPLACE INTO live VALUES (?, ?, ?, 0, ?, ?)", (key, job, pid, epochs, time.time()))

    def set_epoch(self, key: str, epoch: int) -> None:
        """Notes that the training `key` has done `epoch` epochs."""
        self.db.execute("UPDATE live SET epoch = ? WHERE key = ?", (epoch, key))

    def clear_live(self, key: str | None = None) -> None:
        """Forgets the training `key` in progress, or all of them."""
        if key is None:
            self.db.execute("DELETE FROM live")
        else:
            self.db.execute("DELETE FROM live WHERE key = ?", (key,))

    def live(self) -> dict[str, dict]:
        """key -> {"job", "pid", "epoch", "epochs", "started"} of the trainings in progress."""
        rows = self.db.execute("SELECT key, job, pid, epoch, epochs, started FROM live").fetchall()
        return {row[0]: dict(zip(("job", "pid", "epoch", "epochs", "started"), row[1:])) for row in rows}

    def lost(self, key: str) -> int:
        """Counts that a training's worker died under it, and returns how often that has happened."""
        self.db.execute("INSERT INTO tries VALUES (?, 1) ON CONFLICT (key) DO UPDATE SET n = n + 1", (key,))
        return self.db.execute("SELECT n FROM tries WHERE key = ?", (key,)).fetchone()[0]

    def forgive(self, key: str) -> None:
        """Forgets how often a training's worker died: asked for again, it is tried as often again."""
        self.db.execute("DELETE FROM tries WHERE key = ?", (key,))

    def transaction(self):
        """A context manager: all of it or nothing, one writer at a time."""
        return _Transaction(self.db)


class _Transaction:
    def __init__(self, db):
        self.db = db

    def __enter__(self):
        self.db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind, error, trace):
        try:
            if kind is None:
                self.db.execute("COMMIT")
        finally:
            if self.db.in_transaction:  # a full disk ends it by itself
                self.db.execute("ROLLBACK")
