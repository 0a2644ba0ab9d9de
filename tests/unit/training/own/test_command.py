"""A recipe that is a command: the folder of its task, its progress, and what it writes."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from attribution import UserError
from attribution.training.edits import remove
from attribution.training.own import OwnRecipe, digests
from attribution.training.own.command import CommandTrainer

SCRIPT = """
import json, sys
from pathlib import Path
import numpy as np
job = Path(sys.argv[1])
task = json.loads((job / "job.json").read_text())
print("LINEUP 1/2", flush=True)
print("LINEUP 10**9/x")
keep, labels = np.load(job / task["keep"]), np.load(job / task["labels"])
images = {split: np.load(job / task[split + "_images"]).reshape(-1, 64) / 255 for split in ("train", "val")}
means = np.stack([images["train"][keep][labels[keep] == c].mean(0) for c in range(len(task["classes"]))])
for split in ("val", "train"):
    if task[split + "_logits"]:
        np.save(job / task[split + "_logits"], -((images[split][:, None] - means) ** 2).sum(2) + 0.0 * task["seed"])
"""


def a_command(folder, script):
    (folder / "train.py").write_text(script)
    covered = digests(folder, ["train.py"])
    command = f"{sys.executable} train.py {{job}}"
    return OwnRecipe("means", "0" * 12, "command", command=command, folder=str(folder), files=covered)


def test_it_trains_in_a_folder_of_its_own(ws, tmp_path):
    trainer, reports = CommandTrainer(ws, a_command(tmp_path, SCRIPT)), []
    outcome = trainer.run(remove([0, 1]), 3, lambda *done: reports.append(done), train=True)
    assert (outcome.predicted == ws.val_labels).mean() > 0.8 and reports == [(1, 2)]
    assert trainer.train_probabilities(outcome, [0, 1]).shape == (2, 3)
    assert pd.read_parquet(Path(trainer.tables["train"])).label.tolist() == ws.train_labels.tolist()
    assert {path.name for path in tmp_path.iterdir()} == {"train.py", "w", "data"}, "its folder is left as it was"


@pytest.mark.parametrize(
    ("script", "match"),
    [
        ("raise SystemExit(7)", "ended with exit status 7"),
        ("import os; os.kill(os.getpid(), 9)", "ended with signal 9"),
        ("pass", "wrote no val_logits.npy"),
        (SCRIPT.replace("+ 0.0 *", "[:-1] + 0.0 *"), "have the shape"),
        (
            "import sys, numpy as np\nnp.save(sys.argv[1] + '/val_logits.npy', np.array([{}]), allow_pickle=True)",
            "cannot be read",
        ),
    ],
)
def test_what_goes_wrong_is_one_sentence(ws, tmp_path, script, match):
    with pytest.raises(UserError, match=match) as caught:
        CommandTrainer(ws, a_command(tmp_path, script)).run()
    assert "\n" not in str(caught.value)


def test_a_file_that_has_changed_is_not_run(ws, tmp_path):
    trainer = CommandTrainer(ws, a_command(tmp_path, SCRIPT))
    (tmp_path / "train.py").write_text("pass")
    with pytest.raises(UserError, match="have changed; ask again"):
        trainer.run()


def test_a_program_that_is_not_there(ws, tmp_path):
    recipe = OwnRecipe("none", "0" * 12, "command", command="nothing-of-the-kind {job}", folder=str(tmp_path))
    with pytest.raises(UserError, match="cannot be started"):
        CommandTrainer(ws, recipe).run()


def test_the_task_says_all_there_is_to_say(ws, tmp_path):
    script = "import sys, shutil\nshutil.copy(sys.argv[1] + '/job.json', 'seen.json')\nraise SystemExit(1)"
    recipe = a_command(tmp_path, script)
    with pytest.raises(UserError):
        CommandTrainer(ws, recipe).run(seed=5)
    task = json.loads((tmp_path / "seen.json").read_text())
    assert task["seed"] == 5 and task["classes"] == ws.classes and task["hash"] == recipe.hash
    assert task["train_logits"] is None
