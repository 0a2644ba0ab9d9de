"""Candidate sets, a topic of Advanced."""

import csv
import io

from attribution.evaluation import candidate_sets
from pages.compare.agreement import candidate_sets as drawn
from tests.pages.compare.tabs import opened_topic
from tests.pages.page import texts

QUESTION = "How good is a ranking that may choose from all classes?"


def test_nothing_without_held_out_halves(ws):
    assert "none has been trained here yet" in texts(opened_topic("Candidate sets"))


def test_what_was_not_measured_is_asked_for(held, started):
    app = opened_topic("Candidate sets")
    assert QUESTION in texts(app)
    app.button(key="start evaluate conditioning").click().run()
    assert started == [["evaluate", "conditioning"]] and not app.exception


def test_table_picture_and_csv(held):
    answer = candidate_sets.compute(held, ["esvm-moco", "trak-10"], k=5, resamples=20)
    candidate_sets.save(held, answer, {"command": "python -m attribution evaluate conditioning"})
    app = opened_topic("Candidate sets")
    html = " ".join(one.proto.body for one in app.get("html"))
    true = answer["rankings"]["esvm-moco"]["sets"]["true"]
    assert f"<b>{true['lds']:.3f}</b> *".replace("-", "−") in html and "100.0 %" in html
    assert "12 targets, 12 held-out halves" in texts(app)
    rows = list(csv.DictReader(io.StringIO(drawn.to_csv(answer, {}))))
    assert len(rows) == 6 and [one["candidates"] for one in rows[:3]] == list(candidate_sets.CANDIDATE_SETS)
    assert [one["as_published"] for one in rows] == ["True", "False", "False", "False", "False", "True"]
    chart = drawn.figure(answer, {})
    assert [one.name for one in chart.data] == list(candidate_sets.CANDIDATE_SETS.values())
    assert list(chart.data[0].x) == [one["sets"]["true"]["lds"] for one in answer["rankings"].values()]
