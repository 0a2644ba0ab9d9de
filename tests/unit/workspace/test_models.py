"""Models of a workspace: what each sees, where its parts are kept, and what one of predictions alone refuses."""

import json

import numpy as np
import pytest

from attribution import UserError, Workspace
from attribution.experiments import support_table
from attribution.experiments.retrain import retrain_spec
from attribution.experiments.support import support_spec
from attribution.importing import base_predictions, importing
from attribution.importing.formats.predictions import Predictions
from attribution.workspace import base_models
from attribution.workspace.models import is_of_one_model
from attribution.workspace.parts import base_digest, held_out_digest, save_part


def predictions(ws, wrong=(), share=0.8, models=1):
    """What a network says that is right but for the images `wrong`, which it takes for the next class."""
    said = ws.val_labels.copy()
    said[list(wrong)] = (said[list(wrong)] + 1) % 3
    one = np.full((len(said), 3), (1 - share) / 2, np.float32)
    one[np.arange(len(said)), said] = share
    return Predictions(np.stack([one] * models), ["a.npy"] * models, False)


@pytest.fixture
def other(ws):
    """The workspace, with predictions of my-net that are wrong on image 5."""
    base_predictions.import_predictions(ws, "my-net", predictions(ws, [5]))
    return Workspace.open(ws.path)


def test_which_parts_belong_to_one_model():
    for part in ("base", "base/probabilities.npy", "lds", "supports.parquet", "detectors/combined", "calibration"):
        assert is_of_one_model(part)
    for part in ("features/moco", "rankings/trak-10", "map/moco", "hubs/trak-10", "data", "detectors/knn-moco"):
        assert not is_of_one_model(part)


def test_the_own_model_is_what_it_was(other):
    assert other.models() == ["demo-cnn", "my-net", "head-moco"] and other.model is None and other.recipe == "demo-cnn"
    assert other.base.n_models == 10 and other.base.prediction[5] == other.val_labels[5]
    assert other.with_model(None) is other and other.with_model("demo-cnn") is other
    assert (other.path / "base" / "probabilities.npy").exists()


def test_another_model_has_its_own_parts_under_their_usual_names(other):
    view = other.with_model("my-net")
    assert view is other.with_model("my-net") and view.with_model(None) is other
    assert (view.recipe, view.model, view.base.n_models) == ("my-net", "my-net", 1)
    assert view.base.prediction[5] != view.val_labels[5]
    assert view.folder("base") == other.path / "models" / "my-net" / "base"
    assert base_digest(view) and base_digest(view) != base_digest(other)
    assert support_table.load_support_table(view).empty and len(support_table.load_support_table(other)) == 2
    assert view.features() == other.features() and view.rankings() == other.rankings()
    assert view.feature("moco") is other.feature("moco")


def test_what_is_written_for_a_model_is_found_again(other):
    view = other.with_model("my-net")
    rng = np.random.default_rng(0)
    importing.import_halves(view, rng.random((30, 60)) < 0.5, rng.normal(size=(30, 12)))
    save_part(view, "detectors/loss", {"scores": np.zeros(60)}, {})
    save_part(view, "map/moco", {"points": np.zeros((60, 2))}, {"method": "pca"})
    again = Workspace.open(other.path, "my-net")
    assert again.manifest["parts"]["lds"]["recipe"] == "my-net" and held_out_digest(again)
    assert "lds" not in other.manifest["parts"] and "detectors/loss" not in other.manifest["parts"]
    stored = set(json.loads((other.path / "workspace.json").read_text())["parts"])
    assert {"models/my-net/lds", "models/my-net/detectors/loss", "map/moco"} <= stored
    again.remove_part("lds")
    assert "lds" not in Workspace.open(other.path, "my-net").manifest["parts"]
    assert not (other.path / "models" / "my-net" / "lds").exists()


def test_a_read_only_workspace_keeps_models_in_the_data_folder(ws, monkeypatch):
    monkeypatch.setattr("attribution.workspace.workspace.DEMO", ws.path)
    base_predictions.import_predictions(Workspace.open(ws.path), "my-net", predictions(ws))
    again = Workspace.open(ws.path)
    assert again.models() == ["demo-cnn", "my-net", "head-moco"] and not (ws.path / "models").exists()
    assert again.with_model("my-net").base.n_models == 1
    assert again.with_model("my-net").folder("base").is_relative_to(again.user_folder)


def test_an_unknown_model_is_refused_with_the_known_ones(other):
    with pytest.raises(UserError, match="no recipe 'nobody'"):
        other.with_model("nobody")
    with pytest.raises(UserError, match="no recipe 'nobody'"):
        Workspace.open(other.path, "nobody")


@pytest.mark.parametrize("part", ["models/a/b/c/base", "models/../base", "models//base", "models/a/models/b/base"])
def test_a_part_that_cannot_be_is_refused(other, part):
    manifest = json.loads((other.path / "workspace.json").read_text())
    manifest["parts"][part] = {}
    (other.path / "workspace.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="which cannot be"):
        Workspace.open(other.path)


def test_halves_of_a_model_have_to_say_how_many_they_are(other):
    manifest = json.loads((other.path / "workspace.json").read_text())
    manifest["parts"]["models/my-net/lds"] = {}
    (other.path / "workspace.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="'masks' is a required property"):
        Workspace.open(other.path)


def test_a_model_of_predictions_alone_is_not_retrained(other):
    view = other.with_model("my-net")
    recipe = view.get_recipe()
    assert recipe.kind == "predictions only" and recipe.hash == view.manifest["parts"]["base"]["digest"]
    assert "retrain demo-cnn instead" in recipe.problem
    for ask in (
        lambda: retrain_spec(view, 0, "trak-10", "remove", 3),
        lambda: support_spec(view, 0, "trak-10", "remove"),
    ):
        with pytest.raises(UserError, match="known here by its predictions alone"):
            ask()
    # another recipe can be asked for, and the spec says whose predictions it is about
    spec = retrain_spec(view, 0, "trak-10", "remove", 3, recipe="demo-cnn")
    assert (spec["recipe"], spec["model"]) == ("demo-cnn", "my-net")
    assert "model" not in retrain_spec(other, 0, "trak-10", "remove", 3)


def test_wrong_labels_are_those_that_the_model_finds_likeliest(ws):
    likely = predictions(ws)
    likely.probabilities[:, 0] = [0.8, 0.15, 0.05]
    base_predictions.import_predictions(ws, "fast94", likely)
    ws = Workspace.open(ws.path)
    view = ws.with_model("fast94")
    assert ws.base.likeliest_wrong_class[0] != 1 or view.base.likeliest_wrong_class[0] == 1
    spec = retrain_spec(view, 0, "trak-10", "mislabel", 3)
    edit = spec.edits(ws)["edit"][0]  # as the runner asks, which opens the workspace as its own recipe sees it
    assert set(edit.labels) == {1} and (spec["model"], spec["recipe"]) == ("fast94", "fast94")


def test_a_mislabel_support_of_one_model_is_no_answer_for_another(ws, store):
    base_predictions.import_predictions(ws, "fast94", predictions(ws))
    ws = Workspace.open(ws.path)
    view = ws.with_model("fast94")
    answer = {"status": "censored", "support": None, "lo": 128, "hi": None, "trace": [], "trainings": 3}
    mine = support_spec(view, 0, "trak-10", "mislabel", "default")
    support_table.save(store, mine, ws.ranking("trak-10").version, answer)
    mixed = support_spec(ws, 0, "trak-10", "mislabel", "default", recipe="fast94")
    assert mine.answer(ws, store)["status"] == "censored" and mixed.answer(ws, store) is None
    removal = support_spec(view, 0, "trak-10", "remove", "default")
    support_table.save(store, removal, ws.ranking("trak-10").version, answer)
    assert support_spec(ws, 0, "trak-10", "remove", "default", recipe="fast94").answer(ws, store)


# -- whose predictions may stand for the unedited models


def test_base_models_stand_for_the_unedited_ones_where_their_recipe_retrains(ws):
    spec = support_spec(ws, 0, "trak-10", "remove", "default")
    status, noise = stop(spec._unedited(ws))
    assert (status, noise) == ("stable", None)


def test_base_models_of_another_hash_or_recipe_do_not(ws):
    spec = support_spec(ws, 0, "trak-10", "remove", "default")
    for made in ({"recipe": "demo-cnn", "hash": "0" * 12}, {"recipe": "my-net", "hash": None}):
        ws.record_part("base", made)
        assert len(next(spec._unedited(ws))) == 10
    ws.record_part("base", {"recipe": "demo-cnn", "hash": ws.get_recipe().hash})
    assert stop(spec._unedited(ws))[0] == "stable"


def test_those_of_another_model_do_where_that_is_the_recipe(ws):
    spec = support_spec(ws, 0, "trak-10", "remove", "default", recipe="fast94")
    assert len(next(spec._unedited(ws))) == 10
    base_predictions.import_predictions(ws, "fast94", predictions(ws, [0]))
    ws = Workspace.open(ws.path)
    assert stop(spec._unedited(ws))[0] == "already_wrong"


def stop(search):
    with pytest.raises(StopIteration) as end:
        next(search)
    return end.value.value


# -- what is said of it


def test_models_are_described(other):
    own, mine, head = base_models.describe_models(other)
    assert (own["recipe"], own["models"], own["imported"], own["warning"]) == ("demo-cnn", 10, None, None)
    assert (mine["recipe"], mine["models"], mine["imported"]) == ("my-net", 1, ["a.npy"])
    assert mine["accuracy"] == pytest.approx(11 / 12, abs=1e-4) and "predictions alone" in mine["warning"]
    assert (head["recipe"], head["accuracy"], head["how"]) == ("head-moco", None, "fitted when asked")


def test_a_warning_names_both_recipes(ws):
    assert base_models.recipe_warning(ws) == ""
    ws.record_part("base", {"recipe": "my-net"})
    assert "are of my-net, and retraining is by demo-cnn" in base_models.recipe_warning(ws)
    ws.record_part("base", {"recipe": "demo-cnn", "hash": "0" * 12})
    warning = base_models.recipe_warning(ws)
    assert "0" * 12 in warning and "has changed since" in warning and ws.get_recipe().hash in warning


def test_a_workspace_whose_own_recipe_is_not_known_here_can_still_be_looked_at(ws):
    manifest = json.loads((ws.path / "workspace.json").read_text())
    (ws.path / "workspace.json").write_text(json.dumps({**manifest, "recipe": "hers"}))
    ws = Workspace.open(ws.path)
    assert ws.models() == ["hers", "head-moco"] and ws.get_recipe().kind == "predictions only"
    assert "hers is known here by its predictions alone; retrain head-moco instead" in base_models.recipe_warning(ws)
    with pytest.raises(UserError, match="by its predictions alone"):
        retrain_spec(ws, 0, "trak-10", "remove", 3)
