"""Kinds of job through the runner, with an executor that simulates what trainings would say."""

import dataclasses
import sys
import types

import numpy as np
import pytest

from attribution.experiments import support_table
from attribution.experiments.disjoint import disjoint_spec
from attribution.experiments.pruning import pruning_spec
from attribution.experiments.retrain import retrain_spec
from attribution.experiments.support import support_spec
from attribution.experiments.unedited import unedited_spec
from attribution.runner.executors.base import encode_array
from attribution.runner.runner import Runner
from attribution.training import recipes
from tests.unit.runner.test_runner import Pretender


class Simulator(Pretender):
    """Says of every training what `says(task)` gives, the predicted classes of all validation images, and `margins`."""

    def __init__(self, says, margins):
        super().__init__(slots=3)
        self.says, self.margins = says, margins

    def finish(self, task, event="done", **more):
        super().finish(
            task,
            event,
            predicted=encode_array(np.asarray(self.says(task), np.uint8)),
            margins=encode_array(np.asarray(self.margins(task), np.float16)),
            **more,
        )


def done(store, spec, says, margins=lambda task: np.ones(12)):
    """Does a job with the runner; its tasks."""
    number = store.add_job(spec, spec.describe())
    runner = Runner(store, Simulator(says, margins))
    for _ in range(400):
        runner.step(0)
        if not store.job(number).is_open:
            break
    job = store.job(number)
    assert (job.state, job.done) == ("done", job.total), job.message
    return runner.executor.started


def test_a_repair(ws, store):
    """Target 1, a Box read as a Dot, is read right as soon as seven of its most harmful images are gone."""
    worst = set(ws.ranking("trak-10").top(1, 7, end="harmful").ids.tolist())
    spec = support_spec(ws, 1, "trak-10", "repair", k_max=20)
    tasks = done(store, spec, lambda task: np.full(12, 1 if worst <= set(task.edit.indices) else 2))
    found = spec.answer(ws, store)
    assert (found["status"], found["support"], found["lo"]) == ("repaired", 7, 6)
    assert found["trainings"] == len(tasks) and all(task.edit.kind == "remove" for task in tasks)
    assert support_table.find_answer(
        ws, store, ranking="trak-10", target=1, kind="repair", protocol="default", k_max=20
    )
    retrain = retrain_spec(ws, 1, "trak-10", "remove", 7, range(5), end="harmful")
    assert set(retrain["ids"]) == worst and retrain["end"] == "harmful" and retrain["kind"] == "remove"
    assert "the most harmful 7 of trak-10" in retrain.describe()
    answer = retrain.answer(ws, store)
    assert answer["n"] == 3 and answer["wrong"] == 0, "what the search trained is known"


@pytest.mark.parametrize("target", [0, 2])
def test_a_target_that_is_right_by_majority_has_nothing_to_repair(ws, store, target):
    assert ws.base.target_status(target) in ("stable", "unstable")
    spec = support_spec(ws, target, "trak-10", "repair", k_max=20)
    assert done(store, spec, lambda task: np.zeros(12)) == []
    assert spec.answer(ws, store)["status"] == "already_right"


def test_disjoint_supports(ws, store):
    (ws.path / "supports.parquet").unlink()
    first = ws.ranking("trak-10").top(0, 2).ids.tolist()
    spec = disjoint_spec(ws, target=0, ranking="trak-10", kind="remove", k_max=8)
    tasks = done(store, spec, lambda task: np.full(12, 2 if set(first) <= set(task.edit.indices) else 0))
    found = spec.answer(ws, store)
    assert [one["status"] for one in found["supports"]] == ["flipped", "censored"] and found["complete"]
    assert found["trainings"] == len(tasks)


def test_a_prune_gives_way_to_shorter_jobs_and_keeps_its_curves(ws, store):
    spec = pruning_spec(ws, "trak-10", [20, 40], range(2))
    tasks = done(store, spec, lambda task: ws.val_labels)
    assert len(tasks) == 2 * 5 and spec.answer(ws, store)["full"]["mean"] == 1
    again = pruning_spec(ws, "trak-10", [40], range(2))
    assert done(store, again, lambda task: ws.val_labels) == [], "its trainings are all known"


def test_models_of_another_recipe(ws, store, monkeypatch):
    module = types.ModuleType("attribution.training.recipes.second")
    module.RECIPE = dataclasses.replace(recipes.get_recipe("demo-cnn"), name="second", epochs=1)
    monkeypatch.setitem(sys.modules, "attribution.training.recipes.second", module)
    monkeypatch.setitem(recipes.NAMES, "second", "second")
    tasks = done(store, unedited_spec(ws, "second"), lambda task: ws.val_labels)
    assert [task.seed for task in tasks] == list(range(10)) and {task.recipe for task in tasks} == {"second"}
    spec = support_spec(ws, 0, "trak-10", "remove", k_max=8, recipe="second")
    done(store, spec, lambda task: np.full(12, 2 if task.edit.k >= 5 else 0))
    assert spec.answer(ws, store)["support"] == 5
    retrain = retrain_spec(ws, 0, "trak-10", "remove", 5, recipe="second")
    assert retrain.answer(ws, store)["n"] == 3
    assert dataclasses.replace(retrain, recipe="demo-cnn").answer(ws, store)["n"] == 0


def test_near_duplicates_are_removed_and_counted(ws, store):
    """Alike by moco, all images of a class are one group; the target flips without the first."""
    spec = support_spec(
        ws, 0, "trak-10", "remove", k_max=8, groups={"features": "moco", "cosine": 0.9, "version": None}
    )
    tasks = done(store, spec, lambda task: np.full(12, 2 if task.edit.k >= 2 else 0))
    found = spec.answer(ws, store)
    assert found["status"] == "flipped" and found["support"] == 1
    assert found["images"] == tasks[-1].edit.k > 2 and found["groups"]["cosine"] == 0.9
    assert support_table.find_answer(ws, store, **{name: spec[name] for name in support_table.KEY}) is None


def test_an_adaptive_repair(ws, store):
    """The other way to search ends with the same words."""
    spec = support_spec(ws, 1, "trak-10", "repair", "adaptive", k_max=16)
    done(
        store,
        spec,
        lambda task: np.full(12, 1 if task.edit.k >= 8 else 2),
        lambda task: np.full(12, 3.0 if task.edit.k >= 8 else -3.0),
    )
    found = spec.answer(ws, store)
    assert (found["status"], found["support"]) == ("repaired", 8)
    assert all(row["flipped"] == (row["k"] < 8) for row in found["trace"]), "the trace says what the models do"
    right = support_spec(ws, 0, "trak-10", "repair", "adaptive", k_max=16)
    assert done(store, right, lambda task: np.zeros(12)) == []
    assert right.answer(ws, store)["status"] == "already_right"
