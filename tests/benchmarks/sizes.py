"""One target's rows at ImageNet's size: 1,281,167 training and 50,000 validation images of 1,000 classes.

    .venv/bin/python tests/benchmarks/sizes.py --out DIR [--dim 128] [--train 1281167] [--queries 20] [--mixed]

The workspace in DIR is synthetic and says so: embeddings are drawn around a centre for each class, images are black
(sparse files that take no room). Classes follow each other, as in a folder of class folders, or are mixed. It
is written once, in blocks. Prints JSON: milliseconds of the first images under L2 and ESVM within the class and under
exact L2 among all images (p50 and p95 over the queries, after one to warm up), and the private memory of a process that
does nothing else, in MiB. Private is what is not backed by a file (Anonymous of /proc/self/smaps_rollup).
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from attribution import Workspace  # noqa: E402
from attribution.files import write_json, write_table  # noqa: E402
from attribution.workspace.manifest import SCHEMA  # noqa: E402

CLASSES, VAL, SIDE, BLOCK = 1000, 50_000, 32, 50_000


def write(folder: Path, n_train: int, dim: int, mixed: bool) -> None:
    """The synthetic workspace, unless it is there."""
    if (folder / "workspace.json").exists():
        return
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(CLASSES, dim)).astype(np.float32)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "features" / "synthetic").mkdir(parents=True, exist_ok=True)
    for split, n in (("train", n_train), ("val", VAL)):
        labels = rng.integers(0, CLASSES, n)
        if split == "train" and not mixed:
            labels.sort()
        write_table(folder / f"{split}.parquet", pd.DataFrame({"label": labels, "source_index": np.arange(n)}))
        np.lib.format.open_memmap(folder / "images" / f"{split}.npy", "w+", np.uint8, (n, SIDE, SIDE, 3)).flush()
        kept = np.lib.format.open_memmap(folder / "features" / "synthetic" / f"{split}.npy", "w+", np.float32, (n, dim))
        for at in range(0, n, BLOCK):
            of = labels[at : at + BLOCK]
            kept[at : at + BLOCK] = centres[of] + rng.normal(size=(len(of), dim)).astype(np.float32)
        kept.flush()
    write_json(
        folder / "workspace.json",
        {
            "schema": SCHEMA,
            "name": "synthetic",
            "recipe": "demo-cnn",
            "parts": {"features/synthetic": {"dim": dim}},
            "dataset": {
                "name": "synthetic, for benchmarks",
                "fingerprint": f"{2 * n_train + mixed:032x}{dim:032x}",
                "n_train": n_train,
                "n_val": VAL,
                "classes": [f"class {c}" for c in range(CLASSES)],
                "shape": [SIDE, SIDE, 3],
            },
        },
    )


def private() -> float:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:")) / 1024, 1)


def measure(folder: Path, queries: int) -> dict:
    started = private()
    ws = Workspace.open(folder)
    answer = {}
    for what, name, candidates in (
        ("l2 same class", "l2-synthetic", None),
        ("esvm same class", "esvm-synthetic", None),
        ("l2 all", "l2-synthetic", "all"),
    ):
        ranking, taken = ws.ranking(name), []
        for target in range(0, VAL, VAL // (queries + 1))[: queries + 1]:
            start = time.perf_counter()
            ranking.top(target, 20, candidates)
            taken.append(1000 * (time.perf_counter() - start))
        p50, p95 = np.percentile(taken[1:], [50, 95])
        answer[what] = {"first_ms": round(taken[0], 1), "p50_ms": round(p50, 1), "p95_ms": round(p95, 1)}
    return {
        "n_train": ws.n_train,
        "dim": ws.feature("synthetic").train.shape[1],
        "queries": queries,
        **answer,
        "private_mib": {"started": started, "used": private()},
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--train", type=int, default=1_281_167)
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--mixed", action="store_true", help="training images of all classes mixed")
    parser.add_argument("--measure", action="store_true", help="only measure, in this process")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.out, options.queries)))
        return
    write(options.out, options.train, options.dim, options.mixed)
    again = [sys.executable, __file__, "--out", options.out, "--queries", options.queries, "--measure"]
    one = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}  # as the server has it
    subprocess.run(list(map(str, again)), check=True, env={**os.environ, **one})


if __name__ == "__main__":
    main()
