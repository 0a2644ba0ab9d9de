"""The runner: a detached process that does the queued jobs of one store, and goes away when idle.

It drives the jobs' searches (see `attribution.jobs`), hands what they need trained to an executor, and writes results
and progress into the store. Kill it at any moment: the next one goes on, and at most the trainings in progress are lost.
"""

import os
import time
import traceback

from attribution import recipes
from attribution.errors import UserError
from attribution.executors.local import LocalExecutor, Task, arrays
from attribution.jobs import hold, searches, total
from attribution.store import Job, Store
from attribution.workspace import Workspace

IDLE_SECONDS = 60
TRIES = 3


class Runner:
    """Drives all open jobs of `store` with `executor`. Call `step` until it returns False."""

    def __init__(self, store: Store, executor: LocalExecutor, idle_seconds: float = IDLE_SECONDS):
        self.store = store
        self.executor = executor
        self.idle_seconds = idle_seconds
        self.works: dict[int, _Work] = {}
        self.running: dict[str, int] = {}  # key of a training in a worker -> job
        self.busy_at = time.monotonic()

    def run(self) -> None:
        """Works until there was nothing to do for `idle_seconds`."""
        self.store.clear_live()
        try:
            while self.step():
                pass
        finally:
            self.executor.close()
            self.store.clear_live()

    def step(self, timeout: float = 0.25) -> bool:
        """Looks for new and cancelled jobs, starts what can be started, takes in what has come back."""
        self._sync_jobs()
        self._fill()
        for task, event in self.executor.poll(timeout if self.running else timeout * 2):
            self._take(task, event)
        for work in list(self.works.values()):
            if work.finished:
                self.store.finish_job(work.job.id, "done")
                del self.works[work.job.id]
        if self.works:
            self.busy_at = time.monotonic()
        return time.monotonic() - self.busy_at < self.idle_seconds

    def _sync_jobs(self):
        for job in self.store.open_jobs():
            if job.state == "cancelling":
                self._drop(job.id)
                self.store.finish_job(job.id, "cancelled")
            elif job.id not in self.works:
                self._open(job)

    def _open(self, job: Job):
        try:
            work = _Work(job, self.store)
        except UserError as error:
            self.store.finish_job(job.id, "failed", str(error))
            return
        self.store.update_job(job.id, state="running", started=job.started or time.time(), total=work.total, done=0)
        self.works[job.id] = work

    def _drop(self, number: int):
        """Stops a job's trainings, except those another job waits for as well."""
        self.works.pop(number, None)
        wanted = {key for work in self.works.values() for key in work.waiting}
        stopped = {key for key, job in self.running.items() if job == number and key not in wanted}
        self.executor.kill(stopped)
        for key in stopped:
            self._forget(key)

    def _forget(self, key):
        self.running.pop(key, None)
        self.store.clear_live(key)

    def _fill(self):
        """Gives every free slot a training. Short jobs go before studies, so that a person never waits for a study."""
        for work in sorted(self.works.values(), key=lambda work: (work.long, work.job.id)):
            while self.executor.free():
                try:
                    task = work.next_task(self.running)
                except Exception as error:
                    self._fail(work, error)
                    break
                if task is None:
                    break
                pid = self.executor.submit(task)
                self.running[task.key] = work.job.id
                self.store.set_live(task.key, work.job.id, pid, 0, recipes.get(task.recipe).epochs)
            if work.job.id in self.works and work.done != work.told:
                self.store.update_job(work.job.id, done=work.done)
                work.told = work.done

    def _take(self, task: Task, event: dict):
        kind = event["event"]
        if kind == "epoch":
            if task.key in self.running:
                self.store.set_live(task.key, self.running[task.key], os.getpid(), event["epoch"], event["epochs"])
            return
        self._forget(task.key)
        if kind == "done":
            works = [work for work in self.works.values() if task.key in work.waiting]
            classes = works[0].classes if works else 1
            if works:
                self.store.put(recipes.get(task.recipe).hash, task.edit, task.seed, **arrays(event, classes))
            for work in works:
                try:
                    work.deliver(task.key)
                except Exception as error:
                    self._fail(work, error)
            return
        often = self.store.lost(task.key) if kind == "lost" else TRIES
        for work in [work for work in self.works.values() if task.key in work.waiting]:
            if often >= TRIES:
                why = event.get("message", f"a worker process ended under the same training {often} times")
                self.store.finish_job(work.job.id, "failed", why)
                self._drop(work.job.id)
            else:
                work.again(task)

    def _fail(self, work, error):
        traceback.print_exception(error)
        self.store.finish_job(work.job.id, "failed", str(error))
        self._drop(work.job.id)


class _Work:
    """One job under way: its searches, and the trainings they wait for."""

    def __init__(self, job: Job, store: Store):
        self.job = job
        self.store = store
        spec = job.spec
        self.workspace = Workspace.open(spec["workspace"])
        if self.workspace.fingerprint != store.fingerprint:
            raise UserError(f"the workspace at {spec['workspace']} now holds other data; ask again")
        self.classes = len(self.workspace.classes)
        self.recipe = recipes.get(spec["recipe"])
        self.long = spec["verb"] in ("study", "subsets")
        self.subsets = spec["verb"] == "subsets"
        self.total = total(spec)
        self.done = 0
        self.told = -1
        self.searches = searches(self.workspace, store, spec)
        self.exhausted = False
        #: key -> the searches that wait for it
        self.waiting: dict[str, list[_Search]] = {}
        self.ready: list[Task] = []

    @property
    def finished(self) -> bool:
        return self.exhausted and not self.waiting

    def next_task(self, running) -> Task | None:
        """A training to start now, or None; opens further searches where the open ones have nothing to start."""
        while True:
            while self.ready:
                task = self.ready.pop(0)
                if task.key in self.waiting and task.key not in running:
                    if self.store.get(task.key) is None:
                        return task
                    self.deliver(task.key)
            if self.exhausted:
                return None
            search = next(self.searches, None)
            if search is None:
                self.exhausted = True
                return None
            self._advance(_Search(search), None)

    def deliver(self, key: str) -> None:
        """A training is in the store: the searches that have all they asked for go on."""
        for search in self.waiting.pop(key, []):
            search.missing.discard(key)
            if not search.missing:
                self._advance(search, [self.store.get(k) for k in search.keys])

    def again(self, task: Task) -> None:
        """Puts a lost training back in front."""
        self.ready.insert(0, task)

    def _advance(self, search, answer):
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
                self.ready.append(Task(key, self.job.spec["workspace"], self.recipe.name, edit, seed, self.subsets))
            waiters = self.waiting.setdefault(key, [])
            if search not in waiters:
                waiters.append(search)


class _Search:
    def __init__(self, generator):
        self.generator = generator
        self.keys: list[str] = []
        self.missing: set[str] = set()


def serve(workspace: Workspace, workers: int | None = None, idle_seconds: float = IDLE_SECONDS) -> bool:
    """Runs a runner for a workspace's store until it is idle. False, at once, where another one is at work."""
    store = Store.of(workspace)
    lock = hold(store.folder)
    if lock is None:
        return False
    try:
        Runner(store, LocalExecutor(workers), idle_seconds).run()
    finally:
        os.close(lock)
        store.close()
    return True
