"""How much 10,000 queued retrainings slow the Brittleness page, and the runner that is to do them.

    .venv/bin/python tests/benchmarks/long_queue.py [--rounds N]

Three servers of the demo, in headless Chromium: with an empty queue, with 10,000 jobs of one retraining each beside
its control, and with one study of thousands of searches, which needs as many trainings at least. Each in turn is
given another k: the clock starts at the browser's event of the Enter key and stops in the frame in which the heading
has that k and the script has come to its end. No runner is at work (this process holds its lock), so that the queues
stay as long as they are. Then a runner with an executor that trains nothing does 40 steps of a queue of 10 and of one
of 10,000, on a few drawn shapes. Prints JSON: `median_ms` of the page, wall time; `ratio`, the slowest over that of the
empty queue; `runner_step_ms`, processor time, the median.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from attribution import Workspace
from attribution.experiments.halves import subsets_spec
from attribution.experiments.retrain import retrain_spec
from attribution.experiments.study import study_spec
from attribution.explore.targets import stable_targets  # noqa: E402
from attribution.rankings import default_rankings  # noqa: E402
from attribution.runner.runner import Runner  # noqa: E402
from attribution.store.lock import acquire_runner_lock  # noqa: E402
from attribution.store.results import ResultStore  # noqa: E402
from tests import tiny  # noqa: E402
from tests.browser import serving  # noqa: E402
from tests.unit.runner.test_runner import Pretender  # noqa: E402

QUEUED = 10_000
STEPS = 40

#: Resolves to the milliseconds from the next key press to the frame that shows `expected` with the script at its end.
WATCH = """expected => {
  window.measured = new Promise(resolve => addEventListener("keydown", event => {
    const look = () => {
      const heading = [...document.querySelectorAll("h2")].some(node => node.textContent.includes(expected));
      const state = document.querySelector("[data-testid=stApp]").dataset.testScriptState;
      if (!heading || state !== "notRunning") return requestAnimationFrame(look);
      requestAnimationFrame(() => resolve(performance.now() - event.timeStamp));
    };
    requestAnimationFrame(look);
  }, {once: true, capture: true}));
}"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        found = page(Path(folder), rounds)
        steps = {
            f"{shape} {queued}": step(Path(folder) / f"{shape} {queued}", shape, queued)
            for shape in ("jobs", "one job")
            for queued in (10, QUEUED)
        }
    medians = {name: statistics.median(some) for name, some in found.items()}
    print(
        json.dumps(
            {
                "queued": QUEUED,
                "reruns": rounds,
                "median_ms": {name: round(one, 1) for name, one in medians.items()},
                "ratio": round(max(medians.values()) / medians["empty"], 3),
                "runner_step_ms": steps,
            }
        )
    )


# -- the page


def page(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Queue -> milliseconds of each rerun."""
    ws = Workspace.open()
    found = {name: [] for name in ("empty", "jobs", "study")}
    with ExitStack() as stack:
        pages = {}
        opened = stack.enter_context(serving.browser())
        for name in found:
            os.environ["LINEUP_DATA"] = str(folder / name)
            store = ResultStore.for_workspace(ws)
            fill(ws, store, name)
            stack.callback(os.close, acquire_runner_lock(store.folder))
            stack.callback(store.close)
            server = stack.enter_context(serving.server(folder / name))
            pages[name] = serving.new_page(opened)
            serving.open_page(pages[name], f"{server.url}/?target=0&k=20&ranking=trak-10&panel=verdict")
        for turn in range(rounds + 2):
            for name, one in pages.items():
                one.get_by_role("spinbutton", name="Top").fill(f"{21 + turn}")
                one.evaluate(WATCH, f"top {21 + turn} images")
                one.get_by_role("spinbutton", name="Top").press("Enter")
                took = one.evaluate("window.measured")
                if turn >= 2:  # the first fill caches
                    found[name].append(took)
    return found


def fill(ws: Workspace, store: ResultStore, name: str) -> None:
    """Queues 10,000 retrainings and more."""
    store.db.execute("PRAGMA synchronous=OFF")
    targets = stable_targets(ws)
    if name == "jobs":
        asked = [retrain_spec(ws, target, "trak-10", "remove", 10, [0], draws=0) for target in targets[:100]]
        for number in range(QUEUED):
            spec = replace(asked[number % 100], seeds=[number])
            store.add_job(spec, spec.describe())
    elif name == "study":
        rankings, kinds = default_rankings(ws), ["remove", "mislabel"]
        spec = study_spec(ws, targets[:1], rankings, kinds)
        least = spec.supports()[0].bounds()[0] * len(rankings) * len(kinds)
        spec = replace(spec, targets=targets[: -(-QUEUED // least)])
        store.add_job(spec, spec.describe())


# -- the runner


def step(folder: Path, shape: str, queued: int) -> float:
    """Median milliseconds of processor time of a step of the runner, two slots, each training done at once."""
    os.environ["LINEUP_DATA"] = str(folder / "data")
    folder.mkdir()
    ws = tiny.write(folder / "shapes")
    store = ResultStore.for_workspace(ws)
    store.db.execute("PRAGMA synchronous=OFF")
    if shape == "jobs":
        spec = retrain_spec(ws, 0, "trak-10", "remove", 4, [0], draws=0)
        for seed in range(queued):
            store.add_job({**spec} | {"seeds": [seed]}, f"job {seed}")
    else:
        store.add_job(subsets_spec(ws, 0, queued, [0], 1), "random halves")
    runner, taken = Runner(store, Pretender()), []
    for _ in range(STEPS):
        start = time.process_time()
        runner.step(0)
        taken.append(1000 * (time.process_time() - start))
    store.close()
    return round(statistics.median(taken), 2)


if __name__ == "__main__":
    main()
