"""The local executor: workers that are killed or end by themselves, room for threads, and who goes first."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from attribution import UserError
from attribution.runner import executors
from attribution.runner.executors import local
from attribution.runner.executors.base import Task
from attribution.runner.executors.local import LocalExecutor
from attribution.training import devices, recipes
from attribution.training.edits import remove
from tests import tiny
from tests.conftest import ROOT

PATIENCE = 120  # seconds


def workers(monkeypatch, script, plan=None):
    """Workers that run `script` instead of training."""
    popen = subprocess.Popen
    monkeypatch.setattr(local.subprocess, "Popen", lambda _, **more: popen([sys.executable, "-c", script], **more))
    return LocalExecutor(plan or devices.WorkerPlan((None,), 1))


def collect(executor, n):
    found, end = [], time.monotonic() + PATIENCE
    while len(found) < n:
        assert time.monotonic() < end, "it took too long"
        found += executor.poll(0.1)
    return [(task.key, event) for task, event in found]


def results(executor, n):
    return [event["event"] for _, event in collect(executor, n)]


def a_task(key="k"):
    return Task(key, "nowhere", "demo-cnn", "c5aeb1565251", remove([1]), 0)


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True


def test_a_worker_killed_in_the_middle_of_a_line_is_lost(monkeypatch):
    script = (
        "import os, sys\nsys.stdin.readline()\nprint('{\"event\": \"do', end='', flush=True)\nos.kill(os.getpid(), 9)"
    )
    executor = workers(monkeypatch, script)
    executor.submit(a_task())
    assert results(executor, 1) == ["lost"] and executor.free_slots() == 1
    executor.close()


def test_a_worker_that_ended_while_idle_is_replaced(monkeypatch):
    script = 'import sys\nsys.stdin.readline()\nprint(\'{"event": "failed"}\', flush=True)'
    executor = workers(monkeypatch, script)
    first = executor.submit(a_task())
    assert results(executor, 1) == ["failed"]
    end = time.monotonic() + PATIENCE
    while not executor.slots[0].ended and time.monotonic() < end:
        time.sleep(0.02)
    assert executor.free_slots() == 1 and executor.submit(a_task("other")) != first
    assert results(executor, 1) == ["failed"]
    executor.close()


def test_a_worker_that_dies_as_soon_as_it_has_its_task_has_had_it(monkeypatch):
    """Its end is heard of before `submit` is through: the task is lost, and is not begun again on the next slot."""
    executor = workers(monkeypatch, "import sys\nsys.stdin.readline()", devices.WorkerPlan((None, None), 1))
    begin = local._Worker.start

    def begin_and_die(worker, task):
        begun = begin(worker, task)
        worker.process.wait()
        end = time.monotonic() + PATIENCE
        while not worker.ended and time.monotonic() < end:
            time.sleep(0.01)
        return begun

    monkeypatch.setattr(local._Worker, "start", begin_and_die)
    assert executor.submit(a_task()) and results(executor, 1) == ["lost"]
    assert executor.poll(0.1) == [] and executor.slots[1] is None
    executor.close()


def test_workers_that_never_begin_are_said(monkeypatch):
    executor = workers(monkeypatch, "pass")
    monkeypatch.setattr(local._Worker, "start", lambda worker, task: False)
    with pytest.raises(UserError, match="end as soon as they are started"):
        executor.submit(a_task())
    executor.close()


def test_what_a_dead_worker_did_not_take_is_dropped(monkeypatch):
    """Else it is written once more when the pipe is freed, and the runner's log fills with complaints of that."""
    script = (
        "import os, sys, time\nsys.stdin.readline()\nos.close(0)\n"
        'print(\'{"event": "failed"}\', flush=True)\ntime.sleep(60)'
    )
    executor = workers(monkeypatch, script)
    executor.submit(a_task())
    assert results(executor, 1) == ["failed"]
    executor.submit(a_task("other"))
    assert executor.slots[0].process.stdin.closed
    executor.close()


def test_a_worker_whose_runner_is_gone_ends_without_a_complaint():
    read, write = os.pipe()
    os.close(read)
    script = "from attribution.runner.executors.worker import write_event; write_event({'event': 'epoch'})"
    done = subprocess.run([sys.executable, "-c", script], stdout=write, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_killed_training_says_nothing_more(monkeypatch):
    executor = workers(monkeypatch, "import time\ntime.sleep(60)")
    pid = executor.submit(a_task())
    executor.kill({"k"})
    assert gone(pid) and executor.poll(0.2) == [] and executor.free_slots() == 1


def test_each_worker_sees_its_gpu_alone(monkeypatch, tmp_path):
    script = f"""import json, os, sys, time
for _ in sys.stdin:
    while not os.path.exists({str(tmp_path / "go")!r}):
        time.sleep(0.02)
    print(json.dumps({{"event": "failed", "message": os.environ["CUDA_VISIBLE_DEVICES"]}}), flush=True)"""
    one, two = devices.Gpu("GPU-1", "One", 100), devices.Gpu("3", "Two", 100)
    executor = workers(monkeypatch, script, devices.WorkerPlan((one, two, one, two), 1))
    for key in "abcd":
        executor.submit(a_task(key))
    (tmp_path / "go").touch()
    said = {key: event["message"] for key, event in collect(executor, 4)}
    assert said == {"a": "GPU-1", "b": "3", "c": "GPU-1", "d": "3"}
    executor.close()


def test_never_more_threads_than_cores(monkeypatch):
    """On four cores, planned for trainings of one thread: one of three threads waits until they are free."""
    monkeypatch.setattr(local, "core_count", lambda: 4)
    monkeypatch.setattr(local, "threads_of", lambda task: 3 if task.key.startswith("wide") else 1)
    script = "import sys\nfor line in sys.stdin: sys.stdin.readline()"
    executor = workers(monkeypatch, script, devices.WorkerPlan((None,) * 4, 1))
    assert executor.free_slots() == 4
    executor.submit(a_task("one"))
    executor.submit(a_task("two"))
    assert executor.free_slots() == 2
    assert executor.submit(a_task("wide")) is None and executor.free_slots() == 0, (
        "held, and nothing else starts before it"
    )
    executor.poll(0.01)
    assert executor.free_slots() == 0
    executor.kill({"one"})
    executor.poll(0.01)
    assert executor.held is None and executor.free_slots() == 0, "one and three threads on four cores"
    executor.kill({"two"})
    assert executor.free_slots() == 1
    assert executor.submit(a_task("wide too")) is None
    executor.kill({"wide too"})
    assert executor.held is None and executor.free_slots() == 1
    executor.close()


def test_a_recipe_of_more_threads_than_cores_runs_alone(monkeypatch):
    monkeypatch.setattr(local, "core_count", lambda: 2)
    monkeypatch.setattr(local, "threads_of", lambda task: 4)
    executor = workers(monkeypatch, "import sys\nsys.stdin.read()", devices.WorkerPlan((None, None), 1))
    assert executor.submit(a_task("a")) and executor.free_slots() == 0
    executor.close()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc on this system")
def test_a_worker_gives_way(monkeypatch):
    """Its nice value is raised, and its session's where the kernel has any; this session's stays as it was."""
    monkeypatch.delenv("LINEUP_NICE")
    own = Path("/proc/self/autogroup")
    before = own.read_text() if own.exists() else None
    executor = LocalExecutor(devices.WorkerPlan((None,), 1))
    pid = executor.submit(a_task())
    assert results(executor, 1) == ["failed"], "there is no such workspace"
    assert os.getpriority(os.PRIO_PROCESS, pid) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)
    if before is not None:
        assert Path(f"/proc/{pid}/autogroup").read_text().split()[-1] == "10" and own.read_text() == before
    executor.close()


def test_what_a_runner_will_use(tmp_path, monkeypatch):
    for name in executors.ENVIRONMENT_VARIABLES.values():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(devices, "visible_gpus", lambda: [])
    monkeypatch.setattr(devices, "core_count", lambda: 6)
    ws = tiny.write(tmp_path / "tiny")
    threads = recipes.get_recipe(ws.recipe).threads
    assert executors.expected_resources(ws)["executor"] == "local"
    assert executors.expected_resources(ws)["devices"][0]["workers"].startswith(str(6 // threads))
    monkeypatch.setenv("LINEUP_WORKERS", "1")
    assert executors.expected_resources(ws)["devices"][0]["workers"].startswith("1 of ")
    monkeypatch.setenv("LINEUP_WORKERS", "many")
    with pytest.raises(UserError, match="LINEUP_WORKERS is 'many'; set it to a whole number"):
        executors.expected_resources(ws)
    monkeypatch.setenv("LINEUP_EXECUTOR", "ray")
    monkeypatch.setenv("LINEUP_ADDRESS", "head:6379")
    assert executors.expected_resources(ws) == {"executor": "ray at head:6379", "devices": []}
    with pytest.raises(UserError, match="no executor 'slurm'; there is local and ray"):
        executors.create_executor(ws, "slurm")
