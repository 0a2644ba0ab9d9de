"""What inspecting images buys a network: trained on the labels as they are, with the wrong ones among an order's first
images put right, and among as many random ones, under the same seeds.

    .venv/bin/python tests/benchmarks/inspecting_pays.py [--workspace DIR] [--orders combined,all] [--inspected 250]

Wrong labels are those that the workspace records or that were imported (`import truth`). An order "all" puts every
wrong label right. What is trained stands in the data folder, so that it goes on where it was. Prints JSON, a line a
step.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from attribution.audit import detectors, gain  # noqa: E402
from attribution.experiments import jobs  # noqa: E402
from attribution.experiments.paired_arms import PairedArmsSpec  # noqa: E402
from attribution.experiments.spec import common_fields  # noqa: E402
from attribution.metrics.label_detection import suspicion_order  # noqa: E402
from attribution.training.edits import no_edit  # noqa: E402
from attribution.workspace.workspace import DEMO, Workspace  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, default=DEMO)
    parser.add_argument("--orders", default="combined,all")
    parser.add_argument("--inspected", default="250")
    parser.add_argument("--seeds", type=int, default=20)
    asked = parser.parse_args()
    ws = Workspace.open(asked.workspace)
    for inspected in map(int, asked.inspected.split(",")):
        for order in asked.orders.split(","):
            print(json.dumps(step(ws, order, inspected, asked.seeds)), flush=True)


def step(ws: Workspace, order: str, inspected: int, seeds: int) -> dict:
    """Accuracies of the three arms and their differences, in points, {"mean", "ci"} over seeds."""
    source, wrong = gain.known_errors(ws, no_edit())
    first = np.arange(ws.n_train) if order == "all" else suspicion_order(detectors.load(ws, order).scores)[:inspected]
    edit = wrong.restricted_to(first)
    spec = PairedArmsSpec(
        **common_fields(ws),
        seeds=list(range(seeds)),
        uses_val=False,
        errors=source,
        decided=len(first),
        relabelled=edit.k,
        removed=0,
        kept=len(first) - edit.k,
        unsure=0,
        conflicts=0,
        correction=edit.hash,
        arms={
            "none": [no_edit().to_json()],
            "corrected": [edit.to_json()],
            "random": [gain.random_reinspection(ws, len(first), seed, wrong).to_json() for seed in range(seeds)],
        },
    )
    answer = jobs.answered(ws, spec, lambda: jobs.run_job(ws, spec, lambda *at: None))
    points = {
        name: {"mean": round(100 * row["mean"], 2), "ci": [round(100 * end, 2) for end in row["ci"]]}
        for part in ("accuracy", "differences")
        for name, row in answer[part].items()
    }
    return {"order": order, "inspected": len(first), "found": edit.k, **points}


if __name__ == "__main__":
    main()
