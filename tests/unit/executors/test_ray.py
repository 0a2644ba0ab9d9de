"""The Ray executor on a real cluster of two nodes on this machine, one of which is killed in the middle of a study."""

import importlib
import json
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from attribution import executors, jobs
from attribution.edits import nothing, remove
from attribution.executors.base import Task
from attribution.runner import serve
from attribution.store import Store
from tests import tiny
from tests.conftest import ROOT

PATIENCE = 600  # seconds; the machine may be busy
STORE = 80 * 2**20  # bytes of shared memory a node
SOON = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 4}

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray has no wheel for this Python")


@pytest.fixture
def cluster(tmp_path_factory, monkeypatch):
    """Two nodes of one core each. The runner is on the first, `other` is the one to be killed."""
    short = tmp_path_factory.getbasetemp().parent / "r"  # sockets' paths may have 107 characters
    short.mkdir(exist_ok=True)
    monkeypatch.setenv("RAY_TMPDIR", str(short))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": STORE, "include_dashboard": False,
            "node_ip_address": "127.0.0.1"}
    found = Cluster(initialize_head=True, head_node_args={**node, "_system_config": SOON})
    try:
        yield SimpleNamespace(address=found.address, other=found.add_node(**node), add=lambda: found.add_node(**node),
                              kill=lambda one: found.remove_node(one, allow_graceful=False))
    finally:
        found.shutdown()


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
    spec = jobs.study_spec(ws, [0, 4], ["trak-10"], ["remove"], k_max=40)
    kept = {}
    for name in ("local", "ray"):
        monkeypatch.setenv("LINEUP_DATA", str(tmp_path / name))
        store = Store.of(ws)
        number = store.add_job(spec, jobs.describe(spec))
        if name == "local":
            assert serve(ws, lambda: executors.make(ws, workers=1), idle_seconds=0.1)
        else:
            _study_on(cluster, ws, store, number)
        assert store.job(number).state == "done", store.job(number).message
        assert store.live() == {}
        kept[name] = trained(store)
        supports = store.db.execute("SELECT ranking, target, kind, body FROM supports ORDER BY target").fetchall()
        kept[name + " supports"] = [(*row[:3], json.loads(row[3])) for row in supports]
        store.close()
    assert len(kept["local"]) > 10 and kept["ray"].keys() == kept["local"].keys(), "none is missing, none is too many"
    assert kept["ray"] == kept["local"] and kept["ray supports"] == kept["local supports"]


def _study_on(cluster, ws, store, number):
    """Starts a runner, kills a node while it trains, adds another, and waits for the runner's end."""
    log = store.folder / "said"
    with log.open("w") as said:
        runner = subprocess.Popen([sys.executable, "-m", "attribution", "runner", "--workspace", str(ws.path), "--idle",
                                   "0.1", "--executor", "ray", "--address", cluster.address],
                                  cwd=ROOT, stdout=said, stderr=said)

    def workers():
        assert runner.poll() is None, log.read_text()
        about = jobs.runner_about(store.folder) or {"devices": []}
        return [row["workers"] for row in about["devices"]]

    try:
        wait(lambda: store.count() >= 3 and len(store.live()) == 2)  # both nodes train
        assert workers() == ["1", "1"]
        cluster.kill(cluster.other)
        wait(lambda: workers() == ["1"])
        wait(lambda: store.db.execute("SELECT count(*) FROM tries").fetchone()[0] or store.count() > 5)
        cluster.add()
        wait(lambda: workers() == ["1", "1"])
        wait(lambda: runner.poll() is not None)
    finally:
        runner.kill()
        runner.wait()
    assert runner.returncode == 0, log.read_text()


@needs_ray
def test_epochs_cancel_and_failures(cluster, tmp_path, monkeypatch):
    """Nodes train with the code that was sent to them, without the workspace, and end what is cancelled."""
    from attribution.executors import ray

    ws = tiny.large(tmp_path / "large")
    monkeypatch.setattr(ray, "LOOK", 0.0)
    executor = executors.make(ws, "ray", address=cluster.address)
    try:
        wait(lambda: executor.free() == 2)
        out_of_range = Task("bad", str(ws.path), "demo-cnn", remove([10**6]), 0)
        nowhere = Task("nowhere", str(tmp_path / "none"), "demo-cnn", nothing(), 0)
        for task in (out_of_range, nowhere):
            assert executor.submit(task) is None
        found = []
        wait(lambda: found.extend(executor.poll(0.1)) or len(found) == 2)
        messages = {task.key: event["message"] for task, event in found}
        assert messages["bad"].startswith("the edit names a training image outside 0..1499")
        assert messages["nowhere"].startswith("there is no workspace at")
    finally:
        executor.close()
