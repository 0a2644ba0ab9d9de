"""Creates a poisoned copy of a workspace, with a backdoor for rankings to find.

A small patch, the trigger, is drawn into some training images of other classes, and these are labelled as one class
(BadNets, Gu et al., arXiv 1708.06733). Models trained on the copy learn that the patch means this class. The ordinary
validation images are followed by triggered targets: copies of some of them with the patch, under their true label.

`poison.parquet` records which images are poisoned and which are triggered. No ranking, feature or training may read it:
it judges them (`attribution.evaluation.backdoor`).
"""

import shlex
import time
from pathlib import Path

import numpy as np
import pandas as pd

from attribution.errors import UserError
from attribution.files import read_table, user_path, write_array, write_json, write_table
from attribution.importing.importing import staged_folder
from attribution.workspace.fingerprint import data_fingerprint, image_digest
from attribution.workspace.manifest import SCHEMA
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import Workspace

FILE = "poison.parquet"
N_POISONED, N_TRIGGERED = 100, 200
PATCH_SIDE = 4  # pixels
#: pixels between the patch and the lower and right border, because some recipes shift images by a few
PATCH_BORDER = 1


def create_poisoned_copy(
    workspace: Workspace,
    path: Path | str,
    label: int,
    n: int = N_POISONED,
    targets: int = N_TRIGGERED,
    side: int = PATCH_SIDE,
    seed: int = 0,
) -> Workspace:
    """Writes a poisoned copy of `workspace` into the new folder `path`: n training images of other classes get the
    patch of side x side pixels and the class `label`; copies of `targets` validation images of other classes get the
    patch and come last. Computed parts are not copied, because they were computed on other images.

    Raises UserError for a path that is not new, and for numbers that the workspace cannot give.
    """
    start, path = time.perf_counter(), user_path(path).absolute()
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise UserError(f"{path} exists and is not an empty folder; choose another")
    if load_poison_info(workspace):
        raise UserError(f"{workspace.name} is poisoned already; poison the workspace that it was made from")
    train_labels, val_labels = workspace.train_labels.copy(), workspace.val_labels
    truth = workspace.truth()
    original = train_labels.copy() if truth is None else truth["original"].to_numpy()
    if seed < 0:
        raise UserError(f"{seed} is no seed; give a whole number of at least 0")
    rng = np.random.default_rng([seed, label, max(n, 0)])  # `_draw_images` says what is wrong with a negative n
    poisoned = _draw_images(rng, np.flatnonzero((train_labels != label) & (original != label)), n, "training")
    triggered = _draw_images(rng, np.flatnonzero(val_labels != label), targets, "validation")
    train, val = np.array(workspace.train_images), np.array(workspace.val_images)
    if not 1 <= side <= min(train.shape[1:3]) - PATCH_BORDER:
        raise UserError(
            f"a patch of {side} pixels does not fit images of {train.shape[1]} x {train.shape[2]}; "
            f"give 1 to {min(train.shape[1:3]) - PATCH_BORDER}"
        )
    train[poisoned] = add_trigger(train[poisoned], side)
    train_labels[poisoned] = label
    val = np.concatenate([val, add_trigger(val[triggered], side)])
    val_labels = np.concatenate([val_labels, val_labels[triggered]])
    val_index = np.concatenate([workspace.val_index, workspace.val_index[triggered]])
    info = {"n": n, "class": label, "targets": targets, "side": side, "seed": seed}
    info |= {"of": workspace.fingerprint, "of_name": workspace.name}
    options = f"--n {n} --class {shlex.quote(workspace.classes[label])} --targets {targets} --side {side} --seed {seed}"
    dataset = {name: value for name, value in workspace.manifest["dataset"].items() if name != "images"}
    digests = {"train": image_digest(train), "val": image_digest(val)}
    with staged_folder(path) as folder:
        arrays = {"images/train.npy": train, "images/val.npy": val}
        tables = {
            "train.parquet": pd.DataFrame({"source_index": workspace.train_index, "label": train_labels}),
            "val.parquet": pd.DataFrame({"source_index": val_index, "label": val_labels}),
            "truth.parquet": pd.DataFrame({"original": original, "planted": original != train_labels}),
            FILE: pd.DataFrame(
                {
                    "split": ["train"] * n + ["val"] * targets,
                    "image": [*poisoned, *range(workspace.n_val, len(val_labels))],
                    "copy_of": [*poisoned, *triggered],
                }
            ),
        }
        for name, array in arrays.items():
            write_array(folder / name, array)
        for name, table in tables.items():
            write_table(folder / name, table)
        write_json(
            folder / "workspace.json",
            {
                "schema": SCHEMA,
                "name": path.name,
                "recipe": workspace.recipe,
                "parts": {},
                "steps": {},
                "dataset": {
                    **dataset,
                    "n_val": len(val_labels),
                    "planted": int((original != train_labels).sum()),
                    "fingerprint": data_fingerprint(digests, train_labels, val_labels),
                    "digests": digests,
                },
            },
        )
        copy = Workspace.open(folder)
        copy.record_part(
            "data",
            {
                **command_provenance(f"workspace poison {shlex.quote(path.name)} {options}"),
                "poison": info,
                "seconds": round(time.perf_counter() - start, 1),
            },
            [*arrays, *tables],
        )
        if "features/pixels" in workspace.manifest["parts"]:
            pixels = {"name": "pixels", "dim": int(np.prod(train.shape[1:])), "seconds": 0.0}
            copy.record_part("features/pixels", {**pixels, **command_provenance("workspace poison")})
    return Workspace.open(path)


def load_poison_info(workspace: Workspace) -> dict | None:
    """How the workspace was poisoned: {"n", "class", "targets", "side", "seed", "of", "of_name"}; None where it was
    not."""
    return workspace.manifest["parts"].get("data", {}).get("poison")


def load_poison_record(workspace: Workspace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The poisoned training images [n], the triggered targets [T], and the validation images that these are copies of
    [T], int64. Only an evaluation may call it. Raises UserError where the workspace is not poisoned."""
    if not load_poison_info(workspace):
        raise UserError(
            f"{workspace.name} is not poisoned; make a copy that is with: python -m attribution workspace "
            f"poison PATH --class CLASS --workspace {shlex.quote(str(workspace.path))}"
        )
    table = read_table(workspace.path / FILE, "split", "image", "copy_of")
    train, val = (table[table["split"] == split] for split in ("train", "val"))
    return train["image"].to_numpy(), val["image"].to_numpy(), val["copy_of"].to_numpy()


def add_trigger(images: np.ndarray, side: int) -> np.ndarray:
    """Copies of images, uint8 [n, H, W] or [n, H, W, 3], with a black and white chequered patch in the lower right."""
    images = images.copy()
    patch = (255 * ((np.add.outer(np.arange(side), np.arange(side)) + 1) % 2)).astype(np.uint8)
    place = slice(-side - PATCH_BORDER, -PATCH_BORDER)
    images[:, place, place] = patch if images.ndim == 3 else patch[:, :, None]
    return images


def _draw_images(rng, candidates, count, split) -> np.ndarray:
    if not 1 <= count <= len(candidates):
        raise UserError(
            f"{count} {split} images of other classes were asked for, and there are {len(candidates)}; "
            f"give 1 to {len(candidates)}"
        )
    return np.sort(rng.choice(candidates, count, replace=False))
