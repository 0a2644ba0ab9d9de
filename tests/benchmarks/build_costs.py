"""What rankings and detectors cost, all in one run: each built anew in a process of its own; prints JSON.

.venv/bin/python tests/benchmarks/build_costs.py [--of rankings|detectors] [--workspace DIR] [--base 10]
    [--halves 200] [--unrolled 1] [--work DIR]

Seconds are processor seconds of the process and of the workers that train for it, and by the clock; the peak is the
resident memory of the largest of these. Starting Python and reading the workspace is a part of each, and stands alone
as "nothing".

rankings   in a copy of the workspace's images alone. Datamodels and Unrolled are built smaller than they ship and
           scaled by the number of their trainings. Of Datamodels only these are, which are the workers' time: its
           regressions do not grow alike, and stand beside.
detectors  in a copy of the workspace without its detectors, with its base models, halves, features and rankings; what a
           detector trains itself is its own.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from attribution.audit.detectors.stored import COMBINED  # noqa: E402
from attribution.workspace.workspace import DEMO  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = {"datamodels-2k": 2000, "unrolled-5": 5}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--of", choices=("rankings", "detectors"), default="detectors")
    parser.add_argument("--workspace", type=Path, default=DEMO)
    parser.add_argument("--base", type=int, default=10)
    parser.add_argument("--halves", type=int, default=200)
    parser.add_argument("--unrolled", type=int, default=1)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "build-costs")
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    os.environ["LINEUP_DATA"] = str(options.work / "data")
    of = rankings if options.of == "rankings" else detectors
    print(json.dumps(of(options)))


def rankings(options) -> dict:
    """What the three signed rankings cost."""
    bare = copy(options.workspace, options.work / "workspace", lambda part: part == "data")
    answer = {
        "nothing": timed(bare, "info"),
        "base models": timed(bare, "base", "train", "--models", options.base),
        f"trak-{options.base}": timed(bare, "rankings", "build", "trak"),
        f"datamodels-{options.halves}": timed(bare, "rankings", "build", "datamodels", "--models", options.halves),
        f"unrolled-{options.unrolled}": timed(bare, "rankings", "build", "unrolled", "--models", options.unrolled),
    }
    used = {name: row["processor"] for name, row in answer.items()}
    answer["as shipped, processor seconds"] = {
        f"trak-{options.base}, with its base models": round(used["base models"] + used[f"trak-{options.base}"]),
        "datamodels-2k, without its regressions": round(
            answer[f"datamodels-{options.halves}"]["workers"] * SHIPPED["datamodels-2k"] / options.halves
        ),
        "unrolled-5": round(used[f"unrolled-{options.unrolled}"] * SHIPPED["unrolled-5"] / options.unrolled),
    }
    return answer


def detectors(options) -> dict:
    """What each detector costs that the workspace has, `combined` last."""
    plain = copy(options.workspace, options.work / "workspace", lambda part: not part.startswith("detectors/"))
    parts = json.loads((options.workspace / "workspace.json").read_text())["parts"]
    names = [part.removeprefix("detectors/") for part in parts if part.startswith("detectors/")]
    names.sort(key=lambda name: name == COMBINED)
    return {
        "nothing": timed(plain, "info"),
        **{name: timed(plain, "detectors", "build", name) for name in names},
    }


def copy(workspace: Path, to: Path, kept: Callable[[str], bool]) -> Path:
    """A copy of the workspace with those of its parts that `kept` takes."""
    shutil.copytree(workspace, to)
    manifest = json.loads((to / "workspace.json").read_text())
    manifest["parts"] = {part: made for part, made in manifest["parts"].items() if kept(part)}
    (to / "workspace.json").write_text(json.dumps(manifest))
    return to


def timed(workspace: Path, *words) -> dict:
    """Runs a command; {"wall", "processor": seconds, "workers": those of them that workers took, "peak": MiB of its
    largest process}."""
    before = workers()
    command = [sys.executable, "-m", "attribution", *map(str, words), "--workspace", str(workspace)]
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=sys.stderr)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    wall = time.perf_counter() - start
    after = workers()  # they wait for more work for a while
    trained = sum(seconds - before.get(pid, (0, 0))[0] for pid, (seconds, _) in after.items())
    return {
        "wall": round(wall, 1),
        "processor": round(used.ru_utime + used.ru_stime + trained, 1),
        "workers": round(trained, 1),
        "peak": round(max([used.ru_maxrss / 1024, *(memory for _, memory in after.values())])),
    }


def workers() -> dict[int, tuple[float, float]]:
    """The runner and workers of this benchmark's data folder: process -> (processor seconds, MiB)."""
    found = {}
    for process in psutil.process_iter():
        try:
            if process.environ().get("LINEUP_DATA") != os.environ["LINEUP_DATA"]:
                continue
            if any(word == "runner" or word.startswith("attribution.runner") for word in process.cmdline()):
                times = process.cpu_times()
                found[process.pid] = (times.user + times.system, process.memory_info().rss / 2**20)
        except psutil.Error:
            continue
    return found


if __name__ == "__main__":
    main()
