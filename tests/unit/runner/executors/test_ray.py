"""The Ray executor on a real cluster of two nodes on this machine, one of which is killed in the middle of a study."""

import importlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from types import SimpleNamespace

import pytest

from attribution import UserError
from attribution.experiments import jobs
from attribution.experiments.study import study_spec
from attribution.runner import executors
from attribution.runner.executors.base import Task, result_arrays
from attribution.runner.runner import run_runner
from attribution.store.results import ResultStore
from attribution.training.edits import no_edit, remove
from tests import tiny
from tests.conftest import ROOT

PATIENCE = 600  # seconds; the machine may be busy
STORE = 80 * 2**20  # bytes of shared memory a node
SOON = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 4}

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray has no wheel for this Python")


@pytest.fixture
def cluster(monkeypatch):
    """Two nodes of one core each. The runner is on the first, `other` is the one to be killed."""
    folder = tempfile.mkdtemp()  # not pytest's: sockets' paths may have 107 characters
    monkeypatch.setenv("RAY_TMPDIR", folder)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # elsewhere, too, this makes Ray stay on 127.0.0.1
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": STORE, "include_dashboard": False}
    found = Cluster(initialize_head=True, head_node_args={**node, "_system_config": SOON})
    try:
        yield SimpleNamespace(
            address=found.address,
            other=found.add_node(**node),
            add=lambda: found.add_node(**node),
            kill=lambda one: found.remove_node(one, allow_graceful=False),
        )
    finally:
        found.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def wait(until, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


def trained(store) -> dict:
    """key -> (predictions, margins, threads), as bytes, of all that is in the store."""
    rows = store.db.execute("SELECT key, predicted, margins, threads FROM retrainings").fetchall()
    assert len({row[0] for row in rows}) == len(rows)
    return {row[0]: row[1:] for row in rows}


@needs_ray
def test_a_study_survives_the_death_of_a_node(cluster, tmp_path, monkeypatch):
    """It completes, and what is then in the store is bit for bit what a run on this machine alone leaves there."""
    ws = tiny.large(tmp_path / "large")
    spec = study_spec(ws, [0, 4], ["trak-10"], ["remove"], k_max=20)
    kept = {}
    for name in ("local", "ray"):
        monkeypatch.setenv("LINEUP_DATA", str(tmp_path / name))
        store = ResultStore.for_workspace(ws)
        number = store.add_job(spec, spec.describe())
        if name == "local":
            assert run_runner(ws, lambda: executors.create_executor(ws, workers=1), idle_seconds=0.1)
        else:
            _study_on(cluster, ws, store, number)
        assert store.job(number).state == "done", store.job(number).message
        assert store.live_trainings() == {}
        kept[name] = trained(store)
        supports = store.db.execute("SELECT ranking, target, kind, body FROM supports ORDER BY target").fetchall()
        kept[name + " supports"] = [(*row[:3], json.loads(row[3])) for row in supports]
        store.close()
    assert len(kept["local"]) > 5 and kept["ray"].keys() == kept["local"].keys(), "none is missing, none is too many"
    assert kept["ray"] == kept["local"] and kept["ray supports"] == kept["local supports"]


def _study_on(cluster, ws, store, number):
    """Starts a runner, kills a node while it trains, adds another, and waits for the study's end. The runner stays
    afterwards: on a busy machine the study may be over before the new node is there."""
    log = store.folder / "said"
    with log.open("w") as said:
        runner = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "attribution",
                "runner",
                "--workspace",
                str(ws.path),
                "--idle",
                str(PATIENCE),
                "--executor",
                "ray",
                "--address",
                cluster.address,
            ],
            cwd=ROOT,
            stdout=said,
            stderr=said,
        )

    def workers():
        assert runner.poll() is None, log.read_text()
        about = jobs.runner_info(store.folder) or {"devices": []}
        return [row["workers"] for row in about["devices"]]

    try:
        wait(lambda: store.count() >= 3 and len(store.live_trainings()) == 2)  # both nodes train
        assert workers() == ["1", "1"]
        cluster.kill(cluster.other)
        wait(lambda: workers() == ["1"])
        wait(lambda: store.db.execute("SELECT count(*) FROM tries").fetchone()[0] or store.count() > 5)
        cluster.add()
        wait(lambda: workers() == ["1", "1"])
        wait(lambda: store.job(number).has_ended)
    finally:
        runner.kill()
        runner.wait()


@needs_ray
def test_failures_and_cancelled_trainings_on_a_cluster(cluster, tmp_path):
    ws = tiny.large(tmp_path / "large")
    executor = executors.create_executor(ws, "ray", address=cluster.address)
    found = []

    def one(edit=no_edit(), seed=0, workspace=ws.path, key="k"):
        return Task(key, str(workspace), "demo-cnn", "c5aeb1565251", edit, seed)

    try:
        wait(lambda: executor.free_slots() == 2)
        executor.submit(one(key="nowhere", workspace=tmp_path / "none"))
        assert executor.free_slots() == 2
        executor.submit(one(key="bad", edit=remove([10**6])))
        assert executor.free_slots() == 1
        wait(lambda: found.extend(executor.poll(0.1)) or len(found) == 2)
        messages = {task.key: event["message"] for task, event in found}
        assert messages["bad"].startswith("the edit names a training image outside 0..1499")
        assert messages["nowhere"].startswith("there is no workspace at")
        executor.submit(one())
        executor.kill({"k"})
        executor.submit(one(key="next", seed=1))
        found.clear()
        wait(lambda: found.extend(executor.poll(0.1)) or [event for _, event in found if event["event"] != "epoch"])
        assert {task.key for task, _ in found} == {"next"}, "what was cancelled says nothing more"
        assert found[-1][1]["event"] == "done" and executor.free_slots() == 2
        assert result_arrays(*found[-1])["margins"].shape == (tiny.VAL,)
    finally:
        executor.close()


@needs_ray
@pytest.mark.parametrize("address", ["127.0.0.1:9", "nonsense"])
def test_an_address_that_does_not_answer(tmp_path, address):
    """Said within seconds; Ray itself tries for minutes."""
    with pytest.raises(UserError, match=f"no Ray cluster answers at {address}"):
        executors.create_executor(tiny.write(tmp_path / "tiny"), "ray", address=address)


@needs_ray
def test_a_machine_that_is_part_of_no_cluster(tmp_path, monkeypatch):
    import ray

    def init(**_):
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "init", init)  # it would look at all processes of this machine
    with pytest.raises(UserError, match=r"to work with at auto \(Could not find any running Ray instance\)"):
        executors.create_executor(tiny.write(tmp_path / "tiny"), "ray")


@needs_ray
def test_numbers_that_make_no_sense(tmp_path):
    ws = tiny.write(tmp_path / "tiny")
    with pytest.raises(UserError, match="cannot have 1.5 GPUs; give a number from 0 to 1"):
        executors.create_executor(ws, "ray", gpus_per_training=1.5)
    with pytest.raises(UserError, match="give at least 1"):
        executors.create_executor(ws, "ray", workers=0)


@needs_ray
@pytest.mark.parametrize(
    ("gpus", "threads", "node", "slots"),
    [
        (0, 1, {"CPU": 8.0}, 8),
        (0, 3, {"CPU": 8.0}, 2),
        (1, 1, {"CPU": 8.0, "GPU": 2.0}, 2),
        (1, 1, {"CPU": 8.0}, 0),
        (0.25, 1, {"CPU": 64.0, "GPU": 2.0}, 8),
        (0.3, 1, {"CPU": 64.0, "GPU": 4.0}, 12),
        (0.5, 4, {"CPU": 4.0, "GPU": 1.0}, 1),
    ],
)
def test_what_a_node_holds(gpus, threads, node, slots):
    from attribution.runner.executors.ray import RayExecutor

    executor = object.__new__(RayExecutor)
    executor.gpus, executor.threads = gpus, threads
    assert executor._slots({"Resources": node}) == slots


def test_without_ray(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "attribution.runner.executors.ray", raising=False)
    with pytest.raises(UserError, match=r"python -m pip install -e .*cluster"):
        executors.create_executor(tiny.write(tmp_path / "tiny"), "ray")


def test_nothing_of_ray_is_imported_unless_it_is_chosen(run_python):
    done = run_python(
        "-c", "import sys, attribution.runner.runner, attribution.cli.retrain\nprint('ray' in sys.modules)"
    )
    assert (done.code, done.out.strip()) == (0, "False"), done.err


@needs_ray
def test_a_users_recipe_travels_with_its_files(ws):
    from attribution.runner.executors.ray import DataSetArrays, _load_trainer
    from attribution.training import own

    made = own.add(f"{ROOT / 'tests/unit/training/own/recipes_for_tests.py'}:Softmax")
    task = {"recipe": made.name, "hash": made.hash}
    trainer = _load_trainer(DataSetArrays.from_workspace(ws), task, None, own.pack(made.name, made.hash))
    assert (trainer.run().predicted == ws.val_labels).mean() > 0.5
    assert _load_trainer(None, task, None, None) is trainer, "it is kept for the next task"
