"""Supports under a head: whole searches in a worker, whose answers alone are stored."""

import time

import numpy as np
import pytest

from attribution import UserError
from attribution.experiments.head_support import find_support
from attribution.experiments.replay import replay_search
from attribution.experiments.retrain import retrain_spec
from attribution.experiments.study import study_spec
from attribution.experiments.support import support_spec
from attribution.runner.executors.local import LocalExecutor
from attribution.runner.runner import Runner
from attribution.training import devices
from attribution.workspace import heads

PATIENCE = 120  # seconds


@pytest.fixture
def seen(ws):
    return ws.with_model("head-moco")


def drive(store, spec):
    number = store.add_job(spec, spec.describe())
    runner = Runner(store, LocalExecutor(devices.WorkerPlan((None,), 1)), idle_seconds=0)
    end = time.monotonic() + PATIENCE
    try:
        while store.job(number).state in ("queued", "running") and time.monotonic() < end:
            runner.step(0.1)
    finally:
        runner.executor.close()
    assert store.job(number).state == "done", store.job(number).message


def test_both_ends_of_the_bracket_are_refitted(seen):
    trainer = heads.make_trainer(seen, "head-moco")
    for kind in ("remove", "mislabel"):
        spec = support_spec(seen, 0, "trak-10", kind, k_max=30)
        answer = find_support(spec, seen, trainer)
        rows = {row["k"]: row for row in answer["trace"]}
        assert spec.protocol == "default" and all(row["seeds"] == [0] for row in answer["trace"])
        if answer["support"]:
            assert rows[answer["support"]]["flipped"] and answer["status"] == "flipped"
            assert answer["support"] == 1 or not rows[answer["support"] - 1]["flipped"]
        else:
            assert answer["status"] in ("censored", "already_wrong")


def test_a_job_stores_the_answer_and_no_refit(seen, store):
    spec = support_spec(seen, 0, "trak-10", "mislabel", k_max=30)
    assert spec.answer(seen, store) is None
    drive(store, spec)
    answer = spec.answer(seen, store)
    assert answer == spec.answer(seen, store) and store.count() == 0
    played = replay_search(seen, store, spec)
    assert [probe["k"] for probe in played.probes] == [row["k"] for row in answer["trace"]]
    assert played.answer["status"] == answer["status"]


def test_groups_and_repairs_are_bisected(seen):
    trainer = heads.make_trainer(seen, "head-moco")
    wrong = np.flatnonzero(seen.base.prediction != seen.val_labels)
    target = int(wrong[0]) if len(wrong) else 0
    answer = find_support(support_spec(seen, target, "trak-10", "repair", k_max=8), seen, trainer)
    assert answer["status"] in ("repaired", "censored", "already_right")
    groups = {"features": "moco", "cosine": 0.99, "version": None}
    spec = support_spec(seen, 0, "trak-10", "remove", k_max=8, groups=groups)
    assert "images" in find_support(spec, seen, trainer)


def test_a_study_and_a_retraining(seen, store):
    spec = study_spec(seen, [0, 3], ["trak-10", "random"], ["remove"])
    assert spec.protocol == "default" and spec["hash"] == seen.get_recipe().hash
    drive(store, spec)
    assert len(store.supports(spec.recipe_hash)) == 4
    asked = retrain_spec(seen, 0, "trak-10", "remove", 3)
    assert asked.seeds == [0]
    drive(store, asked)
    answer = asked.answer(seen, store)
    assert answer["complete"]
    trainer = heads.make_trainer(seen, "head-moco")
    outcome = trainer.run(asked.edits(seen)["edit"][0])
    (key,) = {store.key(asked.recipe_hash, edit, 0) for edit in asked.edits(seen)["edit"]}
    stored = store.get(key)
    assert stored.predicted.shape == stored.margins.shape == (seen.n_val,)
    assert (stored.predicted == outcome.predicted).all()
    assert np.allclose(stored.margins, outcome.margins, rtol=1e-2, atol=1e-2)


def test_features_that_have_changed_since_are_refused(seen):
    with pytest.raises(UserError, match="have changed since"):
        seen.get_recipe("head-moco", "0" * 12)
