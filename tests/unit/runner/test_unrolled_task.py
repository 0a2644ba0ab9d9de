"""What a worker computes of Unrolled: the same as a build, in float32, and nothing is left behind."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from attribution.builds import unrolled  # noqa: E402
from attribution.experiments.unrolled import unrolled_spec  # noqa: E402
from attribution.files.work_folder import PREFIX  # noqa: E402
from attribution.rankings.unrolled import on_demand  # noqa: E402
from attribution.runner import unrolled_task  # noqa: E402
from attribution.runner.executors.base import SearchTask  # noqa: E402
from attribution.runner.executors.worker import serve_request  # noqa: E402
from attribution.training import own as own_recipes  # noqa: E402
from attribution.training.edits import no_edit  # noqa: E402
from attribution.workspace.workspace import Workspace  # noqa: E402
from tests.conftest import ROOT  # noqa: E402

RECIPES = ROOT / "tests/unit/training/own/networks_for_tests.py"


def request(ws, spec):
    return SearchTask("key", str(ws.path), spec.recipe, spec.recipe_hash, no_edit(), 0, spec=dict(spec)).to_json()


def test_it_is_what_a_build_computes(ws, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(unrolled_task, "REPORT_SECONDS", 0)
    said = []
    monkeypatch.setattr("attribution.runner.executors.worker.write_event", lambda event, events: said.append(event))
    spec = unrolled_spec(ws, 7, 1)
    trainers = {}
    answer = serve_request(request(ws, spec), trainers)["answer"]
    plan = replace(unrolled.plan(ws, 1, 3, 3, [7], exact=True), block=1)
    unrolled.build_unrolled(ws, "built", plan, lambda *at: None)
    expected = type(ws).open(ws.path).ranking("built").scores(7)
    found = on_demand.unpack(answer)
    assert np.abs(found - expected).max() < 1e-3 * np.abs(expected).max() > 0  # stored as float16
    assert answer["seconds"] > 0 and answer["peak_bytes"] > 2**20 and answer["device"]
    shares = [event["epoch"] / event["epochs"] for event in said]
    assert shares == sorted(shares) and shares[-1] == 1.0 and len(set(shares)) > 6
    assert not list(Path(tmp_path).glob(f"{PREFIX}*"))
    ((trainer, _),) = trainers.values()
    assert trainer.precision is torch.float32


def test_a_worker_that_trained_takes_another_trainer(ws):
    """A training of the same recipe is in bfloat16, and its results are those of before."""
    trainers = {}
    spec = unrolled_spec(ws, 7, 1)
    serve_request(request(ws, spec), trainers)
    plain = {name: value for name, value in request(ws, spec).items() if name != "spec"}
    assert serve_request(plain, trainers)["event"] == "done"
    ((trainer, _),) = trainers.values()
    assert trainer.precision is torch.bfloat16


def test_of_a_recipe_of_ones_own(ws, tmp_path, monkeypatch):
    """By the steps that it yields: the same as a build, and nothing is left behind."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(unrolled_task, "REPORT_SECONDS", 0)
    said = []
    monkeypatch.setattr("attribution.runner.executors.worker.write_event", lambda event, events: said.append(event))
    recipe = own_recipes.add(f"{RECIPES}:Descends")
    ws = Workspace.open(ws.path).with_model(recipe.name, new=True)
    spec = unrolled_spec(ws, 7, 1)
    monkeypatch.chdir(recipe.snapshot)
    answer = serve_request(request(ws, spec), {})["answer"]
    plan = replace(unrolled.plan(ws, 1, 3, 3, [7], exact=True), block=1)
    unrolled.build_unrolled(ws, "built", plan, lambda *at: None)
    expected = Workspace.open(ws.path).ranking("built").scores(7)
    found = on_demand.unpack(answer)
    assert np.abs(found - expected).max() < 1e-3 * np.abs(expected).max() > 0
    assert answer["device"] == "cpu" and said[-1]["epoch"] == said[-1]["epochs"] > 1
    assert not list(Path(tmp_path).glob(f"{PREFIX}*"))
