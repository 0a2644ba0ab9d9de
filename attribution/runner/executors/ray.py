"""Runs retrainings on a Ray cluster that is already there: one Ray task each, with the GPUs and cores it asks for.

The nodes need Ray, torch and what else pyproject.toml names, in the runner's versions; neither the workspace nor a
checkout. The images travel once, through Ray's object store, and this library's code with the runner's connection, so
that all nodes train with the very code that keys the results. What comes back is written by the runner alone.
"""

import os
import socket
import time
from dataclasses import dataclass

import numpy as np

from attribution.errors import UserError
from attribution.experiments.unrolled import UnrolledSpec
from attribution.files import ROOT
from attribution.files.libraries import install_command
from attribution.runner import unrolled_task
from attribution.runner.executors.base import Task
from attribution.runner.executors.local import threads_of
from attribution.runner.executors.worker import failure_event, retrain
from attribution.training import own, recipes
from attribution.workspace.workspace import Workspace

try:
    import ray
    from ray.exceptions import RayError, RayTaskError, RuntimeEnvSetupError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy
except ImportError:
    raise UserError(f"Ray is not installed; install it with: {install_command('cluster')}") from None

CONNECT_SECONDS = 5  # seconds until an address counts as one that does not answer; Ray itself tries for two minutes
POLL_SECONDS = 1.0  # seconds between two looks at the cluster's nodes, and at the epochs


@dataclass(frozen=True)
class DataSetArrays:
    """What `attribution.training.trainer.Trainer` reads of a workspace, in memory."""

    train_images: np.ndarray
    val_images: np.ndarray
    train_labels: np.ndarray
    val_labels: np.ndarray
    classes: list[str]

    @staticmethod
    def from_workspace(workspace: Workspace) -> "DataSetArrays":
        """The images and labels of a workspace, read into memory. Raises UserError where the images have changed."""
        workspace.check_images()
        return DataSetArrays(
            np.asarray(workspace.train_images),
            np.asarray(workspace.val_images),
            workspace.train_labels,
            workspace.val_labels,
            workspace.classes,
        )


class RayExecutor:
    """The `Executor` on the cluster at `address`: "auto" for the one that this machine is part of, or HOST:PORT of its
    head, from a machine of the cluster.

    gpus: what a training asks for, from 0 to 1, of which a part lets several share a GPU; None asks for 1 where the
    cluster has any GPU now, else 0. threads: of a training, for counting how many the cluster holds; Ray itself goes by
    each recipe's. workers: at most so many trainings at once.

    A training whose process or node is gone is "lost": the runner asks for it again, three times at most, and Ray on
    its own never does. Raises UserError where there is no cluster, or not one of this version of Ray and Python.
    """

    def __init__(self, address: str = "auto", gpus: float | None = None, threads: int = 1, workers: int | None = None):
        if gpus is not None and not 0 <= gpus <= 1:
            raise UserError(f"a training cannot have {gpus:g} GPUs; give a number from 0 to 1")
        if workers is not None and workers < 1:
            raise UserError(f"{workers} trainings at once do nothing; give at least 1")
        _connect(address)
        self.threads, self.workers = threads, workers
        self.gpus = float(_total_resource("GPU") > 0) if gpus is None else gpus
        self.data: dict[str, ray.ObjectRef] = {}  # by workspace, all of one data set: a runner has one store
        self.running: dict[ray.ObjectRef, Task] = {}
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self.progress = ray.remote(_Progress).options(num_cpus=0, max_restarts=-1, scheduling_strategy=here).remote()
        self.epochs_ref: ray.ObjectRef | None = None  # what `progress` was asked and has not answered yet
        self.failed: list[tuple[Task, dict]] = []  # those that could not even be started
        self.nodes_read, self.nodes = 0.0, []

    def describe(self) -> dict:
        """As `Executor.describe`."""
        rows = [
            {
                "device": f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})",
                "memory": f"{node['Resources'].get('memory', 0) / 2**30:.0f} GiB",
                "workers": str(self._slots(node)),
            }
            for node in self._nodes()
        ]
        return {"executor": f"ray, {self.gpus:g} GPUs a training", "devices": rows}

    def free_slots(self) -> int:
        """As `Executor.free_slots`."""
        slots = sum(map(self._slots, self._nodes()))
        return max(0, (slots if self.workers is None else min(slots, self.workers)) - len(self.running))

    def submit(self, task: Task) -> None:
        """As `Executor.submit`."""
        try:
            if task.workspace not in self.data:
                self.data[task.workspace] = ray.put(DataSetArrays.from_workspace(Workspace.open(task.workspace)))
            train = ray.remote(_train).options(num_cpus=threads_of(task), num_gpus=self.gpus, max_retries=0)
            ref = train.remote(
                self.data[task.workspace],
                task.to_json(),
                None if self.gpus else "cpu",
                task.key,
                self.progress,
                own.pack(task.recipe, task.hash) if task.is_own else None,
            )
            self.running[ref] = task
        except Exception as error:  # a workspace that is gone, an object store that is too small
            self.failed.append((task, failure_event(error)))

    def poll(self, timeout: float) -> list[tuple[Task, dict]]:
        """As `Executor.poll`."""
        events, self.failed = self.failed + self._new_epochs(), []
        if not events:
            ray.wait(list(self.running), timeout=timeout) if self.running else time.sleep(timeout)
        done, _ = ray.wait(list(self.running), num_returns=len(self.running), timeout=0) if self.running else ([], [])
        return events + [(self.running.pop(ref), _task_event(ref)) for ref in done]

    def kill(self, keys: set[str]) -> None:
        """As `Executor.kill`."""
        for ref, task in list(self.running.items()):
            if task.key in keys:
                del self.running[ref]
                ray.cancel(ref, force=True)

    def close(self) -> None:
        """As `Executor.close`."""
        self.kill({task.key for task in self.running.values()})
        ray.shutdown()

    def _slots(self, node) -> int:
        """How many trainings a node holds."""
        resources = node["Resources"]
        slots = int(resources.get("CPU", 0) / self.threads)
        return min(slots, int(resources.get("GPU", 0)) * int(1 / self.gpus + 1e-6)) if self.gpus else slots

    def _nodes(self) -> list[dict]:
        """The nodes that are there now, or were a moment ago."""
        if time.monotonic() - self.nodes_read > POLL_SECONDS:
            self.nodes = [node for node in ray.nodes() if node["Alive"]]
            self.nodes_read = time.monotonic()
        return self.nodes

    def _new_epochs(self) -> list[tuple[Task, dict]]:
        """The "epoch" events since the last call; never waits for them."""
        if self.epochs_ref is None:
            self.epochs_ref = self.progress.drain.remote() if self.running else None
            return []
        if not ray.wait([self.epochs_ref], timeout=0)[0]:
            return []
        ref, self.epochs_ref = self.epochs_ref, None
        try:
            epochs = ray.get(ref)
        except RayError:  # it ended, and is started again
            return []
        return [
            (task, {"event": "epoch", "epoch": epochs[task.key][0], "epochs": epochs[task.key][1]})
            for task in self.running.values()
            if task.key in epochs
        ]


class _Progress:
    """An actor beside the runner that knows how far trainings are."""

    def __init__(self):
        self.epochs = {}

    def report(self, key, epoch, epochs):
        self.epochs[key] = epoch, epochs

    def drain(self):
        """What was reported since the last call: {key: (epoch, epochs)}."""
        reported, self.epochs = self.epochs, {}
        return reported


_trainer_cache = {}  # the last one of this process on a node, by recipe: a runner has one data set


def _train(
    images: DataSetArrays, task: dict, device: str | None, key: str, progress, packed: dict | None = None
) -> dict:
    """The Ray task: does one retraining on a node and returns its event. packed: a user's recipe, of `own.pack`."""
    reported = time.monotonic()

    def on_epoch(epoch, epochs):
        nonlocal reported
        if time.monotonic() - reported > POLL_SECONDS:
            progress.report.remote(key, epoch, epochs)
            reported = time.monotonic()

    try:
        trainer = _load_trainer(images, task, device, packed)
        if "spec" in task:
            return unrolled_task.unrolled_event(UnrolledSpec.from_json(task["spec"]), trainer, on_epoch)
        return retrain(trainer, task, on_epoch)
    except Exception as error:
        return failure_event(error)


def _load_trainer(images, task, device, packed):
    name = task["recipe"], task["hash"], "spec" in task  # in float32 where it goes back
    if name not in _trainer_cache:
        _trainer_cache.clear()  # it holds the images on the device: one at a time
        if packed:
            from attribution.training.own.trainer import OwnTrainer

            _trainer_cache[name] = OwnTrainer(images, *own.unpack(packed))
        elif "spec" in task:
            _trainer_cache[name] = unrolled_task.load_trainer(images, name[0], device)
        else:
            from attribution.training.trainer import Trainer

            _trainer_cache[name] = Trainer(images, recipes.get_recipe(name[0]), device)
    return _trainer_cache[name]


def _connect(address: str) -> None:
    where = os.environ.get("RAY_ADDRESS", "auto") if address == "auto" else address
    host, _, port = where.rpartition(":")
    if host in ("localhost", "127.0.0.1"):
        host = ray.util.get_node_ip_address()  # as Ray does
    if where != "auto":
        try:
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
        except (OSError, ValueError) as error:
            raise UserError(
                f"no Ray cluster answers at {where} ({error}); give HOST:PORT of its head, "
                "as `ray start --head` prints it"
            ) from None
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray.init(
            address=address,
            runtime_env={"py_modules": [str(ROOT / "attribution")]},
            log_to_driver=False,
            logging_level="error",
        )
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise UserError(
            f"there is no Ray cluster to work with at {where} ({reason}); start one with "
            "`ray start --head`, and the runner on one of its machines"
        ) from None


def _total_resource(resource: str) -> float:
    return sum(node["Resources"].get(resource, 0) for node in ray.nodes() if node["Alive"])


def _task_event(ref) -> dict:
    """How a training ended. A Ray error that is not the task's own means that its process or node is gone."""
    try:
        return ray.get(ref)
    except (RayTaskError, RuntimeEnvSetupError) as error:
        return {"event": "failed", "message": str(error).strip().splitlines()[-1]}
    except RayError:
        return {"event": "lost"}
