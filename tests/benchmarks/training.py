"""What the recipes reach and cost on a workspace: accuracy and seconds a training; prints JSON.

.venv/bin/python tests/benchmarks/training.py [--recipes NAME,...] [--workspace DIR] [--seeds 10]
    [--out FILE.parquet]

Without options: the workspace's own recipe on the demo. All that is wanted of a GPU, on CIFAR-10, is one command, after
`python -m attribution workspace create ~/cifar10 --dataset cifar10`:

.venv/bin/python tests/benchmarks/training.py --workspace ~/cifar10 --out assets/results/recipes/cifar10.parquet \\
    --recipes demo-cnn,fast94,resnet9,resnet9-datamodels,mobilenetv2

The file has a row a training, with recipe, data, device and versions. --epochs and --images (the first so many of both
splits, evenly taken) make a trial of it on a small machine.
"""

import argparse
import dataclasses
import json
import os
import statistics
import sys
from pathlib import Path
from types import SimpleNamespace

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import torch  # noqa: E402

from attribution import UserError, Workspace
from attribution.files import write_table  # noqa: E402
from attribution.training import recipes  # noqa: E402
from attribution.training.trainer import LIBRARY, Trainer  # noqa: E402
from attribution.workspace.provenance import command_provenance  # noqa: E402

SEEDS = range(1000, 2000)
COMMAND = "tests/benchmarks/training.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipes", help="names with commas between; the workspace's own")
    parser.add_argument("--workspace", default=None)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--epochs", type=int, help="in place of each recipe's own")
    parser.add_argument("--images", type=int, help="so many of the training and validation images")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    ws = Workspace.open(options.workspace) if options.workspace else Workspace.open()
    data, rows, answers = subset(ws, options.images), [], []
    for name in (options.recipes or ws.recipe).split(","):
        recipe = recipes.get_recipe(name)
        if options.epochs:
            recipe = dataclasses.replace(recipe, epochs=options.epochs)
        try:
            outcomes = train_seeds(data, recipe, SEEDS[: options.seeds])
        except UserError as error:
            answers.append({"recipe": name, "refused": str(error)})
            continue
        answers.append(summary(recipe, outcomes, data))
        rows += [row(recipe, seed, outcome, data) for seed, outcome in zip(SEEDS, outcomes)]
        print(json.dumps(answers[-1]), file=sys.stderr)
    base = ws.manifest["parts"].get("base", {})
    print(
        json.dumps(
            {
                "workspace": ws.name,
                "n_train": len(data.train_labels),
                "n_val": len(data.val_labels),
                "device": device_name(),
                "library": LIBRARY,
                "recipes": answers,
                "recorded": {
                    name: base.get(name) for name in ("recipe", "accuracy", "accuracy_std", "measured_on", "seeds")
                },
            }
        )
    )
    if options.out and rows:
        provenance = command_provenance(COMMAND)
        table = pd.DataFrame(rows).assign(
            data=ws.fingerprint,
            dataset=ws.name,
            device_name=device_name(),
            versions=json.dumps(provenance["versions"]),
            made=provenance["made"],
        )
        write_table(options.out, table)


def subset(workspace, images: int | None):
    """The workspace's images and labels, or so many of them, evenly taken."""

    def of_split(split):
        labels = getattr(workspace, f"{split}_labels")
        ids = np.linspace(0, len(labels) - 1, min(images or len(labels), len(labels))).astype(int)
        return getattr(workspace, f"{split}_images")[ids], labels[ids]

    (train, train_labels), (val, val_labels) = of_split("train"), of_split("val")
    return SimpleNamespace(
        train_images=train, train_labels=train_labels, val_images=val, val_labels=val_labels, classes=workspace.classes
    )


def train_seeds(data, recipe, seeds) -> list:
    """The outcomes of trainings under `seeds`, one at a time."""
    trainer = Trainer(data, dataclasses.replace(recipe, epochs=1))
    trainer.run(seed=SEEDS[-1])  # the first of a process is slower
    trainer.recipe = recipe
    return [trainer.run(seed=seed) for seed in seeds]


def summary(recipe, outcomes, data) -> dict:
    """What is worth saying of a recipe, for JSON."""
    accuracy = [100 * right(outcome, data) for outcome in outcomes]
    seconds = [outcome.seconds for outcome in outcomes]
    median = statistics.median(seconds)
    return {
        "recipe": recipe.name,
        "hash": recipe.hash,
        "epochs": recipe.epochs,
        "seeds": len(outcomes),
        "accuracy": round(float(np.mean(accuracy)), 2),
        "accuracy_std": round(float(np.std(accuracy, ddof=1)), 2) if len(outcomes) > 1 else None,
        "median_seconds": round(median, 2),
        "min_seconds": round(min(seconds), 2),
        "trainings_per_hour": round(3600 / median),
    }


def row(recipe, seed, outcome, data) -> dict:
    """One training for the table."""
    return {
        "recipe": recipe.name,
        "hash": recipe.hash,
        "epochs": recipe.epochs,
        "seed": seed,
        "accuracy": right(outcome, data),
        "seconds": outcome.seconds,
        "device": outcome.device,
        "threads": recipe.threads,
        "library": LIBRARY,
        "n_train": len(data.train_labels),
        "n_val": len(data.val_labels),
    }


def right(outcome, data) -> float:
    """Share of the validation images that are predicted right."""
    return float((outcome.predicted == data.val_labels).mean())


def device_name() -> str:
    """What the GPU calls itself; without one, what the processor does."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else command_provenance(COMMAND)["device"]


if __name__ == "__main__":
    main()
