"""From the start of the server (as a second `make run` starts it) to Explore's rows in a browser that waits for them.

    .venv/bin/python tests/benchmarks/first_picture.py [--workspace DIR]

Five starts, each with an empty data folder and a fresh browser context. Prints JSON, in seconds.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.browser import serving  # noqa: E402

STARTS = 5


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path)
    path = parser.parse_args().workspace
    healthy, drawn = [], []
    with serving.browser() as browser:
        for _ in range(STARTS):
            page = serving.new_page(browser)
            with tempfile.TemporaryDirectory() as data:
                start = time.perf_counter()
                with serving.server(Path(data), path) as server:
                    healthy.append(time.perf_counter() - start)
                    page.goto(server.url)
                    page.locator(".st-key-rows [role=option]").first.wait_for()
                    drawn.append(time.perf_counter() - start)
                    page.context.close()
    print(
        json.dumps(
            {
                "starts": STARTS,
                "healthy_s": round(median(healthy), 2),
                "first_picture_s": round(median(drawn), 2),
                "slowest_s": round(max(drawn), 2),
            }
        )
    )


if __name__ == "__main__":
    main()
