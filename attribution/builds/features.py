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
    """Trains a feature set on the workspace's training images, embeds both splits and saves them (float32) as the part
    `features/<name>`; returns its provenance. epochs: None for the usual number."""
    workspace.check_can_add(f"features/{name}")
    images = np.asarray(workspace.train_images)
    train, val, provenance = train_and_embed(
        workspace, name, images, [np.asarray(workspace.val_images)], epochs, progress
    )
    words = f"features train {name}" + (f" --epochs {epochs}" if epochs else "")
    return save_part(
        workspace,
        f"features/{name}",
        {"train": train.astype(np.float32), "val": val.astype(np.float32)},
        {**knn.measure_knn(workspace, train, val), **provenance, **command_provenance(words)},
    )


def build_backbone_features(
    workspace: Workspace, name: str, backbone: str, weights: Path, side: int | None, progress: Progress
) -> dict:
    """Embeds both splits with a pretrained network (see `Backbone`), and saves them as the part `features/<name>`;
    returns its provenance. side: of the square that images are resized to, in pixels; None for the network's own."""
    from attribution.features.backbone import Backbone

    importing.check_part_name(workspace, name, "features")
    network, folder = Backbone(backbone, weights, side), scratch_folder(workspace, "features") / name
    start = time.perf_counter()
    train, val = (
        network.embed(images, folder / split, lambda *count, split=split: progress(f"{name}: {split}", *count))
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
    other_images: list[np.ndarray],
    epochs: int | None,
    progress: Progress,
) -> tuple:
    """Features, float [images, d], of `images` and of each of `other_images` under a network trained on `images`; and,
    last, their provenance."""
    folder = scratch_folder(workspace, "features") / name
    if name == "supervised":
        from attribution.features import supervised

        provenance = supervised.train(workspace, folder)
        return (*(supervised.embed(folder, split) for split in (images, *other_images)), provenance)
    provenance = features.train(
        name, images, folder, epochs=epochs, progress=lambda *count: progress(f"{name}: epochs", *count)
    )
    return (*(features.embed(name, folder, split) for split in (images, *other_images)), provenance)
