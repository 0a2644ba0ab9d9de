"""What this machine trains on: NVIDIA GPUs, else the processor. Asked without torch, which takes seconds to load."""

import os
import platform
import re
import subprocess
from dataclasses import dataclass

import psutil

from attribution.errors import UserError


@dataclass(frozen=True)
class Gpu:
    """visible: what CUDA_VISIBLE_DEVICES calls it; memory: MiB, None where it is not known."""

    visible: str
    name: str
    memory: int | None


@dataclass(frozen=True)
class WorkerPlan:
    """Which workers to start. slots: for each, the GPU it sees, or None for the processor; threads: of a training."""

    slots: tuple[Gpu | None, ...]
    threads: int

    @property
    def device_rows(self) -> list[dict]:
        """A row a device, for people: {"device", "memory", "workers"}."""
        rows = []
        for gpu in dict.fromkeys(self.slots):
            workers = f"{self.slots.count(gpu)}"
            if gpu is None:
                name = f"{processor_name()}, {_counted_noun(core_count(), 'core')}"
                memory = psutil.virtual_memory().total / 2**20
                workers += f" of {_counted_noun(self.threads, 'thread')}"
            else:
                name, memory = gpu.name, gpu.memory
            rows.append(
                {"device": name, "memory": f"{memory / 1024:.0f} GiB" if memory else "unknown", "workers": workers}
            )
        return rows


def plan_workers(workers: int | None = None, per_gpu: int | None = None, threads: int = 1) -> WorkerPlan:
    """One worker a GPU, or `per_gpu`; without a GPU as many as the cores hold at `threads` a training, one at least.

    workers: at most so many in all. Raises UserError for numbers below 1.
    """
    if workers is not None and workers < 1:
        raise UserError(f"{workers} workers can do nothing; give at least 1")
    if per_gpu is not None and per_gpu < 1:
        raise UserError(f"{per_gpu} workers on a GPU can do nothing; give at least 1")
    # the first worker of every GPU comes before any second one
    slots = visible_gpus() * (per_gpu or 1) or [None] * max(1, core_count() // threads)
    return WorkerPlan(tuple(slots[:workers]), threads)


def visible_gpus() -> list[Gpu]:
    """The NVIDIA GPUs that CUDA_VISIBLE_DEVICES leaves visible, in its order; all of them where it is not set."""
    try:
        command = ["nvidia-smi", "--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits"]
        listed = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    gpus = {}  # by index and by UUID
    for line in listed.splitlines():
        index, uuid, name, memory = (word.strip() for word in line.split(","))
        gpus[index] = gpus[uuid] = Gpu(uuid, name, int(memory) if re.fullmatch("[0-9]+", memory) else None)
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return list(dict.fromkeys(gpus.values()))
    visible = []
    for word in (word.strip() for word in chosen.split(",")):
        match = next(
            (gpu for name, gpu in gpus.items() if name == word or word.startswith("GPU-") and name.startswith(word)),
            None,
        )
        if match is None and not word.startswith("MIG-"):  # as CUDA reads it: nothing from here on is visible
            break
        visible.append(Gpu(word, match.name, match.memory) if match else Gpu(word, word, None))
    return visible


def core_count() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor_name() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine() or "processor"


def _counted_noun(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
