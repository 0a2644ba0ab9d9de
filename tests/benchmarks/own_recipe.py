"""What a user's recipe costs beside the built-in trainer: the same network and the same training, in workers.

    .venv/bin/python tests/benchmarks/own_recipe.py [--trainings 8]

The user's recipe calls the library's own trainer, so that only the way there differs: the guard, the recipe's process,
the checks of what it returns. Trainings of both take turns; the first of each is not counted. Prints JSON: seconds a
training from handing it to the executor until its answer is there, and their ratio.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from attribution import Workspace  # noqa: E402
from attribution.runner.executors.base import Task  # noqa: E402
from attribution.runner.executors.local import LocalExecutor  # noqa: E402
from attribution.training import devices, own  # noqa: E402
from attribution.training.edits import remove  # noqa: E402

RECIPE = """
import numpy as np

from attribution import Workspace
from attribution.training.edits import remove
from attribution.training.recipes import get_recipe
from attribution.training.trainer import Trainer


class Wrapped:
    name, version, threads = "wrapped-demo-cnn", 1, 1

    def setup(self, data, device):
        self.trainer = Trainer(Workspace.open(), get_recipe("demo-cnn"))

    def fit(self, keep, labels, seed, report):
        left_out = np.setdiff1d(np.arange(len(labels)), keep)
        return self.trainer.train(remove(left_out), seed, report)

    def logits(self, model, split, ids):
        images = self.trainer.val_images if split == "val" else self.trainer.train_images
        return self.trainer.logits(model, images[ids])
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trainings", type=int, default=8)
    count = parser.parse_args().trainings
    workspace = Workspace.open()
    with tempfile.TemporaryDirectory() as data:
        os.environ["LINEUP_DATA"] = data
        file = Path(data) / "train.py"
        file.write_text(RECIPE)
        recipes = {"built in": workspace.get_recipe(), "own": own.add(f"{file}:Wrapped")}
        plan = devices.WorkerPlan((None,), 1)
        executors = {name: LocalExecutor(plan) for name in recipes}
        seconds: dict[str, list[float]] = {name: [] for name in recipes}
        answers: dict[str, list] = {name: [] for name in recipes}
        for number in range(count + 1):
            for name, recipe in recipes.items():
                task = Task("k", str(workspace.path), recipe.name, recipe.hash, remove([number]), number)
                start = time.perf_counter()
                executors[name].submit(task)
                events: list[dict] = []
                while not events or events[-1]["event"] == "epoch":
                    events += [event for _, event in executors[name].poll(0.1)]
                seconds[name].append(time.perf_counter() - start)
                answers[name].append((events[-1]["predicted"], events[-1]["margins"]))
        for executor in executors.values():
            executor.close()
    medians = {name: statistics.median(times[1:]) for name, times in seconds.items()}
    print(
        json.dumps(
            {
                "trainings": count,
                "built_in_s": round(medians["built in"], 3),
                "own_s": round(medians["own"], 3),
                "ratio": round(medians["own"] / medians["built in"], 3),
                "ratio_of_pairs": round(
                    statistics.median(b / a for a, b in zip(seconds["built in"][1:], seconds["own"][1:])), 3
                ),
                "same_answers": answers["built in"] == answers["own"],
            }
        )
    )


if __name__ == "__main__":
    main()
