"""From a click on a tab of Compare to its first view on a fresh server: script at rest, charts and tables drawn.

    .venv/bin/python tests/benchmarks/tabs.py [--workspace DIR] [--model demo-cnn] [--starts 3]

Each start is a server of its own with an empty data folder, on which Debug was looked at before, as people do; then
each tab is opened once, the first one by the link to Compare. What a tab shares with one before it is known by then, so
that every start takes them in another order. Prints JSON: medians and the slowest, in seconds.
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

SETTLED = """() => document.querySelector("[data-testid=stApp]").dataset.testScriptState === "notRunning"
  && ![...document.querySelectorAll("[data-testid=stPlotlyChart]")].some(one => !one.querySelector(".main-svg"))
  && !document.querySelector("[data-stale=true]")"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--model", default="demo-cnn")
    parser.add_argument("--starts", type=int, default=3)
    asked = parser.parse_args()
    taken: dict[str, list[float]] = {}
    with serving.browser() as browser:
        for start in range(asked.starts):
            page = serving.new_page(browser)
            with tempfile.TemporaryDirectory() as data, serving.server(Path(data), asked.workspace) as server:
                serving.open_page(page, f"{server.url}/?target=0&model={asked.model}")
                page.get_by_role("link", name="Compare").click()
                tabs = page.get_by_role("radiogroup", name="Compare").get_by_role("radio")
                tabs.first.wait_for()
                serving.settle(page)
                names = tabs.all_inner_texts()
                for name in names[1:][start:] + names[1:][:start]:
                    begun = time.perf_counter()
                    tabs.filter(has_text=name).first.click()
                    page.wait_for_timeout(50)  # the click is on its way to the server
                    page.wait_for_function(SETTLED, timeout=60_000)
                    taken.setdefault(name, []).append(time.perf_counter() - begun)
                    page.wait_for_timeout(300)
                page.context.close()
            first(browser, asked, names[0], taken)
    print(
        json.dumps(
            {
                "starts": asked.starts,
                "tabs": {
                    name: {"median_s": round(median(some), 2), "slowest_s": round(max(some), 2)}
                    for name, some in taken.items()
                },
            }
        )
    )


def first(browser, asked, name: str, taken: dict) -> None:
    """The tab that Compare opens with, from the click on the link."""
    page = serving.new_page(browser)
    with tempfile.TemporaryDirectory() as data, serving.server(Path(data), asked.workspace) as server:
        serving.open_page(page, f"{server.url}/?target=0&model={asked.model}")
        begun = time.perf_counter()
        page.get_by_role("link", name="Compare").click()
        page.get_by_role("radiogroup", name="Compare").wait_for()
        page.wait_for_function(SETTLED, timeout=60_000)
        taken.setdefault(name, []).append(time.perf_counter() - begun)
        page.context.close()


if __name__ == "__main__":
    main()
