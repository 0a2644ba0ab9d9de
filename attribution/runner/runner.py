"""The runner: a detached process that does the queued jobs of one store, and goes away when idle.

It drives the jobs' searches (see `attribution.experiments`), hands what they need trained to an executor, and writes
results and progress into the store. Kill it at any moment: the next one goes on, and at most the trainings under way
are lost.
"""

import os
import sqlite3
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from attribution.errors import UserError
from attribution.experiments import registry
from attribution.experiments.jobs import acquire_runner_lock, write_runner_info
from attribution.runner.executors import Executor, create_executor
from attribution.runner.executors.base import Task, result_arrays
from attribution.store.database import is_damaged, store_error
from attribution.store.queue import Job
from attribution.store.results import ResultStore
from attribution.training import recipes
from attribution.workspace.workspace import Workspace

IDLE_SECONDS = 60
MAX_TRIES = 3
MAX_STEP_SECONDS = 0.2  # seconds a step may look for something to train before it turns to what has come back


class Runner:
    """Drives the open jobs of `store` with `executor`. Call `step` until it returns False.

    A job is opened when a slot is free for it, so that thousands may wait in the store and cost nothing here.
    """

    def __init__(
        self,
        store: ResultStore,
        executor: Executor,
        idle_seconds: float = IDLE_SECONDS,
        tell: Callable[[dict], None] = lambda about: None,
    ):
        self.store = store
        self.executor = executor
        self.idle_seconds = idle_seconds
        self.jobs: dict[int, _RunningJob] = {}
        self.running: dict[str, int] = {}  # key of a training in a worker -> job
        self.unreported_failures: dict[int, str] = {}  # failed job -> why, as long as its row cannot be written
        self.last_busy = time.monotonic()
        self.tell = tell  # takes what the executor works with, whenever that changes
        self.told: dict | None = None

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

        Raises UserError where the store's file is damaged, and where it was moved or deleted.
        """
        try:
            self._step(timeout)
        except sqlite3.Error as error:
            if is_damaged(error):
                raise store_error(error, self.store.folder) from None
            if self.jobs or not self.unreported_failures:  # once, not four times a second
                _log_error(error)
            self._abandon_all(
                f"results cannot be written to {self.store.folder} ({error}); make room there and ask again"
            )
            time.sleep(timeout)
        return time.monotonic() - self.last_busy < self.idle_seconds

    def _step(self, timeout):
        self.store.check_exists()
        self._tell()
        self._sync_jobs()
        more = self._fill_slots()
        self._report()
        for task, event in self.executor.poll(0 if more else timeout if self.running else timeout * 2):
            self._take(task, event)
        for work in list(self.jobs.values()):
            if work.finished:
                self.store.progress_job(work.job.id, work.done)
                self.store.finish_job(work.job.id, "done")
                del self.jobs[work.job.id]
        if self.jobs or self.running:
            self.last_busy = time.monotonic()

    def _report_info(self):
        if (about := self.executor.about()) != self.told:
            self.tell(about)
            self.told = about

    def _abandon_all(self, why):
        """The store cannot be written: no job can go on. Their rows are written as soon as that is possible again."""
        self.unreported_failures |= dict.fromkeys(self.jobs, why)
        self.executor.kill(set(self.running))
        self.jobs.clear()
        self.running.clear()

    def _tell(self):
        for number, why in list(self.unreported_failures.items()):
            self.store.finish_job(number, "failed", why)
            del self.unreported_failures[number]
        if not self.running and self.store.live_trainings():  # left behind by a runner that was killed
            self.store.clear_live_trainings()

    def _sync_jobs(self):
        for number in self.store.jobs_to_cancel():
            self._stop_job(number)
            self.store.finish_job(number, "cancelled")
        states = self.store.job_states(self.jobs)
        for number, work in list(self.jobs.items()):
            if states.get(number) == "queued":  # paused and resumed between two steps
                self.store.start_job(number, work.total)
            elif states.get(number) != "running":  # paused: what is being trained for it is finished, and kept
                del self.jobs[number]
        if not self.jobs and not self.store.has_open_jobs():
            for key in self.store.failed_keys():  # of jobs that ended otherwise: nobody waits for these any more
                self.store.clear_failures(key)

    def _open(self, job: Job):
        try:
            work = _RunningJob(job, self.store)
        except sqlite3.Error:
            raise
        except Exception as error:
            self._fail_job(job.id, error)
            return
        if self.store.start_job(job.id, work.total):  # or it was paused or cancelled a moment ago
            self.jobs[job.id] = work

    def _stop_job(self, number: int):
        """Stops a job's trainings, except those another job waits for as well."""
        work = self.jobs.pop(number, None)
        wanted = {key for work in self.jobs.values() for key in work.waiting}
        for key in set(self.store.failed_keys()).intersection(work.waiting if work else ()) - wanted:
            self.store.clear_failures(key)
        stopped = {key for key, job in self.running.items() if job == number and key not in wanted}
        self.executor.kill(stopped)
        for key in stopped:
            self._forget(key)

    def _forget(self, key):
        self.running.pop(key, None)
        self.store.clear_live_trainings(key)

    def _fill_slots(self) -> bool:
        """Gives every free slot a training; True where it ran out of time. Short jobs go before studies, so that a
        person never waits for a study."""
        until = time.monotonic() + MAX_STEP_SECONDS
        for long in (False, True):
            for work in sorted((work for work in self.jobs.values() if work.spec.long == long), key=lambda w: w.job.id):
                self._start_tasks(work, until)
            while self.executor.free() and time.monotonic() < until:
                job = self.store.next_job(registry.LONG_VERBS, long, self.jobs)
                if job is None:
                    break
                self._open(job)
                if job.id in self.jobs:
                    self._start_tasks(self.jobs[job.id], until)
        return time.monotonic() >= until

    def _start_tasks(self, work, until):
        while self.executor.free():
            try:
                task = work.next_task(self.running, until)
            except sqlite3.Error:
                raise
            except Exception as error:
                self._fail_job(work.job.id, error)
                return
            if task is None:
                return
            pid = self.executor.submit(task)
            self.running[task.key] = work.job.id
            self.store.set_live_training(task.key, work.job.id, pid, work.recipe.epochs)

    def _report(self):
        for work in self.jobs.values():
            if work.done != work.told:
                self.store.progress_job(work.job.id, work.done)
                work.told = work.done

    def _take(self, task: Task, event: dict):
        kind = event["event"]
        if kind == "epoch":
            if task.key in self.running:
                self.store.set_live_epoch(task.key, event["epoch"])
            return
        self._forget(task.key)
        if kind == "done":  # kept even where its job was cancelled meanwhile: it is paid for
            self.store.put(recipes.get_recipe(task.recipe).hash, task.edit, task.seed, **result_arrays(task, event))
            for work in self._jobs_waiting_for(task.key):
                try:
                    work.deliver(task.key)
                except sqlite3.Error:
                    raise
                except Exception as error:
                    self._fail_job(work.job.id, error)
            return
        often = self.store.record_failure(task.key) if kind == "lost" else MAX_TRIES
        if often >= MAX_TRIES:
            self.store.clear_failures(task.key)
        for work in self._jobs_waiting_for(task.key):
            if often >= MAX_TRIES:
                why = event.get(
                    "message",
                    f"a worker process ended under the same training {often} times; perhaps the memory is full",
                )
                self.store.finish_job(work.job.id, "failed", why)
                self._stop_job(work.job.id)
            else:
                work.requeue(task)

    def _jobs_waiting_for(self, key):
        return [work for work in self.jobs.values() if key in work.waiting]

    def _fail_job(self, number, error):
        known = isinstance(error, UserError)
        if not known:
            _log_error(error)
        why = str(error) if known else f"{type(error).__name__}: {error} (more in {self.store.folder / 'runner.log'})"
        self.store.finish_job(number, "failed", why)
        self._stop_job(number)


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
        self.recipe = recipes.get_recipe(spec.recipe)
        self.total = spec.total
        self.done = 0
        self.told = -1
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

    def deliver(self, key: str) -> None:
        """A training is in the store: the searches that have all they asked for go on."""
        for search in self.waiting.pop(key, []):
            search.missing.discard(key)
            if not search.missing:
                self._advance_search(search, [self.store.get(k) for k in search.keys])

    def requeue(self, task: Task) -> None:
        """Puts a lost training back in front."""
        self.ready.insert(0, task)

    def _advance_search(self, search, answer):
        while True:
            try:
                wanted = search.generator.send(answer)
            except StopIteration:
                self.done += 1
                return
            search.keys = [self.store.key(self.recipe.hash, edit, seed) for edit, seed in wanted]
            known = [self.store.get(key) for key in search.keys]
            search.missing = {key for key, one in zip(search.keys, known) if one is None}
            if search.missing:
                break
            answer = known
        for (edit, seed), key in zip(wanted, search.keys):
            if key not in search.missing:
                continue
            if key not in self.waiting:
                spec = self.spec
                self.ready.append(Task(key, spec.workspace, spec.recipe, edit, seed, spec.out_of_subset))
            waiters = self.waiting.setdefault(key, [])
            if search not in waiters:
                waiters.append(search)


class _OpenSearch:
    def __init__(self, generator):
        self.generator = generator
        self.keys: list[str] = []
        self.missing: set[str] = set()


def run_runner(
    workspace: Workspace, executor: Callable[[], Executor] | None = None, idle_seconds: float = IDLE_SECONDS
) -> bool:
    """Runs a runner for a workspace's store until it is idle. False, at once, where another one is at work.

    executor: makes what the runner works with; by default the local one. Raises what that raises.
    """
    worked = False
    with ResultStore.for_workspace(workspace) as store:
        while (lock := acquire_runner_lock(store.folder)) is not None:
            worked = True
            try:
                workers = executor() if executor else create_executor(workspace)
                Runner(store, workers, idle_seconds, partial(write_runner_info, store.folder)).run()
            finally:
                os.close(lock)
            if not store.has_open_jobs():  # one may have been queued while the lock still told of a runner
                break
    return worked
