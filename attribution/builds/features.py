"""Feature sets: training a network on the workspace's images, or embedding them by a pretrained one."""

import time
from pathlib import Path

import numpy as np

from attribution import features
from attribution.features import knn
from attribution.importing import importing
from attribution.workspace.parts import Progress, save_part, scratch_folder
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import Workspace


def build_features(workspace: Workspace, name: str, epochs: int | None, progress: Progress) -> dict:
    """Trains a feature set on the workspace's training images, embeds both splits and stores it (float32)."""
    workspace.check_can_add(f"features/{name}")
    images = np.asarray(workspace.train_images)
    train, val, about = train_and_embed(workspace, name, images, [np.asarray(workspace.val_images)], epochs, progress)
    words = f"features train {name}" + (f" --epochs {epochs}" if epochs else "")
    return save_part(
        workspace,
        f"features/{name}",
        {"train": train.astype(np.float32), "val": val.astype(np.float32)},
        {**knn.measure_knn(workspace, train, val), **about, **command_provenance(words)},
    )


def build_backbone_features(
    workspace: Workspace, name: str, backbone: str, weights: Path, side: int | None, progress: Progress
) -> dict:
    """Embeds both splits with a pretrained network (see `Backbone`), and stores the features as `name`. Returns their
    provenance."""
    from attribution.features.backbone import Backbone

    importing.check_part_name(workspace, name, "features")
    network, folder = Backbone(backbone, weights, side), scratch_folder(workspace, "features") / name
    start = time.perf_counter()
    train, val = (
        network.embed(images, folder / split, lambda *at, split=split: progress(f"{name}: {split}", *at))
        for split, images in (("train", workspace.train_images), ("val", workspace.val_images))
    )
    words = (
        f"features embed {name} --backbone {backbone} --weights {network.weights.name} --side {network.spec['side']}"
    )
    return importing.import_features(
        workspace,
        train,
        val,
        name,
        {
            **knn.measure_knn(workspace, train, val),
            "seconds": round(time.perf_counter() - start, 1),
            **command_provenance(words),
            "device": network.device,
            "backbone": network.spec,
        },
    )


def train_and_embed(
    workspace: Workspace,
    name: str,
    images: np.ndarray,
    others: list[np.ndarray],
    epochs: int | None,
    progress: Progress,
) -> tuple:
    """Features of the training images and of each of `others` under a network trained on `images`, and provenance."""
    folder = scratch_folder(workspace, "features") / name
    if name == "supervised":
        from attribution.features import supervised

        about = supervised.train(workspace, folder)
        return (*(supervised.embed(folder, some) for some in (images, *others)), about)
    about = features.train(name, images, folder, epochs=epochs, progress=lambda *at: progress(f"{name}: epochs", *at))
    return (*(features.embed(name, folder, some) for some in (images, *others)), about)
