"""What a click on a target costs on the wire: messages and bytes of the websocket, and pictures fetched besides.

    .venv/bin/python tests/benchmarks/click_messages.py [--workspace DIR] [--clicks 8]

5 rankings x 20 tiles in headless Chromium. Each target is clicked for the first time, and again after all others, when
the browser has seen its pictures. Prints JSON: medians, in messages and KiB, and the largest elements of a first click.
Unlike a time, these do not depend on what else the machine does.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from attribution import Workspace  # noqa: E402
from attribution.rankings import default_rankings  # noqa: E402
from attribution.workspace.workspace import DEMO  # noqa: E402
from tests.browser import serving  # noqa: E402

RANKINGS = 5


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", type=Path, default=DEMO)
    parser.add_argument("--clicks", type=int, default=8)
    asked = parser.parse_args()
    ws = Workspace.open(asked.workspace)
    names = list(dict.fromkeys([*default_rankings(ws), *ws.rankings()]))[:RANKINGS]
    link = urlencode({"target": 0, "rankings": names, "model": ws.recipe}, doseq=True)
    frames, fetched = [], []
    with (
        tempfile.TemporaryDirectory() as data,
        serving.server(Path(data), asked.workspace) as server,
        serving.browser() as browser,
    ):
        page = serving.new_page(browser)
        page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(frame)))
        page.on("requestfinished", lambda request: "/pictures/" in request.url and fetched.append(request))
        serving.open_page(page, f"{server.url}/?{link}")
        film = page.locator(".st-key-film [role=option]")
        film.first.wait_for()
        page.wait_for_timeout(3000)
        rounds = []
        for _ in range(2):
            costs = []
            for click in range(1, asked.clicks + 1):
                frames.clear(), fetched.clear()
                film.nth(click).click()
                page.wait_for_timeout(200)
                serving.settle(page)
                page.wait_for_timeout(1500)
                pictures = [request.sizes()["responseBodySize"] for request in fetched]
                costs.append({"frames": list(frames), "pictures": sum(pictures), "n_pictures": len(pictures)})
            rounds.append(costs)
        pages = [summary(costs) for costs in rounds]
    print(json.dumps({"clicks": asked.clicks, "first": pages[0], "again": pages[1], "largest": largest(rounds[0][-1])}))


def summary(costs: list[dict]) -> dict:
    return {
        "messages": median(len(cost["frames"]) for cost in costs),
        "websocket_kib": round(median(sum(map(len, cost["frames"])) for cost in costs) / 1024, 1),
        "pictures": median(cost["n_pictures"] for cost in costs),
        "pictures_kib": round(median(cost["pictures"] for cost in costs) / 1024, 1),
    }


def largest(cost: dict, n: int = 8) -> list[tuple[str, int]]:
    """(what a message is, its bytes) of the largest."""
    return sorted(((_what(frame), len(frame)) for frame in cost["frames"]), key=lambda item: -item[1])[:n]


def _what(frame: bytes) -> str:
    message = ForwardMsg.FromString(frame)
    if message.WhichOneof("type") != "delta":
        return message.WhichOneof("type")
    element = message.delta.new_element
    kind = element.WhichOneof("type") or "block"
    return f"{kind} {element.bidi_component.component_name}".strip()


if __name__ == "__main__":
    main()
