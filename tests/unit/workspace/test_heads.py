"""The heads of a workspace: which there are, what their hash covers, and that they are fitted once."""

import json

import numpy as np
import pytest

from attribution import UserError
from attribution.files import data_folder
from attribution.training.edits import remove
from attribution.training.head.recipe import head_recipe
from attribution.workspace import heads
from attribution.workspace.workspace import Workspace


def test_there_is_one_a_feature_set(ws):
    assert heads.names(ws) == ["head-moco"] and "head-moco" in ws.models() and "head-moco" in ws.recipe_names()
    recipe = ws.get_recipe("head-moco")
    assert (recipe.kind, recipe.deterministic, recipe.features) == ("head", True, "moco")
    with pytest.raises(UserError, match="no head 'head-dino' in .*; there is head-moco"):
        ws.get_recipe("head-dino")


def test_the_hash_covers_the_features(ws):
    before = ws.get_recipe("head-moco").hash
    features = np.load(ws.path / "features" / "moco" / "train.npy")
    features[0] += 1
    np.save(ws.path / "features" / "moco" / "train.npy", features)
    assert Workspace.open(ws.path).get_recipe("head-moco").hash != before
    assert head_recipe("a", "x").hash == head_recipe("b", "x").hash != head_recipe("a", "y").hash


def test_it_is_a_model_of_the_workspace(ws):
    seen = ws.with_model("head-moco")
    assert seen.base.n_models == 1 and seen.base.noise == 0
    assert (seen.base.predicted[0] == ws.val_labels).mean() > 0.8
    assert ws.base.n_models == 10, "the workspace's own is as it was"


def test_what_takes_seconds_is_kept(ws, monkeypatch):
    assert heads.measured(ws, "head-moco") is None
    fitted = ws.head("moco")
    (file,) = (data_folder() / ws.fingerprint[:16] / "heads").glob("*.json")
    kept = json.loads(file.read_text())
    assert kept["penalty"] == fitted.head.penalty and str(fitted.head.penalty) in kept["accuracies"]
    assert heads.measured(ws, "head-moco")["accuracy"] == pytest.approx(fitted.accuracy)
    monkeypatch.setattr("attribution.training.head.head.Head.choose_penalty", lambda head: 1 / 0)
    again = Workspace.open(ws.path).head("moco")
    assert np.allclose(again.probabilities, fitted.probabilities, atol=1e-5)
    kept_weights = file.with_suffix(".npy")
    for wrong in (np.full_like(fitted.head.weights, np.nan), np.zeros(3)):
        np.save(kept_weights, wrong)  # what cannot be weights is not begun with
        assert np.allclose(Workspace.open(ws.path).head("moco").probabilities, fitted.probabilities, atol=1e-5)
    file.write_text("{")
    assert heads.measured(ws, "head-moco") is None


def test_a_workspace_may_bring_the_fit(monkeypatch):
    """The demo's first visitor waits for no choice of a penalty, and gets the same head."""
    from attribution.training.head.head import Head

    chosen = Workspace.open()
    monkeypatch.setattr(heads, "MODEL_FOLDER", "none of these/")
    computed = heads.fit(chosen, "head-moco")
    monkeypatch.undo()
    monkeypatch.setenv("LINEUP_DATA", str(data_folder() / "another"))
    monkeypatch.setattr(Head, "choose_penalty", lambda head: 1 / 0)
    brought = heads.fit(Workspace.open(), "head-moco")
    assert brought.head.penalty == computed.head.penalty
    assert np.allclose(brought.head.weights, computed.head.weights, atol=1e-6)
    assert heads.measured(Workspace.open(), "head-moco")["accuracies"] == computed.record["accuracies"]
    assert not list((data_folder() / Workspace.open().fingerprint[:16]).glob("heads/*")), "it is brought, not made here"


def test_a_trainer_refits_it(ws):
    trainer = heads.make_trainer(ws, "head-moco")
    outcome = trainer.run(remove([0, 1]))
    assert outcome.predicted.shape == (ws.n_val,) and outcome.probabilities.shape == (ws.n_val, 3)
    assert (outcome.margins == trainer.run(remove([0, 1]), seed=5).margins).all(), "the seed changes nothing"
    assert trainer.train_probabilities(outcome, [0, 1]).shape == (2, 3)
    with pytest.raises(UserError, match="removes every training image"):
        trainer.run(remove(range(ws.n_train)))
