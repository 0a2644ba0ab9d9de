"""Processor time that the script takes to draw each tab of Compare, and each topic of Advanced, for the first time.

    .venv/bin/python tests/benchmarks/first_views.py [--models demo-cnn,head-moco] [--tabs Summary,Cost,Checks]

Each view is drawn in a process of its own (a fork, so that modules are loaded, as the server does once it is up, and
nothing that Compare shows is known), without a browser, after Debug was looked at, on the demo with an empty data
folder. Prints JSON: seconds of the first run of the script and of the second. Wall times on a server are those of
tabs.py.
"""

import argparse
import json
import logging
import os
import resource
import sys
import tempfile
from pathlib import Path

for library in ("OMP", "OPENBLAS", "MKL"):  # as `attribution.serve` does
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pages.compare.advanced import TOPICS  # noqa: E402
from tests.pages.page import open_page  # noqa: E402

TABS = ("Summary", "Agreement", "Cost")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", default="demo-cnn,head-moco,head-supervised")
    parser.add_argument("--tabs", default=",".join([*TABS, *TOPICS]))
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as data:
        os.environ |= {"LINEUP_DATA": data, "LINEUP_NO_TOKEN": "1"}
        import asgi

        asgi.FIRST_PAGE_SECONDS = 0
        asgi.warm_up()
        open_page("debug", target="0")
        print(
            json.dumps(
                {
                    model: {tab: in_own_process(model, tab) for tab in asked.tabs.split(",")}
                    for model in asked.models.split(",")
                }
            )
        )


def in_own_process(model: str, tab: str) -> dict:
    """{"first_s", "again_s"} of a tab or topic."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.write(writer, json.dumps(drawn(model, tab)).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        measured = json.load(answer)
    os.wait()
    return measured


def drawn(model: str, tab: str) -> dict:
    link = {"tab": tab} if tab in TABS else {"tab": "Advanced", "topic": tab}
    app = open_page("compare", run=False, model=model, **link)
    taken = {}
    for run in ("first_s", "again_s"):
        begun = processor_time()
        app.run()
        taken[run] = round(processor_time() - begun, 2)
    assert not app.exception, app.exception
    return taken


def processor_time() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
