"""The folders that users' recipes work in are gone when their guards are, however these end."""

import fcntl
import os
import subprocess
import sys
import tempfile
import time

import pytest

from attribution.files import work_folder
from attribution.runner.executors.base import Task
from attribution.runner.executors.local import LocalExecutor
from attribution.training import devices, own
from attribution.training.edits import no_edit
from tests.conftest import ROOT

PATIENCE = 120  # seconds


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """A folder for temporary files of this test's own, for the processes that it starts, too."""
    (tmp_path / "t").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "t"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    return tmp_path / "t"


def wait_for(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


def worker_that_has_trained(ws):
    """(executor, the process of its guard), under a user's recipe."""
    recipe = own.add(f"{ROOT}/tests/unit/training/own/recipes_for_tests.py:Softmax")
    executor = LocalExecutor(devices.WorkerPlan((None,), 1))
    executor.submit(Task("k", str(ws.path.resolve()), recipe.name, recipe.hash, no_edit(), 0))
    events = []
    wait_for(lambda: events.extend(event["event"] for _, event in executor.poll(0.1)) or "done" in events)
    return executor, executor.slots[0].process


def left(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith("lineup-")]


def test_a_worker_that_is_closed_leaves_nothing(ws, temporary):
    executor, process = worker_that_has_trained(ws)
    assert len(left(temporary)) == 1
    executor.close()
    wait_for(lambda: not left(temporary))
    wait_for(lambda: process.stdout.closed)


def test_a_guard_that_is_killed_leaves_nothing(ws, temporary):
    executor, process = worker_that_has_trained(ws)
    assert len(left(temporary)) == 1
    process.kill()
    wait_for(lambda: not left(temporary))
    executor.close()


def test_what_a_guard_left_whose_runner_was_killed_too_is_removed_by_the_next(temporary, tmp_path):
    script = "import time\nfrom attribution.files.work_folder import WorkFolder\nWorkFolder()\ntime.sleep(99)"
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    wait_for(lambda: left(temporary))
    work_folder.remove_left()
    assert left(temporary), "it is in use"
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "data.npy").write_bytes(b"kept")
    (temporary / left(temporary)[0] / "inner").symlink_to(tmp_path / "theirs")
    process.kill()
    process.wait()
    (temporary / "lineup-recipe-999999-of-a-file").write_text("")
    kept = work_folder.WorkFolder()
    assert sorted(left(temporary)) == sorted([kept.path.name, "lineup-recipe-999999-of-a-file"])
    assert (tmp_path / "theirs" / "data.npy").exists(), "what a link points at stays"
    kept.remove()


def test_a_folder_that_another_container_holds_is_left_alone(temporary):
    """There the process has another number: of this one nobody is alive here."""
    folder = temporary / f"{work_folder.PREFIX}{2**22 + 5}-x"
    folder.mkdir()
    lock = os.open(folder, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    work_folder.remove_left()
    assert folder.exists()
    os.close(lock)
    work_folder.remove_left()
    assert not folder.exists()
