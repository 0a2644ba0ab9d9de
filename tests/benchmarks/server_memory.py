"""Private memory of the dashboard's server after use: every page opened, and 40 targets looked at in Explore.

    .venv/bin/python tests/benchmarks/server_memory.py

Prints JSON, in MiB: after the start, and after use. Private is psutil's USS: what would be freed if it ended.
"""

import json
import sys
import tempfile
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.browser import serving  # noqa: E402

PAGES = ["/", "/brittleness", "/methods"]


def private(pid: int) -> float:
    return round(psutil.Process(pid).memory_full_info().uss / 2**20, 1)


def main() -> None:
    with tempfile.TemporaryDirectory() as data, serving.server(Path(data)) as server, serving.browser() as browser:
        started = private(server.process.pid)
        page = serving.new_page(browser)
        for path in PAGES:
            serving.open_page(page, server.url + path)
        for target in range(0, 1000, 25):
            serving.open_page(page, f"{server.url}/?target={target}")
        print(json.dumps({"started_mib": started, "used_mib": private(server.process.pid)}))


if __name__ == "__main__":
    main()
