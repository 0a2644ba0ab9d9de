"""Both orders of a head's supports, in the Supports tab."""

import pandas as pd
import pytest
import streamlit as st

from attribution.evaluation import adaptive_supports
from attribution.evaluation.adaptive_supports import COLUMNS, AdaptiveSupports
from pages.compare.supports import adaptive
from tests.pages.compare.tabs import opened_topic
from tests.pages.page import commands, html, texts


@pytest.fixture(autouse=True)
def nothing_cached():
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def found(ws):
    rows = [(0, "flipped", 10, "flipped", 5), (3, "flipped", 4, "flipped", 4), (4, "censored", None, "flipped", 8)]
    table = pd.DataFrame(rows, columns=COLUMNS).astype({"prefix": "Int64", "adaptive": "Int64"})
    found = AdaptiveSupports("head-moco", ws.get_recipe("head-moco").hash, 20, 8, table)
    adaptive_supports.save(ws.with_model("head-moco"), found, {"made": "2026-01-02", "command": "by hand"})
    return found


def test_the_sentence_the_table_and_what_they_rest_on(found):
    app = opened_topic("Recomputed order", model="head-moco")
    assert (
        "Within 20 images the recomputed order flips 100.0 % of 3 targets, the fixed order 66.7 %: 1 flip in the "
        "recomputed order alone, 0 in the fixed order alone." in (texts(app))
    )
    assert "Where both flip (2), the recomputed support has 0.75 times the size" in texts(app)
    assert "smaller for 1, equal for 1, larger for 0." in texts(app)
    assert "the top k of influence-moco" in texts(app) and "Made 2026-01-02 by by hand" in texts(app)
    assert "3 of 3" in html(app) and "2 of 3" in html(app) and "recomputed minus fixed" in html(app)


def test_curves_have_their_band(found):
    report, curves = adaptive_supports.report(found), adaptive_supports.curves(found)
    lines = {trace.name.partition(",")[0]: trace for trace in adaptive.figure(report, curves).data if trace.name}
    assert list(lines["fixed order"].y) == curves["prefix"]["share"] and lines["fixed order"].y[9:11] == (1 / 3, 2 / 3)
    assert lines["recomputed order"].y[20] == 1 and "AUC 0.717" in lines["recomputed order"].name


def test_a_row_a_target_in_the_file(found):
    lines = adaptive.to_csv(found).splitlines()
    assert lines[0].startswith("target,prefix_status,prefix_support,adaptive_status,adaptive_support,recipe")
    assert lines[3].startswith("4,censored,,flipped,8,head-moco")


def test_a_head_that_was_not_measured_offers_it(ws):
    app = opened_topic("Recomputed order", model="head-moco")
    assert "Not measured under this head yet" in texts(app)
    assert any("evaluate adaptive-supports --model head-moco" in line for line in commands(app))
    app = opened_topic("Recomputed order")  # of a network
    assert "recomputed only under a head" in texts(app) and "The pages speak about demo-cnn now" in texts(app)
    app.button(key="turn to head-moco").click().run()
    assert not app.exception and "Not measured under this head yet" in texts(app)
