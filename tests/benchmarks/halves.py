"""Half-models: equal epochs (half as many steps) or equal steps (twice the epochs)? Prints JSON.

.venv/bin/python tests/benchmarks/halves.py [--halves 20]

For each choice, models of the same random halves under two seeds: accuracy on the demo's validation images, seconds,
and the signal (Spearman correlation over the halves of the two seeds' margins, mean over targets).
"""

import argparse
import dataclasses
import json
import os
import statistics
import sys
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np  # noqa: E402

from attribution import Workspace
from attribution.experiments.halves import half_edit, half_seed
from attribution.metrics import lds
from attribution.training import recipes
from attribution.training.trainer import Trainer  # noqa: E402

DRAW = 9  # a sequence of halves that nothing else uses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--halves", type=int, default=20)
    options = parser.parse_args()
    ws, answer = Workspace.open(), {"halves": options.halves, "seeds": 2}
    recipe = recipes.get_recipe(ws.recipe)
    for name, epochs in (("equal epochs", recipe.epochs), ("equal steps", 2 * recipe.epochs)):
        trainer = Trainer(ws, dataclasses.replace(recipe, epochs=epochs))
        runs = [
            [trainer.run(half_edit(ws, DRAW, i), half_seed(DRAW, i, seed)) for seed in range(2)]
            for i in range(options.halves)
        ]
        margins = np.array([[run.margins for run in pair] for pair in runs], np.float32)
        flat = [run for pair in runs for run in pair]
        answer[name] = {
            "accuracy": round(float(np.mean([(run.predicted == ws.val_labels).mean() for run in flat])), 4),
            "seconds": round(statistics.median(run.seconds for run in flat), 2),
            "signal": round(lds.noise_ceiling(margins).signal, 3),
        }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
