"""From a click on a target in Explore to all rows drawn: 5 rankings x 20 tiles, in headless Chromium.

    .venv/bin/python tests/benchmarks/click_to_drawn.py [--workspace DIR]

48 clicks on targets spread over the workspace, none of them seen before. The clock starts at the browser's click event
and stops at the frame in which every row shows exactly the training images that the library ranks first for that
target, their picture decoded. Prints JSON, in milliseconds.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlencode

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from attribution import Workspace  # noqa: E402
from attribution.explore.lineup import lineup_rows  # noqa: E402
from attribution.rankings import default_rankings  # noqa: E402
from attribution.workspace.workspace import DEMO  # noqa: E402
from tests.browser import serving  # noqa: E402

RANKINGS = 5
TILES = 20
PLACES = 4  # pages of the film, evenly spaced over the targets
CLICKS = 12  # on each

#: Resolves to the milliseconds from the next click to the frame that shows `expected` (a list of ids for each row).
WATCH = """expected => {
  const strip = () => {
    for (const node of document.querySelectorAll(".st-key-rows *"))
      if (node.shadowRoot?.querySelector(".strip")) return node.shadowRoot;
  };
  const shown = () => [...strip().querySelectorAll("[role=listbox]")].map(row =>
    [...row.querySelectorAll("[role=option]")].map(tile => +/training image (\\d+)/.exec(tile.ariaLabel)[1]));
  window.measured = new Promise(resolve => addEventListener("click", event => {
    const look = async () => {
      if (JSON.stringify(shown()) !== JSON.stringify(expected)) return requestAnimationFrame(look);
      const picture = new Image();
      picture.src = getComputedStyle(strip().querySelector(".pic")).backgroundImage.slice(5, -2);
      await picture.decode();
      requestAnimationFrame(() => resolve(performance.now() - event.timeStamp));
    };
    requestAnimationFrame(look);
  }, {once: true, capture: true}));
}"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, default=DEMO)
    path = parser.parse_args().workspace
    ws = Workspace.open(path)
    names = list(dict.fromkeys([*default_rankings(ws), *ws.rankings()]))[:RANKINGS]
    milliseconds = []
    with (
        tempfile.TemporaryDirectory() as data,
        serving.server(Path(data), path) as server,
        serving.browser() as browser,
    ):
        page = serving.new_page(browser)
        for start in range(0, ws.n_val, ws.n_val // PLACES):
            link = urlencode({"target": start, "rankings": names}, doseq=True)
            serving.open_page(page, f"{server.url}/?{link}")
            film = page.locator(".st-key-film [role=option]")
            film.first.wait_for()
            at = film.evaluate_all("tiles => tiles.findIndex(tile => tile.ariaSelected === 'true')")
            for tile in [film.nth((at + 1 + click) % film.count()) for click in range(CLICKS)]:
                target = int(tile.get_attribute("aria-label").split(",")[0].split()[-1])
                rows = lineup_rows(ws, target, names, TILES, explain="predicted")  # the label, where that is right
                page.evaluate(WATCH, [row.ids.tolist() for row in rows])
                tile.click()
                milliseconds.append(page.evaluate("window.measured"))
                serving.settle(page)
                page.wait_for_timeout(200)
    p50, p95 = np.percentile(milliseconds, [50, 95])
    print(
        json.dumps(
            {
                "clicks": len(milliseconds),
                "rankings": names,
                "tiles": TILES,
                "p50_ms": round(p50, 1),
                "p95_ms": round(p95, 1),
                "max_ms": round(max(milliseconds), 1),
            }
        )
    )


if __name__ == "__main__":
    main()
