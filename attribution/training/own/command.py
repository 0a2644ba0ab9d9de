"""Trains by a command of the user's, in any environment or language: a folder a task, files in and files out."""

import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attribution.errors import UserError
from attribution.files import read_array, write_array, write_json, write_table
from attribution.inputs.limits import read_whole
from attribution.training.edits import Edit, no_edit
from attribution.training.own import OwnRecipe, digests
from attribution.training.own.trainer import (
    OwnOutcome,
    RecipeData,
    Report,
    Reporter,
    check_logits,
    summarize,
)
from attribution.training.probabilities import probabilities_of

if TYPE_CHECKING:
    from attribution.workspace.workspace import Workspace

PROGRESS = "LINEUP "  # a line of the command's output that begins so is its progress: "LINEUP 3/10"
LONGEST_LINE = 10_000  # characters of a line that are looked at


class CommandTrainer:
    """As `OwnTrainer`, for a recipe that is a command. folder: where the folders of its tasks are made, if not given
    the system's for temporary files. Raises UserError where the images have changed, or its files."""

    asks_for_train = True  # what it is to predict is said before it runs

    def __init__(self, workspace, recipe: OwnRecipe, folder: Path | None = None):
        workspace.check_images()
        self.folder = folder
        self.recipe, self.workspace = recipe, workspace
        self.train_labels, self.val_labels = np.array(workspace.train_labels), np.array(workspace.val_labels)
        self.shared = tempfile.TemporaryDirectory(prefix="lineup-data-", dir=folder)  # what all tasks read
        self.tables = write_data(workspace, Path(self.shared.name))

    def run(
        self, edit: Edit | None = None, seed: int = 0, on_epoch: Report | None = None, train: bool = False
    ) -> OwnOutcome:
        """As `OwnTrainer.run`. train: also ask for the training images; `model` is then their logits."""
        return self.fit(*(edit or no_edit()).apply(self.train_labels), seed, on_epoch, train)

    def fit(
        self, keep: np.ndarray, labels: np.ndarray, seed: int, on_epoch: Report | None = None, train: bool = False
    ) -> OwnOutcome:
        """As `OwnTrainer.fit`; train: as `run`."""
        recipe = self.recipe
        if digests(Path(recipe.folder), recipe.files) != dict(recipe.files):
            raise UserError(f"the files of recipe {recipe.name} in {recipe.folder} have changed; ask again")
        with tempfile.TemporaryDirectory(prefix="lineup-job-", dir=self.folder) as name:
            folder, start = Path(name), time.perf_counter()
            write_task(folder, self.workspace, recipe, (keep, labels), seed, self.tables, train=train)
            self._run_command(folder, Reporter(on_epoch))
            seconds = time.perf_counter() - start
            logits, train_logits = read_answer(folder, self.workspace, recipe, train)
        return OwnOutcome(*summarize(logits, self.val_labels), seconds, train_logits, "cpu", "command", logits)

    def train_probabilities(self, outcome: OwnOutcome, ids) -> np.ndarray:
        """As `OwnTrainer.train_probabilities`, of an outcome with training images."""
        return probabilities_of(outcome.model[np.asarray(ids, np.int64)])

    def _run_command(self, job: Path, report: Reporter) -> None:
        """Runs the command to its end, passing its output on. Raises UserError where it fails."""
        words = [word.replace("{job}", str(job)) for word in shlex.split(self.recipe.command)]
        try:
            process = subprocess.Popen(
                words,
                cwd=self.recipe.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise UserError(f"{words[0]} of recipe {self.recipe.name} cannot be started ({error.strerror})") from None
        while line := process.stdout.readline(LONGEST_LINE):
            sys.stdout.write(line)
            if line.startswith(PROGRESS):
                done, _, total = line.removeprefix(PROGRESS).partition("/")
                if None not in (numbers := (read_whole(done), read_whole(total))):
                    report(*numbers)
        if code := process.wait():
            how = f"exit status {code}" if code > 0 else f"signal {-code}"
            raise UserError(f"the command of recipe {self.recipe.name} ended with {how}")


def write_data(workspace: "Workspace", folder: Path) -> dict[str, str]:
    """Writes train.parquet and val.parquet into `folder`: columns label and, where each image has a file, path; else
    arrays of the images beside them. Returns what `job.json` says of them."""
    import pandas as pd

    data, told = RecipeData(workspace), {}
    for split in ("train", "val"):
        columns: dict = {"label": data.labels(split)}
        if (paths := data.paths(split)) is not None:
            columns["path"] = [str(path) for path in paths]
        else:
            write_array(folder / f"{split}_images.npy", np.asarray(data.images(split)))
            told[f"{split}_images"] = str(folder / f"{split}_images.npy")
        write_table(folder / f"{split}.parquet", pd.DataFrame(columns))
        told[split] = str(folder / f"{split}.parquet")
    return told


def write_task(
    folder: Path,
    workspace: "Workspace",
    recipe: OwnRecipe,
    kept: tuple[np.ndarray, np.ndarray],
    seed: int,
    tables: dict[str, str],
    key: str = "",
    train: bool = False,
) -> None:
    """Writes the task of one training into `folder`: job.json, keep.npy and labels.npy. kept: which images, and the
    labels of all, as `Edit.apply` returns them; tables: of `write_data`; key: what names the training in the store.
    Raises UserError where no image is kept."""
    keep, labels = kept
    if not len(keep):
        raise UserError("the edit removes every training image; leave some")
    write_array(folder / "keep.npy", keep.astype(np.int64))
    write_array(folder / "labels.npy", labels.astype(np.int64))
    task = {
        "key": key,
        "recipe": recipe.name,
        "hash": recipe.hash,
        "seed": int(seed),
        "device": "cpu",
        "threads": recipe.threads,
        "classes": list(workspace.classes),
        "keep": "keep.npy",
        "labels": "labels.npy",
        **tables,
        "val_logits": "val_logits.npy",
        "train_logits": "train_logits.npy" if train else None,
    }
    write_json(folder / "job.json", task)


def read_answer(
    folder: Path, workspace: "Workspace", recipe: OwnRecipe, train: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """The logits that the command wrote: of the validation and, where asked, of all training images. Raises UserError
    where they are missing or not fit."""
    answers = []
    for split, n in (("val", workspace.n_val), *((("train", workspace.n_train),) if train else ())):
        file = folder / f"{split}_logits.npy"
        if not file.exists():
            raise UserError(f"the command of recipe {recipe.name} wrote no {file.name} into the folder of its task")
        answers.append(
            check_logits(np.array(read_array(file)), n, len(workspace.classes), f"{recipe.name}: {file.name}")
        )
    return answers[0], answers[1] if train else None
