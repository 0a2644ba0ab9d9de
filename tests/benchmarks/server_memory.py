"""Private memory of the dashboard's server after use: every page opened, 40 targets looked at in Debug, 150 images
decided; then, without a browser, after 1,000 further targets and after 600 visits that ended.

    .venv/bin/python tests/benchmarks/server_memory.py [--workspace DIR]

Prints JSON, in MiB, after the start, after use, and after each 250 targets and 150 visits; with it the open files and
threads. Streamlit keeps a visit that ended for two minutes, in case its browser comes back, but 128 at most, each with
three open files: whether the server grows is seen from the second 150 visits on. private: psutil's USS, what would be
freed if the server ended, and with it the pages of mapped files that nothing else has mapped. anonymous: what no file
backs, so that the system cannot drop and read it again.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from attribution import Workspace  # noqa: E402
from attribution.workspace.workspace import DEMO  # noqa: E402
from tests.browser import serving  # noqa: E402
from tests.sessions import Session  # noqa: E402

PAGES = ["/", "/compare", "/data", "/labels"]
TARGETS, VISITS, STEPS = 1000, 600, 4


def memory(pid: int) -> dict[str, float]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    anonymous = next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))
    process = psutil.Process(pid)
    return {
        "private": round(process.memory_full_info().uss / 2**20, 1),
        "anonymous": round(anonymous / 2**10, 1),
        "files": process.num_fds(),
        "threads": process.num_threads(),
    }


async def look_on(server: serving.Server, n_val: int) -> dict[str, list]:
    """The same after many targets of one visit, and after many visits that ended."""
    found: dict[str, list] = {"targets": [], "visits": []}
    async with Session(server.url) as session:
        for number in range(TARGETS):
            await session.pick(number % n_val)
            if (number + 1) % (TARGETS // STEPS) == 0:
                found["targets"].append(memory(server.process.pid))
    for number in range(VISITS):
        async with Session(server.url) as session:
            await session.pick(number % n_val)
        if (number + 1) % (VISITS // STEPS) == 0:
            await asyncio.sleep(2)  # for the server to take leave of the last one
            found["visits"].append(memory(server.process.pid))
    return found


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
        used = memory(server.process.pid)
        page.context.close()
        # in a thread of its own: the browser's event loop runs in this one
        later = ThreadPoolExecutor(1).submit(asyncio.run, look_on(server, n_val)).result()
        print(json.dumps({"started": started, "used": used} | later))


if __name__ == "__main__":
    main()
