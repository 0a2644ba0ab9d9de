"""The runner: a detached process that does the queued jobs of one store, and goes away when idle.

It drives the jobs' searches (see `attribution.experiments`), hands what they need trained to an executor, and writes
results and progress into the store. Kill it at any moment: the next one goes on, and at most the trainings under way
are lost.
"""

import hashlib
import json
import os
import signal
import sqlite3
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import numpy as np

from attribution.errors import UserError
from attribution.experiments import registry
from attribution.experiments.jobs import write_output, write_runner_info, write_trouble
from attribution.experiments.spec import Spec
from attribution.runner.executors import Executor, create_executor
from attribution.runner.executors.base import SearchTask, Task, result_arrays
from attribution.store.database import is_damaged, store_error
from attribution.store.lock import acquire_runner_lock
from attribution.store.queue import Job
from attribution.store.results import ResultStore
from attribution.training.edits import no_edit
from attribution.workspace.workspace import Workspace

IDLE_SECONDS = 60
MAX_TRIES = 3
MAX_STEP_SECONDS = 0.2  # cap on the time a step spends on looking for trainings to start
#: a worker that says nothing for so many times the usual seconds of an epoch, and at least so many seconds, or so many
#: before its first epoch, stands still: stopped, swapped out, or waiting for a disk that does not answer
SILENT_EPOCHS, SILENT_SECONDS, SILENT_START = 20, float(os.environ.get("LINEUP_SILENT", 60)), 600.0
BLOCKED_SECONDS = 1.0  # between two tries to write into a store that cannot be written


class Runner:
    """Drives the open jobs of `store` with `executor`. Call `step` until it returns False.

    on_info(info) is given `Executor.describe` whenever that changes. A job is opened when a slot is free for it, so
    that thousands may wait in the store and cost nothing here.
    """

    def __init__(
        self,
        store: ResultStore,
        executor: Executor,
        idle_seconds: float = IDLE_SECONDS,
        on_info: Callable[[dict], None] = lambda info: None,
    ):
        self.store = store
        self.executor = executor
        self.idle_seconds = idle_seconds
        self.jobs: dict[int, _RunningJob] = {}
        self.running: dict[str, int] = {}  # key of a training in a worker -> job
        self.events: deque[tuple[Task, dict]] = deque()  # that came back from workers and are not written down yet
        self.heard: dict[str, _Heartbeat] = {}  # key of a training in a worker -> when it reported last
        self.epoch_seconds: deque[float] = deque(maxlen=100)
        self.answers: dict[str, dict] = {}  # of searches under a head, until their jobs have them
        self.blocked = False  # whether the store could not be written last time
        self.last_step = time.monotonic()
        self.last_busy = time.monotonic()
        self.on_info = on_info
        self.last_info: dict | None = None

    def run(self) -> None:
        """Works until there was nothing to do for `idle_seconds`."""
        try:
            self._report_info()
            while self.step():
                self._report_info()
        finally:
            self.executor.close()

    def step(self, timeout: float = 0.25) -> bool:
        """Looks for new, paused and cancelled jobs, starts what can be started, takes in what has come back.

        Where the store cannot be written, on a full disk say, it says so and waits: what has come back is kept, and
        nothing more is started. Raises UserError where the store's file is damaged, and where it was moved or deleted.
        """
        try:
            self._step(timeout)
            if self.blocked:
                self.blocked = False
                write_trouble(self.store.folder, "")
        except sqlite3.Error as error:
            if is_damaged(error):
                raise store_error(error, self.store.folder) from None
            self._wait_for_room(error)
            time.sleep(min(BLOCKED_SECONDS, 4 * timeout))
        return time.monotonic() - self.last_busy < self.idle_seconds

    def _step(self, timeout):
        self.store.check_exists()
        self._handle_events()
        self._forget_lost_runner()
        self._sync_jobs()
        out_of_time = self._fill_slots()
        self._report_progress()
        self.events += self.executor.poll(0 if out_of_time else timeout if self.running else timeout * 2)
        self._handle_events()
        self._replace_stalled()
        for running_job in list(self.jobs.values()):
            if running_job.finished:
                self.store.progress_job(running_job.job.id, running_job.done)
                self.store.finish_job(running_job.job.id, "done")
                del self.jobs[running_job.job.id]
        if self.jobs or self.running or self.events:
            self.last_busy = time.monotonic()

    def _handle_events(self):
        """Writes down what has come back. One that cannot be written stays the first in line."""
        while self.events:
            self._handle_event(*self.events[0])
            self.events.popleft()

    def _wait_for_room(self, error):
        """The store cannot be written. The jobs are opened anew once it can: a search that was interrupted while it
        wrote cannot go on, and what was trained for it is known."""
        if not self.blocked:  # once, not every second
            _log_error(error)
        self.blocked = True
        self.jobs.clear()
        self.last_busy = time.monotonic()
        write_trouble(
            self.store.folder,
            f"results cannot be written to {self.store.folder} ({error}); make room there, and it goes on by itself",
        )

    def _report_info(self):
        if (info := self.executor.describe()) != self.last_info:
            self.on_info(info)
            self.last_info = info

    def _forget_lost_runner(self):
        """Clears the trainings that a runner which was killed had under way."""
        if not self.running and self.store.live_trainings():
            self.store.clear_live_trainings()

    def _sync_jobs(self):
        for number in self.store.jobs_to_cancel():
            self._stop_job(number)
            self.store.finish_job(number, "cancelled")
        states = self.store.job_states(self.jobs)
        for number, running_job in list(self.jobs.items()):
            if states.get(number) == "queued":  # paused and resumed between two steps
                self.store.start_job(number, running_job.total)
            elif states.get(number) != "running":  # paused: what is being trained for it is finished, and kept
                del self.jobs[number]
        if not self.jobs and not self.store.has_open_jobs():
            for key in self.store.failed_keys():  # of jobs that ended otherwise: nobody waits for these any more
                self.store.clear_failures(key)

    def _open_job(self, job: Job):
        try:
            running_job = _RunningJob(job, self.store)
        except sqlite3.Error:
            raise
        except Exception as error:
            self._fail_job(job.id, error)
            return
        if self.store.start_job(job.id, running_job.total):  # or it was paused or cancelled a moment ago
            self.jobs[job.id] = running_job

    def _stop_job(self, number):
        """Stops a job's trainings, except those another job waits for as well."""
        running_job = self.jobs.pop(number, None)
        needed = {key for running_job in self.jobs.values() for key in running_job.waiting}
        for key in set(self.store.failed_keys()).intersection(running_job.waiting if running_job else ()) - needed:
            self.store.clear_failures(key)
        stopped = {key for key, job in self.running.items() if job == number and key not in needed}
        self.executor.kill(stopped)
        for key in stopped:
            self._clear_running(key)

    def _clear_running(self, key):
        self.running.pop(key, None)
        self.heard.pop(key, None)
        self.store.clear_live_trainings(key)

    def _fill_slots(self) -> bool:
        """Gives every free slot a training; True where it ran out of time. Short jobs go before studies, so that a
        person never waits for a study."""
        until = time.monotonic() + MAX_STEP_SECONDS
        for long in (False, True):
            same_length = [running_job for running_job in self.jobs.values() if running_job.spec.long == long]
            for running_job in sorted(same_length, key=lambda running_job: running_job.job.id):
                self._start_tasks(running_job, until)
            while self.executor.free_slots() and time.monotonic() < until:
                job = self.store.next_job(registry.LONG_VERBS, long, self.jobs)
                if job is None:
                    break
                self._open_job(job)
                if job.id in self.jobs:
                    self._start_tasks(self.jobs[job.id], until)
        return time.monotonic() >= until

    def _start_tasks(self, running_job, until):
        while self.executor.free_slots():
            try:
                task = running_job.next_task(self.running, until)
                if task is None:
                    return
                pid = self.executor.submit(task)
            except sqlite3.Error:
                raise
            except Exception as error:
                self._fail_job(running_job.job.id, error)
                return
            self.running[task.key] = running_job.job.id
            patience = 60 * getattr(running_job.recipe, "patience", 0.0)
            self.heard[task.key] = _Heartbeat(task, pid, time.monotonic(), patience=patience)
            self.store.set_live_training(task.key, running_job.job.id, pid, running_job.recipe.epochs)

    def _report_progress(self):
        for running_job in self.jobs.values():
            if running_job.done != running_job.reported:
                self.store.progress_job(running_job.job.id, running_job.done)
                running_job.reported = running_job.done

    def _handle_event(self, task: Task, event: dict):
        kind = event["event"]
        if kind == "epoch":
            if task.key in self.running:
                self._hear(task, event["epoch"])
                self.store.set_live_epoch(task.key, event["epoch"], event["epochs"])
            return
        self._clear_running(task.key)
        if kind == "done":  # kept even where its job was cancelled meanwhile: it is paid for
            if isinstance(task, SearchTask):
                registry.from_json(task.spec).keep(self.store, event["answer"])
                self.answers[task.key] = event["answer"]
            else:
                self.store.put(task.hash, task.edit, task.seed, **result_arrays(task, event))
            for running_job in self._jobs_waiting_for(task.key):
                try:
                    running_job.deliver(task.key, self.answers.get(task.key))
                except sqlite3.Error:
                    raise
                except Exception as error:
                    self._fail_job(running_job.job.id, error)
            self.answers.pop(task.key, None)
            return
        failures = self.store.record_failure(task.key) if kind == "lost" else MAX_TRIES
        if failures >= MAX_TRIES:
            self.store.clear_failures(task.key)
        for running_job in self._jobs_waiting_for(task.key):
            if failures >= MAX_TRIES:
                if event.get("output"):
                    write_output(self.store.folder, running_job.job.id, event["output"])
                self.store.finish_job(running_job.job.id, "failed", _failure_reason(task, event, failures))
                self._stop_job(running_job.job.id)
            else:
                running_job.requeue(task)

    def _hear(self, task, epoch):
        heartbeat, now = self.heard[task.key], time.monotonic()
        is_training = not task.is_own and not isinstance(task, SearchTask)
        if heartbeat.epoch and is_training:  # the first comes with the start of the worker
            self.epoch_seconds.append((now - heartbeat.at) / max(1, epoch - heartbeat.epoch))
        heartbeat.epoch, heartbeat.at = epoch, now

    def _replace_stalled(self):
        """Ends the workers that stand still; what they trained is given to others, as after a worker's death."""
        now = time.monotonic()
        paused, self.last_step = now - self.last_step, now
        if paused > SILENT_SECONDS / 2:  # this process stood still itself, and nobody else is late for that
            for heartbeat in self.heard.values():
                heartbeat.at = now
        for key, heartbeat in list(self.heard.items()):
            silent = now - heartbeat.at
            if silent <= self._patience(heartbeat):
                continue
            self.executor.kill({key})
            waiting = self._jobs_waiting_for(key)
            if heartbeat.patience:  # a recipe of the user's that does not say how far it is would not say it elsewhere
                message = (
                    f"recipe {heartbeat.task.recipe} reported nothing for {silent / 60:.0f} minutes and was stopped; "
                    "call report(done, total) in fit, or give it more patience (in minutes)"
                )
                self._handle_event(heartbeat.task, {"event": "failed", "message": message})
                continue
            self._handle_event(heartbeat.task, {"event": "lost"})
            for running_job in waiting:
                if running_job.job.id in self.jobs:
                    self.store.note_job(
                        running_job.job.id, f"a training that stood still for {silent:.0f} s was begun again elsewhere"
                    )

    def _patience(self, heartbeat) -> float:
        """Seconds that a worker may say nothing; twice as many each time that this training was lost. A user's recipe
        says itself how many."""
        if heartbeat.patience:
            seconds = heartbeat.patience if heartbeat.pid else float("inf")
        elif heartbeat.epoch and not isinstance(heartbeat.task, SearchTask):
            usual = float(np.median(self.epoch_seconds)) if self.epoch_seconds else 0.0
            seconds = max(SILENT_SECONDS, SILENT_EPOCHS * usual)
        else:  # what is no training reports in steps of its own; without a process, it waits for a place on a cluster
            seconds = SILENT_START if heartbeat.pid else float("inf")
        return seconds * 2 ** self.store.count_failures(heartbeat.task.key)

    def _jobs_waiting_for(self, key):
        return [running_job for running_job in self.jobs.values() if key in running_job.waiting]

    def _fail_job(self, number, error):
        reason = str(error)
        if not isinstance(error, UserError):
            _log_error(error)
            reason = f"{type(error).__name__}: {error} (more in {self.store.folder / 'runner.log'})"
        self.store.finish_job(number, "failed", reason)
        self._stop_job(number)


def _failure_reason(task: Task, event: dict, failures: int) -> str:
    """Why a training is given up, in one sentence."""
    if event["event"] == "failed":
        return event["message"]
    if not task.is_own or "code" not in event:
        times = f"under the same training {failures} times"
        return f"a worker process ended or stood still {times}; perhaps the memory is full"
    code = event["code"]
    if code >= 0:
        how = f"ended its process with exit status {code}"
    else:
        how = f"was ended by {signal.Signals(-code).name}"
    memory = "; perhaps the memory is full" if code == -signal.SIGKILL else ""
    return f"recipe {task.recipe} {how} under the same training {failures} times{memory}"


def _log_error(error):
    """Into the runner's log; it may be on the full disk that is complained of."""
    with suppress(OSError):
        traceback.print_exception(error)


class _RunningJob:
    """One job under way: its searches, and the trainings they wait for."""

    def __init__(self, job: Job, store: ResultStore):
        self.job = job
        self.store = store
        self.spec = spec = registry.from_json(job.spec)
        self.workspace = Workspace.open(spec.workspace)
        if self.workspace.fingerprint != store.fingerprint:
            raise UserError(f"the workspace at {spec.workspace} now holds other data; ask again")
        self.recipe = self.workspace.get_recipe(spec.recipe, spec.hash)
        self.total = spec.total
        self.done = 0
        self.reported = -1  # `done` as the store has it
        self.searches = spec.searches(self.workspace, store)
        self.exhausted = False
        #: key -> the searches that wait for it
        self.waiting: dict[str, list[_OpenSearch]] = {}
        self.ready: list[Task] = []

    @property
    def finished(self) -> bool:
        return self.exhausted and not self.waiting

    def next_task(self, running, until: float) -> Task | None:
        """A training to start now, or None; opens further searches where the open ones have nothing to start, but none
        after `until` (of the monotonic clock): what is known of thousands takes a while to look through."""
        while True:
            while self.ready:
                task = self.ready.pop(0)
                if task.key in self.waiting and task.key not in running:
                    if self.store.get(task.key) is None:
                        return task
                    self.deliver(task.key)
            if self.exhausted or time.monotonic() >= until:
                return None
            search = next(self.searches, None)
            if search is None:
                self.exhausted = True
                return None
            self._advance_search(_OpenSearch(search), None)

    def deliver(self, key: str, answer: dict | None = None) -> None:
        """A training is in the store, or the answer of a whole search has come: the searches that have all they asked
        for go on."""
        for search in self.waiting.pop(key, []):
            search.missing.discard(key)
            if not search.missing:
                self._advance_search(search, [answer] if answer else [self.store.get(k) for k in search.keys])

    def requeue(self, task: Task) -> None:
        """Puts a lost training back in front."""
        self.ready.insert(0, task)

    def _advance_search(self, search, results):
        while True:
            try:
                trainings = search.generator.send(results)
            except StopIteration:
                self.done += 1
                return
            if trainings and isinstance(trainings[0], Spec):
                self._ask_whole_search(search, trainings[0])
                return
            search.keys = [self.store.key(self.recipe.hash, edit, seed) for edit, seed in trainings]
            results = [self.store.get(key) for key in search.keys]
            search.missing = {key for key, result in zip(search.keys, results) if result is None}
            if search.missing:
                break
        for (edit, seed), key in zip(trainings, search.keys):
            if key not in search.missing:
                continue
            if key not in self.waiting:
                spec = self.spec
                self.ready.append(
                    Task(key, spec.workspace, spec.recipe, self.recipe.hash, edit, seed, spec.out_of_subset)
                )
            waiters = self.waiting.setdefault(key, [])
            if search not in waiters:
                waiters.append(search)

    def _ask_whole_search(self, search, asked: Spec) -> None:
        """Has a worker do a whole search; its answer is stored by who asked."""
        spec = asked.to_json()
        key = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()
        search.keys, search.missing = [key], {key}
        if key not in self.waiting:
            self.ready.append(
                SearchTask(key, self.spec.workspace, asked.recipe, self.recipe.hash, no_edit(), 0, spec=spec)
            )
        self.waiting.setdefault(key, []).append(search)


@dataclass
class _Heartbeat:
    """A training in a worker. pid: of its process, None where that is not known (yet); at: when it was heard of last,
    on the monotonic clock; epoch: that it reported then, 0 before the first; patience: seconds that its recipe may
    report nothing, 0 where that goes by what others took."""

    task: Task
    pid: int | None
    at: float
    epoch: int = 0
    patience: float = 0.0


class _OpenSearch:
    """A search under way: its generator, and the keys of the trainings it asked for last."""

    def __init__(self, generator):
        self.generator = generator
        self.keys: list[str] = []
        self.missing: set[str] = set()


def run_runner(
    workspace: Workspace, executor: Callable[[], Executor] | None = None, idle_seconds: float = IDLE_SECONDS
) -> bool:
    """Runs a runner for a workspace's store until it is idle. False, at once, where another one is at work.

    executor: creates the executor; by default `create_executor` with the workspace alone. Raises what that raises.
    """
    worked = False
    with ResultStore.for_workspace(workspace) as store:
        while (lock := acquire_runner_lock(store.folder)) is not None:
            worked = True
            try:
                store.check_after_unclean_end()
                write_trouble(store.folder, "")
                chosen = executor() if executor else create_executor(workspace)
                Runner(store, chosen, idle_seconds, partial(write_runner_info, store.folder)).run()
            finally:
                os.close(lock)
            if not store.has_open_jobs():  # one may have been queued while the lock still told of a runner
                break
    return worked
