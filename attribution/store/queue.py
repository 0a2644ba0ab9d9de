"""The queue of a data set: its jobs, the trainings that run now, and those whose worker died."""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from attribution.store.database import Database

OPEN_STATES = "state IN ('queued', 'running', 'cancelling')"
RUNNABLE_STATES = "state IN ('queued', 'running')"
#: what a job says that was done when the runner heard that it was to be stopped
CANCELLED_TOO_LATE = "it was done before it could be stopped, and its answer is kept"
VERB_SQL = "json_extract(spec, '$.verb')"


@dataclass(frozen=True)
class Job:
    """A spec in the queue, with its state and progress.

    what: its description. state: queued, running, paused, cancelling, cancelled, done or failed. done, total: parts.
    created, started, finished: seconds since 1970; finished is when it ended, or since when it is paused.
    """

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
    def is_open(self) -> bool:
        """True while there is something for a runner to do or to stop."""
        return self.state in ("queued", "running", "cancelling")

    @property
    def has_ended(self) -> bool:
        """True once it is done, cancelled or failed; a paused job is neither open nor ended."""
        return self.state in ("done", "cancelled", "failed")

    @property
    def seconds(self) -> float:
        """Seconds of work so far, without those it was paused for; 0 before it starts."""
        return max(0.0, (self.finished or time.time()) - self.started) if self.started else 0.0  # clocks are set back


class JobQueue(Database):
    """The jobs of one data set, and the trainings that run for them."""

    def add_job(self, spec: Mapping, description: str) -> int:
        """Queues a job and returns its number. An unfinished job with the same spec and description is returned
        instead of a second one; if it is paused, it is resumed."""
        body = json.dumps(dict(spec), sort_keys=True)
        with self.transaction():
            same = self.db.execute(
                f"SELECT id FROM jobs WHERE ({RUNNABLE_STATES} OR state = 'paused') AND what = ? AND spec = ?",
                (description, body),
            ).fetchone()
            if same:
                self.resume_job(same[0])
                return same[0]
            return self.db.execute(  # type: ignore[return-value]
                "INSERT INTO jobs (spec, what, state, created) VALUES (?, ?, 'queued', ?)",
                (body, description, time.time()),
            ).lastrowid

    def job(self, number: int) -> Job | None:
        """The job `number`, or None."""
        jobs = self._jobs("WHERE id = ?", (number,))
        return jobs[0] if jobs else None

    def jobs(self, limit: int = 100) -> list[Job]:
        """The newest jobs first."""
        return self._jobs("ORDER BY id DESC LIMIT ?", (limit,))

    def jobs_described(self, description: str) -> list[Job]:
        """The jobs of this description that have not ended, oldest first."""
        return self._jobs(f"WHERE ({OPEN_STATES} OR state = 'paused') AND what = ? ORDER BY id", (description,))

    def studies(self, limit: int = 10_000) -> list[Job]:
        """The studies, those first that have not ended, and the newest first."""
        return self.jobs_of_verb("study", limit)

    def jobs_of_verb(self, verb: str, limit: int) -> list[Job]:
        """The jobs of a verb, those first that have not ended, and the newest first."""
        return self._jobs(
            f"WHERE {VERB_SQL} = ? ORDER BY state IN ('done', 'cancelled', 'failed'), id DESC LIMIT ?", (verb, limit)
        )

    def next_job(self, verbs: Iterable[str], only_these: bool, excluded: Iterable[int] = ()) -> Job | None:
        """The oldest running job, else the oldest queued one, or None. Jobs with the numbers `excluded` are skipped.

        only_these: True for a job whose verb is one of `verbs`, False for one whose verb is none of them.
        """
        quoted = ",".join(f"'{verb}'" for verb in verbs)
        with_verb = f"SELECT id FROM jobs WHERE {VERB_SQL} IN ({quoted}) AND {RUNNABLE_STATES}"
        condition = f"id {'IN' if only_these else 'NOT IN'} ({with_verb})"
        condition += f" AND id NOT IN ({','.join(map(str, excluded))})"
        for state in ("running", "queued"):  # one at a time: in the index of states they are in order
            jobs = self._jobs(f"WHERE state = ? AND {condition} ORDER BY id LIMIT 1", (state,))
            if jobs:
                return jobs[0]
        return None

    def count_jobs(self) -> int:
        """How many jobs are remembered."""
        return self.db.execute("SELECT count(*) FROM jobs").fetchone()[0]

    def newest_job(self) -> int | None:
        """The number of the job asked for last, or None."""
        return self.db.execute("SELECT max(id) FROM jobs").fetchone()[0]

    def open_jobs(self) -> list[Job]:
        """Jobs with something for a runner to do, oldest first. Reads every spec: `has_open_jobs`,
        `count_jobs_ahead` and `job_states` cost less."""
        return self._jobs(f"WHERE {OPEN_STATES} ORDER BY id", ())

    def current_jobs(self, paused_after: float, limit: int = 50) -> list[Job]:
        """Jobs with something for a runner to do, and those that were paused after a moment, in seconds since 1970;
        oldest first, at most `limit`."""
        return self._jobs(
            f"WHERE {OPEN_STATES} OR (state = 'paused' AND finished > ?) ORDER BY id LIMIT ?", (paused_after, limit)
        )

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
        """Ends a job as done, failed or cancelled. One that is done although its end was asked for says so."""
        self.db.execute(
            "UPDATE jobs SET message = CASE WHEN state = 'cancelling' AND ? = 'done' THEN ? ELSE ? END, state = ?, "
            "finished = ? WHERE id = ?",
            (state, CANCELLED_TOO_LATE, message, state, time.time(), number),
        )

    def note_job(self, number: int, message: str) -> None:
        """Says something about a job that has not ended; its end replaces it."""
        self.db.execute("UPDATE jobs SET message = ? WHERE id = ?", (message, number))

    def settle_jobs(self) -> None:
        """Ends the jobs that a runner which was killed left all but ended: all parts done, or asked to stop. For who
        holds the runner's lock."""
        with self.transaction():
            for state, condition in (
                ("done", "state = 'running' AND total > 0 AND done >= total"),
                ("cancelled", "state = 'cancelling'"),
            ):
                self.db.execute(f"UPDATE jobs SET state = ?, finished = ? WHERE {condition}", (state, time.time()))

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
                "UPDATE jobs SET state = 'queued', started = started + max(0, ? - finished), finished = NULL "
                "WHERE id = ? AND state = 'paused'",
                (time.time(), number),
            ).rowcount
            > 0
        )

    def cancel_job(self, number: int) -> bool:
        """Asks for a job to be stopped; the runner does it. False when there is nothing to stop."""
        return (
            self.db.execute(
                "UPDATE jobs SET state = 'cancelling', started = started + max(0, ? - coalesce(finished, ?)), "
                f"finished = NULL WHERE id = ? AND ({RUNNABLE_STATES} OR state = 'paused')",
                (now := time.time(), now, number),
            ).rowcount
            > 0
        )

    def set_live_training(self, key: str, job: int, pid: int, epochs: int) -> None:
        """Notes that the training `key` has begun, in process `pid`."""
        row = (key, job, pid, epochs, now := time.time(), now)
        self.db.execute("INSERT OR REPLACE INTO live VALUES (?, ?, ?, 0, ?, ?, ?)", row)

    def set_live_epoch(self, key: str, epoch: int, epochs: int) -> None:
        """Notes that the training `key` has done `epoch` of `epochs` epochs."""
        self.db.execute(
            "UPDATE live SET epoch = ?, epochs = ?, heard = ? WHERE key = ?", (epoch, epochs, time.time(), key)
        )

    def clear_live_trainings(self, key: str | None = None) -> None:
        """Forgets the training `key` in progress, or all of them."""
        if key is None:
            self.db.execute("DELETE FROM live")
        else:
            self.db.execute("DELETE FROM live WHERE key = ?", (key,))

    def live_trainings(self) -> dict[str, dict]:
        """key -> {"job", "pid", "epoch", "epochs", "started", "heard"} of the trainings in progress; heard: when one
        reported last, seconds since 1970."""
        names = ("job", "pid", "epoch", "epochs", "started", "heard")
        rows = self.db.execute(f"SELECT key, {', '.join(names)} FROM live").fetchall()
        return {row[0]: dict(zip(names, row[1:])) for row in rows}

    def count_retried(self) -> int:
        """How many trainings a worker has died under that have not succeeded since."""
        return self.db.execute("SELECT count(*) FROM tries").fetchone()[0]

    def record_failure(self, key: str) -> int:
        """Counts that a training's worker died under it, and returns how often that has happened."""
        self.db.execute("INSERT INTO tries VALUES (?, 1) ON CONFLICT (key) DO UPDATE SET n = n + 1", (key,))
        return self.db.execute("SELECT n FROM tries WHERE key = ?", (key,)).fetchone()[0]

    def count_failures(self, key: str) -> int:
        """How often a worker has died under a training since it succeeded last."""
        row = self.db.execute("SELECT n FROM tries WHERE key = ?", (key,)).fetchone()
        return row[0] if row else 0

    def clear_failures(self, key: str) -> None:
        """Forgets how often a training's worker died: asked for again, it is tried as often again."""
        self.db.execute("DELETE FROM tries WHERE key = ?", (key,))

    def failed_keys(self) -> list[str]:
        """The keys of the trainings whose worker died, and which have not succeeded since."""
        return [key for (key,) in self.db.execute("SELECT key FROM tries")]
