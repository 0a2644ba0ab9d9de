"""Feature sets: training a network on the workspace's images, or embedding them by a pretrained one."""

import hashlib
import shlex
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from attribution import features, own_code
from attribution.builds import own_models
from attribution.builds.base_models import BASE_SEEDS, of_model
from attribution.errors import UserError
from attribution.features import hugging_face, knn
from attribution.features.backbone import Backbone, block_folder, embed_in_blocks
from attribution.features.hugging_face import HuggingFaceModel
from attribution.files import user_path
from attribution.importing import importing
from attribution.own_code.process import check_numbers, start
from attribution.training.devices import core_count, visible_gpus
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
    workspace: Workspace, name: str, backbone: str, weights: Path | None, side: int | None, progress: Progress
) -> dict:
    """Embeds both splits with a pretrained network, and saves them as the part `features/<name>`; returns its
    provenance.

    backbone: a network's name (see `Backbone`), or the folder of a Hugging Face model (see `HuggingFaceModel`), which
    takes neither weights nor side. side: of the square that images are resized to, in pixels; None for the network's
    own.
    """
    importing.check_part_name(workspace, name, "features")
    network: Backbone | HuggingFaceModel
    if hugging_face.is_folder(backbone):
        if weights or side:
            raise UserError(f"{backbone} is the folder of a model, which has its weights and size; give it alone")
        network = HuggingFaceModel(backbone)
        words = f"features embed {name} --backbone {shlex.quote(network.folder.name)}"
    else:
        if weights is None:
            raise UserError(f"{backbone} needs --weights, the file with its state dict; nothing is downloaded")
        network = Backbone(backbone, weights, side)
        words = f"features embed {name} --backbone {backbone} --weights {network.weights.name}"
        words += f" --side {network.spec['side']}"
    folder = scratch_folder(workspace, "features") / name
    return _save_embedded(
        workspace,
        name,
        lambda split, images, report: network.embed(images, folder / split, report),
        {**command_provenance(words), "device": network.device, "backbone": network.spec},
        progress,
    )


def build_own_features(workspace: Workspace, name: str, what: str, weights: Path, progress: Progress) -> dict:
    """Embeds both splits by a user's code, and saves them as the part `features/<name>`; returns its provenance.

    what: "FILE:OBJECT", or the name of one that an installed package offers; OBJECT(weights, device) returns what is
    called with uint8 images [n, H, W] or [n, H, W, 3] and returns features [n, d]. It runs in a process of its own.
    Finished blocks are kept: an interrupted run goes on. Raises UserError with what the code did wrong.
    """
    importing.check_part_name(workspace, name, "features")
    own, file = own_code.take("features", what), user_path(weights)
    if not file.exists():
        raise UserError(f"there is nothing at {file}; check --weights")
    spec = {**own.provenance(), "model": own.name, "weights": _digest(file)}
    cache = block_folder(scratch_folder(workspace, "features") / name, own.name, spec)
    gpus = visible_gpus()
    opening = {"workspace": str(workspace.path.resolve()), "weights": str(file.resolve())}
    process = start(own, opening, max(1, core_count()), gpus[0].visible if gpus else None)

    def embed(split: str, images, report: Callable[[int, int], None]) -> np.ndarray:
        def block(at: int, stop: int) -> np.ndarray:
            event = process.ask({"do": "embed", "split": split, "start": at, "stop": stop}, own.patience)
            return check_numbers(event, "features", (stop - at, None), f"the features by {own.name}")

        return embed_in_blocks(len(images), cache / split, block, report)

    words = shlex.join(["features", "embed", name, "--module", f"{own.main}:{own.object}", "--weights", file.name])
    device = gpus[0].name if gpus else "cpu"
    more = {**command_provenance(words), "device": device, "code": own.provenance(), "backbone": spec}
    try:
        return _save_embedded(workspace, name, embed, more, progress)
    finally:
        process.close()


def _save_embedded(workspace: Workspace, name: str, embed: Callable, provenance: dict, progress: Progress) -> dict:
    """Saves what embed(split, images, report) makes of both splits as the part `features/<name>`; returns its
    provenance."""
    start_time = time.perf_counter()
    train, val = (
        embed(split, images, lambda *count, split=split: progress(f"{name}: {split}", *count))
        for split, images in (("train", workspace.train_images), ("val", workspace.val_images))
    )
    seconds = round(time.perf_counter() - start_time, 1)
    made = {**knn.measure_knn(workspace, train, val), "seconds": seconds, **provenance}
    return importing.import_features(workspace, train, val, name, made)


def _digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and bytes of the files in a folder."""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    whole = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        whole.update(f"{file.relative_to(path)} {digest}\n".encode())
    return digest if path.is_file() else whole.hexdigest()


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
