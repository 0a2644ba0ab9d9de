"""Seconds a training of demo-cnn on the demo, one thread, and what the workspace records of it; prints JSON.

.venv/bin/python tests/benchmarks/training.py [--trainings 10]
"""

import argparse
import json
import os
import statistics
import sys
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from attribution import Workspace, recipes  # noqa: E402
from attribution.train import LIBRARY, Trainer  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trainings", type=int, default=10)
    parser.add_argument("--workspace", default=None)
    options = parser.parse_args()
    ws = Workspace.open(options.workspace) if options.workspace else Workspace.open()
    trainer = Trainer(ws, recipes.get(ws.recipe))
    trainer.run(seed=999)  # the first one of a process is slower
    seconds = [trainer.run(seed=1000 + i).seconds for i in range(options.trainings)]
    base = ws.manifest["parts"]["base"]
    print(json.dumps({
        "recipe": ws.recipe, "hash": trainer.recipe.hash, "median_seconds": round(statistics.median(seconds), 2),
        "min_seconds": round(min(seconds), 2), "trainings": options.trainings, "library": LIBRARY,
        "device": trainer.device.type, "threads": trainer.recipe.threads,
        "recorded": {name: base[name] for name in ("accuracy", "accuracy_std", "measured_on", "seeds")},
    }))


if __name__ == "__main__":
    main()
