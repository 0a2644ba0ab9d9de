"""Runs retrainings in worker processes on this machine: one per core on the CPU, one per GPU where there are any."""

import json
import os
import queue
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attribution.edits import Edit
from attribution.executors.worker import unpack
from attribution.store import predictions

ROOT = Path(__file__).resolve().parents[2]  # where `python -m attribution...` finds this library


@dataclass(frozen=True)
class Task:
    """One retraining to do. out_of_subset: also predict the removed training images."""

    key: str
    workspace: str
    recipe: str
    edit: Edit
    seed: int
    out_of_subset: bool = False

    def to_json(self) -> dict:
        return {"workspace": self.workspace, "recipe": self.recipe, "edit": self.edit.to_json(), "seed": self.seed,
                "out_of_subset": self.out_of_subset}


class LocalExecutor:
    """A fixed number of worker processes, started when first needed and kept warm.

    workers: how many; None means one per visible GPU, else one per core. Threads inside a worker are the recipe's.
    """

    def __init__(self, workers: int | None = None):
        gpus = gpu_count()
        self.slots: list[_Worker | None] = [None] * (workers or gpus or core_count())
        self.gpus = gpus
        self.events: queue.Queue = queue.Queue()

    def free(self) -> int:
        """How many more tasks can be started now."""
        return sum(worker is None or worker.task is None for worker in self.slots)

    def submit(self, task: Task) -> int:
        """Starts a task in a free slot and returns the worker's process id."""
        for slot, worker in enumerate(self.slots):
            if worker and worker.task is None and not worker.start(task):  # it ended while it had nothing to do
                worker = None
            if worker is None:
                worker = self.slots[slot] = _Worker(self.events, slot % self.gpus if self.gpus else None)
                worker.start(task)
            if worker.task is task:
                return worker.process.pid
        raise RuntimeError("no worker is free; ask free() before submit()")

    def poll(self, timeout: float) -> list[tuple[Task, dict]]:
        """(task, event) pairs since the last call; waits up to `timeout` seconds for the first.

        event["event"]: "epoch" (with epoch, epochs), "done" (with the arrays), "failed" (with message), or "lost" when
        the worker's process ended under the task.
        """
        found = []
        try:
            found.append(self.events.get(timeout=timeout))
            while True:
                found.append(self.events.get_nowait())
        except queue.Empty:
            pass
        return found

    def kill(self, keys: set[str]) -> None:
        """Ends the workers that are busy with one of `keys`; they raise no further event."""
        for slot, worker in enumerate(self.slots):
            if worker and worker.task and worker.task.key in keys:
                worker.stop()
                self.slots[slot] = None

    def close(self) -> None:
        """Ends all workers."""
        for worker in self.slots:
            if worker:
                worker.stop()
        self.slots = [None] * len(self.slots)


class _Worker:
    """One worker process and the thread that reads its events."""

    def __init__(self, events: queue.Queue, gpu: int | None):
        variables = dict(os.environ, OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
        if gpu is not None:
            variables["CUDA_VISIBLE_DEVICES"] = str(gpu)
        # what a worker has to complain about stands in the runner's log
        self.process = subprocess.Popen([sys.executable, "-m", "attribution.executors.worker"], env=variables, cwd=ROOT,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
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
        except BrokenPipeError:
            pass  # the reader sees the end of its output and reports the task as lost
        return True

    def stop(self) -> None:
        self.stopped = True
        self.process.kill()
        self.process.wait()

    def _read(self):
        for line in self.process.stdout:
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
        if task and not self.stopped:
            self.events.put((task, {"event": "lost"}))


def arrays(task: Task, event: dict) -> dict:
    """The arguments `Store.put` takes, from a "done" event."""
    out = {name: event[name] for name in ("seconds", "device", "library", "threads")}
    out["margins"] = unpack(event["margins"], np.float16)
    out["predicted"] = predictions(unpack(event["predicted"], np.uint8).tobytes(), len(out["margins"]))
    if "out_of_subset" in event:
        out["out_of_subset"] = unpack(event["out_of_subset"], np.float16).reshape(task.edit.k, -1)
    return out


def core_count() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpu_count() -> int:
    """How many NVIDIA GPUs the driver lists; 0 without a driver. Asked without torch, which takes seconds to load."""
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    return sum(line.startswith("GPU ") for line in listed.splitlines())
