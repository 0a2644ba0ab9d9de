"""The Calibration tab and the end of the Supports tab: measured or not, tables, charts and files."""

import csv
import dataclasses
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from attribution import UserError, Workspace, background, calibration, charts, lds_supports, studies
from attribution.store import Store
from attribution.supports import to_table
from pages.methods import calibration as drawn
from pages.methods.supports import lds_vs_support
from tests import tiny

APP = Path(__file__).resolve().parents[3] / "app.py"
TARGETS = [0, 3, 4, 5, 6, 7, 8, 9, 10, 11]


@pytest.fixture
def study(ws):
    """Ten targets: the margin falls with k, and half of them flip."""
    brought = pd.read_parquet(ws.path / "supports.parquet").to_dict("records")[0]
    rows = []
    for ranking in ("trak-10", "random"):
        for at, target in enumerate(TARGETS):
            flips = ranking == "trak-10" and at % 2
            trace = [
                {
                    "k": k,
                    "seeds": [0, 1, 2],
                    "predictions": [0] * 3,
                    "wrong": 0,
                    "flipped": False,
                    "margin": 2.8 - 0.1 * k - 0.05 * at,
                }
                for k in (10, 2 + at)
            ]
            rows.append(
                {
                    **brought,
                    "ranking": ranking,
                    "target": target,
                    "trace": trace,
                    "status": "flipped" if flips else "censored",
                    "support": 2 + at if flips else None,
                    "lo": 1 + at if flips else 20,
                    "hi": 2 + at if flips else None,
                }
            )
    to_table(rows).to_parquet(ws.path / "supports.parquet")
    rng = np.random.default_rng(0)
    masks = rng.random((12, tiny.TRAIN)) < 0.5
    (ws.path / "lds").mkdir()
    np.save(ws.path / "lds" / "masks.npy", np.packbits(masks, axis=1))
    np.save(ws.path / "lds" / "margins.npy", rng.normal(0, 1, (12, 2, tiny.VAL)).astype(np.float16))
    ws.record(
        "lds",
        {"alpha": 0.5, "masks": 12, "seeds": [0, 1], "recipe": "demo-cnn", "hash": "x"},
        ["lds/masks.npy", "lds/margins.npy"],
    )
    return Workspace.open(ws.path)


def opened(tab, **link):
    app = AppTest.from_file(str(APP), default_timeout=30)
    app._page_hash = calc_hash("methods")
    app.query_params.update({"tab": tab, **link})
    app.run()
    assert not app.exception, app.exception
    return app


@pytest.fixture
def strangers(study):
    """The study, and a signed ranking that ranks for none of its targets."""
    folder = study.path / "rankings" / "a-part"
    folder.mkdir()
    np.save(folder / "scores.npy", np.ones((tiny.VAL, tiny.TRAIN), np.float16))
    np.save(folder / "targets.npy", np.array([1, 2]))
    study.record(
        "rankings/a-part",
        {"method": "PART", "signed": True},
        [f"rankings/a-part/{name}.npy" for name in ("scores", "targets")],
    )
    return Workspace.open(study.path)


def test_a_ranking_of_other_targets_is_not_offered(strangers):
    store = Store.of(strangers)
    calibration.keep(strangers, calibration.gather(strangers), {})
    assert calibration.stored(strangers).names == ("trak-10", "a-part")
    for link in ({}, {"calibrated": "a-part"}):
        assert "foretold by trak-10" in str(opened("calibration", **link).get("plotly_chart")[0].proto)
    with pytest.raises(UserError, match="a-part is not calibrated here; choose one of trak-10"):
        charts.chart(strangers, store, "calibration", ranking="a-part")
    table = pd.read_parquet(strangers.path / "supports.parquet")
    table.assign(target=[1, 2] * 10)[table.ranking == "random"].drop_duplicates("target").to_parquet(
        strangers.path / "supports.parquet"
    )
    strangers.remove("rankings/trak-10")
    ws = Workspace.open(strangers.path)
    calibration.keep(ws, dataclasses.replace(calibration.gather(ws), predicted=np.full((1, 4), np.nan)), {})
    with pytest.raises(UserError, match="nothing to draw as calibration"):
        charts.chart(ws, store, "calibration")
    assert "ranks for the targets that were retrained" in texts(opened("calibration"))
    store.close()


def texts(app) -> str:
    return " ".join(
        str(one.value) for one in [*app.caption, *app.info, *app.warning, *app.header, *app.markdown]
    ).replace("\\", "")


def html(app) -> str:
    return " ".join(one.proto.body for one in app.get("html"))


@pytest.fixture
def asked(monkeypatch):
    words = []
    monkeypatch.setattr(background, "start", lambda ws, asked: words.append(asked))
    return words


def test_what_was_not_measured_is_asked_for(ws, asked):
    app = opened("calibration")
    assert "not been compared with retrainings yet" in texts(app)
    app.button(key="start evaluate calibration").click().run()
    assert asked == [["evaluate", "calibration"]] and not app.exception


def test_without_a_signed_ranking_or_models_it_says_so(ws):
    ws.manifest["parts"]["rankings/trak-10"]["signed"] = False
    (ws.path / "workspace.json").write_text(__import__("json").dumps(ws.manifest))
    assert "No ranking here has a sign" in texts(opened("calibration"))
    (ws.path / "base" / "probabilities.npy").unlink()
    assert "none has been trained here yet" in texts(opened("calibration"))


def test_predicted_and_measured(study):
    rows = calibration.gather(study)
    calibration.keep(study, rows, {})
    app = opened("calibration")
    told = calibration.summary(study, rows)
    one = told["rankings"]["trak-10"]["own"]
    assert f"<b>{one['spearman']:.2f}</b>".replace("-", "−") in html(app) and "1 to 8" in html(app)
    assert all(words in texts(app) for words in ("no random sample", "no sign or no unit", "50 times it is fitted"))
    points = calibration.points(rows, told, "trak-10", "own")
    assert {one["k"] for one in points} >= {10, 2} and len(points) == one["n"]
    chart = drawn.figure(points, "trak-10")
    assert chart.data[0].x[0] == pytest.approx(one["slope"] * points[0]["predicted"])
    assert chart.data[-1].name == "as foretold"


def test_calibration_as_csv(study):
    rows = calibration.gather(study)
    told = calibration.summary(study, rows, 20)
    table = list(csv.DictReader(io.StringIO(drawn.to_csv(told))))
    assert {row["removed"] for row in table} == set(calibration.WHOSE) and {"all", "1 to 8"} <= {r["k"] for r in table}
    points = list(csv.DictReader(io.StringIO(drawn.points_csv(rows, told))))
    assert len(points) == len(rows.target) and all(row["foretold"] for row in points)


def test_lds_not_measured_is_asked_for_below_the_supports(study, asked):
    app = opened("supports")
    assert "Do LDS and supports agree?" in texts(app) and "not been measured here yet" in texts(app)
    app.button(key="start evaluate lds-supports").click().run()
    assert asked == [["evaluate", "lds-supports"]] and not app.exception


def test_without_halves_the_section_is_absent(ws):
    assert "Do LDS and supports agree?" not in texts(opened("supports"))


def test_lds_against_supports(study):
    store = Store.of(study)
    known = studies.study(study, store)
    store.close()
    found = lds_supports.per_target(study, *lds_supports.wanted(known))
    lds_supports.keep(study, found, {})
    app = opened("supports")
    told = lds_supports.report(study, known, found)
    row = told["kinds"]["remove"]["rankings"]["trak-10"]
    assert f"<b>{row['spearman']:.2f}</b>".replace("-", "−") in html(app) and row["censored"] == 5
    assert "12 held-out halves with 2 seeds" in texts(app) and "start evaluate lds-supports" not in [
        one.key for one in app.button
    ]
    points = lds_supports.points(known, found)
    chart = lds_vs_support.figure(points, 20)
    trak = chart.data[0]
    assert len(points) == 20 and trak.name == "trak-10"
    assert [y for y, symbol in zip(trak.y, trak.marker.symbol) if symbol.endswith("-open")] == [pytest.approx(22.4)] * 5
    table = list(csv.DictReader(io.StringIO(lds_vs_support.to_csv(told))))
    assert [row["ranking"] for row in table] == ["trak-10", "random"] and table[1]["spearman"] == ""
    assert len(list(csv.DictReader(io.StringIO(lds_vs_support.points_csv(points))))) == 20
