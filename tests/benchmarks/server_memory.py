"""Private memory of the dashboard's server after use: every page opened, 40 targets looked at in Explore, 150 images
in the audit.

    .venv/bin/python tests/benchmarks/server_memory.py [--workspace DIR]

Prints JSON, in MiB, after the start and after use. private: psutil's USS, what would be freed if the server ended, and
with it the pages of mapped files that nothing else has mapped. anonymous: what no file backs, so that the system cannot
drop and read it again.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from attribution import Workspace  # noqa: E402
from attribution.workspace.workspace import DEMO  # noqa: E402
from tests.browser import serving  # noqa: E402

PAGES = ["/", "/brittleness", "/methods", "/workspace", "/audit"]


def memory(pid: int) -> dict[str, float]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    anonymous = next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))
    return {
        "private": round(psutil.Process(pid).memory_full_info().uss / 2**20, 1),
        "anonymous": round(anonymous / 2**10, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, default=DEMO)
    path = parser.parse_args().workspace
    n_val = Workspace.open(path).n_val
    with (
        tempfile.TemporaryDirectory() as data,
        serving.server(Path(data), path) as server,
        serving.browser() as browser,
    ):
        started = memory(server.process.pid)
        page = serving.new_page(browser)
        for path in PAGES:
            serving.open_page(page, server.url + path)
        for _ in range(150):
            page.keyboard.press("s")
            page.wait_for_timeout(60)
        for target in range(0, n_val, max(1, n_val // 40)):
            serving.open_page(page, f"{server.url}/?target={target}")
        print(json.dumps({"started_mib": started, "used_mib": memory(server.process.pid)}))


if __name__ == "__main__":
    main()
