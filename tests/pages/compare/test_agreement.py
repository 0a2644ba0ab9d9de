"""The Agreement tab: compared or not, its tables, and where a choice leads."""

import csv
import io

import numpy as np
import pytest

from attribution.evaluation import agreement
from pages.compare.agreement import tab as drawn
from pages.ui import state
from tests.pages.compare.tabs import opened
from tests.pages.page import texts


@pytest.fixture
def found(ws):
    made = agreement.compute(ws, ["esvm-moco", "trak-10", "random"], k=5)
    agreement.save(ws, made, {})
    return made


def test_what_was_not_compared_is_asked_for(ws, started):
    app = opened("Agreement")
    assert "Not measured yet, or a ranking has changed" in texts(app)
    app.button(key="start evaluate agreement").click().run()
    assert started == [["evaluate", "agreement"]] and not app.exception


def test_tables_and_targets(ws, found):
    app = opened("Agreement")
    assert "The top 5 training images of each ranking as published, on 12 targets" in texts(app)
    html = " ".join(one.proto.body for one in app.get("html"))
    told = agreement.report(agreement.load(ws))
    assert f"<b>{told['pairs']['esvm-moco']['trak-10']['jaccard']['mean']:.3f}</b>" in html
    app.selectbox(key=state.ONE_RANKING).set_value("trak-10").run()
    assert "Jaccard of the top k of trak-10 and random, least first" in texts(app)
    state_of = app.session_state
    state_of[state.GO_TO] = 3
    assert not app.exception


def test_another_version_of_a_ranking_is_not_the_one_compared(ws, found):
    assert agreement.load(ws).names == ("esvm-moco", "trak-10", "random")
    ws.manifest["parts"]["rankings/trak-10"]["digest"] = "another"
    assert agreement.load(ws) is None
    del ws.manifest["parts"]["rankings/trak-10"]
    assert agreement.load(ws) is None


def test_what_is_kept_is_what_was_compared(ws, found):
    kept = agreement.load(ws)
    assert kept.k == 5 and kept.targets.tolist() == found.targets.tolist()
    for pair, values in found.pairs.items():
        for measure, one in values.items():
            np.testing.assert_allclose(kept.pairs[pair][measure], one, atol=1e-3)
    np.testing.assert_allclose(kept.cross["trak-10"], found.cross["trak-10"], atol=1e-3)


def test_the_table_as_csv(ws, found):
    rows = list(csv.DictReader(io.StringIO(drawn.to_csv(agreement.report(found)))))
    assert len(rows) == 9 and {row["measure"] for row in rows} == set(agreement.MEASURES)
    assert all(row["targets"] == "12" and row["k"] == "5" for row in rows)


def test_the_matrix_has_a_square_for_every_two(ws, found):
    chart = drawn.matrix(agreement.report(found), "spearman")
    assert list(chart.data[0].x) == list(found.names) and chart.data[0].zmin == -1
    assert chart.data[0].z[0][0] is None and chart.data[0].z[0][1] == chart.data[0].z[1][0]
