"""From a key in the audit to the answer that its decision is written, in headless Chromium; and a burst of keys.

    .venv/bin/python tests/benchmarks/decisions.py [--workspace DIR]

100 decisions, one every 400 ms, on a queue of the usual detector; then 40 keys, one every 30 ms, and how long after the
last one all of them are written. A log of its own takes them. Prints JSON, in milliseconds.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from attribution import Workspace  # noqa: E402
from attribution.audit.decision_log import FILE  # noqa: E402
from attribution.workspace.workspace import DEMO  # noqa: E402
from tests.browser import serving  # noqa: E402

DECISIONS, EVERY = 100, 400
BURST, FAST = 40, 30


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, default=DEMO)
    path = parser.parse_args().workspace
    ws = Workspace.open(path)
    with (
        tempfile.TemporaryDirectory() as data,
        serving.server(Path(data), path) as server,
        serving.browser() as browser,
    ):
        page = serving.open_page(serving.new_page(browser), f"{server.url}/audit")
        deck = page.locator(".audit")
        deck.locator(".big").wait_for()
        page.wait_for_timeout(2000)
        trips = []
        for number in range(DECISIONS):
            page.keyboard.press("sx"[number % 2])
            page.wait_for_timeout(EVERY)
            trips.append(int(deck.get_attribute("data-round-trip")))
        for number in range(BURST):
            page.keyboard.press("sx"[number % 2])
            page.wait_for_timeout(FAST)
        start = time.perf_counter()
        while deck.get_attribute("data-waiting") != "0":
            page.wait_for_timeout(5)
        after = 1000 * (time.perf_counter() - start)
        kept = (Path(data) / ws.fingerprint[:16] / FILE).stat().st_size
    p50, p95 = np.percentile(trips, [50, 95])
    print(
        json.dumps(
            {
                "decisions": DECISIONS,
                "p50_ms": round(p50, 1),
                "p95_ms": round(p95, 1),
                "max_ms": max(trips),
                "burst_keys": BURST,
                "burst_written_after_ms": round(after, 1),
                "log_bytes": kept,
            }
        )
    )


if __name__ == "__main__":
    main()
