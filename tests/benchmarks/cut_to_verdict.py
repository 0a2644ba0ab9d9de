"""From a move of the cut to the head's answer in every row: headless Chromium on the demo, model head-moco.

    .venv/bin/python tests/benchmarks/cut_to_verdict.py [--model head-moco] [--targets 10] [--moves 12]

Of each target the cut is moved to the right, one rank a time. The clock starts at the browser's key event and stops at
the frame in which every row says what the head answers at the new cut. Also: from opening a target to all curves drawn.
Prints JSON, in milliseconds.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from attribution.workspace.workspace import DEMO  # noqa: E402
from tests.browser import serving  # noqa: E402

#: Resolves to the milliseconds from the next key to the frame in which all rows speak of `k` images.
WATCH = """k => {
  const root = () => {
    for (const node of document.querySelectorAll(".st-key-rows *"))
      if (node.shadowRoot?.querySelector(".strip")) return node.shadowRoot;
  };
  window.measured = new Promise(resolve => addEventListener("keydown", event => {
    const look = () => {
      const said = [...root().querySelectorAll(".live")].map(place => place.textContent);
      if (!said.length || !said.every(text => text.startsWith(`without ${k}:`))) return requestAnimationFrame(look);
      resolve(performance.now() - event.timeStamp);
    };
    requestAnimationFrame(look);
  }, {once: true, capture: true}));
}"""
CURVES = """() => {
  for (const node of document.querySelectorAll(".st-key-rows *")) {
    const root = node.shadowRoot;
    if (root?.querySelector(".strip")) {
      const places = [...root.querySelectorAll(".curve")];
      return places.length > 0 && places.every(place => place.querySelector("svg"));
    }
  }
  return false;
}"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="head-moco")
    parser.add_argument("--targets", type=int, default=10)
    parser.add_argument("--moves", type=int, default=12)
    given = parser.parse_args()
    moves, curves = [], []
    with (
        tempfile.TemporaryDirectory() as data,
        serving.server(Path(data), DEMO) as server,
        serving.browser() as browser,
    ):
        page = serving.new_page(browser)
        for target in range(given.targets):
            serving.open_page(page, f"{server.url}/?model={given.model}&target={target}&k=4")
            start = page.evaluate("performance.now()")
            page.wait_for_function(CURVES, timeout=120_000)
            curves.append(page.evaluate("performance.now()") - start)
            cut = page.locator("[data-part=cut]")
            cut.focus()
            for move in range(given.moves):
                page.evaluate(WATCH, 5 + move)
                page.keyboard.press("ArrowRight")
                moves.append(page.evaluate("window.measured"))
                page.wait_for_timeout(100)
            serving.settle(page)
    p50, p95 = np.percentile(moves, [50, 95])
    print(
        json.dumps(
            {
                "model": given.model,
                "moves": len(moves),
                "p50_ms": round(p50, 1),
                "p95_ms": round(p95, 1),
                "max_ms": round(max(moves), 1),
                "curves_p50_ms": round(float(np.median(curves[1:])), 1),  # the first one fits the head
            }
        )
    )


if __name__ == "__main__":
    main()
