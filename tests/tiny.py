"""A workspace of a few drawn shapes, for tests that need one in milliseconds and know every answer."""

import functools
import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from attribution import Workspace
from attribution.experiments.support_table import to_stored_table

CLASSES = ["Bar", "Box <b>", "Dot"]
TRAIN, VAL, MODELS = 60, 12, 10


def write(folder: Path, base: bool = True, colour: bool = False) -> Workspace:
    """60 training and 12 validation images of 3 classes in turn (image i is of class i % 3), 10 base models.

    Without `base` it is as a user's own may be at first: no base models, and no supports. With `colour` the images are
    red where the others are grey.

    Target 0 is stable, 1 is read as a Dot by every model, 2 is unstable (7 of 10), and the others are stable.
    `trak-10` scores a training image of the target's class +1/(1 + index), and others -1/(1 + index).
    Training image 3 carries a planted label: a Bar that is called a Dot. Target 0 flips without 4 images of trak-10.
    """
    for name, content in _original(base, colour).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return Workspace.open(folder)


@functools.cache
def _original(base: bool, colour: bool) -> dict[str, bytes]:
    """The files of the workspace that `write` writes, made once a process: a copy takes 3 ms, and computing it 30 ms.
    In memory, so that nothing is left behind by a process that is killed."""
    with tempfile.TemporaryDirectory() as folder:
        _compute(Path(folder), base, colour)
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def _compute(folder: Path, base: bool, colour: bool) -> None:
    rng = np.random.default_rng(0)
    for part in ("images", "features/moco", "rankings/trak-10"):
        (folder / part).mkdir(parents=True)
    original, val_labels = np.arange(TRAIN) % 3, np.arange(VAL) % 3
    given = original.copy()
    given[3] = 2
    for split, labels in (("train", original), ("val", val_labels)):
        pixels = rng.integers(0, 40, (len(labels), 8, 8), np.uint8)
        for image, label in zip(pixels, labels):
            image[{0: np.s_[3:5], 1: np.s_[1:7, 1:7], 2: np.s_[3:5, 3:5]}[int(label)]] = 220
        if colour:
            pixels = np.stack([pixels, pixels // 8, pixels // 8], 3)
        np.save(folder / "images" / f"{split}.npy", pixels)
        features = np.eye(3)[labels] + rng.normal(0, 0.1, (len(labels), 3))
        np.save(folder / "features" / "moco" / f"{split}.npy", features.astype(np.float16))
    pd.DataFrame({"label": given, "source_index": np.arange(TRAIN) + 1000}).to_parquet(folder / "train.parquet")
    pd.DataFrame({"label": val_labels, "source_index": np.arange(VAL) + 2000}).to_parquet(folder / "val.parquet")
    pd.DataFrame({"original": original, "planted": original != given}).to_parquet(folder / "truth.parquet")

    if base:
        probabilities = np.full((MODELS, VAL, 3), 0.05, np.float32)
        probabilities[:, np.arange(VAL), val_labels] = 0.9
        probabilities[:, 1] = [0.1, 0.2, 0.7]
        probabilities[:3, 2] = [0.8, 0.1, 0.1]
        (folder / "base").mkdir()
        np.save(folder / "base" / "probabilities.npy", probabilities)
        answers = [_support("trak-10", "flipped", 4, [2, 2, 0, 2, 2]), _support("random", "censored", None, [0] * 5)]
        to_stored_table(answers).to_parquet(folder / "supports.parquet")

    helps = np.where(given == val_labels[:, None], 1, -1) / (1 + np.arange(TRAIN))
    np.save(folder / "rankings" / "trak-10" / "scores.npy", helps.astype(np.float16))

    trak = {
        "method": "TRAK",
        "signed": True,
        "about": "10 models",
        "files": {},
        "made_for": {"recipe": "demo-cnn", "data": "0" * 64, "seeds": [0]},
    }
    parts = {"features/moco": {}, "rankings/trak-10": trak, **({"supports": {"protocol": "default"}} if base else {})}
    fingerprint = ("c" if colour else "0") * 64  # pages cache pictures by it
    (folder / "workspace.json").write_text(
        json.dumps(
            {
                "schema": 1,
                "name": "tiny",
                "recipe": "demo-cnn",
                "parts": parts,
                "dataset": {
                    "name": "shapes",
                    "fingerprint": fingerprint,
                    "classes": CLASSES,
                    "n_train": TRAIN,
                    "n_val": VAL,
                    "planted": 1,
                    "inverted": True,
                },
            }
        )
    )


def large(folder: Path, times: int = 25) -> Workspace:
    """The tiny workspace with its training images `times` over, so that a training takes long enough to be killed in:
    a third of a second. Its rankings are `trak-10` and `random`."""
    ws = write(folder)
    np.save(folder / "images" / "train.npy", np.tile(np.load(folder / "images" / "train.npy"), (times, 1, 1)))
    scores = np.load(folder / "rankings" / "trak-10" / "scores.npy")
    np.save(folder / "rankings" / "trak-10" / "scores.npy", np.tile(scores, (1, times)))
    table = pd.read_parquet(folder / "train.parquet")
    pd.concat([table] * times).to_parquet(folder / "train.parquet")
    manifest = json.loads((folder / "workspace.json").read_text())
    manifest["dataset"] |= {"n_train": TRAIN * times, "fingerprint": "5" * 64}
    manifest["parts"].pop("features/moco")
    (folder / "workspace.json").write_text(json.dumps(manifest))
    return Workspace.open(ws.path)


def _support(ranking, status, support, predictions):
    return {
        "ranking": ranking,
        "target": 0,
        "kind": "remove",
        "protocol": "default",
        "k_max": 20,
        "version": None,
        "status": status,
        "support": support,
        "lo": 3 if support else 20,
        "hi": support,
        "trainings": 5,
        "created": 0.0,
        "trace": [
            {
                "k": support or 20,
                "seeds": list(range(5)),
                "predictions": predictions,
                "margin": 0.25,
                "flipped": bool(support),
                "wrong": sum(map(bool, predictions)),
            }
        ],
    }
