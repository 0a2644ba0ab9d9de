"""The Checks tab of Methods: sanity and backdoor."""

import csv
import io
import json

import numpy as np
import pytest

from attribution import Workspace
from attribution.evaluation import backdoor, poison, sanity_checks
from attribution.files import write_json
from pages.compare.checks import backdoor as drawn
from pages.compare.checks import sanity_checks as checked
from tests.pages.compare.tabs import opened_topic
from tests.pages.page import commands, html, texts


def one(mean: float, half: float | None = 0.05, n: int = 20) -> dict:
    return {"mean": mean, "ci": half and [mean - half, mean + half], "n": n}


SANITY = {
    "checkpoints": 2,
    "dim": 64,
    "k": 20,
    "features": "moco",
    "seeds": [1, 2],
    "copies": 15,
    "each": 1,
    "untrained": {
        "targets": 12,
        "chance": 0.2,
        "ceiling": 0.6,
        "pairs": {
            name: {"jaccard": one(j), "spearman": one(s)}
            for name, j, s in (
                ("untrained", 0.111, -0.02),
                ("other", 0.555, 0.8),
                ("esvm-moco", 1, 1),
                ("l2-moco", 1, 1),
            )
        },
        "lds": {"trained": {"lds": 0.31, "ci": [0.2, 0.4]}, "untrained": {"lds": 0.017, "ci": [0, 0.1]}},
    },
    "duplicates": {
        name: {
            str(count): {"one": one(1 / (1 + count)), "sum": one(1.0), "places": one(count)}
            for count in sanity_checks.COPY_COUNTS
        }
        for name in ("TRAK", "esvm-moco", "l2-moco")
    },
}


def row(ranking: str, candidates=None, **more) -> dict:
    left = {"success": one(0.25), "accuracy": one(0.9), "seeds": [0.25]}
    return {
        "ranking": ranking,
        "candidates": candidates,
        "pool": 60,
        "chance": 0.067,
        "removed": 3,
        "plain": one(0.125),
        "precision": {str(k): one(0.375) for k in (4, 10, 50)},
        **left,
        "control": {**left, "success": one(0.66)},
    }


def found(ws) -> dict:
    left = {"success": one(0.667), "accuracy": one(0.95), "seeds": [0.667]}
    return {
        "n": 4,
        "class": 1,
        "targets": 3,
        "side": 2,
        "seed": 0,
        "of": ws.fingerprint,
        "of_name": "tiny",
        "triggered": 3,
        "models": 10,
        "hit": 2,
        "seeds": [0],
        "success": one(0.667),
        "untriggered": one(0.0),
        "rankings": [row("trak-10"), row("trak-10", "predicted"), row("random")],
        "removals": {backdoor.NO_REMOVAL: left, backdoor.ORACLE_REMOVAL: left},
    }


@pytest.fixture
def copy(ws, tmp_path, monkeypatch):
    """A poisoned copy, which is the workspace that is shown."""
    copy = poison.create_poisoned_copy(ws, tmp_path / "p", 1, n=4, targets=3, side=2)
    (copy.path / "base").mkdir()
    probabilities = np.full((10, copy.n_val, 3), 0.05, np.float16)
    probabilities[:, np.arange(copy.n_val), copy.val_labels] = 0.9
    probabilities[:, 12:] = [0.05, 0.9, 0.05]
    np.save(copy.path / "base" / "probabilities.npy", probabilities)
    copy.record_part("base", {"seeds": list(range(10))}, ["base/probabilities.npy"])
    monkeypatch.setenv("LINEUP_WORKSPACE", str(copy.path))
    return Workspace.open(copy.path)


@pytest.fixture(autouse=True)
def nothing_shipped(tmp_path, monkeypatch):
    monkeypatch.setattr(backdoor, "BUNDLED_RESULTS", tmp_path / "results")


def test_what_was_not_measured_is_asked_for(ws, started):
    app = opened_topic("Checks")
    assert "workspace poison PATH --class Bar" in commands(app)[-1]
    app.button(key="start evaluate sanity").click().run()
    assert started == [["evaluate", "sanity"]] and not app.exception


def test_without_base_models_the_way_to_them(ws):
    (ws.path / "base" / "probabilities.npy").unlink()
    assert "base train" in commands(opened_topic("Checks"))[0]


def test_sanity_tables_picture_and_csv(ws):
    ws.manifest["parts"]["base"] = {"digest": None}
    sanity_checks.save(ws, SANITY, {"command": "python -m attribution evaluate sanity"})
    app = opened_topic("Checks")
    assert "0.111" in html(app) and "−0.020" in html(app) and "unchanged" in html(app) and "0.017" in html(app)
    assert "2 models, 64 dimensions; 12 targets" in texts(app) and "15 in all, 1 targets" in texts(app)
    rows = list(csv.DictReader(io.StringIO(checked.to_csv(SANITY))))
    assert len(rows) == 4 * 2 + 2 + 3 * 5 * 3
    chart = checked.figure(SANITY)
    assert [line.name for line in chart.data] == ["TRAK", "esvm-moco", "l2-moco"]
    assert list(chart.data[0].y) == [1, 1 / 2, 1 / 3, 1 / 5, 1 / 9]


def test_a_poisoned_workspace_shows_its_images_and_asks(copy, started):
    app = opened_topic("Checks")
    assert [part.key for part in app.get("bidi_component")] == ["history", "backdoor train", "backdoor val"]
    app.button(key="start evaluate backdoor").click().run()
    assert started == [["evaluate", "backdoor"]] and not app.exception


def test_backdoor_table_picture_and_csv(copy):
    answer = found(copy)
    (copy.path / "backdoor").mkdir()
    write_json(copy.path / "backdoor" / "backdoor.json", answer)
    copy.record_part("backdoor", {"base": copy.manifest["parts"]["base"]["digest"], "of": {}, "command": "made so"})
    app = opened_topic("Checks")
    assert "take 66.7 % of 3 triggered images of other classes for Box <b>" in texts(app)
    assert "trak-10, from Box &lt;b&gt;" in html(app) and "3 of 4" in html(app)
    assert "37.5 %" in html(app) and "12.5 %" in html(app) and "made so" in texts(app)
    rows = list(csv.DictReader(io.StringIO(drawn.to_csv(answer))))
    assert len(rows) == 3 * 3 + 2 and rows[0]["precision"] == "0.375" and rows[-1]["accuracy"] == "0.95"
    chart = drawn.figure(answer, "Box <b>")
    assert list(chart.data[0].x) == [0.375] * 3 and list(chart.data[4].x) == [0.66] * 3
    assert list(chart.layout.yaxis.ticktext) == ["trak-10", "trak-10, from Box &lt;b&gt; only", "random"]


def test_what_lineup_brings_says_where_it_was_made(ws):
    about = {"made": "2026-01-02", "command": "evaluate backdoor", "note": "5 base models", "commands": ["one", "two"]}
    file = backdoor.BUNDLED_RESULTS / "tiny" / backdoor.STORED.file
    write_json(file, {**found(ws), "about": about})
    app = opened_topic("Checks")
    assert "Made 2026-01-02 by evaluate backdoor; on a poisoned copy of this workspace: 5 base models." in texts(app)
    assert "one\ntwo" in commands(app) and json.loads(file.read_text())["about"] == about
