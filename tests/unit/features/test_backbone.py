"""Features of a pretrained network: what the network itself computes, and one sentence for weights that do not fit."""

import numpy as np
import pytest
import torch
from torchvision import models

from attribution import UserError
from attribution.features import backbone
from attribution.features.backbone import Backbone


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A squeezed resnet18 with random weights of five classes, as a fine-tuned one might be saved."""
    torch.manual_seed(0)
    network = models.resnet18(num_classes=5).eval()
    file = tmp_path_factory.mktemp("weights") / "mine.pth"
    torch.save({"state_dict": {f"module.{key}": value for key, value in network.state_dict().items()}}, file)
    return file, network


def images(n, *shape):
    return np.random.default_rng(0).integers(0, 256, (n, *shape), np.uint8)


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3)])
def test_features_are_what_the_last_layer_is_given(weights, shape, tmp_path, monkeypatch):
    file, network = weights
    monkeypatch.setattr(backbone, "BLOCK", 4)
    given, seen = images(6, *shape), []
    found = Backbone("resnet18", file, 32).embed(given, tmp_path, lambda *at: seen.append(at))
    assert found.shape == (6, 512) and seen == [(0, 6), (4, 6), (6, 6)]
    pixels = torch.as_tensor(given).float() / 255
    pixels = pixels[:, None].repeat(1, 3, 1, 1) if len(shape) == 2 else pixels.permute(0, 3, 1, 2)
    pixels = torch.nn.functional.interpolate(pixels, (32, 32), mode="bilinear", antialias=True)
    pixels = (pixels - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor([0.229, 0.224, 0.225])[
        :, None, None
    ]
    with torch.no_grad():
        wanted = network(pixels)
        logits = network.fc(torch.as_tensor(found))
    assert torch.allclose(logits, wanted, atol=1e-4)


def test_finished_blocks_are_not_computed_again(weights, tmp_path, monkeypatch):
    given = images(3, 8, 8)
    once = Backbone("resnet18", weights[0], 32).embed(given, tmp_path, lambda *at: None)
    monkeypatch.setattr(Backbone, "_features", lambda *a: pytest.fail("computed twice"))
    assert np.array_equal(Backbone("resnet18", weights[0], 32).embed(given, tmp_path, lambda *at: None), once)


def test_what_does_not_fit(weights, tmp_path):
    with pytest.raises(UserError, match="does not hold the weights of resnet34"):
        Backbone("resnet34", weights[0])
    with pytest.raises(UserError, match="no classifier 'resnet-18'"):
        Backbone("resnet-18", weights[0])
    (tmp_path / "text.pth").write_text("weights")
    with pytest.raises(UserError, match="cannot be read as weights"):
        Backbone("resnet18", tmp_path / "text.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(UserError, match="holds no state dict"):
        Backbone("resnet18", tmp_path / "list.pth")
