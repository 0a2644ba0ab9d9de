"""What the recipes reach and cost on a workspace: accuracy, seconds a training, several seeds at once; prints JSON.

.venv/bin/python tests/benchmarks/training.py [--recipes NAME,...] [--workspace DIR] [--seeds 10] [--together 4]
    [--out FILE.parquet]

Without options: the workspace's own recipe on the demo. All that is wanted of a GPU, on CIFAR-10, is one command, after
`python -m attribution workspace create ~/cifar10 --dataset cifar10`:

.venv/bin/python tests/benchmarks/training.py --workspace ~/cifar10 --out assets/results/recipes/cifar10.parquet \\
    --recipes demo-cnn,fast94,resnet9,resnet9-datamodels,mobilenetv2

The file has a row a training, with recipe, data, device and versions. --epochs and --images (the first so many of both
splits, evenly taken) make a trial of it on a small machine; --together 1 leaves out seeds trained at once.
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
    parser.add_argument("--together", type=int, default=4, help="seeds trained at once, beside one at a time")
    parser.add_argument("--epochs", type=int, help="in place of each recipe's own")
    parser.add_argument("--images", type=int, help="so many of the training and validation images")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    ws = Workspace.open(options.workspace) if options.workspace else Workspace.open()
    data, rows, answers = part(ws, options.images), [], []
    for name in (options.recipes or ws.recipe).split(","):
        recipe = recipes.get_recipe(name)
        if options.epochs:
            recipe = dataclasses.replace(recipe, epochs=options.epochs)
        try:
            one, several = measure(data, recipe, options.seeds, options.together)
        except UserError as error:
            answers.append({"recipe": name, "refused": str(error)})
            continue
        answers.append(summary(recipe, one, several, data))
        rows += [
            row(recipe, seed, outcome, data) for outcomes in (one, several) for seed, outcome in zip(SEEDS, outcomes)
        ]
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
        about = command_provenance(COMMAND)
        kept = pd.DataFrame(rows).assign(
            data=ws.fingerprint,
            dataset=ws.name,
            device_name=device_name(),
            versions=json.dumps(about["versions"]),
            made=about["made"],
        )
        write_table(options.out, kept)


def part(ws, images: int | None):
    """The workspace's images and labels, or so many of them, evenly taken."""

    def some(split):
        labels = getattr(ws, f"{split}_labels")
        ids = np.linspace(0, len(labels) - 1, min(images or len(labels), len(labels))).astype(int)
        return getattr(ws, f"{split}_images")[ids], labels[ids]

    (train, train_labels), (val, val_labels) = some("train"), some("val")
    return SimpleNamespace(
        train_images=train, train_labels=train_labels, val_images=val, val_labels=val_labels, classes=ws.classes
    )


def measure(data, recipe, count: int, together: int) -> tuple[list, list]:
    """The outcomes of seeds one at a time, and of seeds at once (none where `together` is 1), in turns: the machine may
    be busier at one time than at another."""
    trainer = Trainer(data, dataclasses.replace(recipe, epochs=1))
    trainer.run(seed=SEEDS[-1])  # the first of a process is slower
    if together > 1:
        trainer.run_many(None, SEEDS[-together:])
    trainer.recipe = recipe
    one, several = [], []
    for start in range(0, count, together):
        seeds = SEEDS[start : min(start + together, count)]
        one += [trainer.run(seed=seed) for seed in seeds]
        several += trainer.run_many(None, seeds) if len(seeds) == together > 1 else []
    return one, several


def summary(recipe, one, several, data) -> dict:
    """What is worth saying of a recipe, for JSON."""
    accuracy = [100 * right(outcome, data) for outcome in one]
    seconds = statistics.median(outcome.seconds for outcome in one)
    said = {
        "recipe": recipe.name,
        "hash": recipe.hash,
        "epochs": recipe.epochs,
        "seeds": len(one),
        "accuracy": round(float(np.mean(accuracy)), 2),
        "accuracy_std": round(float(np.std(accuracy, ddof=1)), 2) if len(one) > 1 else None,
        "median_seconds": round(seconds, 2),
        "min_seconds": round(min(outcome.seconds for outcome in one), 2),
        "trainings_per_hour": round(3600 / seconds),
    }
    if several:
        shared = statistics.median(outcome.seconds for outcome in several)
        differ = [np.mean(alone.predicted != other.predicted) for alone, other in zip(one, several)]
        said |= {
            "together": several[0].device,
            "models_per_second": round(1 / seconds, 4),
            "models_per_second_together": round(1 / shared, 4),
            "times_as_fast": round(seconds / shared, 2),
            "accuracy_together": round(100 * float(np.mean([right(outcome, data) for outcome in several])), 2),
            "predictions_that_differ": round(float(np.mean(differ)), 4),
        }
    return said


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
