"""`evaluate adaptive-supports` and `evaluate support-transfer`: measured once, stored, and refused in one sentence."""

import json

from attribution import Workspace
from attribution.evaluation import adaptive_supports


def test_the_orders_are_measured_stored_and_printed(ws, run):
    done = run("evaluate", "adaptive-supports", "--recipe", "head-moco", "--k-max", 30, "--json")
    told = json.loads(done.out)
    assert done.code == 0 and set(told["orders"]) == {"prefix", "adaptive"} and told["K"] == 30
    assert told["smaller"] + told["equal"] + told["larger"] == told["both"] <= told["targets"]
    stored = adaptive_supports.load(Workspace.open(ws.path, "head-moco"))
    assert len(stored.table) == told["targets"]
    done = run("evaluate", "adaptive-supports", "--model", "head-moco", "--k-max", 30)
    assert done.code == 0 and "influence recomputed after every 8 images" in done.out and "Traceback" not in done.err


def test_what_cannot_be_measured_is_one_sentence(ws, run):
    for command in ("adaptive-supports", "support-transfer"):
        done = run("evaluate", command)
        assert done.code == 2 and "demo-cnn is no head" in done.err and done.err.count("\n") <= 2, done.err
    done = run("evaluate", "support-transfer", "--recipe", "head-moco")
    assert done.code == 2 and "head-moco has no supports by removal here yet" in done.err
