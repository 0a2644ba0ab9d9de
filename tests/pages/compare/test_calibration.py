"""The Calibration tab: measured or not, tables, charts and files."""

import csv
import dataclasses
import io

import numpy as np
import pandas as pd
import pytest

from attribution import UserError, Workspace
from attribution.evaluation import calibration
from attribution.export import charts
from attribution.store.results import ResultStore
from pages.compare import calibration as drawn
from tests import tiny
from tests.pages.compare.tabs import opened_topic
from tests.pages.page import html, texts


@pytest.fixture
def strangers(study):
    """The study, and a signed ranking that ranks for none of its targets."""
    folder = study.path / "rankings" / "a-part"
    folder.mkdir()
    np.save(folder / "scores.npy", np.ones((tiny.VAL, tiny.TRAIN), np.float16))
    np.save(folder / "targets.npy", np.array([1, 2]))
    study.record_part(
        "rankings/a-part",
        {"method": "PART", "signed": True},
        [f"rankings/a-part/{name}.npy" for name in ("scores", "targets")],
    )
    return Workspace.open(study.path)


def test_a_ranking_of_other_targets_is_not_offered(strangers):
    store = ResultStore.for_workspace(strangers)
    calibration.save(strangers, calibration.compute(strangers), {})
    assert calibration.load(strangers).names == ("trak-10", "a-part")
    for link in ({}, {"calibrated": "a-part"}):
        assert "predicted by trak-10" in str(opened_topic("Calibration", **link).get("plotly_chart")[0].proto)
    with pytest.raises(UserError, match="a-part is not calibrated here; choose one of trak-10"):
        charts.chart(strangers, store, "calibration", ranking="a-part")
    table = pd.read_parquet(strangers.path / "supports.parquet")
    table.assign(target=[1, 2] * 10)[table.ranking == "random"].drop_duplicates("target").to_parquet(
        strangers.path / "supports.parquet"
    )
    strangers.remove_part("rankings/trak-10")
    ws = Workspace.open(strangers.path)
    calibration.save(ws, dataclasses.replace(calibration.compute(ws), predicted=np.full((1, 4), np.nan)), {})
    with pytest.raises(UserError, match="nothing to draw as calibration"):
        charts.chart(ws, store, "calibration")
    assert "None of the retrained targets has a ranking with signed scores" in texts(opened_topic("Calibration"))
    store.close()


def test_what_was_not_measured_is_asked_for(ws, started):
    app = opened_topic("Calibration")
    assert "Not measured yet, or a ranking has changed" in texts(app)
    app.button(key="start evaluate calibration").click().run()
    assert started == [["evaluate", "calibration"]] and not app.exception


def test_without_a_signed_ranking_or_models_it_says_so(ws):
    ws.manifest["parts"]["rankings/trak-10"]["signed"] = False
    (ws.path / "workspace.json").write_text(__import__("json").dumps(ws.manifest))
    assert "No ranking here has signed scores" in texts(opened_topic("Calibration"))
    (ws.path / "base" / "probabilities.npy").unlink()
    assert "no model has been trained here yet" in texts(opened_topic("Calibration"))


def test_predicted_and_measured(study):
    rows = calibration.compute(study)
    calibration.save(study, rows, {})
    app = opened_topic("Calibration")
    told = calibration.report(study, rows)
    one = told["rankings"]["trak-10"]["own"]
    assert f"<b>{one['spearman']:.2f}</b>".replace("-", "−") in html(app) and "1 to 8" in html(app)
    assert all(
        words in texts(app)
        for words in ("nearly flip a target are over-represented", "without a sign or a unit", "the other, 50 times")
    )
    points = calibration.chart_points(rows, told, "trak-10", "own")
    assert {one["k"] for one in points} >= {10, 2} and len(points) == one["n"]
    chart = drawn.figure(points, "trak-10")
    assert chart.data[0].x[0] == pytest.approx(one["slope"] * points[0]["predicted"])
    assert chart.data[-1].name == "as predicted"


def test_calibration_as_csv(study):
    rows = calibration.compute(study)
    told = calibration.report(study, rows, 20)
    table = list(csv.DictReader(io.StringIO(drawn.to_csv(told))))
    assert {row["removed"] for row in table} == set(calibration.ORIGINS) and {"all", "1 to 8"} <= {
        r["k"] for r in table
    }
    points = list(csv.DictReader(io.StringIO(drawn.points_csv(rows, told))))
    assert len(points) == len(rows.target) and all(row["foretold"] for row in points)
