"""How quick a page stays while every worker trains: a rerun of Explore, idle and under load, in headless Chromium.

    .venv/bin/python tests/benchmarks/rerun_under_load.py [--rounds 3]

Each round clicks on targets of the film, first while nothing runs, then while a runner trains random halves with all
the workers it takes by itself. A rerun lasts from the click to the end of Streamlit's script, as the browser sees it.
Idle and load take turns, so that whatever else the machine does falls on both. Prints JSON, in milliseconds.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from attribution import Workspace
from attribution.experiments import jobs  # noqa: E402
from attribution.experiments.halves import subsets_spec
from attribution.store.results import ResultStore  # noqa: E402
from tests.browser import serving  # noqa: E402

CLICKS = 20  # a round, idle and under load each
DRAW = 977  # of random halves that nobody else asks for

#: Resolves to the milliseconds from the next click to the end of the script that it sets off.
WATCH = """() => {
  window.rerun = new Promise(resolve => addEventListener("click", event => {
    const app = document.querySelector("[data-testid=stApp]");
    let ran = false;
    const watcher = new MutationObserver(() => {
      const running = app.dataset.testScriptState !== "notRunning";
      if (running) ran = true;
      else if (ran) { watcher.disconnect(); resolve(performance.now() - event.timeStamp); }
    });
    watcher.observe(app, {attributes: true, attributeFilter: ["data-test-script-state"]});
  }, {once: true, capture: true}));
}"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    found = {"idle": [], "load": []}
    with tempfile.TemporaryDirectory() as data:
        os.environ["LINEUP_DATA"] = data
        ws = Workspace.open()
        store = ResultStore.for_workspace(ws)
        with serving.server(Path(data)) as server, serving.browser() as browser:
            page = serving.open_page(serving.new_page(browser), f"{server.url}/?target=88")
            page.locator(".st-key-film [role=option]").first.wait_for()
            reruns(page, 5)
            for number in range(rounds):
                found["idle"] += reruns(page, CLICKS)
                job = jobs.submit(ws, subsets_spec(ws, 1000 * number, 1000, [0], DRAW))
                workers = wait_for_all(ws, store)
                found["load"] += reruns(page, CLICKS)
                assert store.job(job).is_open, "they train to the end of the round"
                jobs.cancel(ws, job)
                while store.job(job).is_open:
                    time.sleep(0.1)
        trained = store.count()
        store.close()
    idle, load = (np.percentile(found[name], [50, 95]) for name in ("idle", "load"))
    print(
        json.dumps(
            {
                "reruns": len(found["idle"]),
                "workers": workers,
                "trainings": trained,
                "idle_p50_ms": round(idle[0], 1),
                "idle_p95_ms": round(idle[1], 1),
                "load_p50_ms": round(load[0], 1),
                "load_p95_ms": round(load[1], 1),
                "ratio_p50": round(load[0] / idle[0], 2),
            }
        )
    )


def wait_for_all(ws, store) -> int:
    """Returns how many workers there are once each has trained for an epoch."""
    while True:
        jobs.ensure_runner(ws)
        about = jobs.runner_info(store.folder) or {"devices": []}
        workers = sum(int(row["workers"].split()[0]) for row in about["devices"])
        if workers and sum(row["epoch"] > 0 for row in store.live_trainings().values()) == workers:
            return workers
        time.sleep(0.2)


def reruns(page, n: int) -> list[float]:
    """Milliseconds of n reruns, each for another target of the film."""
    film = page.locator(".st-key-film [role=option]")
    milliseconds = []
    for _ in range(n):
        at = film.evaluate_all("tiles => tiles.findIndex(tile => tile.ariaSelected === 'true')")
        page.evaluate(WATCH)
        film.nth((at + 1) % film.count()).click()
        milliseconds.append(page.evaluate("window.rerun"))
        serving.settle(page)
        page.wait_for_timeout(300)
    return milliseconds


if __name__ == "__main__":
    main()
