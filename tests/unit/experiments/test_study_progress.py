"""A study watched from outside, with a store that is filled by hand as a runner would fill it."""

import numpy as np
import pytest

from attribution.experiments import jobs, prefixes, study_progress
from attribution.experiments.estimate import default_workers
from attribution.experiments.replay import replay_search
from attribution.experiments.study import study_spec
from attribution.store.lock import acquire_runner_lock
from attribution.training import recipes


@pytest.fixture
def played(monkeypatch):
    """The searches that were played, in turn."""
    seen, play = [], replay_search
    monkeypatch.setattr(
        study_progress, "replay_search", lambda ws, store, spec: seen.append(spec.target) or play(ws, store, spec)
    )
    return seen


def train(ws, store, target, k, seeds, wrong, ranking="trak-10"):
    edit = prefixes.build_edit(
        ws, target, "remove", prefixes.editable_prefix(ws, ws.ranking(ranking), target, "remove", k)
    )
    label = int(ws.val_labels[target])
    for seed in seeds:
        store.put(
            recipes.get_recipe(ws.recipe).hash,
            edit,
            seed,
            margins=np.full(ws.n_val, 0.5),
            seconds=2.0,
            device="cpu",
            library="x",
            threads=1,
            predicted=np.full(ws.n_val, (label + 1) % 3 if wrong else label),
        )
    return store.key(recipes.get_recipe(ws.recipe).hash, edit, seeds[0])


def answer(ws, store, target, support, trainings=10):
    store.put_support(
        recipes.get_recipe(ws.recipe).hash,
        "trak-10",
        target,
        "remove",
        "default",
        8,
        {
            "status": "flipped" if support else "censored",
            "support": support,
            "lo": support and support - 1 or 8,
            "hi": support,
            "trace": [],
            "trainings": trainings,
        },
    )


def begun(ws, store, targets, rankings=("trak-10",)):
    spec = study_spec(ws, targets, list(rankings), ["remove"], k_max=8)
    number = store.add_job(spec, spec.describe())
    store.start_job(number, 1 + len(targets))
    return study_progress.StudyMonitor(ws, spec), store.job(number)


def test_a_study_that_has_not_begun(ws, store):
    monitor, job = begun(ws, store, [0, 3, 4])
    found = monitor.read(store, job)
    assert found.study.tables == {"remove": {"trak-10": {0: None, 3: None, 4: None}}} and found.study.k_max == 8
    assert (found.searches, found.answered, found.trained, found.running, found.brackets) == (3, 0, 0, 0, {})
    assert found.measured == found.timed == 0 and found.trainings_left == 3 * sum(monitor.searches[0].bounds()) / 2
    assert found.seconds == found.trainings_left / default_workers() * found.each


def test_what_a_search_knows_so_far(ws, store):
    monitor, job = begun(ws, store, [0, 4])
    train(ws, store, 0, 8, (0, 1), wrong=True)
    found = monitor.read(store, job)
    assert found.brackets == {("remove", "trak-10", 0): (0, None)} and found.trained == 2
    train(ws, store, 0, 8, (2,), wrong=True)
    assert monitor.read(store, job).brackets["remove", "trak-10", 0] == (0, 8)
    train(ws, store, 0, 4, (0, 1, 2), wrong=False)
    train(ws, store, 0, 6, (0, 1, 2), wrong=True)
    found = monitor.read(store, job)
    assert found.brackets == {("remove", "trak-10", 0): (4, 6)} and found.trained == 9 and found.answered == 0
    answer(ws, store, 0, 5, trainings=20)
    found = monitor.read(store, job)
    assert found.brackets == {} and (found.answered, found.trained) == (1, 20)
    assert found.study.tables["remove"]["trak-10"][0].support == 5
    assert (found.measured, found.trainings_left) == (1, 20), "one search is left, and the one before took 20"


def test_the_estimate_is_what_is_left_by_what_was_measured(ws, store):
    monitor, job = begun(ws, store, [0, 4, 5])
    answer(ws, store, 0, 4, trainings=30)
    answer(ws, store, 4, None, trainings=10)
    train(ws, store, 5, 8, (0, 1, 2), wrong=True)
    found = monitor.read(store, job)
    assert (found.trainings_left, found.each, found.timed, found.measured) == (20 - 3, 2.0, 3, 2)
    assert found.seconds == 17 / found.workers * 2


def test_only_what_has_changed_is_played_again(ws, store, played):
    targets = [0, *range(3, 12)]
    monitor, job = begun(ws, store, targets, ["l2-moco"])
    monitor.read(store, job)
    assert played == targets[: study_progress.MAX_IDLE_SEARCHES], "the rest has not begun"
    monitor.read(store, job)
    train(ws, store, 11, 2, (7,), wrong=True, ranking="l2-moco")
    monitor.read(store, job)
    assert len(played) == study_progress.MAX_IDLE_SEARCHES, "nothing of theirs has come in"
    train(ws, store, 3, 8, (0,), wrong=True, ranking="l2-moco")
    assert ("remove", "l2-moco", 3) in monitor.read(store, job).brackets
    assert played[study_progress.MAX_IDLE_SEARCHES :] == [3, targets[4], targets[5]], (
        "and as many after it are looked at"
    )


def test_a_reading_that_has_no_time_keeps_what_was_known(ws, store, played, monkeypatch):
    monitor, job = begun(ws, store, [0, 4])
    train(ws, store, 0, 8, (0, 1, 2), wrong=True)
    before = monitor.read(store, job).brackets
    train(ws, store, 0, 4, (0, 1, 2), wrong=True)
    monkeypatch.setattr(study_progress, "MAX_READ_SECONDS", -1)
    assert monitor.read(store, job).brackets == before and played == [0, 4]
    monkeypatch.setattr(study_progress, "MAX_READ_SECONDS", 1)
    assert monitor.read(store, job).brackets == {("remove", "trak-10", 0): (0, 4)}


def test_what_runs_is_counted_while_there_is_a_runner(ws, store):
    monitor, job = begun(ws, store, [0, 3])
    for key, owner in (("a", job.id), ("b", job.id), ("c", job.id + 1)):
        store.set_live_training(key, owner, 1, 6)
    store.record_failure("b")
    found = monitor.read(store, job)
    assert found.running == 0 and found.retried == 1, "left behind by a runner that was killed"
    lock = acquire_runner_lock(store.folder)
    found = monitor.read(store, job)
    jobs.os.close(lock)
    assert (found.running, found.workers) == (2, 3)
