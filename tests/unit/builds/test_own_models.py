"""TRAK, self-influence, losses and features under a user's recipe: the same as for a built-in one, in workers alone."""

import sys

import numpy as np
import pytest

from attribution import UserError, Workspace
from attribution.audit import detectors
from attribution.builds import base_models, own_models, scores
from attribution.files import data_folder
from attribution.training import devices, own
from tests import tiny
from tests.conftest import ROOT
from tests.unit.training.own.test_command import SCRIPT

RECIPES = ROOT / "tests/unit/training/own/networks_for_tests.py"


def quiet(*at):
    pass


@pytest.fixture(scope="module")
def bare_ws(tmp_path_factory):
    """A workspace without base models, and a data folder."""
    folder = tmp_path_factory.mktemp("own-models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINEUP_DATA", str(folder / "data"))
        tiny.write(folder / "tiny", base=False)
        yield Workspace.open(folder / "tiny")


def seen_by(ws, object_, models=2):
    """The workspace as the model of a recipe sees it, with base models."""
    recipe = own.add(f"{RECIPES}:{object_}")
    view = Workspace.open(ws.path).with_model(recipe.name, new=True)
    base_models.build_base_models(view, models, quiet)
    return Workspace.open(ws.path, recipe.name)


@pytest.fixture(scope="module")
def built_in(bare_ws):
    """TRAK and self-influence of two base models of demo-cnn: (scores, self-influence)."""
    ws = Workspace.open(bare_ws.path)
    base_models.build_base_models(ws, 2, quiet)
    scores.build_trak(ws, "built-in", 8, quiet)
    found = detectors.build_detectors(ws, ["self-influence"])
    assert found["self-influence"]["models"] == 2
    return ws.ranking("built-in"), detectors.load(ws, "self-influence").scores


@pytest.mark.parametrize(("object_", "networks"), [("Wrapped", "trained again"), ("WrappedAndKept", "loaded")])
def test_the_same_network_has_the_same_scores(bare_ws, built_in, object_, networks):
    ranking, self_influence = built_in
    ws = seen_by(bare_ws, object_)
    said = []
    made = scores.build_trak(ws, f"trak-{object_.lower()}", 8, lambda *at: said.append(at[0]))
    assert made["networks"].startswith(networks) and made["models"] == 2
    assert made["made_for"]["recipe"] == ws.recipe and made["made_for"]["hash"] == ws.get_recipe().hash
    assert any("model 2 of 2: images" in text for text in said)
    assert any(text.endswith("training") for text in said) == (networks == "trained again")
    for target in (0, 5):
        theirs, ours = (r.scores(target) for r in (ranking, ws.ranking(f"trak-{object_.lower()}")))
        assert np.allclose(theirs, ours, rtol=1e-3, atol=1e-3 * np.abs(theirs).max())
    detectors.build_detectors(ws, ["self-influence"])
    found = detectors.load(ws, "self-influence").scores
    assert np.allclose(found, self_influence, rtol=1e-3)


def test_losses_and_held_out_models_of_a_users_recipe(bare_ws):
    """Of one without module: it is asked for its logits alone."""
    ws = seen_by(bare_ws, "NoModule")
    can = detectors.available(ws)
    assert can["loss"] == can["out-of-subset"] == "" and "has no method module" in can["self-influence"]
    with pytest.raises(UserError, match="no-module has no method module"):
        scores.build_trak(ws, "mine", 8, quiet)
    detectors.build_detectors(ws, ["loss", "margin", "out-of-subset"])
    for name in ("loss", "margin", "out-of-subset"):
        found = detectors.load(ws, name)
        assert found.scores.shape == (60,) and found.scores[3] > np.median(found.scores), "its label is planted"
    assert found.suggestion[3] == 0


def test_losses_of_a_command(bare_ws, tmp_path):
    (tmp_path / "train.py").write_text(SCRIPT)
    own.add_command("means", f"{sys.executable} train.py {{job}}", tmp_path, ["train.py"])
    view = Workspace.open(bare_ws.path).with_model("means", new=True)
    base_models.build_base_models(view, 1, quiet)
    ws = Workspace.open(bare_ws.path, "means")
    assert "has no method module" in detectors.available(ws)["self-influence"]
    detectors.build_detectors(ws, ["loss"])
    assert detectors.load(ws, "loss").scores.argmax() == 3, "its label is planted"


def test_a_changed_recipe_is_not_taken_for_the_one_of_the_base_models(bare_ws, tmp_path):
    file = tmp_path / "train.py"
    file.write_text(RECIPES.read_text().replace('"net"', '"changing"'))
    recipe = own.add(f"{file}:Net")
    view = Workspace.open(bare_ws.path).with_model(recipe.name, new=True)
    assert "needs base models that were trained here" in own_models.missing_requirement(view, "trak")
    base_models.build_base_models(view, 1, quiet)
    assert own_models.missing_requirement(Workspace.open(bare_ws.path, "changing"), "trak") == ""
    file.write_text(file.read_text().replace("range(20)", "range(21)"))
    after = Workspace.open(bare_ws.path, "changing")
    assert "are of another version of changing" in own_models.missing_requirement(after, "trak")


def test_a_model_that_is_loaded_otherwise_than_it_was_saved_is_refused(bare_ws):
    ws = seen_by(bare_ws, "ForgetsWeights", 1)
    made = ws.manifest["parts"]["base"]
    assert made["networks"] == "kept beside the results"
    assert not list(ws.path.rglob("*.model")), "a file that is loaded may run code: none goes into a workspace"
    kept = list(data_folder().rglob("base/*-200.*"))
    with pytest.raises(UserError, match="base model of seed 200, loaded, says other than it did"):
        detectors.build_detectors(ws, ["loss"])
    gone = {file.suffix for file in kept if not file.exists() and file.name.startswith(made["hash"])}
    assert gone == {".model", ".npz"}, "it is trained again, where base models are trained again"


@pytest.mark.parametrize(
    ("object_", "network", "factor"),
    [("Complete", "its method features", 2), ("Net", "what its last linear layer is given", 1)],
)
def test_supervised_features_are_of_the_users_network(bare_ws, answer, object_, network, factor):
    place = f"{RECIPES}:{object_}"
    made = answer("features", "train", "supervised", "--recipe", place, "--workspace", bare_ws.path)
    name = f"supervised-{object_.lower()}"
    assert made["features"] == name and made["network"].endswith(network) and made["dim"] == 16
    found = Workspace.open(bare_ws.path).feature(name)
    assert found.train.shape == (60, 16) and found.val.shape == (12, 16)
    assert abs(found.train).max() <= factor and abs(found.train).max() > 0.9 * factor, "of a tanh"


def test_features_that_are_wrong_are_not_stored(bare_ws, run):
    for object_, match in (("FeaturesNotFinite", "hold NaN or infinity"), ("FeaturesFlat", "have the shape")):
        done = run("features", "train", "supervised", "--recipe", f"{RECIPES}:{object_}", "--workspace", bare_ws.path)
        assert done.code == 2 and match in done.err
    assert not [name for name in Workspace.open(bare_ws.path).features() if "finite" in name or "flat" in name]
    done = run("features", "train", "moco", "--recipe", f"{RECIPES}:Net", "--workspace", bare_ws.path)
    assert done.code == 2 and "leave --recipe out" in done.err


def test_it_goes_on_at_the_model_where_it_was_stopped(bare_ws, monkeypatch):
    ws = seen_by(bare_ws, "Complete")
    monkeypatch.setattr(own_models, "plan_workers", lambda *given: devices.WorkerPlan((None,), 1))

    def stop(text, done, total):
        if "model 2 of 2" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scores.build_trak(ws, "stopped", 8, stop)
    assert "stopped" not in ws.rankings()
    said = []
    made = scores.build_trak(ws, "stopped", 8, lambda *at: said.append(at[0]))
    assert made["models"] == 2 and made["command"].endswith("trak --dim 8 --recipe complete")
    assert any("model 2 of 2" in text for text in said) and not any("model 1 of 2" in text for text in said)
