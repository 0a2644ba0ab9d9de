"""The network of a user's model, in this process: what it is given, what it may be, and what is said where it fails."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from attribution import UserError
from attribution.training.own import OwnRecipe
from attribution.training.own.network import OwnNetwork, scaled_pixels
from attribution.training.own.trainer import OwnTrainer, check_features

HERE = Path(__file__).parent


def trained(ws, object_):
    """(trainer, model) of a recipe in networks_for_tests.py."""
    recipe = OwnRecipe(
        object_.lower(), "0" * 12, "file", main="networks_for_tests.py", object=object_, folder=str(HERE)
    )
    trainer = OwnTrainer(ws, recipe, HERE)
    return trainer, trainer.run().model


def test_pixels_are_scaled():
    assert scaled_pixels(np.full((2, 4, 5), 255, np.uint8)).shape == (2, 1, 4, 5)
    colour = np.zeros((2, 4, 5, 3), np.uint8)
    colour[1, 0, 3, 2] = 51
    scaled = scaled_pixels(colour)
    assert scaled.shape == (2, 3, 4, 5) and scaled[1, 2, 0, 3] == pytest.approx(0.2) and scaled.dtype == torch.float32


def test_the_usual_inputs_give_the_recipes_logits(ws):
    trainer, model = trained(ws, "Net")
    network = OwnNetwork(trainer, model)
    ids = np.array([5, 0, 7])
    assert np.allclose(network.logits("val", ids), trainer.logits(model, "val", ids), atol=1e-5)
    network.check_gradients()
    layer = model[-1]
    features = network.features("train", np.arange(3))
    with torch.no_grad():
        logits = layer(torch.as_tensor(features)).numpy()
    assert features.shape == (3, 16) and np.allclose(logits, trainer.logits(model, "train", np.arange(3)), atol=1e-5)


def test_weights_of_another_type_are_copied(ws):
    trainer, model = trained(ws, "Net")
    model.double()
    network = OwnNetwork(trainer, model)
    assert network.network is not model and next(model.parameters()).dtype == torch.float64
    assert network.logits("val", np.arange(2)).dtype == np.float32


@pytest.mark.parametrize(
    ("object_", "match"),
    [
        ("SaysAModule", "module returned str; return a torch.nn.Module"),
        ("NoGradients", "cannot be computed image by image"),
    ],
)
def test_what_is_no_network(ws, object_, match):
    trainer, model = trained(ws, object_)
    with pytest.raises(UserError, match=match) as caught:
        OwnNetwork(trainer, model).check_gradients()
    assert "\n" not in str(caught.value)


def test_inputs_that_do_not_fit(ws, monkeypatch):
    trainer, model = trained(ws, "OtherInputs")
    for given, match in (
        (lambda split, ids: np.zeros(len(ids)), "inputs returned ndarray"),
        (lambda split, ids: torch.zeros(len(ids) + 1, 3), r"torch.float32 \[2, 3\]; return a float tensor with 1 rows"),
        (lambda split, ids: torch.zeros(len(ids), 3), "cannot take its inputs"),
    ):
        monkeypatch.setattr(trainer.own, "inputs", given)
        with pytest.raises(UserError, match=match) as caught:
            OwnNetwork(trainer, model)
        assert "\n" not in str(caught.value)


def test_features_need_a_last_linear_layer(ws, monkeypatch):
    trainer, model = trained(ws, "Net")
    widened = nn.Sequential(model, nn.Linear(3, 4), nn.Softmax(1), nn.AvgPool1d(2, 1))
    with pytest.raises(UserError, match="last layer is not a linear one with an output a class"):
        OwnNetwork(trainer, model).__class__.features(_with(OwnNetwork(trainer, model), widened), "val", np.arange(2))


def _with(network, inner):
    network.network = inner
    return network


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (np.zeros(3), r"have the shape \[3\]; they need \[3, d\]"),
        (np.zeros((2, 5)), "have the shape"),
        (np.zeros((3, 0)), "have the shape"),
        (np.zeros((3, 9000)), "d from 1 to 8,192"),
        ([["a"]], "no array of numbers"),
        (np.array([[0.0], [np.nan], [1.0]]), "row 1 is the first"),
    ],
)
def test_features_that_cannot_be_stored(given, match):
    with pytest.raises(UserError, match=match):
        check_features(given, 3, "features")


def test_a_model_is_kept_whole_or_not_at_all(ws, tmp_path):
    trainer, model = trained(ws, "Complete")
    file = tmp_path / "kept" / "a.model"
    trainer.save(model, file)
    again = trainer.load(file)
    assert np.array_equal(*(trainer.logits(m, "val", np.arange(4)) for m in (model, again)))
    assert [path.name for path in file.parent.iterdir()] == ["a.model"]
    file.write_bytes(b"damaged")
    with pytest.raises(UserError, match=f"complete.load raised .*of {file}; without that file the model is trained"):
        trainer.load(file)
    for object_, match in (("SavesNothing", "wrote no file"), ("SavesMuch", "wrote 5.0 GiB, and a model may have 4")):
        other = tmp_path / object_
        with pytest.raises(UserError, match=match):
            trained(ws, object_)[0].save(model, other / "a.model")
        assert list(other.iterdir()) == []
