"""The Compute tab: measured or not, its picture and table."""

import csv
import io

import pytest

from attribution.evaluation import lds_vs_compute
from pages.compare.costs import lds_vs_compute as drawn
from tests.pages.compare.tabs import opened
from tests.pages.page import texts
from tests.unit.evaluation.test_candidate_sets import give_halves


def row(name, method, models, lds, training, computing, size, here=True):
    return {
        "name": name,
        "method": method,
        "models": models,
        "lds": lds,
        "ci": [lds - 0.01, lds + 0.02],
        "n_targets": 12,
        "training_seconds": training,
        "computing_seconds": computing,
        "seconds": training + computing,
        "bytes": size,
        "scores_bytes": 0 if not models else 10,
        "here": here,
    }


ANSWER = {
    "dim": 4,
    "masks": 12,
    "seeds": 2,
    "ceiling": 0.8,
    "training": {
        "whole": 8.0,
        "half": 4.0,
        "n": 3,
        "device": "cpu",
        "library": "torch 1",
        "threads": 1,
        "clock": "processor",
    },
    "rows": [
        row("trak-1", "TRAK", 1, 0.1, 8, 3, 400),
        row("trak-2", "TRAK", 2, 0.2, 16, 6, 800),
        row("datamodels-30", "Datamodels", 30, 0.3, 120, 5, 100),
        row("esvm-moco", "ESVM", 0, 0.05, 600, 1, 1600),
        row("random", "Random", 0, -0.02, 0, 0, 0),
    ],
}


def test_without_held_out_halves_it_says_what_to_do(ws):
    app = opened("Cost")
    assert "there are none yet. Train them first" in texts(app) and any("halves train" in one.value for one in app.code)


def test_what_was_not_measured_is_asked_for(held, started):
    app = opened("Cost")
    assert "Not measured yet" in texts(app) and "1,000 trainings" in texts(app)
    app.button(key="start evaluate compute").click().run()
    assert started == [["evaluate", "compute"]] and not app.exception


def test_picture_and_table(held):
    lds_vs_compute.save(held, ANSWER, {"command": "python -m attribution evaluate compute", "made": "2026-01-01"})
    app = opened("Cost")
    html = " ".join(one.proto.body for one in app.get("html"))
    assert "<b>0.300</b>" in html and "−0.020" in html and "<b>0.800</b>" in html and "2 min 5 s" in html
    told = texts(app)
    assert "12 held-out halves with 2 seeds" in told and "a training takes 8 s" in told
    assert "Supports of these variants were not studied here yet" in told


def test_an_answer_on_other_halves_is_not_shown(held):
    lds_vs_compute.save(held, ANSWER, {})
    give_halves(held, seed=1)
    assert "Not measured yet" in texts(opened("Cost"))


def test_a_line_a_method_on_a_log_axis():
    chart = drawn.figure(ANSWER, {})
    named = {one.name: one for one in chart.data if one.name}
    assert list(named) == ["TRAK", "Datamodels", "esvm-moco", "random"] and chart.layout.xaxis.type == "log"
    assert list(named["TRAK"].x) == [11, 22] and list(named["TRAK"].y) == [0.1, 0.2]
    assert list(named["TRAK"].error_y.array) == pytest.approx([0.02, 0.02])
    small, large = named["TRAK"].marker.size
    assert large / small == pytest.approx(2**0.5)  # the area stands for the bytes
    assert set(named["random"].y) == {-0.02}


def test_supports_beside_lds():
    of = {"auc": 0.25, "auc_ci": (0.1, 0.4), "n": 3}
    supports = {"remove": {"rankings": {"trak-2.compute": of}, "protocol": "adaptive", "K": 20, "targets": 3}}
    chart = drawn.figure(ANSWER, supports)
    second = [one for one in chart.data if one.xaxis == "x2"]
    assert [(one.name, list(one.x), list(one.y)) for one in second] == [("TRAK", [22], [0.25])]
    assert list(second[0].error_y.array) == pytest.approx([0.15])
    html = drawn.table_html(ANSWER, supports)
    assert (
        html.count("<b>0.25</b>") == 1 and "AUC: removal,<br>3 targets, adaptive" in html and "TRAK of 2 models" in html
    )
    rows = list(csv.DictReader(io.StringIO(drawn.to_csv(ANSWER, supports))))
    assert [one["remove_auc"] for one in rows] == ["", "0.25", "", "", ""][: len(rows)]


def test_the_table_as_csv():
    rows = list(csv.DictReader(io.StringIO(drawn.to_csv(ANSWER, {}))))
    assert [one["name"] for one in rows] == [one["name"] for one in ANSWER["rows"]]
    assert rows[1]["seconds"] == "22" and rows[1]["ceiling"] == "0.8" and rows[1]["low"] == str(0.2 - 0.01)
