"""Charts of LDS by family, of both orders, and of supports that transfer: their points are those that are stored."""

import pytest

from attribution import UserError, Workspace
from attribution.evaluation import adaptive_supports, lds_report, support_transfer
from attribution.export import charts
from tests.unit.evaluation.test_candidate_sets import give_halves

ROW = {"target": 0, "k": 4, "before": 3.0, "after": -1.0, "control": 0.25, "control_after": 2.0}


@pytest.fixture
def seen(ws):
    return ws.with_model("head-moco")


def test_lds_has_a_mark_a_ranking_and_a_line_a_method(ws, store):
    give_halves(ws)
    names = ["l2-moco", "influence-moco", "trak-10", "random"]
    answer = lds_report.compute(ws, names)
    lds_report.save(ws, answer, {})
    panel = charts.chart(ws, store, "lds").panels[0]
    assert list(panel.y_ticks.values()) == ["l2", "influence", "trak-10", "random"]
    drawn = {series.name: series for series in panel.series}
    for at, name in enumerate(names):
        row = answer["rankings"][name]
        assert (drawn[name].x, drawn[name].y, drawn[name].x_ci) == ([row["lds"]], [at], [list(row["ci"])])
    assert drawn["moco"].x == [], "the legend of the markers"


def test_the_orders(seen, store):
    with pytest.raises(UserError, match="evaluate adaptive-supports"):
        charts.chart(seen, store, "adaptive-supports")
    found = adaptive_supports.compute(seen, 20)
    adaptive_supports.save(seen, found, {"made": "2026-01-02", "command": "by hand"})
    drawn = charts.chart(seen, store, "adaptive-supports")
    curves = adaptive_supports.curves(found)
    assert [series.name for series in drawn.panels[0].series] == ["fixed order", "recomputed order"]
    for order, series in zip(adaptive_supports.ORDERS, drawn.panels[0].series):
        assert series.y == curves[order]["share"] and len(series.x) == 21
        assert series.band[1:] == (curves[order]["low"], curves[order]["high"])
    assert "made 2026-01-02 by by hand" in drawn.caption and "no seed" in drawn.caption


def test_a_panel_a_direction(seen, store):
    own, head = seen.own_recipe, seen.recipe
    rows = [
        {"of": own, "under": head, "ranking": "trak-10", "flipped": True, **ROW},
        {"of": own, "under": head, "ranking": "trak-10", "flipped": False, **ROW},
        {"of": head, "under": own, "ranking": "influence-moco", "flipped": True, **ROW},
    ]
    hashes = [view.get_recipe().hash for view in (seen.with_model(None), seen)]
    answer = {"models": [own, head], "hashes": hashes, "seeds": [0, 1, 2], "draws": {own: 1, head: 20}, "rows": rows}
    support_transfer.save(seen, answer, {})
    drawn = charts.chart(Workspace.open(seen.path, head), store, "support-transfer")
    assert [panel.title for panel in drawn.panels] == [
        "supports of demo-cnn, removed under head-moco",
        "supports of head-moco, removed under demo-cnn",
    ]
    first = {series.name: series.x for series in drawn.panels[0].series}
    assert first == {"trak-10": [50.0], "random images of the same classes": [25.0]}
    assert charts.to_bytes(drawn, ".svg")
