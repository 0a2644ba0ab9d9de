"""Models in the format of Hugging Face: tiny ones with random weights, where transformers is installed; and folders
that are refused, which needs none."""

import json
import sys

import numpy as np
import pytest

from attribution import UserError, Workspace
from attribution.builds.features import build_backbone_features
from attribution.features.hugging_face import HuggingFaceModel, is_folder


def quiet(*at):
    pass


@pytest.fixture
def transformers():
    return pytest.importorskip("transformers", reason="transformers is not among Lineup's requirements")


@pytest.fixture
def dinov2(transformers, tmp_path):
    config = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    transformers.Dinov2Model(config).save_pretrained(tmp_path / "dinov2")
    size = {"size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}}
    transformers.BitImageProcessor(**size).save_pretrained(tmp_path / "dinov2")
    return tmp_path / "dinov2"


def test_the_features_are_those_of_the_library(ws, dinov2, transformers, answer):
    import torch
    from PIL import Image

    made = answer("features", "embed", "dinov2", "--backbone", f"hf:{dinov2}")
    assert made["backbone"]["model"] == "Dinov2Model" and made["backbone"]["layer"] == "pooler_output"
    assert made["command"].endswith("features embed dinov2 --backbone dinov2"), "no path of this machine"
    found = Workspace.open(ws.path).feature("dinov2")
    assert found.train.shape == (60, 32)
    model = transformers.AutoModel.from_pretrained(dinov2).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(dinov2)
    picture = Image.fromarray(np.repeat(ws.val_images[7][..., None], 3, 2))
    with torch.inference_mode():
        expected = model(**processor(picture, return_tensors="pt")).pooler_output[0].numpy()
    assert np.allclose(found.val[7], expected, atol=1e-4)


def test_a_classifier_without_a_pooler_gives_its_class_token(ws, transformers, tmp_path):
    config = transformers.ViTConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, image_size=32, patch_size=16
    )
    transformers.ViTForImageClassification(config).save_pretrained(tmp_path / "vit")
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path / "vit")
    made = build_backbone_features(ws, "vit", str(tmp_path / "vit"), None, None, quiet)
    assert (made["backbone"]["layer"], made["dim"]) == ("class token", 32), "a random pooler would be no feature"


def test_weights_that_are_missing_are_said(dinov2):
    from safetensors.numpy import load_file, save_file

    weights = load_file(dinov2 / "model.safetensors")
    weights.pop(next(name for name in weights if "attention" in name and name.endswith("weight")))
    save_file(weights, dinov2 / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="has no weights for encoder.*attention"):
        HuggingFaceModel(dinov2)
    (dinov2 / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(UserError, match="cannot be loaded as a model"):
        HuggingFaceModel(dinov2)


def a_folder(folder, **config):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"")
    return folder


def test_no_code_in_the_folder_is_run(tmp_path):
    folder = a_folder(tmp_path / "remote", auto_map={"AutoModel": "code.Model"}, model_type="mine")
    canary = tmp_path / "canary.txt"
    (folder / "code.py").write_text(f"open({str(canary)!r}, 'w')\nclass Model: ...\n")
    with pytest.raises(UserError, match="asks for code in that folder, which is not run"):
        HuggingFaceModel(folder)
    assert not canary.exists()


@pytest.mark.parametrize("absent", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_folder_that_is_none(tmp_path, absent):
    (a_folder(tmp_path / "m") / absent).unlink()
    (tmp_path / "m" / "pytorch_model.bin").write_bytes(b"")  # a pickle, which could run code
    with pytest.raises(UserError, match="save the model with save_pretrained"):
        HuggingFaceModel(tmp_path / "m")


def test_without_the_library_one_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match="need transformers: pip install transformers$"):
        HuggingFaceModel(a_folder(tmp_path / "m"))


def test_what_means_a_folder(tmp_path):
    assert is_folder(str(tmp_path)) and is_folder("hf:anywhere") and not is_folder("resnet18")


def test_weights_and_size_are_the_folders(ws, tmp_path):
    with pytest.raises(UserError, match="give it alone"):
        build_backbone_features(ws, "x", f"hf:{tmp_path}", tmp_path / "w", None, quiet)
