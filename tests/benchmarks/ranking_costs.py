"""What TRAK, Datamodels and Unrolled cost, all in one run: each built anew in a process of its own; prints JSON.

.venv/bin/python tests/benchmarks/ranking_costs.py [--workspace DIR] [--base 10] [--halves 200] [--unrolled 1]
    [--work DIR]

A copy of the workspace's images alone, so that nothing is found that was made before. Processor seconds are those of
the process and all it started, trainings included; TRAK's are with its base models. Datamodels and Unrolled are built
smaller than they ship and scaled by the number of their trainings; the regressions of Datamodels, a small part, grow
with it, too.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from attribution.workspace.workspace import DEMO  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = {"datamodels-2k": 2000, "unrolled-5": 5}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workspace", type=Path, default=DEMO)
    parser.add_argument("--base", type=int, default=10)
    parser.add_argument("--halves", type=int, default=200)
    parser.add_argument("--unrolled", type=int, default=1)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "ranking-costs")
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    bare = copy_images(options.workspace, options.work / "workspace")
    os.environ["LINEUP_DATA"] = str(options.work / "data")
    base = timed(bare, "base", "train", "--models", options.base)
    trak = timed(bare, "rankings", "build", "trak")
    halves = timed(bare, "rankings", "build", "datamodels", "--models", options.halves)
    unrolled = timed(bare, "rankings", "build", "unrolled", "--models", options.unrolled)
    answer = {"base models": base, f"trak-{options.base}": trak, f"datamodels-{options.halves}": halves}
    answer[f"unrolled-{options.unrolled}"] = unrolled
    answer["as shipped, processor seconds"] = {
        f"trak-{options.base}, with its base models": round(base["processor"] + trak["processor"]),
        "datamodels-2k": round(halves["processor"] * SHIPPED["datamodels-2k"] / options.halves),
        "unrolled-5": round(unrolled["processor"] * SHIPPED["unrolled-5"] / options.unrolled),
    }
    print(json.dumps(answer))


def copy_images(workspace: Path, to: Path) -> Path:
    """A workspace of the same images and nothing else."""
    manifest = json.loads((workspace / "workspace.json").read_text())
    kept = ("images", "train.parquet", "val.parquet")
    to.mkdir(parents=True)
    for name in kept:
        source = workspace / name
        if source.is_dir():
            shutil.copytree(source, to / name)
        elif source.exists():
            shutil.copy(source, to)
    manifest["parts"] = {"data": manifest["parts"]["data"]}
    (to / "workspace.json").write_text(json.dumps(manifest))
    return to


def timed(workspace: Path, *words) -> dict:
    """Runs a command; {"wall", "processor": seconds, "peak": MiB of its largest process}."""
    command = [sys.executable, "-m", "attribution", *map(str, words), "--workspace", str(workspace)]
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=sys.stderr)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return {
        "wall": round(time.perf_counter() - start, 1),
        "processor": round(used.ru_utime + used.ru_stime, 1),
        "peak": round(used.ru_maxrss / 1024),
    }


if __name__ == "__main__":
    main()
