"""Retrainings that are done elsewhere: a folder a training goes out, and what comes back is checked and stored.

For clusters without Ray. A folder holds what a recipe that is a command is given (`attribution.training.own.command`).
"""

from dataclasses import dataclass, field
from pathlib import Path

from attribution.errors import UserError
from attribution.experiments.spec import FixedSpec
from attribution.files import make_folder, read_json, write_json
from attribution.store.results import ResultStore
from attribution.training.edits import Edit
from attribution.training.own import OwnRecipe
from attribution.training.own.command import read_answer, write_data, write_task
from attribution.training.own.trainer import summarize
from attribution.workspace.workspace import Workspace

DATA = "data"  # the folder with what all trainings read


@dataclass
class Collected:
    """What came back: names of folders. refused: name -> why."""

    stored: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def write_plan(workspace: Workspace, store: ResultStore, spec: FixedSpec, folder: Path) -> list[str]:
    """Writes a folder for each training of a job that is not known yet; returns their names.

    Raises UserError for a built-in recipe, which needs nobody else, and where the folder holds something else.
    """
    recipe = workspace.get_recipe(spec.recipe)
    if not isinstance(recipe, OwnRecipe):
        raise UserError(
            f"{spec.recipe} is trained by Lineup itself; name a recipe of yours: python -m attribution recipe add"
        )
    if folder.exists() and not (folder / DATA).is_dir() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty; choose another folder")
    make_folder(folder / DATA)
    told = write_data(workspace, (folder / DATA).resolve())
    tables = {name: f"../{DATA}/{Path(path).name}" for name, path in told.items()}
    names = []
    for edit, seed in spec.trainings(workspace):
        key = store.key(recipe.hash, edit, seed)
        if store.get(key) is None and key[:16] not in names:
            task = folder / key[:16]
            write_task(task, workspace, recipe, edit.apply(workspace.train_labels), seed, tables, key)
            write_json(task / "job.json", {**read_json(task / "job.json"), "edit": edit.to_json()})
            names.append(task.name)
    return names


def collect_plan(workspace: Workspace, store: ResultStore, folder: Path) -> Collected:
    """Stores what has come back into the folders of `write_plan`. What is not fit is refused, and the rest is stored.

    Raises UserError where there is no such folder.
    """
    tasks = sorted(file.parent for file in folder.glob("*/job.json"))
    if not tasks:
        raise UserError(f"{folder} holds no trainings that `retrain plan` wrote; check the path")
    collected = Collected()
    for task in tasks:
        try:
            _collect(workspace, store, task, collected)
        except UserError as error:
            collected.refused[task.name] = str(error)
    return collected


def _collect(workspace, store, task, collected):
    job = read_json(task / "job.json")
    try:
        edit, seed, recipe_hash, name = Edit.from_json(job["edit"]), int(job["seed"]), job["hash"], job["recipe"]
        is_ours = store.key(recipe_hash, edit, seed) == job["key"]
        seconds = max(0.0, float(job.get("seconds", 0)))
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UserError("its job.json is not as it was written; plan it again") from None
    if not is_ours:
        raise UserError(f"its key is not of these images, this recipe, edit and seed; is it of {workspace.name}?")
    if store.get(job["key"]) is not None:
        collected.known.append(task.name)
    elif not (task / "val_logits.npy").exists():
        collected.waiting.append(task.name)
    else:
        recipe = OwnRecipe(name=str(name), hash=str(recipe_hash), form="command")
        logits, _ = read_answer(task, workspace, recipe, train=False)
        predicted, margins, _ = summarize(logits, workspace.val_labels)
        store.put(
            recipe_hash,
            edit,
            seed,
            predicted=predicted,
            margins=margins,
            seconds=seconds,
            device="elsewhere",
            library="command",
            threads=int(job.get("threads", 1)),
        )
        collected.stored.append(task.name)
