"""What the server answers while a person drags: through the routes, a client and a solver process."""

import json
import time

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from attribution.live.client import SolverClient
from attribution.live.routes import live_routes
from attribution.workspace import heads

ROWS = [["trak-10", "helpful", None], ["trak-10", "harmful", None], ["random", "helpful", "all"]]


@pytest.fixture
def asked(ws):
    client = SolverClient()
    with TestClient(Starlette(routes=live_routes(client))) as browser:
        yield lambda what, **more: browser.get(f"/live/{what}", params={"model": "head-moco", "target": 0, **more})
    client.close()


def test_a_cut_and_a_curve_are_those_of_refits(ws, asked):
    trainer = heads.make_trainer(ws.with_model("head-moco"), "head-moco")
    answer = asked("cut", k=4, rows=json.dumps(ROWS))
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    for row, (ranking, end, candidates) in zip(answer.json()["rows"], ROWS):
        ids = ws.ranking(ranking).top(0, 4, candidates=candidates, end=end).ids
        weights = trainer.head.refit(np.setdiff1d(np.arange(ws.n_train), ids))
        assert np.isclose(row["margin"], trainer.head.margins(weights, np.asarray(trainer.val[:1]), [0])[0], atol=1e-3)
        assert row["predicted"] == int(row["margin"] < 0) * row["predicted"]
    (curve,) = asked("curve", rows=json.dumps(ROWS[:1])).json()["rows"]
    points = dict(curve["refitted"])
    assert curve["foretold"][0] == points[0] and len(curve["foretold"]) == 60
    if curve["flip"]:
        assert points[curve["flip"]] < 0 <= points[curve["flip"] - 1]
    else:
        assert min(points.values()) >= 0


@pytest.mark.parametrize(
    ("what", "more", "match"),
    [
        ("cut", {"rows": "not json"}, "no JSON"),
        ("cut", {"rows": "[[1]]", "k": 1}, "no target or no rows"),
        ("cut", {"rows": json.dumps(ROWS), "k": "9" * 400}, "out of range|not a whole number"),
        ("cut", {"rows": json.dumps(ROWS), "k": 0}, "out of range"),
        ("cut", {"rows": json.dumps(ROWS)}, "not a whole number"),
        ("curve", {"rows": json.dumps(ROWS), "target": "²"}, "target"),
        ("curve", {"rows": json.dumps(ROWS), "target": 99}, "out of range"),
        ("curve", {"rows": json.dumps([["nothing", "helpful", None]])}, "nothing"),
        ("curve", {"rows": json.dumps(ROWS), "model": "demo-cnn"}, "is no head"),
        ("curve", {"rows": json.dumps(ROWS), "model": "head-nothing"}, "no head"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(asked, what, more, match):
    answer = asked(what, **more)
    assert answer.status_code == 400
    with pytest.raises(AssertionError, match=match):
        raise AssertionError(answer.json()["error"])


def test_a_solver_that_has_ended_is_started_again(ws):
    client = SolverClient()
    with TestClient(Starlette(routes=live_routes(client))) as browser:
        ask = {"model": "head-moco", "target": 0, "k": 2, "rows": json.dumps(ROWS[:1])}
        first = browser.get("/live/cut", params=ask).json()
        client.process.kill()
        client.process.wait()
        assert browser.get("/live/cut", params=ask).json() == first
    client.close()


def test_a_solver_that_has_ended_leaves_no_open_pipe():
    client = SolverClient()
    client.process = process = client._start()
    client.close()
    end = time.monotonic() + 60
    while not process.stdout.closed:
        assert time.monotonic() < end, "its output is still open"
        time.sleep(0.02)
