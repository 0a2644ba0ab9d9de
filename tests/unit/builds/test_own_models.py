"""TRAK, self-influence, losses and features under a user's recipe: the same as for a built-in one, in workers alone."""

import numpy as np
import pytest

from attribution import Workspace
from attribution.audit import detectors
from attribution.builds import base_models, scores
from attribution.training import own
from tests import tiny
from tests.conftest import ROOT

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
