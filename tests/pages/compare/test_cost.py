"""The Cost tab: measured or not, its table, chart and file."""

import csv
import io

import pytest

from attribution.evaluation import cost
from pages.compare.costs import ranking_cost as drawn
from pages.ui import format as write
from tests.pages.compare.tabs import opened
from tests.pages.page import texts

LDS = {
    "ceiling": 0.8,
    "masks": 5,
    "seeds": 2,
    "rankings": {"ridge-moco": {"lds": 0.123, "ci": [0.1, 0.15]}, "trak-10": {"lds": 0.5, "ci": None}},
}


@pytest.fixture
def found(ws):
    ws.manifest["parts"]["rankings/trak-10"]["seconds"] = 12.0
    cost.save(ws, cost.compute(ws), cost.cost_provenance())
    return cost.load(ws)


def test_what_was_not_measured_is_asked_for(ws, started):
    app = opened("Cost")
    assert "has not been measured here yet" in texts(app)
    app.button(key="start evaluate cost").click().run()
    assert started == [["evaluate", "cost"]] and not app.exception


def test_the_table_has_every_ranking_that_was_measured(ws, found):
    app = opened("Cost")
    html = " ".join(one.proto.body for one in app.get("html"))
    assert all(f">{name}</td>" in html.replace("</span>", ">") for name in found["rankings"])
    assert f"Queries were measured on {found['machine']}, {found['made']}" in texts(app)
    assert "not all of the build time is known: esvm-moco" in texts(app)


def test_the_chart_leaves_out_what_was_not_timed_and_shows_intervals(ws, found):
    rows = cost.cost_rows(found, LDS, {})
    chart = drawn.figure(rows, LDS, {})
    assert [trace.name for trace in chart.data] == ["TRAK"], "the features' seconds are not known"
    for row in rows:
        row["build_seconds"] = row["build_seconds"] or 0
    chart = drawn.figure(rows, LDS, {})
    ridge = next(trace for trace in chart.data if trace.name == "Ridge")
    assert ridge.error_y.array[0] == pytest.approx(0.027) and ridge.error_y.arrayminus[0] == pytest.approx(0.023)
    assert ridge.x[0] == pytest.approx(10 ** (drawn.MARK_OFFSET / 2)) and chart.layout.xaxis.ticktext[0] == "none"
    assert len(chart.layout.shapes) == 1, "the noise ceiling"


def test_cost_as_csv(ws, found):
    rows = list(csv.DictReader(io.StringIO(drawn.to_csv(cost.cost_rows(found, LDS, {}), found))))
    assert [row["ranking"] for row in rows] == list(found["rankings"])
    ridge = next(row for row in rows if row["ranking"] == "ridge-moco")
    assert (ridge["lds"], ridge["lds_low"], ridge["build_seconds"], ridge["machine"]) == (
        "0.123",
        "0.1",
        "",
        found["machine"],
    )


def test_bytes_and_times_in_words():
    assert [write.byte_size(n) for n in (0, 1536, 1_536_256)] == ["none", "1.54 kB", "1.54 MB"]
    assert [drawn.build_time(seconds) for seconds in (None, 0.0, 90)] == ["not known", "none", "1 min 30 s"]
