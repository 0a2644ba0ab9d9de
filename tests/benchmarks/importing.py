"""Importing a Datamodels file of CIFAR-10's size, 50,000 x 10,000 float32 (2 GB), against copying it.

    .venv/bin/python tests/benchmarks/importing.py --out DIR [--train 50000] [--targets 10000]

The file is synthetic and says so: sparse weights that prefer the target's class, as LASSO leaves them, in the layout in
which Datamodels were released. It is written once. The copy is flushed to disk, as the import's result
is; both are timed twice in turn, and the file's pages are whatever the system keeps of them. Prints JSON: seconds, and
the greatest private memory in MiB of the process that reads (Anonymous of /proc/PID/smaps_rollup, looked at every
50 ms).
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from attribution.files import write_json, write_table  # noqa: E402
from attribution.workspace.manifest import SCHEMA  # noqa: E402

CLASSES, PER_TARGET, BLOCK = 10, 500, 500


def write(folder: Path, n_train: int, n_val: int) -> Path:
    """A workspace without images worth seeing, and the file of weights, unless they are there."""
    import torch

    file = folder / "test_50pct.pt"
    if file.exists():
        return file
    rng = np.random.default_rng(0)
    labels = {"train": rng.integers(0, CLASSES, n_train), "val": rng.integers(0, CLASSES, n_val)}
    (folder / "workspace" / "images").mkdir(parents=True, exist_ok=True)
    for split, of in labels.items():
        write_table(
            folder / "workspace" / f"{split}.parquet", pd.DataFrame({"label": of, "source_index": np.arange(len(of))})
        )
        np.lib.format.open_memmap(
            folder / "workspace" / "images" / f"{split}.npy", "w+", np.uint8, (len(of), 32, 32, 3)
        ).flush()
    write_json(
        folder / "workspace" / "workspace.json",
        {
            "schema": SCHEMA,
            "name": "synthetic",
            "recipe": "demo-cnn",
            "parts": {},
            "dataset": {
                "name": "synthetic, for benchmarks",
                "fingerprint": f"{n_train:064x}",
                "n_train": n_train,
                "n_val": n_val,
                "classes": [f"class {c}" for c in range(CLASSES)],
                "shape": [32, 32, 3],
            },
        },
    )
    weight = torch.zeros(n_train, n_val)
    for start in range(0, n_val, BLOCK):
        stop = min(start + BLOCK, n_val)
        of = labels["val"][start:stop]
        ids = rng.integers(0, n_train, (PER_TARGET, stop - start))
        helps = rng.normal(0, 0.01, ids.shape) + 0.02 * (labels["train"][ids] == of)
        weight[torch.as_tensor(ids), torch.arange(start, stop)] = torch.as_tensor(helps, dtype=torch.float32)
    torch.save({"weight": weight, "bias": torch.zeros(n_val), "lam": torch.full((n_val,), 0.01)}, file)
    return file


def private(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) for line in lines if line.startswith("Anonymous:")), 0) / 1024


def imported(folder: Path, file: Path) -> tuple[float, float]:
    """Seconds, and the greatest private memory in MiB."""
    command = [
        sys.executable,
        "-m",
        "attribution",
        "import",
        "datamodels",
        file,
        "--name",
        "imported",
        "--workspace",
        folder / "workspace",
    ]
    start, most = time.perf_counter(), 0.0
    process = subprocess.Popen(
        list(map(str, command)), cwd=ROOT, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    while process.poll() is None:
        most = max([most, *(private(reader.pid) for reader in psutil.Process(process.pid).children())])
        time.sleep(0.05)
    if process.returncode:
        sys.exit("the import failed")
    os.sync()
    return time.perf_counter() - start, most


def copied(folder: Path, file: Path) -> float:
    start = time.perf_counter()
    shutil.copyfile(file, folder / "copy")
    os.sync()
    seconds = time.perf_counter() - start
    (folder / "copy").unlink()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--train", type=int, default=50_000)
    parser.add_argument("--targets", type=int, default=10_000)
    options = parser.parse_args()
    file = write(options.out, options.train, options.targets)
    os.sync()
    copies, imports, most = [], [], 0.0
    for _ in range(2):
        copies.append(round(copied(options.out, file), 1))
        seconds, memory = imported(options.out, file)
        imports.append(round(seconds, 1))
        most = max(most, memory)
    print(
        json.dumps(
            {
                "file_mib": round(file.stat().st_size / 2**20),
                "copy_s": copies,
                "import_s": imports,
                "times": round(min(imports) / min(copies), 1),
                "private_mib": round(most),
            }
        )
    )


if __name__ == "__main__":
    main()
