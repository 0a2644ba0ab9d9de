"""LDS against supports, the end of the Supports tab: measured or not, tables, chart and files."""

import csv
import io

import pytest

from attribution.evaluation import lds_vs_support as lds_supports
from attribution.experiments.study import read_study
from attribution.store.results import ResultStore
from pages.compare.supports import lds_vs_support
from tests.pages.compare.tabs import opened_topic
from tests.pages.page import html, texts


def test_lds_not_measured_is_asked_for_below_the_supports(study, started):
    app = opened_topic("LDS and supports")
    assert "Do LDS and supports agree?" in texts(app) and "not been measured here yet" in texts(app)
    app.button(key="start evaluate lds-supports").click().run()
    assert started == [["evaluate", "lds-supports"]] and not app.exception


def test_without_halves_it_says_what_is_missing(ws):
    assert "one of them is missing here" in texts(opened_topic("LDS and supports"))


def test_lds_against_supports(study):
    store = ResultStore.for_workspace(study)
    known = read_study(study, store)
    store.close()
    found = lds_supports.compute(study, *lds_supports.rankings_and_targets(known))
    lds_supports.save(study, found, {})
    app = opened_topic("LDS and supports")
    told = lds_supports.report(study, known, found)
    row = told["kinds"]["remove"]["rankings"]["trak-10"]
    assert f"<b>{row['spearman']:.2f}</b>".replace("-", "−") in html(app) and row["censored"] == 5
    assert "12 held-out halves with 2 seeds" in texts(app) and "start evaluate lds-supports" not in [
        one.key for one in app.button
    ]
    points = lds_supports.chart_points(known, found)
    chart = lds_vs_support.figure(points, 20)
    trak = chart.data[0]
    assert len(points) == 20 and trak.name == "trak-10"
    assert [y for y, symbol in zip(trak.y, trak.marker.symbol) if symbol.endswith("-open")] == [pytest.approx(22.4)] * 5
    table = list(csv.DictReader(io.StringIO(lds_vs_support.to_csv(told))))
    assert [row["ranking"] for row in table] == ["trak-10", "random"] and table[1]["spearman"] == ""
    assert len(list(csv.DictReader(io.StringIO(lds_vs_support.points_csv(points))))) == 20
