"""Feature sets: training a network on the workspace's images, or embedding them by a pretrained one."""

import shutil
import time
from pathlib import Path

import numpy as np

from attribution import features
from attribution.builds import own_models
from attribution.builds.base_models import BASE_SEEDS, of_model
from attribution.errors import UserError
from attribution.features import knn
from attribution.importing import importing
from attribution.training.own import OwnRecipe
from attribution.workspace.parts import Progress, save_part, scratch_folder
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import Workspace

SUPERVISED = "supervised"


def build_features(workspace: Workspace, name: str, epochs: int | None, progress: Progress) -> dict:
    """Trains a feature set on the workspace's training images, embeds both splits and saves them (float32) as the part
    `features/<name>`; returns its provenance. epochs: None for the usual number.

    Supervised ones are of the user's own network where the recipe is the user's and gives one; see `supervised_name`.
    """
    recipe = workspace.get_recipe()
    if name == SUPERVISED and recipe.kind == "own" and {"features", "module"} & set(recipe.optional):
        return _build_own_features(workspace, recipe, progress)
    workspace.check_can_add(f"features/{name}")
    images = np.asarray(workspace.train_images)
    train, val, provenance = train_and_embed(
        workspace, name, images, [np.asarray(workspace.val_images)], epochs, progress
    )
    words = f"features train {name}" + (f" --epochs {epochs}" if epochs else "")
    if name == SUPERVISED and recipe.kind == "own":
        provenance["network"] = f"demo-cnn's, since {recipe.name} has neither a method features nor module"
    return save_part(
        workspace,
        f"features/{name}",
        {"train": train.astype(np.float32), "val": val.astype(np.float32)},
        {**knn.measure_knn(workspace, train, val), **provenance, **command_provenance(words)},
    )


def supervised_name(workspace: Workspace) -> str:
    """What supervised features of the model looked at are called: with its name, where that is another one than the
    workspace's own, whose features they would replace."""
    return f"{SUPERVISED}-{workspace.model.lower()}"[:40] if workspace.model else SUPERVISED


def _build_own_features(workspace: Workspace, recipe: OwnRecipe, progress: Progress) -> dict:
    """Supervised features of a user's model, by its `features`, else the inputs of its network's last linear layer,
    computed by a worker; saved as `build_features` does. Raises UserError for another shape, and for what is not
    finite."""
    if recipe.problem:
        raise UserError(recipe.problem)
    name, seed = supervised_name(workspace), BASE_SEEDS.start
    importing.check_part_name(workspace, name, "features")
    start, folder = time.perf_counter(), scratch_folder(workspace, "features") / "own"
    text = f"features of {recipe.name}, "
    (computed,) = own_models.compute(workspace, recipe, [seed], "features", folder, progress, text)
    train, val = computed["train"], computed["val"]
    provenance = {
        "dim": train.shape[1],
        "seed": seed,
        "recipe": recipe.hash,
        "network": f"{recipe.name}: "
        + ("its method features" if "features" in recipe.optional else "what its last linear layer is given"),
        "seconds": round(time.perf_counter() - start, 1),
        "threads": recipe.threads,
        **own_models.how_had([computed]),
    }
    words = f"features train {SUPERVISED}{of_model(workspace)}"
    made = save_part(
        workspace,
        f"features/{name}",
        {"train": train, "val": val},
        {
            **knn.measure_knn(workspace, train, val),
            **provenance,
            **command_provenance(words),
            "device": str(computed["device"]),
        },
    )
    shutil.rmtree(folder, ignore_errors=True)
    return made


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
    if name == SUPERVISED:
        from attribution.features import supervised

        provenance = supervised.train(workspace, folder)
        return (*(supervised.embed(folder, split) for split in (images, *other_images)), provenance)
    provenance = features.train(
        name, images, folder, epochs=epochs, progress=lambda *count: progress(f"{name}: epochs", *count)
    )
    return (*(features.embed(name, folder, split) for split in (images, *other_images)), provenance)
