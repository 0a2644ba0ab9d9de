"""LDS by what rankings compute: its sentence, its points, the column of own heads."""

import pytest
import streamlit as st

from attribution.evaluation import lds_families, lds_report
from pages.compare import lds
from tests.pages.compare.tabs import opened
from tests.pages.page import html, texts
from tests.unit.evaluation.test_candidate_sets import give_halves

NAMES = ["l2-moco", "esvm-moco", "influence-moco", "trak-10", "random"]


@pytest.fixture(autouse=True)
def nothing_cached():
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def measured(ws):
    give_halves(ws)
    answer = lds_report.compute(ws, NAMES)
    lds_report.save(ws, answer, {})
    seen = ws.with_model("head-moco")
    lds_report.save(seen, lds_report.compute(seen, NAMES), {})
    return answer


def row(value, low, high):
    return {"lds": value, "ci": (low, high), "n_targets": 12}


def test_the_sentence_is_read_off_the_numbers(ws):
    rows = {"l2-moco": row(0.1, 0, 0.2), "influence-moco": row(0.25, 0.21, 0.3), "random": row(0.05, 0, 0.1)}
    said = lds.reading(lds_families.compare(ws, rows), rows, "demo-cnn")
    assert said.startswith("In 1 of 1 feature sets influence under a head predicts demo-cnn better")
    assert "2.5 times" in said and "l2-moco, has 0.100" in said and "at random 0.050" in said
    assert said.endswith("What looks alike is not what decides.")
    rows["influence-moco"] = row(0.12, 0.02, 0.2)
    said = lds.reading(lds_families.compare(ws, rows), rows, "demo-cnn")
    assert said.startswith("In 0 of 1 feature sets") and "times" not in said and "decides" not in said
    assert lds.reading(lds_families.compare(ws, {"random": row(0, 0, 0)}), {}, "demo-cnn") == ""


def test_the_sentence_on_own_heads():
    own = {"l2-a": row(0.1, 0, 1), "influence-a": row(0.8, 0, 1), "influence-b": row(0.9, 0, 1), "l2-b": row(0.2, 0, 1)}
    assert lds.own_reading(own).endswith("influence has 0.80 to 0.90, no similarity more than 0.20.")
    assert lds.own_reading({"l2-a": row(0.1, 0, 1)}) == lds.own_reading({}) == ""


def test_every_ranking_is_a_point_with_its_interval(ws, measured):
    chart = lds.figure(ws, lds_report.load(ws))
    drawn = {trace.hovertemplate.partition(":")[0]: trace for trace in chart.data if trace.hovertemplate}
    assert drawn.keys() == set(NAMES)
    for name, trace in drawn.items():
        value, (low, high) = measured["rankings"][name]["lds"], measured["rankings"][name]["ci"]
        assert trace.x[0] == value
        assert trace.error_x.array[0] == pytest.approx(high - value)
        assert trace.error_x.arrayminus[0] == pytest.approx(value - low)
    assert list(chart.layout.yaxis.ticktext) == ["L2", "ESVM", "Influence", "trak-10", "random"]


def test_the_tab_has_a_column_of_own_heads(measured):
    app = opened("Summary")
    assert "12 held-out halves with 2 seeds each of demo-cnn" in texts(app)
    assert "under its own head" in html(app) and html(app).count("head-moco") == 3, "of three rankings alone"
    app = opened("Summary", model="head-moco")
    assert "100 held-out halves with 1 seed each of head-moco" in texts(app)
    assert "under its own head" not in html(app)


def test_the_table_of_supports_has_that_column_too(measured):
    assert html(opened("Summary")).count("LDS under its own head") >= 1
    assert "LDS under its own head" not in html(opened("Summary", model="head-moco"))


def test_without_a_measurement_it_says_how_to_get_one(ws):
    app = opened("Summary")
    assert "has not been measured here yet" in texts(app)
    assert any(button.label == "Measure LDS" for button in app.button)


def test_the_caption_says_which_rankings_order_one_class_alone(ws, measured):
    said = lds._basis(ws, measured, {})
    assert "As published, l2, esvm, random rank images of the target's class only; the others rank all." in said
