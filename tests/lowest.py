"""Tries the lowest version of every range in pyproject.toml: `make lowest`. It takes minutes, and 7 GB while it runs.

A wheel with all extras goes into an environment of its own, outside the checkout, by uv, which alone can choose lowest
versions. There, a head and a network are retrained, the latter by a Ray worker, too; then the unit and page tests run
with these versions (--quick leaves them out). Prints JSON: versions, seconds, megabytes.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from importlib.metadata import requires
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = ("train", "cluster", "dev")
RETRAIN = ("retrain", "--target", "5", "--remove-top", "3", "--json")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        python, report = install(Path(folder))
        try_commands(Path(folder), python.parent / "lineup")
        if "--quick" not in sys.argv:
            suite = ["-m", "pytest", "tests/unit", "tests/pages", "--numprocesses=logical", "--dist=loadscope"]
            report["suite"] = seconds(lambda: run([python, *suite, "--no-loadscope-reorder"], ROOT))
    print(json.dumps(report, indent=1))


def install(folder: Path) -> tuple[Path, dict]:
    """The environment's Python, and what was installed."""
    run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv"], ROOT)
    run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], ROOT)
    (wheel,) = folder.glob("*.whl")
    uv = [sys.executable, "-m", "uv"]
    run([*uv, "venv", "--quiet", "--python", sys.executable, folder / "env"], folder)
    python = folder / "env" / "bin" / "python"
    chosen = folder / "lowest.txt"
    extras = [word for extra in EXTRAS for word in ("--extra", extra)]
    choose = ["pip", "compile", "--quiet", "--resolution", "lowest-direct", *extras, "--output-file", chosen]
    run([*uv, *choose, ROOT / "pyproject.toml"], folder)
    install = ["pip", "install", "--quiet", "--python", python, "--requirement", chosen, wheel]
    took = seconds(lambda: run([*uv, *install], folder))
    listed = subprocess.check_output([*uv, "pip", "list", "--format", "json", "--python", python], text=True)
    direct = {requirement.split(">")[0].split("<")[0].lower() for requirement in requires("lineup-attribution")}
    versions = {one["name"]: one["version"] for one in json.loads(listed) if one["name"].lower() in direct}
    size = sum(file.stat().st_size for file in (folder / "env").rglob("*") if file.is_file() and not file.is_symlink())
    return python, {"installed": took, "megabytes": round(size / 1e6), "versions": versions}


def try_commands(folder: Path, lineup: Path) -> None:
    """As a person would, in an empty folder."""
    run([lineup, "info"], folder)
    run([lineup, *RETRAIN, "--ranking", "influence-moco", "--model", "head-moco"], folder)
    run([lineup, *RETRAIN, "--ranking", "trak-10", "--seeds", "1"], folder)
    run([lineup, *RETRAIN, "--ranking", "l2-moco", "--seeds", "1"], folder, LINEUP_EXECUTOR="ray")


def run(command: list, where: Path, **environment: str) -> None:
    """Runs it, its output on view; ends where it fails."""
    print("$", *command, file=sys.stderr, flush=True)
    own = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "LINEUP_WORKSPACE")}
    data = {} if where == ROOT else {"LINEUP_DATA": str(where / "data")}
    done = subprocess.run([str(word) for word in command], cwd=where, env=own | data | environment, stdout=sys.stderr)
    if done.returncode:
        sys.exit(f"{Path(str(command[0])).name} {command[1]} ended with status {done.returncode}")


def seconds(call) -> float:
    """How long a call took."""
    start = time.monotonic()
    call()
    return round(time.monotonic() - start, 1)


if __name__ == "__main__":
    main()
