"""Base predictions as models of a workspace: order, replacement, training images, and removal; half-stored nothing."""

import numpy as np
import pytest

from attribution import UserError, Workspace
from attribution.audit import detectors
from attribution.audit.detectors.out_of_sample import out_of_sample_predictions
from attribution.importing import base_predictions
from attribution.importing.formats.predictions import Predictions


def soft(classes, share=0.8):
    rows = np.full((len(classes), 3), (1 - share) / 2, np.float32)
    rows[np.arange(len(classes)), classes] = share
    return rows


def predictions(*models, matched=False):
    return Predictions(np.stack(models), [f"{number}.npy" for number in range(len(models))], matched)


def brought(ws, *models, recipe="my-net", **more):
    return base_predictions.import_predictions(ws, recipe, predictions(*models), **more)


def refused(match, work):
    with pytest.raises(UserError, match=match) as error:
        work()
    assert len(str(error.value).splitlines()) == 1


def test_what_is_recorded(ws):
    wrong = ws.val_labels.copy()
    wrong[:2] = (wrong[:2] + 1) % 3
    made = brought(ws, soft(ws.val_labels), soft(wrong), provenance={"kind": "logits", "made": "2026-11-01"})
    assert (made["models"], made["accuracy"], made["recipe"], made["hash"]) == (2, 0.9167, "my-net", None)
    assert made["imported"] and made["sources"] == ["0.npy", "1.npy"] and made["replaced"] is None
    view = Workspace.open(ws.path, "my-net")
    assert view.manifest["parts"]["base"]["digest"] and view.base.probabilities.dtype == np.float32
    np.testing.assert_allclose(view.base.probabilities[1], soft(wrong))
    again = brought(Workspace.open(ws.path), soft(ws.val_labels))
    assert (
        again["replaced"] == {"models": 2, "accuracy": 0.9167, "made": "2026-11-01"} and again["accuracy_std"] is None
    )
    assert Workspace.open(ws.path, "my-net").base.n_models == 1


def test_the_hash_is_that_of_a_recipe_that_is_known_here(ws):
    assert brought(ws, soft(ws.val_labels), recipe="fast94")["hash"] == ws.get_recipe("fast94").hash
    assert Workspace.open(ws.path).get_recipe("fast94").problem == ""


def test_those_of_the_own_recipe_stay_where_they_were(ws):
    brought(ws, soft(ws.val_labels), recipe="demo-cnn")
    again = Workspace.open(ws.path)
    assert (
        again.models() == ["demo-cnn", "head-moco"] and again.base.n_models == 1 and not (ws.path / "models").exists()
    )


@pytest.mark.parametrize("name", ["", "a/b", "../x", ".x", "a b", "x" * 65, "ä"])
def test_a_name_that_is_none(ws, name):
    refused("cannot be the name of a recipe", lambda: brought(ws, soft(ws.val_labels), recipe=name))


def test_rows_in_another_order_are_refused(ws):
    refused(
        "0.npy is right on .* and chance alone on .* bring the rows in the order of the validation images",
        lambda: brought(ws, soft(np.random.default_rng(3).permutation(ws.val_labels))),
    )
    assert (
        Workspace.open(ws.path).models() == ["demo-cnn", "head-moco"]
        and not (ws.path / "models" / "my-net" / "base").exists()
    )
    assert brought(ws, soft(np.random.default_rng(3).permutation(ws.val_labels)), force=True)["accuracy"] < 0.7


def test_columns_in_another_order_are_told_apart_from_rows(ws):
    refused(
        "1.npy is right on 0.0%.* with its columns in another order it would be right on 100.0%: bring them in the "
        "order Bar, Box <b>, Dot",
        lambda: brought(ws, soft(ws.val_labels), soft((ws.val_labels + 1) % 3)),
    )


def test_a_network_that_always_says_the_same_is_no_better_than_chance(ws):
    refused("chance alone on 33.3%", lambda: brought(ws, soft(np.zeros(12, int))))


def test_a_refused_import_leaves_what_was_there(ws):
    brought(ws, soft(ws.val_labels))
    refused("chance alone", lambda: brought(Workspace.open(ws.path), soft((ws.val_labels + 1) % 3)))
    assert Workspace.open(ws.path, "my-net").base.n_right.min() == 1


def test_training_images_that_the_networks_saw_serve_the_detectors(ws):
    given = ws.train_labels.copy()
    given[3] = (given[3] + 1) % 3
    brought(ws, soft(ws.val_labels), train=predictions(soft(given), soft(given)))
    view = Workspace.open(ws.path, "my-net")
    assert view.manifest["parts"]["base"]["train"] == "in sample"
    built = detectors.build_detectors(view, ["loss", "margin"])
    assert built["loss"]["about"] == "2 models that saw the image"
    assert detectors.load(view, "loss").scores.argmax() == 3
    assert detectors.load(view, "loss").suggestion[3] == given[3]
    assert "detectors/loss" not in Workspace.open(ws.path).manifest["parts"]


def test_those_of_networks_that_did_not_see_them_are_out_of_sample(ws):
    given = ws.train_labels.copy()
    given[3] = (given[3] + 1) % 3
    brought(ws, soft(ws.val_labels), train=predictions(soft(given)), out_of_sample=True)
    view = Workspace.open(ws.path, "my-net")
    found = out_of_sample_predictions(view)
    np.testing.assert_allclose(found.probabilities, soft(given), atol=1e-6)
    assert found.models.tolist() == [1] * 60
    detectors.build_detectors(view, ["out-of-subset"])
    assert detectors.load(view, "out-of-subset").scores.argmax() == 3
    brought(Workspace.open(ws.path), soft(ws.val_labels))  # without them: what came with the ones before goes
    assert "out_of_subset" not in Workspace.open(ws.path, "my-net").manifest["parts"]


def test_detectors_that_would_have_to_train_say_why_they_cannot(ws):
    brought(ws, soft(ws.val_labels))
    needs = detectors.available(Workspace.open(ws.path, "my-net"))
    assert "known here by its predictions alone" in needs["out-of-subset"] and "alone" in needs["loss"]
    assert needs["knn-moco"] == ""


def test_a_model_is_taken_out_with_what_rests_on_it(ws):
    brought(ws, soft(ws.val_labels), train=predictions(soft(ws.train_labels)), out_of_sample=True)
    detectors.build_detectors(Workspace.open(ws.path, "my-net"), ["out-of-subset"])
    removed = base_predictions.remove_model(Workspace.open(ws.path), "my-net")
    assert set(removed) == {"base", "out_of_subset", "detectors/out-of-subset"}
    again = Workspace.open(ws.path)
    assert again.models() == ["demo-cnn", "head-moco"] and not [
        part for part in again.manifest["parts"] if "my-net" in part
    ]
    refused(
        "no model 'my-net' in tiny; it has demo-cnn, head-moco", lambda: base_predictions.remove_model(again, "my-net")
    )


def test_a_head_is_neither_brought_nor_taken_out(ws):
    refused("head-moco is the name of a head", lambda: brought(ws, soft(ws.val_labels), recipe="head-moco"))
    refused("head-moco is fitted when asked", lambda: base_predictions.remove_model(ws, "head-moco"))


def test_what_came_with_a_workspace_is_not_taken_out():
    demo = Workspace.open()
    refused("came with demo and cannot be taken out", lambda: base_predictions.remove_model(demo, "demo-cnn"))
    refused(
        "demo brings base models of demo-cnn, which cannot be replaced",
        lambda: base_predictions.check_model_name(demo, "demo-cnn"),
    )


def test_too_few_images_to_tell_anything_by():
    right, wrong = soft([0, 1, 2]), soft([1, 2, 0])
    for model, count in ((right, 3), (wrong, 0)):
        refused(
            f"0.npy is right on {count} of 3 validation images, too few.*keep it with --force",
            lambda model=model: base_predictions.check_order(predictions(model), np.arange(3), ["a", "b", "c"]),
        )
    labels = np.arange(12) % 3
    assert base_predictions.check_order(predictions(soft(labels)), labels, ["a", "b", "c"]).tolist() == [1]
