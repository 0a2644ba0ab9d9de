"""Two learning algorithms: changes of scores that are known, against noise that is known."""

import json
import sys

import numpy as np
import pytest

from attribution import UserError, Workspace
from attribution import __main__ as cli
from attribution.evaluation import model_diff
from attribution.rankings import trak
from attribution.training import recipes
from tests import tiny
from tests.unit.evaluation.test_candidate_sets import give_halves

OTHER = "demo-cnn-plain"
SETS = {"own": 1, "other": 2, "again": 3}


@pytest.fixture(autouse=True)
def scores_by_hand(monkeypatch):
    """TRAK by hand: targets score training images by their number; under the other recipe image 7 is moved to the top
    of all; the second set of models moves image 9 a little."""
    raw = np.tile(np.arange(tiny.TRAIN, dtype=np.float32), (tiny.VAL, 1))
    known = {one: raw.copy() for one in SETS}
    known["other"][:, 7] = 200
    known["again"][:, 9] = 12
    monkeypatch.setattr(
        model_diff,
        "compute_trak_factors",
        lambda *given: ["own"] * model_diff.MODELS_PER_RECIPE + ["again"] * model_diff.MODELS_PER_RECIPE,
    )
    monkeypatch.setattr(
        model_diff, "compute_recipe_factors", lambda *given: (["other"] * model_diff.MODELS_PER_RECIPE, 0.75)
    )
    monkeypatch.setattr(trak, "scores", lambda parts, start, stop: known[parts[0]][start:stop])


def standardised(scores):
    return (scores - scores.mean()) / scores.std()


def test_what_moved_is_found_and_told_from_noise(ws):
    found = model_diff.compute(ws, OTHER)
    assert found.recipes == ("demo-cnn", OTHER) and found.ids.shape == (tiny.VAL, 4, model_diff.IMAGES_PER_LIST)
    a = np.arange(tiny.TRAIN, dtype=float)
    b, again = a.copy(), a.copy()
    b[7], again[9] = 200, 12
    a, b, again = map(standardised, (a, b, again))
    np.testing.assert_allclose(found.change, np.abs(b - a), atol=1e-5)  # the same for every target
    np.testing.assert_allclose(found.noise, np.abs(again - a), atol=1e-5)
    assert model_diff.most_changed_images(found, 1) == [7]
    first, second, risen, fallen = found.ids[3]
    assert first[0] == tiny.TRAIN - 1 and second[0] == 7 and risen[0] == 7 and fallen[0] == tiny.TRAIN - 1
    np.testing.assert_allclose(found.scores[3, 2, 0], [a[7], b[7]], rtol=1e-5)
    about = found.summary
    assert about["accuracy"][1] == 0.75 and about["hashes"][1] == recipes.get_recipe(OTHER).hash and "lds" not in about
    assert about["jaccard"]["within"]["mean"] == 1 and about["jaccard"]["between"]["mean"] == pytest.approx(19 / 21)
    assert about["spearman"]["between"]["mean"] < about["spearman"]["within"]["mean"] < 1


def test_lds_where_there_are_halves(ws):
    give_halves(ws)
    assert set(model_diff.compute(ws, OTHER, resamples=0).summary["lds"]) == {"demo-cnn", OTHER}


def test_mistakes_are_told(ws, tmp_path):
    for other, words in (("demo-cnn", "this workspace's own recipe"), ("x", "no recipe 'x'")):
        with pytest.raises(UserError, match=words):
            model_diff.check_recipe(ws, other)
    with pytest.raises(UserError, match="no base models"):
        model_diff.check_recipe(tiny.write(tmp_path / "bare", base=False), OTHER)
    few = tiny.write(tmp_path / "few")
    np.save(few.path / "base" / "probabilities.npy", np.load(few.path / "base" / "probabilities.npy")[:4])
    with pytest.raises(UserError, match="has 4; train more"):
        model_diff.check_recipe(Workspace.open(few.path), OTHER)


def test_what_is_kept_holds_while_its_ground_does(ws):
    assert model_diff.load(ws) is None
    found = model_diff.compute(ws, OTHER)
    model_diff.save(ws, found, {"command": "x"})
    ws = Workspace.open(ws.path)
    again = model_diff.load(ws)
    np.testing.assert_array_equal(again.ids, found.ids)
    np.testing.assert_allclose(again.scores, found.scores, atol=0.01)
    assert again.recipes == found.recipes and again.summary == found.summary
    ws.manifest["parts"][model_diff.PART]["hashes"][1] = "another"
    assert model_diff.load(ws) is None


def test_from_the_command_line(ws, monkeypatch, capfd):
    monkeypatch.setattr(sys, "argv", ["attribution", "evaluate", "algorithms", "--workspace", str(ws.path), "--json"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    answer = json.loads(capfd.readouterr().out)
    assert not end.value.code and answer["images"][0]["image"] == 7
    assert model_diff.load(Workspace.open(ws.path)).recipes == ("demo-cnn", OTHER)
