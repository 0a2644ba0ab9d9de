import pandas as pd
import pytest

from attribution import UserError
from attribution.evaluation import agreement, candidate_sets, cost, support_report
from attribution.experiments.study import read_study
from attribution.export import charts
from tests.unit.evaluation.test_candidate_sets import give_halves


def test_supports_are_the_points_of_the_study(ws, store):
    drawn = charts.chart(ws, store, "supports")
    found = read_study(ws, store)
    by = {one.name: one for one in drawn.panels[0].series}
    assert [panel.title for panel in drawn.panels] == ["Removal"] and drawn.panels[0].x_range[0] == 0
    assert list(by) == ["trak-10", "random"]
    assert (by["trak-10"].x, by["trak-10"].y, by["trak-10"].descriptions) == ([4], [1.0], ["target 0, flipped"])
    assert by["trak-10"].end == (20, 1.0) and by["random"].end == (20, 0.0) and by["random"].x == []
    assert by["trak-10"].legend_note == "AUC 0.80"  # (20 - 4) / 20; one target has no interval
    assert f"K = {found.k_max}" in drawn.caption and "removal 1 target" in drawn.caption and "demo-cnn" in drawn.caption


def test_a_ranking_that_is_there_to_be_measured_alone_is_drawn_where_it_is_named(ws, store):
    table = pd.read_parquet(ws.path / "supports.parquet")
    beside = table.assign(ranking=table.ranking + "@true")
    pd.concat([table, beside]).to_parquet(ws.path / "supports.parquet")
    names = ["trak-10", "random"]
    assert [one.name for one in charts.chart(ws, store, "supports").panels[0].series] == names
    assert list(support_report.report(ws, store)["kinds"]["remove"]["rankings"]) == names
    named = charts.chart(ws, store, "supports", rankings=["trak-10@true"])
    assert [one.name for one in named.panels[0].series] == ["trak-10@true"]
    assert list(support_report.report(ws, store, names=["trak-10@true"])["kinds"]["remove"]["rankings"]) == [
        "trak-10@true"
    ]
    with pytest.raises(UserError, match="l2-moco was not studied .* default; there is trak-10, random, trak-10@true"):
        charts.chart(ws, store, "supports", rankings=["l2-moco"])


def test_what_was_not_measured_is_said(ws, store):
    for what in ("agreement", "lds-supports", "conditioning", "calibration", "compute", "cost"):
        with pytest.raises(UserError, match=f"evaluate {what}"):
            charts.chart(ws, store, what)
    with pytest.raises(UserError, match="no figure 'pie'; choose one of supports"):
        charts.chart(ws, store, "pie")


def test_agreement(ws, store):
    found = agreement.compute(ws, ["trak-10", "l2-moco", "random"], 5)
    agreement.save(ws, found, {"command": "python -m attribution evaluate agreement", "made": "2026-01-02"})
    drawn = charts.chart(ws, store, "agreement", measure="rbo")
    told, matrix = agreement.report(agreement.load(ws)), drawn.panels[0].matrix
    assert matrix.names == ["trak-10", "l2-moco", "random"] and matrix.values[1][1] is None
    assert matrix.values[0][1] == told["pairs"]["trak-10"]["l2-moco"]["rbo"]["mean"]
    assert matrix.ci[0][1] == told["pairs"]["trak-10"]["l2-moco"]["rbo"]["ci"]
    assert "made 2026-01-02 by python -m attribution evaluate agreement" in drawn.caption
    with pytest.raises(UserError, match="no measure 'cosine'"):
        charts.chart(ws, store, "agreement", measure="cosine")


def test_conditioning(ws, store):
    give_halves(ws)
    answer = candidate_sets.compute(ws, ["esvm-moco", "trak-10"], k=5, resamples=20)
    candidate_sets.save(ws, answer, {})
    drawn = charts.chart(ws, store, "conditioning")
    first = drawn.panels[0].series[0]
    rows = [answer["rankings"][name]["sets"]["true"] for name in ("esvm-moco", "trak-10")]
    assert first.x == [row["lds"] for row in rows] and first.descriptions == ["esvm-moco, as published", "trak-10"]
    assert [one.y for one in drawn.panels[0].series] == [[-0.2, 0.8], [0, 1], [0.2, 1.2]]
    assert drawn.panels[0].vertical_lines[0][0] == pytest.approx(answer["ceiling"])


def test_cost_leaves_out_what_nobody_timed(ws, store):
    for part in ("rankings/trak-10", "features/moco"):
        ws.manifest["parts"][part]["seconds"] = 12.0
    cost.save(ws, cost.compute(ws, ["trak-10", "random"]), cost.cost_provenance())
    (panel,) = charts.chart(ws, store, "cost").panels
    assert panel.title == "AUC: removal, 1 target, default"  # no LDS here
    assert {one.name: (one.x, one.y) for one in panel.series if one.x} == {
        "TRAK": ([12.0], [0.8]),
        "Random": ([1.0], [0.0]),
    }
    assert list(panel.x_ticks.values()) == ["none", "10", "100"]


def test_features(ws, store):
    ws.manifest["parts"]["features/moco"] |= {"knn_accuracy": 0.5, "measured_on": "9 others"}
    (panel,) = charts.chart(ws, store, "features").panels
    assert (panel.series[0].x, panel.y_ticks) == ([0.5], {0.0: "moco"})


def test_files(ws, store, tmp_path):
    drawn = charts.chart(ws, store, "supports")
    for ending, begins in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".PDF", b"%PDF"), (".csv", b"# Support CDFs. ")):
        assert charts.save(drawn, tmp_path / f"a{ending}", "single").read_bytes().startswith(begins)
    for name, width, why in (
        ("a.gif", "single", "a.gif is none of"),
        ("a.png", "wide", "no width 'wide'"),
        ("missing/a.png", "single", "cannot be written"),
    ):
        with pytest.raises(UserError, match=why):
            charts.save(drawn, tmp_path / name, width)


def test_matplotlib_is_imported_when_something_is_drawn(run_python):
    done = run_python(
        "-c", "import sys, attribution.export.report, attribution.export.charts; print('matplotlib' in sys.modules)"
    )
    assert done.out.strip() == "False", done.err
