"""LDS by what rankings compute: its sentence, its points, the column of own heads."""

import pytest
import streamlit as st

from attribution.evaluation import lds_families, lds_report
from attribution.rankings import combination
from pages.compare import lds
from tests.pages.compare.tabs import opened
from tests.pages.page import html, texts
from tests.unit.evaluation.test_candidate_sets import give_halves
from tests.unit.evaluation.test_lds_report import give_second_draw

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


def test_the_second_draw_is_read_off_the_numbers():
    rows = {"a": row(0.5, 0.4, 0.6), "b": row(0.3, 0.2, 0.4), "c": row(0.1, 0, 0.2), "random": row(0.05, 0, 0.1)}
    again = {"a": row(0.47, 0.4, 0.5), "b": row(0.31, 0.2, 0.4), "c": row(0.1, 0, 0.2), "random": row(0.07, 0, 0.1)}
    said = lds.second_reading(rows, {"masks": 100, "seeds": 5, "rankings": again})
    assert said.startswith(
        "On a second, fresh draw of 100 halves with 5 seeds each an LDS moves by 0.015 in the median"
    )
    assert "by at most 0.030 (a)" in said and "a 0.500 (0.400 to 0.600) and 0.470 (0.400 to 0.500); b" in said
    assert said.endswith("random 0.050 (0.000 to 0.100) and 0.070 (0.000 to 0.100).")
    assert lds.second_reading({}, {"masks": 100, "seeds": 5, "rankings": again}) == ""


def test_a_combination_against_its_best_part():
    first = {"combinations": {"a+b": {"best": "a", "difference": 0.046, "ci": (0.03, 0.06)}}}
    second = {"combinations": {"a+b": {"best": "b", "difference": -0.01, "ci": (-0.02, 0.01)}}}
    said = lds.combined_reading(first | {"second_draw": second})
    assert said == (
        "Together against the best part alone (paired): a+b +0.046 (+0.030 to +0.060) against a, on the second draw "
        "−0.010 (−0.020 to +0.010) against b."
    )
    assert lds.combined_reading({"rankings": {}}) == ""


def test_the_tab_prints_both_draws(ws):
    give_halves(ws)
    give_second_draw(ws)
    combination.remember(ws, "l2-moco+trak-10", {})
    names = ["l2-moco", "trak-10", "l2-moco+trak-10", "random"]
    lds_report.save(ws, answer := lds_report.compute(ws, names), {})
    app = opened("Summary")
    assert "On a second, fresh draw of 12 halves with 2 seeds each" in texts(app)
    assert "Together against the best part alone (paired): l2-moco+trak-10" in texts(app)
    table = lds.table_html(answer["rankings"], {}, answer["second_draw"])
    assert "second draw" in table and "several together" in table
    for draw in (answer, answer["second_draw"]):
        assert f"<b>{draw['rankings']['trak-10']['lds']:.3f}</b>".replace("-", "−") in table
    csv = lds.to_csv(lds_report.load(ws), {}).splitlines()
    assert "second_draw_lds,second_draw_lds_low,second_draw_lds_high" in csv[0] and len(csv) == 5
