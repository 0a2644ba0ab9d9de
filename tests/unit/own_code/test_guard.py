"""Users' recipes in workers: what they print, how they end, and that nothing of them is left."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from attribution.experiments import jobs
from attribution.experiments.retrain import retrain_spec
from attribution.experiments.support import support_spec
from attribution.runner.executors.base import Task, decode_array
from attribution.runner.executors.local import LocalExecutor
from attribution.runner.runner import Runner
from attribution.training import devices, own
from attribution.training.edits import no_edit, remove
from tests.conftest import ROOT

RECIPES = ROOT / "tests/unit/training/own/recipes_for_tests.py"
PATIENCE = 120  # seconds


@pytest.fixture
def executor():
    made = LocalExecutor(devices.WorkerPlan((None,), 1))
    yield made
    made.close()


def a_task(ws, object_, edit=None, seed=0, key="k"):
    recipe = own.add(f"{RECIPES}:{object_}")
    where = str(Path(ws.path).resolve())
    return Task(key, where, recipe.name, recipe.hash, edit or no_edit(), seed, probabilities=True)


def ended(executor, kinds=("done", "failed", "lost")):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        for _, event in executor.poll(0.1):
            if event["event"] in kinds:
                return event
    raise AssertionError("it took too long")


def sleepers():
    found = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]
    return [command for command in found if command and command[0] == "sleep" and command[-1] in ("98765", "98766")]


def wait_for(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


def test_a_b_a_in_one_worker_equal_those_of_fresh_ones(ws, executor):
    edits = [remove([1, 2]), remove([5]), remove([1, 2])]
    answers = []
    for edit in edits:
        executor.submit(a_task(ws, "Softmax", edit))
        answers.append(ended(executor)["probabilities"])
    executor.submit(a_task(ws, "Prints", edits[0]))  # another recipe, and so another worker
    fresh = ended(executor)
    assert answers[0] == answers[2] != answers[1] and fresh["event"] == "done", "what it prints is no event"
    assert fresh["probabilities"] == answers[0]
    assert len(decode_array(answers[0], "float16")) == ws.n_val * 3


def test_a_recipe_that_raises_or_crashes_is_heard_with_its_last_words(ws, executor):
    executor.submit(a_task(ws, "Raises"))
    event = ended(executor)
    assert "the learning rate is below 0" in event["message"] and "the last words of fit" in event["output"]
    executor.submit(a_task(ws, "Crashes"))
    event = ended(executor)
    assert (event["event"], event["code"]) == ("lost", -11) and 0 < len(event["output"]) <= 8000


@pytest.mark.skipif(not Path("/proc").exists(), reason="Linux finds what a process has left behind")
def test_a_cancel_and_the_death_of_the_runner_end_all_that_a_recipe_has_started(ws, executor):
    executor.submit(a_task(ws, "Hangs"))
    wait_for(lambda: len(sleepers()) == 2)
    start = time.monotonic()
    executor.kill({"k"})
    wait_for(lambda: not sleepers())
    assert time.monotonic() - start < 5
    task = a_task(ws, "Hangs")
    script = (
        "import sys, json\nfrom attribution.runner.executors.base import Task\n"
        "from attribution.runner.executors.local import LocalExecutor\nfrom attribution.training import devices\n"
        "from attribution.training.edits import no_edit\n"
        f"executor = LocalExecutor(devices.WorkerPlan((None,), 1))\n"
        f"executor.submit(Task('k', {task.workspace!r}, 'hangs', {task.hash!r}, no_edit(), 0))\n"
        "while True: executor.poll(1)"
    )
    import sys

    runner = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    wait_for(lambda: len(sleepers()) == 2)
    runner.kill()
    runner.wait()
    start = time.monotonic()
    wait_for(lambda: not sleepers())
    assert time.monotonic() - start < 5


def drive(ws, store, spec):
    number = store.add_job(spec, spec.describe())
    runner = Runner(store, LocalExecutor(devices.WorkerPlan((None,), 1)), idle_seconds=0)
    end = time.monotonic() + PATIENCE
    try:
        while store.job(number).state in ("queued", "running") and time.monotonic() < end:
            runner.step(0.1)
    finally:
        runner.executor.close()
    return store.job(number)


def test_a_job_under_a_users_recipe(ws, store):
    name = own.add(f"{RECIPES}:Softmax").name
    spec = retrain_spec(ws, 0, "trak-10", "remove", 2, range(2), 1, recipe=name)
    assert drive(ws, store, spec).state == "done"
    answer = spec.answer(ws, store)
    assert answer["complete"] and answer["recipe"] == "softmax" and answer["recipe_hash"] == spec["hash"]
    deterministic = own.add(f"{RECIPES}:NoSeed").name
    spec = support_spec(ws, 0, "trak-10", "remove", k_max=8, recipe=deterministic)
    assert spec.protocol == "default" and drive(ws, store, spec).state == "done"
    rows = spec.answer(ws, store)["trace"]
    assert all(row["seeds"] == [0] for row in rows) and not any(row.get("confirm") for row in rows)


def test_a_failed_job_keeps_the_last_words(ws, store):
    name = own.add(f"{RECIPES}:Raises").name
    job = drive(ws, store, retrain_spec(ws, 0, "trak-10", "remove", 2, range(1), 0, recipe=name))
    assert job.state == "failed" and job.message.startswith("raises.fit raised ValueError")
    assert "the last words of fit" in jobs.output_of(store.folder, job.id) and jobs.output_of(store.folder, 999) == ""


def test_a_recipe_that_reports_nothing_is_stopped(ws, store):
    name = own.add(f"{RECIPES}:Hangs").name  # its patience is 3 s
    job = drive(ws, store, retrain_spec(ws, 0, "trak-10", "remove", 2, range(1), 0, recipe=name))
    assert job.state == "failed" and "reported nothing" in job.message and not sleepers()


@pytest.mark.parametrize("end", ["os._exit(3)", "os.kill(os.getpid(), 9)"])
def test_a_guard_ends_without_a_word_of_its_own(tmp_path, end):
    (tmp_path / "ends.py").write_text(f"import os\n{end}\n")
    command = [sys.executable, "-P", "-m", "attribution.own_code.guard", str(tmp_path), "1", "ends"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(tmp_path)
    ) as guard:  # whose stdin stays open, as that of whoever asks does
        said, complaint = guard.stdout.read(), guard.stderr.read()
        code = guard.wait(PATIENCE)
    assert json.loads(said)["event"] == "lost" and json.loads(said)["code"] == (3 if "exit" in end else -9)
    assert (complaint, code) == (b"", 0)


def environment(folder):
    return {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}
