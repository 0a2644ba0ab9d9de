"""The runner, first with an executor that only pretends to train, then with real processes that are killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from attribution import Workspace
from attribution.errors import UserError
from attribution.experiments import jobs, support_table
from attribution.experiments.halves import random_half, subsets_spec
from attribution.experiments.retrain import retrain_spec
from attribution.experiments.study import study_spec
from attribution.experiments.unrolled import unrolled_spec
from attribution.rankings.unrolled import on_demand
from attribution.runner import runner as runner_module
from attribution.runner.executors.base import Task, encode_array
from attribution.runner.runner import Runner, run_runner
from attribution.store.lock import acquire_runner_lock, runner_alive
from attribution.store.results import ResultStore
from attribution.training import recipes
from tests import tiny
from tests.conftest import ROOT

PATIENCE = 300  # seconds; the machine may be busy, and workers are the last in line


@pytest.fixture(autouse=True)
def small_runner(monkeypatch):
    """One worker, and soon gone."""
    monkeypatch.setenv("LINEUP_IDLE", "5")
    monkeypatch.setenv("LINEUP_WORKERS", "1")


def wait(until, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


def gone(pid):
    """Whether a process has ended; one that nobody has buried yet counts."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return not os.path.isdir("/proc")


# -- with an executor that only pretends


class Pretender:
    """Trains nothing. `finish` ends a task as wanted; with `every` all are done when next asked about."""

    def __init__(self, slots=2, every=True):
        self.slots, self.every = slots, every
        self.busy: dict[str, Task] = {}
        self.events, self.started, self.killed, self.closed = [], [], set(), False

    def free_slots(self):
        return self.slots - len(self.busy)

    def submit(self, task):
        assert self.free_slots() > 0 and task.key not in self.busy, "one training, once at a time"
        self.busy[task.key] = task
        self.started.append(task)
        return 4321

    def finish(self, task, event="done", **more):
        del self.busy[task.key]
        arrays = {
            "predicted": encode_array(np.zeros(12, np.uint8)),
            "margins": encode_array(np.ones(12, np.float16)),
            "seconds": 1.0,
            "device": "cpu",
            "library": "torch",
            "threads": 1,
        }
        if task.out_of_subset:
            arrays["out_of_subset"] = encode_array(np.full((task.edit.k, 3), 0.25, np.float16))
        self.events.append((task, {"event": event, **(arrays if event == "done" else {}), **more}))

    def poll(self, timeout):
        for task in list(self.busy.values()) if self.every else []:
            self.finish(task)
        events, self.events = self.events, []
        return events

    def kill(self, keys):
        self.killed |= keys
        for key in keys:
            self.busy.pop(key, None)

    def close(self):
        self.closed = True

    def describe(self):
        return {"executor": "pretends", "devices": [{"slots": self.slots}]}


def ask(ws, store, **changes):
    asked = {"target": 0, "ranking": "trak-10", "kind": "remove", "k": 4, "seeds": range(3), "draws": 1} | changes
    spec = retrain_spec(ws, **asked)
    return store.add_job(spec, spec.describe()), spec


def steps(runner, n=20):
    for _ in range(n):
        runner.step(0)


def test_a_job_is_done_and_what_is_known_is_not_trained_again(ws, store):
    runner = Runner(store, Pretender())
    first, spec = ask(ws, store)
    steps(runner)
    job = store.job(first)
    assert (job.state, job.done, job.total) == ("done", 9, 9) and spec.answer(ws, store)["complete"]
    assert len(runner.executor.started) == 9 and store.live_trainings() == {}
    again, _ = ask(ws, store)
    more, _ = ask(ws, store, seeds=range(4))
    steps(runner)
    assert again != first and store.job(again).state == store.job(more).state == "done"
    assert len(runner.executor.started) == 12, "only the fourth seed's three"


def test_two_jobs_that_want_the_same_training_share_it(ws, store):
    runner = Runner(store, Pretender(slots=20, every=False))
    one, _ = ask(ws, store)
    two, _ = ask(ws, store, ranking=None, k=0, ids=ws.ranking("trak-10").top(0, 4).ids)
    runner.step(0)
    runner.step(0)
    assert one != two and len(runner.executor.busy) == 9
    store.cancel_job(one)
    runner.step(0)
    assert store.job(one).state == "cancelled" and not runner.executor.killed, "the other still waits for all of them"
    for task in list(runner.executor.busy.values()):
        runner.executor.finish(task)
    steps(runner, 3)
    assert store.job(two).state == "done" and len(runner.executor.started) == 9


def test_a_cancelled_job_ends_its_trainings_and_what_was_ready_is_kept(ws, store):
    runner = Runner(store, Pretender(slots=3, every=False))
    number, _ = ask(ws, store)
    runner.step(0)
    one, *others = runner.executor.busy.values()
    runner.executor.finish(one)  # its result is under way while the job is cancelled
    store.cancel_job(number)
    runner.step(0)
    assert store.job(number).state == "cancelled" and store.live_trainings() == {}
    assert runner.executor.killed == {task.key for task in others} | {one.key} and store.get(one.key)
    steps(runner, 3)
    assert len(runner.executor.started) == 3


def test_a_paused_job_finishes_what_is_under_way_and_goes_on_where_it_was(ws, store):
    runner = Runner(store, Pretender(slots=3, every=False))
    number, spec = ask(ws, store)
    runner.step(0)
    one, two, three = runner.executor.busy.values()
    runner.executor.finish(one)
    store.pause_job(number)
    runner.step(0)
    assert len(runner.executor.busy) == 2 == len(store.live_trainings()) and not runner.executor.killed
    runner.last_busy = -1e9
    assert runner.step(0), "it stays for what is being trained"
    runner.executor.finish(two)
    runner.executor.finish(three, "lost")
    runner.step(0)
    assert store.count() == 2 and store.live_trainings() == {} and store.job(number).state == "paused"
    runner.last_busy = -1e9
    assert not runner.step(0), "with paused jobs alone there is nothing to stay for"
    store.resume_job(number)
    runner.executor.every = True
    steps(runner)
    assert store.job(number).state == "done" and store.count() == 9
    assert len(runner.executor.started) == 10, "only the lost one was begun twice"


def test_a_job_resumed_while_it_still_trains_waits_for_that(ws, store):
    runner = Runner(store, Pretender(slots=2, every=False))
    number, spec = ask(ws, store)
    runner.step(0)
    store.pause_job(number)
    runner.step(0)
    assert not runner.jobs and len(runner.running) == 2
    store.resume_job(number)
    runner.executor.finish(runner.executor.started[1])
    runner.step(0)
    runner.step(0)
    assert store.job(number).state == "running" and len(runner.executor.started) == 3
    runner.executor.every = True
    steps(runner)
    assert store.job(number).state == "done" and len(runner.executor.started) == 9


def test_a_pause_that_nobody_saw_leaves_the_job_running(ws, store):
    runner = Runner(store, Pretender(slots=1, every=False))
    number, _ = ask(ws, store)
    runner.step(0)
    store.pause_job(number)
    store.resume_job(number)
    runner.step(0)
    assert store.job(number).state == "running" and len(runner.executor.started) == 1


def test_a_cancelled_paused_job_ends_its_trainings(ws, store):
    runner = Runner(store, Pretender(slots=2, every=False))
    number, _ = ask(ws, store)
    runner.step(0)
    store.pause_job(number)
    runner.step(0)
    store.cancel_job(number)
    runner.step(0)
    assert store.job(number).state == "cancelled" and len(runner.executor.killed) == 2 and store.live_trainings() == {}


def test_a_study_paused_again_and_again_trains_nothing_twice(ws, store):
    spec = study_spec(ws, [0, 3], ["trak-10", "l2-moco"], ["remove"], k_max=4)
    number, keys = store.add_job(spec, "a study"), []
    while not store.job(number).has_ended:  # a new runner each time: what it knows, it knows from the store
        runner = Runner(store, Pretender(slots=2))
        steps(runner, 3)
        assert store.job(number).has_ended or store.pause_job(number)
        steps(runner, 2)
        assert store.job(number).has_ended or not runner.jobs
        keys += [task.key for task in runner.executor.started]
        store.resume_job(number)
    assert store.job(number).state == "done" and len(keys) == len(set(keys)) == store.count() > 8
    assert all(support_table.is_answered(support_table.load_support_table(ws, store), spec.supports()))


def test_thousands_of_jobs_wait_in_the_store(ws, store, monkeypatch):
    """A job is opened when there is a slot for it: what waits is neither read nor parsed at each step."""
    numbers = [ask(ws, store, seeds=[seed], draws=0)[0] for seed in range(300)]
    read = []
    monkeypatch.setattr(
        "attribution.store.results.json.loads", lambda text: read.append(1) or json.JSONDecoder().decode(text)
    )
    runner = Runner(store, Pretender(slots=2, every=False))
    steps(runner, 20)
    assert len(runner.jobs) == 1 and len(read) < 5 and store.job(numbers[1]).state == "queued"
    runner.executor.every = True
    steps(runner, 10)
    assert [store.job(number).state for number in numbers[:4]] == ["done"] * 4


def test_what_is_known_of_thousands_does_not_keep_a_step(ws, store, monkeypatch):
    monkeypatch.setattr("attribution.runner.runner.MAX_STEP_SECONDS", 0)
    runner = Runner(store, Pretender())
    number, _ = ask(ws, store)
    runner.step(0)
    assert not runner.executor.started, "there was no time to look"
    monkeypatch.setattr("attribution.runner.runner.MAX_STEP_SECONDS", 0.2)
    steps(runner)
    assert store.job(number).state == "done"


def test_a_short_job_goes_before_a_study(ws, store):
    runner = Runner(store, Pretender(slots=1))
    spec = subsets_spec(ws, 0, 8, [0], 1)
    long = store.add_job(spec, "")
    runner.step(0)
    short, _ = ask(ws, store, seeds=[0])
    steps(runner, 6)
    assert store.job(short).state == "done" and store.job(long).state == "running"
    steps(runner)
    assert store.job(long).state == "done"
    sums, counts = store.out_of_subset(recipes.get_recipe("demo-cnn").hash)
    left_out = sum(~random_half(60, 1, i) for i in range(8))
    assert counts.tolist() == left_out.tolist() and np.allclose(sums, 0.25 * left_out[:, None])


def test_a_lost_training_is_tried_three_times(ws, store):
    runner = Runner(store, Pretender(slots=1, every=False))
    number, _ = ask(ws, store)
    while store.job(number).is_open:
        runner.step(0)
        for task in list(runner.executor.busy.values()):
            runner.executor.finish(task, "lost" if task.key == runner.executor.started[0].key else "done")
    job = store.job(number)
    assert job.state == "failed" and "under the same training 3 times" in job.message
    assert sum(task.key == runner.executor.started[0].key for task in runner.executor.started) == 3
    number, _ = ask(ws, store)
    runner.executor.every = True
    steps(runner)
    assert store.job(number).state == "done", "asked again it is tried again"


@pytest.mark.parametrize("how", ["cancelled", "cancelled without a runner"])
def test_losses_under_a_job_that_was_cancelled_are_forgotten(ws, store, how):
    runner = Runner(store, Pretender(slots=1, every=False))
    number, _ = ask(ws, store)
    for _ in range(2):
        runner.step(0)
        runner.executor.finish(next(iter(runner.executor.busy.values())), "lost")
    runner.step(0)
    assert store.failed_keys()
    store.cancel_job(number)
    if how == "cancelled without a runner":
        runner = Runner(store, Pretender(slots=1, every=False))
    else:
        store.add_job(subsets_spec(ws, 0, 2, [0], 1), "another job goes on all the while")
    steps(runner, 2)
    assert store.failed_keys() == [] and store.job(number).state == "cancelled"


def test_killed_between_a_result_and_the_end_of_its_job(ws, store, monkeypatch):
    number, spec = ask(ws, store)
    with monkeypatch.context() as patch:
        patch.setattr(store, "finish_job", lambda *_: sys.exit("killed"))
        with pytest.raises(SystemExit):
            steps(Runner(store, Pretender()))
    assert store.job(number).state == "running" and spec.missing(ws, store) == 0
    runner = Runner(store, Pretender())
    runner.step(0)
    assert store.job(number).state == "done" and store.job(number).done == 9 and not runner.executor.started


def test_results_that_are_taken_away_end_the_runner(ws, store):
    runner = Runner(store, Pretender(every=False))
    ask(ws, store)
    runner.step(0)
    shutil.move(store.folder, store.folder.with_name("elsewhere"))
    with pytest.raises(UserError, match="was moved or deleted"):
        runner.run()
    assert runner.executor.closed


def test_a_full_disk_has_no_room_for_complaints_either(ws, store, monkeypatch):
    runner = Runner(store, Pretender())
    number, _ = ask(ws, store)
    log = open("/dev/full", "w", buffering=1)
    monkeypatch.setattr(sys, "stderr", log)
    with monkeypatch.context() as patch:
        patch.setattr(store, "put", lambda *_, **__: store.db.execute("SELECT no such thing"))
        steps(runner, 5)
    steps(runner)
    assert store.job(number).state == "done"


def test_a_training_that_fails_fails_the_job_in_a_sentence(ws, store):
    runner = Runner(store, Pretender(every=False))
    number, _ = ask(ws, store)
    runner.step(0)
    runner.executor.finish(next(iter(runner.executor.busy.values())), "failed", message="the edit is nonsense")
    steps(runner, 2)
    assert (store.job(number).state, store.job(number).message) == ("failed", "the edit is nonsense")
    assert not runner.executor.busy and store.live_trainings() == {}


@pytest.mark.parametrize("how", ["gone", "other data", "no such verb", "no such recipe"])
def test_a_job_that_cannot_be_opened_fails_and_the_others_go_on(ws, store, how, tmp_path):
    spec = retrain_spec(ws, 0, "trak-10", "remove", 4, range(3), draws=1).to_json()
    away = tmp_path / "away"
    if how in ("gone", "other data"):
        spec["workspace"] = str(away)
    if how == "other data":
        shutil.copytree(ws.path, away)
        manifest = json.loads((away / "workspace.json").read_text())
        manifest["dataset"]["fingerprint"] = "1" * 64
        (away / "workspace.json").write_text(json.dumps(manifest))
    spec |= {"no such verb": {"verb": "paint"}, "no such recipe": {"recipe": "vgg"}}.get(how, {})
    bad = store.add_job(spec, "")
    good, _ = ask(ws, store)
    steps(Runner(store, Pretender()))
    expected = {
        "gone": "there is no workspace at",
        "other data": "now holds other data",
        "no such verb": "no job 'paint'",
        "no such recipe": "no recipe 'vgg'",
    }
    assert store.job(bad).state == "failed" and expected[how] in store.job(bad).message
    assert store.job(good).state == "done"


def test_a_workspace_that_goes_away_under_a_job(ws, store, tmp_path):
    away = shutil.copytree(ws.path, tmp_path / "away")
    spec = study_spec(Workspace.open(away), [0, 3], ["trak-10", "l2-moco"], ["remove"], k_max=4)
    number = store.add_job(spec, "")
    runner = Runner(store, Pretender(slots=1))
    runner.step(0)
    shutil.rmtree(away)
    steps(runner)
    assert store.job(number).state == "failed" and "copy the workspace again" in store.job(number).message


@pytest.fixture
def held(store):
    """The runner's lock, as a runner at work holds it."""
    lock = acquire_runner_lock(store.folder)
    yield
    os.close(lock)


def test_a_full_disk(ws, store, held):
    """Real: SQLite may not grow. It says so, starts nothing more, and goes on when there is room; nothing is lost."""
    runner = Runner(store, Pretender())
    number, spec = ask(ws, store, k=20, seeds=range(200))
    runner.step(0)
    assert jobs.trouble(store.folder) == ""
    store.db.execute(f"PRAGMA max_page_count = {store.db.execute('PRAGMA page_count').fetchone()[0]}")
    steps(runner, 60)
    assert store.job(number).state == "running"
    assert "full" in (why := jobs.trouble(store.folder)) and "make room there, and it goes on by itself" in why
    kept, started = store.count(), len(runner.executor.started)
    assert 0 < kept < 600 and started <= kept + 2
    steps(runner, 20)
    assert (store.count(), len(runner.executor.started)) == (kept, started) and runner.step(0), "it waits"
    store.db.execute("PRAGMA max_page_count = 1000000")
    steps(runner, 400)
    assert store.job(number).state == "done" and store.count() == 600 == spec.total
    assert len(runner.executor.started) == 600, "nothing was trained twice"
    assert jobs.trouble(store.folder) == ""


@pytest.mark.parametrize("names", [["put"], ["finish_job"], ["progress_job"], ["set_live_training"], ["start_job"]])
def test_whatever_cannot_be_written_is_written_later(ws, store, monkeypatch, names, held):
    runner = Runner(store, Pretender())
    number, spec = ask(ws, store)

    def full(*_, **__):
        raise jobs.sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        for name in names:
            patch.setattr(store, name, full)
        steps(runner, 8)
        assert store.job(number).state in ("queued", "running")
    steps(runner)
    assert store.job(number).state == "done" and store.count() == spec.total and store.live_trainings() == {}
    assert len(runner.executor.started) == spec.total and jobs.trouble(store.folder) == ""


def test_a_disk_that_is_full_is_seen_without_a_runner(store, monkeypatch):
    monkeypatch.setattr(jobs.shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(100, 100, 0))
    assert "is full; make room there" in jobs.trouble(store.folder)


# -- what a worker does as a whole


def ask_unrolled(ws, store, models):
    spec = unrolled_spec(ws, 4, models)
    return store.add_job(spec, spec.describe()), spec


def scored(task):
    return {"answer": {**on_demand.pack(np.full(60, task.spec["seeds"][0])), "seconds": 1.0}}


def test_unrolled_is_computed_seed_by_seed_and_what_is_known_is_not_computed_again(ws, store):
    runner = Runner(store, Pretender(slots=1, every=False))
    number, _ = ask_unrolled(ws, store, 2)
    for seed in (300, 301):
        runner.step(0)
        (task,) = runner.executor.busy.values()
        assert task.spec["seeds"] == [seed] and store.job(number).done == seed - 300
        runner.executor.finish(task, **scored(task))
        runner.step(0)
        assert ws.ranking("unrolled-exact").seeds_of(4)[-1] == seed
    steps(runner, 3)
    assert store.job(number).state == "done" and store.job(number).done == 2 and store.live_trainings() == {}
    more, _ = ask_unrolled(ws, store, 3)
    runner.step(0)
    (task,) = runner.executor.busy.values()
    assert task.spec["seeds"] == [302]
    runner.executor.finish(task, **scored(task))
    steps(runner, 3)
    assert store.job(more).state == "done" and store.job(more).done == 3
    assert ws.ranking("unrolled-exact").top(4, 1).scores.tolist() == [301.0]


@pytest.mark.parametrize("ends", ["pause_job", "cancel_job"])
def test_a_seed_that_is_ready_is_kept_though_its_job_is_paused_or_cancelled(ws, store, ends):
    runner = Runner(store, Pretender(slots=1, every=False))
    number, _ = ask_unrolled(ws, store, 2)
    runner.step(0)
    (task,) = runner.executor.busy.values()
    runner.executor.finish(task, **scored(task))
    getattr(store, ends)(number)
    steps(runner, 3)
    assert ws.ranking("unrolled-exact").seeds_of(4) == [300]
    again, _ = ask_unrolled(ws, store, 2)
    runner.step(0)
    assert [task.spec["seeds"] for task in runner.executor.busy.values()] == [[301]]


def test_two_jobs_that_want_the_same_seed_share_it(ws, store):
    runner = Runner(store, Pretender(slots=3, every=False))
    one, _ = ask_unrolled(ws, store, 1)
    two, _ = ask_unrolled(ws, store, 2)
    steps(runner, 3)
    assert sorted(task.spec["seeds"][0] for task in runner.executor.busy.values()) == [300, 301]
    for task in list(runner.executor.busy.values()):
        runner.executor.finish(task, **scored(task))
    steps(runner, 4)
    assert store.job(one).state == store.job(two).state == "done"


def test_steps_back_are_no_epochs(ws, store):
    """What Unrolled reports is not what a training is timed by, and it is given time."""
    runner = Runner(store, Pretender(slots=1, every=False))
    ask_unrolled(ws, store, 1)
    runner.step(0)
    (task,) = runner.executor.busy.values()
    for step in (1, 2, 3):
        runner.executor.events.append((task, {"event": "epoch", "epoch": step, "epochs": 60}))
        runner.step(0)
    assert not runner.epoch_seconds and store.live_trainings()[task.key]["epoch"] == 3
    assert runner._patience(runner.heard[task.key]) == runner_module.SILENT_START


# -- workers that stand still


@pytest.fixture
def clock(monkeypatch):
    """clock(seconds) lets them pass for a runner."""
    passed = [0.0]
    real = time.monotonic
    monkeypatch.setattr(runner_module.time, "monotonic", lambda: real() + passed[0])
    return lambda seconds: passed.__setitem__(0, passed[0] + seconds)


def waits(runner, clock, seconds, pace=5):
    """Steps as time passes: a runner that stands still itself suspects nobody."""
    for _ in range(int(seconds / pace)):
        clock(pace)
        runner.step(0)


def test_a_worker_that_stands_still_is_replaced(ws, store, clock):
    runner = Runner(store, Pretender(slots=1, every=False))
    number, spec = ask(ws, store)
    runner.step(0)
    task = runner.executor.started[0]
    for epoch in (1, 2, 3):
        runner.executor.events.append((task, {"event": "epoch", "epoch": epoch, "epochs": 6}))
        runner.step(0)
        clock(1)
    waits(runner, clock, 50)
    assert not runner.executor.killed, "late, and not yet too late"
    waits(runner, clock, 30)
    assert runner.executor.killed == {task.key} and runner.executor.started[1].key == task.key
    assert "stood still for" in store.job(number).message and store.count_failures(task.key) == 1
    runner.executor.every = True
    steps(runner)
    assert store.job(number).state == "done" and store.job(number).message == "" and store.count() == spec.total


def test_slow_epochs_are_no_standstill(ws, store, clock):
    runner = Runner(store, Pretender(slots=1, every=False))
    ask(ws, store)
    runner.step(0)
    task = runner.executor.started[0]
    for epoch in (1, 2, 3):
        runner.executor.events.append((task, {"event": "epoch", "epoch": epoch, "epochs": 6}))
        runner.step(0)
        waits(runner, clock, 50)
    waits(runner, clock, 500)
    assert not runner.executor.killed


def test_a_runner_that_stood_still_itself_suspects_nobody(ws, store, clock):
    runner = Runner(store, Pretender(slots=1, every=False))
    ask(ws, store)
    runner.step(0)
    clock(10_000)
    runner.step(0)
    assert not runner.executor.killed


def test_a_worker_that_stands_still_each_time_fails_the_job(ws, store, clock):
    runner = Runner(store, Pretender(slots=1, every=False))
    number, _ = ask(ws, store)
    runner.step(0)
    waits(runner, clock, 600 * (1 + 2 + 4) + 100)
    assert (
        store.job(number).state == "failed"
        and "stood still under the same training 3 times" in store.job(number).message
    )


# -- jobs that all but ended


def test_a_cancel_that_comes_too_late_says_so(ws, store):
    runner = Runner(store, Pretender())
    number, _ = ask(ws, store, seeds=range(1))
    finish = store.finish_job
    store.finish_job = lambda *arguments: store.cancel_job(number) and finish(*arguments)
    steps(runner)
    job = store.job(number)
    assert job.state == "done" and "it was done before it could be stopped" in job.message


@pytest.mark.parametrize("how, state", [("done", "done"), ("cancelling", "cancelled"), ("half", "running")])
def test_a_job_that_a_killed_runner_left(ws, store, how, state):
    number, _ = ask(ws, store)
    store.start_job(number, 6)
    store.progress_job(number, 3 if how == "half" else 6)
    if how == "cancelling":
        store.cancel_job(number)
    lock = acquire_runner_lock(store.folder)
    jobs.settle(store)
    assert store.job(number).is_open, "a runner is at work on it"
    os.close(lock)
    jobs.settle(store)
    assert store.job(number).state == state


def test_what_a_killed_runner_left_is_taken_up(ws, store):
    left = Runner(store, Pretender(slots=2, every=False))
    number, spec = ask(ws, store)
    left.step(0)
    left.executor.finish(left.executor.started[0])
    left.step(0)
    assert len(store.live_trainings()) == 2 and store.count() == 1 and store.job(number).state == "running"
    runner = Runner(store, Pretender(slots=1))
    runner.step(0)
    assert len(store.live_trainings()) <= 1
    steps(runner)
    assert store.job(number).state == "done" and len(runner.executor.started) == 8


def test_it_goes_away_when_idle(ws, store):
    executor = Pretender()
    start = time.monotonic()
    Runner(store, executor, idle_seconds=0.3).run()
    assert executor.closed and 0.2 < time.monotonic() - start < 5


def test_a_job_queued_at_the_last_moment_is_seen(ws, store):
    """Between the last look at the queue and letting go of the lock, which still told the asker of a runner."""
    executors = []

    def executor():
        executors.append(Pretender())
        if len(executors) == 1:
            executors[0].close = lambda: ask(ws, store)
        return executors[-1]

    assert run_runner(ws, executor, idle_seconds=0.05) is True
    assert len(executors) == 2 and [job.state for job in store.jobs()] == ["done"]
    assert not runner_alive(store.folder)


def test_two_runners_are_one(ws, store):
    lock = acquire_runner_lock(store.folder)
    assert run_runner(ws) is False
    os.close(lock)


# -- real trainings in real processes


def test_the_whole_life_of_a_runner(ws, tmp_path, monkeypatch):
    """A worker is killed in a training, then the runner; a new one does the rest; a job is cancelled; all goes away."""
    monkeypatch.setenv("LINEUP_IDLE", "15")  # seconds in which a second one has started, on a busy machine, too
    ws = tiny.large(tmp_path / "large")
    store = ResultStore.for_workspace(ws)
    spec = retrain_spec(ws, 0, "trak-10", "remove", 40, range(1), draws=2)
    number = jobs.submit(ws, spec)
    assert jobs.submit(ws, spec) == number, "asked twice, it is one job"

    def training():
        """(key, pid of the worker) once a training is at least one epoch old."""
        jobs.ensure_runner(ws)
        return next(((key, row["pid"]) for key, row in store.live_trainings().items() if row["epoch"]), None)

    wait(training)
    key, pid = training()
    os.kill(pid, signal.SIGKILL)
    wait(lambda: gone(pid))
    wait(
        lambda: store.live_trainings().get(key, {}).get("pid") not in (None, pid)
    )  # the same training, in another process
    wait(training)

    _, pid = training()
    runner = jobs._started_runners[store.folder][0]
    os.kill(runner.pid, signal.SIGKILL)
    runner.wait()
    wait(lambda: gone(pid), 5)
    assert not runner_alive(store.folder) and store.job(number).state == "running"
    before = store.count()
    wait(lambda: jobs.ensure_runner(ws) or not store.job(number).is_open)
    job = store.job(number)
    assert (job.state, job.done, job.total, store.count()) == ("done", 4, 4, 4) and before < 4
    assert spec.answer(ws, store)["complete"] and store.live_trainings() == {}

    again = subprocess.run(
        [sys.executable, "-m", "attribution", "runner", "--workspace", ws.path],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert "another runner is already at work" in again.stderr and again.returncode == 0

    number = jobs.submit(ws, retrain_spec(ws, 3, "trak-10", "remove", 90, range(5)))
    wait(training)
    _, pid = training()
    start = time.monotonic()
    assert jobs.cancel(ws, number)
    wait(lambda: store.job(number).state == "cancelled" and gone(pid), 5)
    assert time.monotonic() - start < 5 and store.live_trainings() == {}

    beyond = {**retrain_spec(ws, 0, "trak-10", "remove", 5, range(1), draws=0), "ids": [5, ws.n_train]}
    number = store.add_job(beyond, "an edit out of range")
    wait(lambda: jobs.ensure_runner(ws) or not store.job(number).is_open)
    assert store.job(number).state == "failed"
    assert store.job(number).message.startswith(f"the edit names a training image outside 0..{ws.n_train - 1};")

    runner = jobs._started_runners[store.folder][0]
    assert runner.wait(60) == 0 and not runner_alive(store.folder), "idle, it goes away"
    store.close()
