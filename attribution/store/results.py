"""The result store: every retraining ever done, once, in SQLite. It is the truth; jobs and pages only read it.

A retraining is keyed by (data fingerprint, recipe, edit, seed) and holds the prediction for every validation image.
The store of a data set lives in the data folder, never in a workspace, so that reinstalling Lineup loses nothing.
"""

import hashlib
import json
import os
import sqlite3
import time
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attribution.errors import UserError
from attribution.files import data_folder
from attribution.training.edits import Edit

FILE = "results.sqlite"
SCHEMA = 1
TABLES_SQL = """
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
ANSWERS_SQL = """CREATE TABLE IF NOT EXISTS answers (recipe TEXT, question TEXT, body TEXT, created REAL,
    PRIMARY KEY (recipe, question))"""
#: For speed alone, so that they are no part of the schema: a store from before them is given them when it is opened.
INDEXES_SQL = """
CREATE INDEX IF NOT EXISTS jobs_state ON jobs (state);
CREATE INDEX IF NOT EXISTS jobs_what ON jobs (what);
CREATE INDEX IF NOT EXISTS jobs_verb ON jobs (json_extract(spec, '$.verb'), state);
CREATE INDEX IF NOT EXISTS retrainings_recent ON retrainings (recipe, created);
"""
OPEN_STATES = "state IN ('queued', 'running', 'cancelling')"
RUNNABLE_STATES = "state IN ('queued', 'running')"
VERB_SQL = "json_extract(spec, '$.verb')"


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


def store_error(error: Exception, folder: Path | None = None) -> UserError:
    """What a person can do about an error of SQLite's, or of the system's, in a store.

    folder: the store's; None for any in the data folder.
    """
    folder = folder or data_folder()
    if is_damaged(error):
        return UserError(
            f"the results in {folder} are damaged ({error}); put a copy of that folder back, or move it "
            "away to begin anew"
        )
    return UserError(
        f"the data folder {folder} cannot be used ({error}); make room there, "
        "or set LINEUP_DATA to a folder you may write to"
    )


def is_damaged(error: Exception) -> bool:
    """Whether SQLite found a file that it cannot make sense of; waiting does not help then, nor room on the disk."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def unpack_predictions(packed: bytes, n: int) -> np.ndarray:
    """The `predicted` of n validation images from its bytes: two an image where one cannot name a class."""
    return np.frombuffer(packed, np.uint8 if len(packed) == n else np.uint16)


@dataclass(frozen=True)
class Job:
    """A row of work. state: queued, running, paused, cancelling, cancelled, done or failed; finished: when it ended, or
    since when it is paused."""

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
        """True while there is something for a runner to do or to stop."""
        return self.state in ("queued", "running", "cancelling")

    @property
    def ended(self) -> bool:
        """True once nothing more will come of it; a paused job is neither open nor ended."""
        return self.state in ("done", "cancelled", "failed")

    @property
    def seconds(self) -> float:
        """Seconds of work so far, without those it was paused for; 0 before it starts."""
        return max(0.0, (self.finished or time.time()) - self.started) if self.started else 0.0  # clocks are set back


class ResultStore:
    """The store of one data set. Safe to open from many processes; each thread opens its own."""

    def __init__(self, folder: Path, fingerprint: str):
        self.folder = folder
        self.fingerprint = fingerprint
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.db = sqlite3.connect(folder / FILE, timeout=30, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise store_error(error, folder) from None
        try:
            version = self.db.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, SCHEMA):  # nothing of it is touched
                raise UserError(
                    f"the results in {folder} have schema version {version}, and this Lineup reads "
                    f"{SCHEMA}; set LINEUP_DATA to another folder, or use the Lineup that wrote them"
                )
            self.db.execute("PRAGMA journal_mode=WAL")
            self.db.execute("PRAGMA synchronous=NORMAL")
            if version == 0:
                self.db.executescript(TABLES_SQL)
                self.db.execute(f"PRAGMA user_version={SCHEMA}")
            with suppress(sqlite3.OperationalError):  # a full disk, a folder to read only: it goes without
                self.db.executescript(f"{ANSWERS_SQL};{INDEXES_SQL}")
            self.file = os.stat(folder / FILE)
        except UserError:
            self.db.close()
            raise
        except (OSError, sqlite3.Error) as error:
            self.db.close()
            raise store_error(error, folder) from None

    @staticmethod
    def of(workspace) -> "ResultStore":
        """The store of a workspace's data set. Raises UserError when the data folder cannot be used."""
        return ResultStore(ResultStore.folder_of(workspace), workspace.fingerprint)

    @staticmethod
    def folder_of(workspace) -> Path:
        """Where the store of a workspace's data set is, or would be."""
        return data_folder() / workspace.fingerprint[:16]

    def close(self) -> None:
        self.db.close()

    def check_exists(self) -> None:
        """Raises UserError where the file was moved or deleted: nobody would find what is written into it now."""
        try:
            there = os.path.samestat(self.file, os.stat(self.folder / FILE))
        except OSError:
            there = False
        if not there:
            raise UserError(f"{self.folder / FILE} was moved or deleted while in use; put it back, and ask again")

    # -- retrainings

    def key(self, recipe: str, edit: Edit, seed: int) -> str:
        """The name of a retraining: SHA-256 over data fingerprint, recipe hash, edit and seed, in hex."""
        return hashlib.sha256("|".join((self.fingerprint, recipe, edit.hash, str(seed))).encode()).hexdigest()

    def get(self, key: str) -> Retraining | None:
        """The retraining `key`, or None if it has not been done."""
        row = self.db.execute(
            "SELECT key, seed, predicted, margins, seconds, device, library, threads, created "
            "FROM retrainings WHERE key = ?",
            (key,),
        ).fetchone()
        if row is None:
            return None
        margins = np.frombuffer(row[3], np.float16)
        return Retraining(row[0], row[1], unpack_predictions(row[2], len(margins)), margins, *row[4:])

    def put(
        self,
        recipe: str,
        edit: Edit,
        seed: int,
        *,
        predicted,
        margins,
        seconds,
        device,
        library,
        threads,
        out_of_subset: np.ndarray | None = None,
    ) -> bool:
        """Keeps a retraining; False, and nothing changes, where it is there already.

        out_of_subset: float [k, classes], probabilities of the removed training images, in the order of edit.indices;
        they are added to the running sums in the same transaction, so that each model counts once.
        Raises sqlite3.Error, and nothing changes, where it cannot be written (a full disk).
        """
        body = zlib.compress(json.dumps(edit.to_json()).encode())
        classes = np.asarray(predicted, np.min_scalar_type(int(np.max(predicted))))
        row = (
            self.key(recipe, edit, seed),
            recipe,
            edit.hash,
            seed,
            classes.tobytes(),
            np.asarray(margins, np.float16).tobytes(),
            seconds,
            device,
            library,
            threads,
            time.time(),
        )
        with self.transaction():
            places = ",".join("?" * len(row))
            if not self.db.execute(f"INSERT OR IGNORE INTO retrainings VALUES ({places})", row).rowcount:
                return False
            self.db.execute("INSERT OR IGNORE INTO edits VALUES (?, ?, ?, ?)", (edit.hash, edit.kind, edit.k, body))
            self.db.execute("DELETE FROM tries WHERE key = ?", (row[0],))
            if out_of_subset is not None:
                self._add_out_of_subset(recipe, edit, np.asarray(out_of_subset, np.float64))
        return True

    def _add_out_of_subset(self, recipe, edit, probabilities):
        old = self.out_of_subset(recipe)
        size = edit.indices[-1] + 1
        sums, counts = old if old else (np.zeros((0, probabilities.shape[1])), np.zeros(0, np.int64))
        grow = max(0, size - len(counts))
        sums, counts = np.pad(sums, ((0, grow), (0, 0))), np.pad(counts, (0, grow))
        sums[list(edit.indices)] += probabilities
        counts[list(edit.indices)] += 1
        self.db.execute(
            "INSERT OR REPLACE INTO out_of_subset VALUES (?, ?, ?)", (recipe, sums.tobytes(), counts.tobytes())
        )

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

    def last_retraining_number(self) -> int:
        """The place of the retraining kept last, for `retrained_since`; 0 without any."""
        return self.db.execute("SELECT max(rowid) FROM retrainings").fetchone()[0] or 0

    def retrained_since(self, place: int) -> tuple[set[str], int]:
        """The keys of the retrainings kept after `place`, and the place of the last one now."""
        rows = self.db.execute("SELECT rowid, key FROM retrainings WHERE rowid > ?", (place,)).fetchall()
        return {key for _, key in rows}, max([place, *(at for at, _ in rows)])

    def median_seconds(self, recipe: str, k_at_most: int = 500) -> tuple[float, int] | None:
        """Median seconds of the last 100 retrainings under small edits, and how many they are; None without any."""
        rows = self.db.execute(
            "SELECT seconds FROM retrainings JOIN edits ON edits.hash = retrainings.edit WHERE recipe = ? AND k <= ? "
            "ORDER BY created DESC LIMIT 100",
            (recipe, k_at_most),
        ).fetchall()
        return (float(np.median(rows)), len(rows)) if rows else None

    # -- supports

    def put_support(self, recipe, ranking, target, kind, protocol, k_max, body: dict) -> None:
        """Keeps the answer of a support search, a JSON-serialisable dict."""
        self.db.execute(
            "INSERT OR REPLACE INTO supports VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (recipe, ranking, target, kind, protocol, k_max, json.dumps(body), time.time()),
        )

    def supports(self, recipe: str) -> list[dict]:
        """All answers of support searches under a recipe, each with ranking, target, kind, protocol, k_max, created,
        and the `version` of the ranking it was found with."""
        rows = self.db.execute(
            "SELECT ranking, target, kind, protocol, k_max, created, body FROM supports WHERE recipe = ?", (recipe,)
        ).fetchall()
        names = ("ranking", "target", "kind", "protocol", "k_max", "created")
        return [{"version": None, **json.loads(row[-1]), **dict(zip(names, row))} for row in rows]

    def supports_version(self) -> tuple:
        """Changes whenever an answer comes in, or in another's place, even where the clock was set back between."""
        return self.db.execute("SELECT count(*), total(created) FROM supports").fetchone()

    # -- answers to other questions

    def put_answer(self, recipe: str, question: dict, body: dict) -> None:
        """Keeps the answer to a question that is no plain support search; both JSON-serialisable dicts."""
        self.db.execute(
            "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)",
            (recipe, json.dumps(question, sort_keys=True), json.dumps(body), time.time()),
        )

    def answer(self, recipe: str, question: dict) -> dict | None:
        """The answer kept to exactly this question, with `created`, or None."""
        row = self.db.execute(
            "SELECT body, created FROM answers WHERE recipe = ? AND question = ?",
            (recipe, json.dumps(question, sort_keys=True)),
        ).fetchone()
        return {**json.loads(row[0]), "created": row[1]} if row else None

    def answers(self, recipe: str, verb: str) -> list[tuple[dict, dict]]:
        """(question, answer) of all answers to questions of a verb, oldest first."""
        rows = self.db.execute(
            "SELECT question, body, created FROM answers WHERE recipe = ? ORDER BY created", (recipe,)
        ).fetchall()
        found = [(json.loads(question), {**json.loads(body), "created": created}) for question, body, created in rows]
        return [one for one in found if one[0]["verb"] == verb]

    # -- jobs

    def add_job(self, spec: Mapping, what: str) -> int:
        """Queues a job and returns its number. One with the same spec that has not ended is joined, not doubled; where
        it is paused, it goes on."""
        body = json.dumps(dict(spec), sort_keys=True)
        with self.transaction():
            same = self.db.execute(
                f"SELECT id FROM jobs WHERE ({RUNNABLE_STATES} OR state = 'paused') AND what = ? AND spec = ?",
                (what, body),
            ).fetchone()
            if same:
                self.resume_job(same[0])
                return same[0]
            return self.db.execute(
                "INSERT INTO jobs (spec, what, state, created) VALUES (?, ?, 'queued', ?)", (body, what, time.time())
            ).lastrowid

    def job(self, number: int) -> Job | None:
        """The job `number`, or None."""
        found = self._jobs("WHERE id = ?", (number,))
        return found[0] if found else None

    def jobs(self, limit: int = 100) -> list[Job]:
        """The newest jobs first."""
        return self._jobs("ORDER BY id DESC LIMIT ?", (limit,))

    def jobs_described(self, what: str) -> list[Job]:
        """The jobs of this description that have not ended, oldest first."""
        return self._jobs(f"WHERE ({OPEN_STATES} OR state = 'paused') AND what = ? ORDER BY id", (what,))

    def studies(self, limit: int = 10_000) -> list[Job]:
        """The studies, those first that have not ended, and the newest first."""
        return self.jobs_of_verb("study", limit)

    def jobs_of_verb(self, verb: str, limit: int) -> list[Job]:
        """The jobs of a verb, those first that have not ended, and the newest first."""
        return self._jobs(
            f"WHERE {VERB_SQL} = ? ORDER BY state IN ('done', 'cancelled', 'failed'), id DESC LIMIT ?", (verb, limit)
        )

    def next_job(self, verbs: Iterable[str], among: bool, besides: Iterable[int] = ()) -> Job | None:
        """The oldest job under way, else the oldest queued one, that is none of the numbers `besides`; or None. Its
        verb is one of `verbs` or, where not `among`, none of them."""
        quoted = ",".join(f"'{verb}'" for verb in verbs)
        known = f"id {'IN' if among else 'NOT IN'} (SELECT id FROM jobs WHERE {VERB_SQL} IN ({quoted}) AND {RUNNABLE_STATES})"
        known += f" AND id NOT IN ({','.join(map(str, besides))})"
        for state in ("running", "queued"):  # one at a time: in the index of states they are in order
            found = self._jobs(f"WHERE state = ? AND {known} ORDER BY id LIMIT 1", (state,))
            if found:
                return found[0]
        return None

    def count_jobs(self) -> int:
        """How many jobs are remembered."""
        return self.db.execute("SELECT count(*) FROM jobs").fetchone()[0]

    def newest_job(self) -> int | None:
        """The number of the job asked for last, or None."""
        return self.db.execute("SELECT max(id) FROM jobs").fetchone()[0]

    def open_jobs(self) -> list[Job]:
        """Jobs with something for a runner to do, oldest first. Their specs may be long, and they many: see `busy`,
        `ahead` and `states` for what costs less."""
        return self._jobs(f"WHERE {OPEN_STATES} ORDER BY id", ())

    def has_open_jobs(self) -> bool:
        """True while there is a job with something for a runner to do."""
        return self.db.execute(f"SELECT 1 FROM jobs WHERE {OPEN_STATES} LIMIT 1").fetchone() is not None

    def count_jobs_ahead(self, number: int) -> int:
        """How many open jobs are older than job `number`."""
        return self.db.execute(f"SELECT count(*) FROM jobs WHERE {OPEN_STATES} AND id < ?", (number,)).fetchone()[0]

    def job_states(self, numbers: Iterable[int]) -> dict[int, str]:
        """The states of these jobs."""
        return dict(self.db.execute(f"SELECT id, state FROM jobs WHERE id IN ({','.join(map(str, numbers))})"))

    def jobs_to_cancel(self) -> list[int]:
        """The numbers of the jobs that a runner is asked to stop."""
        return [row[0] for row in self.db.execute("SELECT id FROM jobs WHERE state = 'cancelling' ORDER BY id")]

    def _jobs(self, where, values) -> list[Job]:
        rows = self.db.execute(
            f"SELECT id, spec, what, state, done, total, message, created, started, finished FROM jobs {where}", values
        ).fetchall()
        return [Job(row[0], json.loads(row[1]), *row[2:]) for row in rows]

    def start_job(self, number: int, total: int) -> bool:
        """Notes that a job is under way, of `total` parts. False where it was paused or cancelled meanwhile."""
        return (
            self.db.execute(
                "UPDATE jobs SET state = 'running', started = coalesce(started, ?), total = ?, done = 0 "
                f"WHERE id = ? AND {RUNNABLE_STATES}",
                (time.time(), total, number),
            ).rowcount
            > 0
        )

    def progress_job(self, number: int, done: int) -> None:
        """Notes how many parts of a job are done."""
        self.db.execute("UPDATE jobs SET done = ? WHERE id = ?", (done, number))

    def finish_job(self, number: int, state: str, message: str = "") -> None:
        """Ends a job as done, failed or cancelled."""
        self.db.execute(
            "UPDATE jobs SET state = ?, message = ?, finished = ? WHERE id = ?", (state, message, time.time(), number)
        )

    def pause_job(self, number: int) -> bool:
        """Asks for nothing more of a job to be started until it is resumed. False when it is not queued or running."""
        return (
            self.db.execute(
                f"UPDATE jobs SET state = 'paused', finished = ? WHERE id = ? AND {RUNNABLE_STATES}",
                (time.time(), number),
            ).rowcount
            > 0
        )

    def resume_job(self, number: int) -> bool:
        """Queues a paused job again, at its old place. False when it is not paused."""
        return (
            self.db.execute(
                "UPDATE jobs SET state = 'queued', started = started + ? - finished, finished = NULL "
                "WHERE id = ? AND state = 'paused'",
                (time.time(), number),
            ).rowcount
            > 0
        )

    def cancel_job(self, number: int) -> bool:
        """Asks for a job to be stopped; the runner does it. False when there is nothing to stop."""
        return (
            self.db.execute(
                "UPDATE jobs SET state = 'cancelling', started = started + ? - coalesce(finished, ?), "
                f"finished = NULL WHERE id = ? AND ({RUNNABLE_STATES} OR state = 'paused')",
                (now := time.time(), now, number),
            ).rowcount
            > 0
        )

    # -- what is running now

    def set_live_training(self, key: str, job: int, pid: int, epochs: int) -> None:
        """Notes that the training `key` has begun, in process `pid`."""
        self.db.execute("INSERT OR REPLACE INTO live VALUES (?, ?, ?, 0, ?, ?)", (key, job, pid, epochs, time.time()))

    def set_live_epoch(self, key: str, epoch: int) -> None:
        """Notes that the training `key` has done `epoch` epochs."""
        self.db.execute("UPDATE live SET epoch = ? WHERE key = ?", (epoch, key))

    def clear_live_trainings(self, key: str | None = None) -> None:
        """Forgets the training `key` in progress, or all of them."""
        if key is None:
            self.db.execute("DELETE FROM live")
        else:
            self.db.execute("DELETE FROM live WHERE key = ?", (key,))

    def live(self) -> dict[str, dict]:
        """key -> {"job", "pid", "epoch", "epochs", "started"} of the trainings in progress."""
        rows = self.db.execute("SELECT key, job, pid, epoch, epochs, started FROM live").fetchall()
        return {row[0]: dict(zip(("job", "pid", "epoch", "epochs", "started"), row[1:])) for row in rows}

    def count_retried(self) -> int:
        """How many trainings a worker has died under that have not succeeded since."""
        return self.db.execute("SELECT count(*) FROM tries").fetchone()[0]

    def record_failure(self, key: str) -> int:
        """Counts that a training's worker died under it, and returns how often that has happened."""
        self.db.execute("INSERT INTO tries VALUES (?, 1) ON CONFLICT (key) DO UPDATE SET n = n + 1", (key,))
        return self.db.execute("SELECT n FROM tries WHERE key = ?", (key,)).fetchone()[0]

    def clear_failures(self, key: str) -> None:
        """Forgets how often a training's worker died: asked for again, it is tried as often again."""
        self.db.execute("DELETE FROM tries WHERE key = ?", (key,))

    def failed_keys(self) -> list[str]:
        """The keys of the trainings whose worker died, and which have not succeeded since."""
        return [key for (key,) in self.db.execute("SELECT key FROM tries")]

    def transaction(self):
        """A context manager: all of it or nothing, one writer at a time."""
        return Transaction(self.db)


class Transaction:
    """All of what is written within to the connection `db`, or nothing; one writer at a time."""

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
