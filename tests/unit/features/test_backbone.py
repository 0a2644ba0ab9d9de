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
    again = Backbone("resnet18", weights[0], 32)
    monkeypatch.setattr(again, "_features", lambda *a: pytest.fail("computed twice"))
    assert np.array_equal(again.embed(given, tmp_path, lambda *at: None), once)


@pytest.mark.parametrize(
    ("name", "side", "dim"),
    [("vit_small_patch16_dinov3", 256, 384), ("test_vit", 160, 64), ("test_convnext", 160, 64)],
)
def test_timm_features_are_its_pooled_output_at_its_own_size(name, side, dim, tmp_path):
    """DINOv3 comes without a classifier: its last linear layer is inside the last block."""
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    network = timm.create_model(name).eval()  # with a classifier, where it has one
    torch.save(network.state_dict(), tmp_path / "timm.pth")
    given = images(2, 8, 8, 3)
    embedder = Backbone(name, tmp_path / "timm.pth")
    features = embedder.embed(given, tmp_path, lambda *at: None)
    config = timm.data.resolve_model_data_config(network)
    pixels = torch.as_tensor(given).float().permute(0, 3, 1, 2) / 255
    pixels = torch.nn.functional.interpolate(pixels, (side, side), mode="bicubic", antialias=True).clamp(0, 1)
    mean, std = (torch.tensor(config[key])[:, None, None] for key in ("mean", "std"))
    with torch.no_grad():
        wanted = network.forward_head(network.forward_features((pixels - mean) / std), pre_logits=True)
    assert features.shape == (2, dim) and np.allclose(features, wanted, atol=1e-4)
    assert embedder.spec["side"] == side and embedder.spec["mean"] == config["mean"]


def test_timm_weights_with_and_without_a_classifier_give_the_same(tmp_path):
    timm = pytest.importorskip("timm")
    network = timm.create_model("test_resnet", num_classes=7)
    torch.save(network.state_dict(), tmp_path / "with.pth")
    network.reset_classifier(0)
    torch.save(network.state_dict(), tmp_path / "without.pth")
    with_, without = (
        Backbone("test_resnet", tmp_path / f"{file}.pth").embed(images(2, 8, 8), tmp_path, lambda *at: None)
        for file in ("with", "without")
    )
    assert np.array_equal(with_, without) and with_.shape == (2, 96)


def test_a_side_that_a_network_can_take_and_one_that_it_cannot(weights, tmp_path):
    timm = pytest.importorskip("timm")
    for name in ("vit_small_patch14_dinov2", "levit_128s"):
        torch.save(timm.create_model(name).state_dict(), tmp_path / f"{name}.pth")
    vit = Backbone("vit_small_patch14_dinov2", tmp_path / "vit_small_patch14_dinov2.pth", 28)
    assert vit.embed(images(2, 8, 8), tmp_path, lambda *at: None).shape == (2, 384) and vit.spec["side"] == 28
    with pytest.raises(UserError, match="cannot take images of 30 x 30 pixels .* its own 518"):
        Backbone("vit_small_patch14_dinov2", tmp_path / "vit_small_patch14_dinov2.pth", 30)
    with pytest.raises(UserError, match="levit_128s cannot take images of 112 x 112 .* its own 224"):
        Backbone("levit_128s", tmp_path / "levit_128s.pth", 112)
    with pytest.raises(UserError, match="check its name"):
        Backbone("test_resnet.no_such_tag", weights[0])


def test_a_side_that_a_torchvision_network_cannot_take(tmp_path):
    torch.save(models.densenet121().state_dict(), tmp_path / "dense.pth")
    with pytest.raises(UserError, match="densenet121 cannot take images of 16 x 16 pixels .* its own 224"):
        Backbone("densenet121", tmp_path / "dense.pth", 16)


def test_cached_blocks_are_of_one_layer_size_and_normalisation(weights, tmp_path, monkeypatch):
    """Features of another layer, as an older version cached them, must not come back."""
    given, quiet = images(3, 8, 8), lambda *at: None
    first = Backbone("resnet18", weights[0], 32).embed(given, tmp_path, quiet)
    for key, value in (("mean", (0.5, 0.5, 0.5)), ("interpolation", "bicubic"), ("layer", "another")):
        other = Backbone("resnet18", weights[0], 32)
        other.spec[key] = value
        before = len(list(tmp_path.iterdir()))
        features = other.embed(given, tmp_path, quiet)
        assert len(list(tmp_path.iterdir())) == before + 1 and (key == "layer") == np.array_equal(features, first)


def test_too_many_dimensions_are_refused(weights, monkeypatch):
    monkeypatch.setattr(backbone, "MAX_DIM", 511)
    with pytest.raises(UserError, match="features of 512 dimensions and at most 511"):
        Backbone("resnet18", weights[0], 32)


def test_what_does_not_fit(weights, tmp_path):
    with pytest.raises(UserError, match="does not hold the weights of resnet34"):
        Backbone("resnet34", weights[0])
    with pytest.raises(UserError, match="'resnet-18'; choose one"):
        Backbone("resnet-18", weights[0])
    (tmp_path / "text.pth").write_text("weights")
    with pytest.raises(UserError, match="cannot be read as weights"):
        Backbone("resnet18", tmp_path / "text.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(UserError, match="holds no state dict"):
        Backbone("resnet18", tmp_path / "list.pth")
