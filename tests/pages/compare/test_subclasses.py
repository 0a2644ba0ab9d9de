"""Merged classes on Compare: a row a ranking, where it was measured, and how to measure it."""

from attribution import Workspace
from attribution.evaluation import subclasses
from pages.compare import subclasses as topic
from tests.pages.page import commands, html, open_page, texts


def opened(model="head-moco"):
    return open_page("compare", tab="Advanced", topic="Merged classes", model=model)


def test_what_was_measured_is_a_table(ws):
    seen = ws.with_model("head-moco")
    answer = subclasses.compute(seen, [[0, 1]], ["l2-moco", "influence-moco", "random"])
    subclasses.save(seen, answer, {"command": "x", "made": "2026-12-01"})
    app = opened()
    assert not app.exception
    names = [name for name, _ in topic.in_order(answer)]
    places = [html(app).index(f"{name}<") for name in names]
    assert places == sorted(places) and "head-moco with merged labels" in html(app)
    within = answer["rankings"][names[0]]["within"]
    assert f"{within['mean']:.2f}" in html(app) and "targets of merged classes" in texts(app)
    assert f"Merged: {' + '.join(answer['merged'][0])}. Correct on the validation images then: head-moco" in texts(app)
    assert len(topic.to_csv(answer).splitlines()) == 13
    assert subclasses.load(Workspace.open(ws.path)) is None, "of the head alone"


def test_how_to_measure_it(ws):
    app = opened()
    assert not app.exception and "Not measured yet for head-moco. It merges the pairs of classes" in texts(app)
    assert any("evaluate subclass --model head-moco" in line for line in commands(app))
    assert "evaluate subclass" in " ".join(commands(opened("demo-cnn")))
