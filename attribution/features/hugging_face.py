"""Features of a model in the format of Hugging Face, in a folder on disk, by the library transformers where that is
installed: DINOv2, ViT, ConvNeXT, ResNet, CLIP's image half and others that `AutoModel` knows.

Only weights in safetensors and code of transformers itself are used: nothing in the folder is executed, and nothing is
downloaded.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from attribution.errors import UserError
from attribution.features.backbone import BATCH, MAX_DIM, block_folder, embed_in_blocks
from attribution.files import read_json, user_path
from attribution.files.libraries import check_library

PREFIX = "hf:"
#: in the folder: what decides the features, besides the weights
SETTINGS = ("config.json", "preprocessor_config.json")


def is_folder(backbone: str) -> bool:
    """Whether `backbone` means a model's folder, "hf:FOLDER" or a folder that is there, and no network's name."""
    return backbone.startswith(PREFIX) or user_path(backbone).is_dir()


class HuggingFaceModel:
    """A pretrained model in a folder with `config.json`, `preprocessor_config.json` and `*.safetensors`.

    The feature is the image half's projected embedding where the model has text, too; else the model's pooled output;
    where that is none of its trained weights' the class token.

    Attributes:
        spec: what decides the features, ready for JSON: model, library, layer, settings and weights (SHA-256).
        device: "cuda" or "cpu".

    Raises:
        UserError: transformers is not installed, or the folder holds no such model, weights of another kind, or one
            whose code is in the folder.
    """

    def __init__(self, folder: str | Path):
        check_library("torch")
        import torch

        self.folder = user_path(str(folder).removeprefix(PREFIX))
        weights = _check_folder(self.folder)
        library = _import_library()
        options = {"local_files_only": True, "trust_remote_code": False}
        try:
            self.processor = library.AutoImageProcessor.from_pretrained(self.folder, **options)
            self.network, found = library.AutoModel.from_pretrained(
                self.folder, use_safetensors=True, output_loading_info=True, **options
            )
        except Exception as error:  # transformers meets a broken folder with errors of many types
            why = (str(error).splitlines() or [type(error).__name__])[0][:150].rstrip(".")
            raise UserError(
                f"{self.folder} cannot be loaded as a model ({why}); save it with save_pretrained, and its image "
                "processor"
            ) from None
        absent = sorted(found["missing_keys"])
        if other := [key for key in absent if "pooler." not in key]:
            raise UserError(f"{self.folder} has no weights for {other[0]} of its model; save it with save_pretrained")
        self.pooler = "none" if absent else "pooler_output"
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.network = self.network.eval().to(self.device)
        features, layer = self._forward(np.zeros((1, 32, 32, 3), np.uint8))
        if features.shape[1] > MAX_DIM:
            raise UserError(
                f"{self.folder} has features of {features.shape[1]:,} dimensions and at most {MAX_DIM:,} are taken; "
                "choose another model"
            )
        self.spec = {
            "model": type(self.network).__name__,
            "library": f"transformers {library.__version__}",
            "layer": layer,
            "settings": _digest([self.folder / name for name in SETTINGS]),
            "weights": _digest(weights),
        }

    def embed(self, images, folder: Path, progress: Callable[[int, int], None]) -> np.ndarray:
        """As `Backbone.embed`."""

        def block(at: int, stop: int) -> np.ndarray:
            pixels = np.asarray(images[at:stop])
            return np.concatenate([self._forward(pixels[i : i + BATCH])[0] for i in range(0, len(pixels), BATCH)])

        return embed_in_blocks(len(images), block_folder(folder, self.spec["model"], self.spec), block, progress)

    def _forward(self, images: np.ndarray) -> tuple[np.ndarray, str]:
        """Features float32 [n, dim] of uint8 images [n, H, W] or [n, H, W, 3], and where they are from."""
        import torch

        colour = images if images.ndim == 4 else np.repeat(images[..., None], 3, 3)
        pixels = self.processor(images=list(colour), return_tensors="pt")["pixel_values"].to(self.device)
        with torch.inference_mode():
            if hasattr(self.network, "get_image_features"):
                features, layer = self.network.get_image_features(pixel_values=pixels), "image features"
                features = getattr(features, "pooler_output", features)
            else:
                output, layer = self.network(pixel_values=pixels), self.pooler
                features = getattr(output, layer, None)
                if features is None:
                    features, layer = output.last_hidden_state[:, 0], "class token"
        return features.flatten(1).float().cpu().numpy(), layer


def _check_folder(folder: Path) -> list[Path]:
    """The files with the weights of the model in `folder`. Raises UserError where it holds none, or code."""
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; give that of a model that was saved with save_pretrained")
    weights = sorted(folder.glob("*.safetensors"))
    absent = [name for name in SETTINGS if not (folder / name).is_file()] + ([] if weights else ["*.safetensors"])
    if absent:
        raise UserError(f"{folder} has no {absent[0]}; save the model with save_pretrained, its image processor, too")
    for name in SETTINGS:
        content = read_json(folder / name)
        if not isinstance(content, dict) or "auto_map" in content:
            raise UserError(
                f"{folder / name} asks for code in that folder, which is not run; write a file of yours that makes the "
                "model, and give it with --module"
            )
    return weights


def _import_library():
    try:
        import transformers
    except ImportError:
        raise UserError("models of Hugging Face need transformers: pip install transformers") from None
    transformers.logging.set_verbosity_error()  # what is missing is told above
    return transformers


def _digest(files: list[Path]) -> str:
    digests = {}
    for file in files:
        with file.open("rb") as stream:
            digests[file.name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()
