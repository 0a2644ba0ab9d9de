"""Runs retrainings in worker processes on this machine: on every GPU where there are any, else on the processor."""

import json
import os
import queue
import subprocess
import sys
import threading
from contextlib import suppress

from attribution.errors import UserError
from attribution.files import ROOT, work_folder
from attribution.runner.executors.base import Task
from attribution.training import all_recipes, own
from attribution.training.devices import Gpu, WorkerPlan, core_count
from attribution.training.head.recipe import is_head

STARTS = 3  # of a worker that ends before it has begun
STOP_SECONDS = 10
GUARD_SECONDS = 3  # that a guard has to end what a recipe has started


class LocalExecutor:
    """The `Executor` with a fixed number of worker processes, those of a plan (`devices.plan_workers`), started when
    first needed and kept warm.

    On the processor the trainings under way never have more threads than there are cores: one whose recipe asks for
    more than the plan counted on is held back until there is room.
    """

    def __init__(self, plan: WorkerPlan):
        self.plan = plan
        self._description = {"executor": "local", "devices": plan.device_rows}
        self.slots: list[_Worker | None] = [None] * len(plan.slots)
        self.held: Task | None = None  # waits until enough threads are free
        self.events: queue.Queue = queue.Queue()

    def describe(self) -> dict:
        """As `Executor.describe`."""
        return self._description

    def free_slots(self) -> int:
        """As `Executor.free_slots`."""
        idle = sum(worker is None or worker.task is None for worker in self.slots)
        if None not in self.plan.slots:
            return idle
        used = sum(threads_of(task) for task in self._busy_tasks())
        return 0 if self.held else min(idle, max(int(not used), (core_count() - used) // self.plan.threads))

    def submit(self, task: Task) -> int | None:
        """As `Executor.submit`."""
        used = sum(threads_of(other) for other in self._busy_tasks()) if None in self.plan.slots else 0
        if used and used + threads_of(task) > core_count():
            self.held = task
            return None
        slot = self._choose_slot(task)
        for _ in range(STARTS):
            worker = self.slots[slot]
            if worker is None:
                worker = self.slots[slot] = _Worker(self.events, self.plan.slots[slot], task)
            if worker.start(task):  # what ends it from now on is an event
                return worker.process.pid
            worker.stop()  # it ended while it had nothing to do
            self.slots[slot] = None
        raise UserError("worker processes end as soon as they are started; perhaps the memory is full")

    def poll(self, timeout: float) -> list[tuple[Task, dict]]:
        """As `Executor.poll`."""
        if self.held:
            task, self.held = self.held, None
            self.submit(task)
        events = []
        try:
            events.append(self.events.get(timeout=timeout))
            while True:
                events.append(self.events.get_nowait())
        except queue.Empty:
            pass
        return events

    def kill(self, keys: set[str]) -> None:
        """As `Executor.kill`."""
        if self.held and self.held.key in keys:
            self.held = None
        for slot, worker in enumerate(self.slots):
            if worker and worker.task and worker.task.key in keys:
                worker.stop()
                self.slots[slot] = None

    def close(self) -> None:
        """As `Executor.close`."""
        for worker in self.slots:
            if worker:
                worker.stop()
        self.slots, self.held = [None] * len(self.slots), None

    def _choose_slot(self, task: Task) -> int:
        """A slot whose worker is free: best one that has done the same recipe, else an empty one, else one whose worker
        is ended for it: where a recipe is the user's, the next is to know nothing of its code and memory."""
        free = [slot for slot, worker in enumerate(self.slots) if worker is None or worker.task is None]
        if not free:
            raise RuntimeError("no worker is free; ask free_slots() before submit()")
        owner = owner_of(task)

        def preference(slot: int) -> int:
            worker = self.slots[slot]
            return 1 if worker is None else 0 if worker.owner == owner else 2

        slot = min(free, key=preference)
        if (worker := self.slots[slot]) is not None and worker.owner != owner:
            worker.stop()
            self.slots[slot] = None
        return slot

    def _busy_tasks(self) -> list[Task]:
        return [task for worker in self.slots if worker and (task := worker.task)]


def threads_of(task: Task) -> int:
    """How many threads a training has on the processor."""
    return 1 if is_head(task.recipe) else all_recipes.get_recipe(task.recipe, task.hash).threads


def owner_of(task: Task) -> str | None:
    """Whose code a worker runs for a task: that of one version of a user's recipe, or None for what is built in."""
    return task.hash if task.is_own else None


def worker_command(task: Task) -> list[str]:
    """The arguments of Python that start a worker for a task: a guard around it where the recipe is the user's."""
    if not task.is_own:
        return ["-m", "attribution.runner.executors.worker"]
    recipe = own.at(task.recipe, task.hash)
    snapshot = str(recipe.snapshot) if recipe.form != "command" else ""
    return ["-m", "attribution.own_code.guard", snapshot, str(recipe.threads)]


class _Worker:
    """One worker process, or the guard of one, and the thread that reads its events. task: the first that it gets."""

    def __init__(self, events: queue.Queue, gpu: Gpu | None, task: Task):
        variables = dict(os.environ, OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
        if gpu is not None:
            variables["CUDA_VISIBLE_DEVICES"] = gpu.visible
        # what a worker has to complain about stands in the runner's log; its session is what it lowers the priority of
        self.process = subprocess.Popen(
            [sys.executable, *worker_command(task)],
            env=variables,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.owner = owner_of(task)
        self.task: Task | None = None
        self.stopped = False
        self.ended = False
        self.lock = threading.Lock()  # between a start and the end of the process
        self.events = events
        threading.Thread(target=self._read, daemon=True).start()

    def start(self, task: Task) -> bool:
        """Hands over a task; False where the process has ended, and the task is not begun."""
        with self.lock:
            if self.ended:
                return False
            self.task = task
        try:
            self.process.stdin.write(json.dumps(task.to_json()) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:  # the reader sees the end of its output and reports the task as lost
            with suppress(BrokenPipeError):  # what could not be written would be tried again, aloud, when it is freed
                self.process.stdin.close()
        return True

    def stop(self) -> None:
        self.stopped = True
        if self.owner:  # its guard ends all that the recipe has started once nobody speaks to it any more
            with suppress(OSError):
                self.process.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(GUARD_SECONDS)
        self.process.kill()
        with suppress(OSError):
            self.process.stdin.close()
        with suppress(subprocess.TimeoutExpired):  # one that waits for a dead disk ends when the disk answers
            self.process.wait(STOP_SECONDS)

    def _read(self):
        with self.process.stdout as lines:
            for line in lines:
                try:
                    event, task = json.loads(line), self.task
                except ValueError:  # killed in the middle of a line
                    continue
                if event["event"] != "epoch":
                    self.task = None
                if not self.stopped:
                    self.events.put((task, event))
        with self.lock:
            self.ended = True
            task, self.task = self.task, None
        self.process.wait()
        if self.owner:  # its guard has removed it, unless that was killed
            work_folder.remove_left()
        if task and not self.stopped:
            self.events.put((task, {"event": "lost"}))
