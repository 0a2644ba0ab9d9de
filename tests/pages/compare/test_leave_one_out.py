"""Leave-one-out on Compare: a row a ranking, where it was measured, and how to measure it."""

from attribution import Workspace
from attribution.evaluation import leave_one_out
from pages.compare import leave_one_out as topic
from tests.pages.page import commands, html, open_page, texts


def opened(model="head-moco"):
    return open_page("compare", tab="Advanced", topic="Leave-one-out", model=model)


def test_what_was_measured_is_a_table(ws):
    seen = ws.with_model("head-moco")
    answer = leave_one_out.compute(seen, ["l2-moco", "influence-moco"], 20)
    leave_one_out.save(seen, answer, {"command": "x", "made": "2026-11-30"})
    app = opened()
    assert not app.exception and html(app).index("influence-moco") < html(app).index("l2-moco")
    first = topic.in_order(answer)[0][1]["correlation"]
    assert f"{first['mean']:.2f}" in html(app) and "20 training images, drawn at random" in texts(app)
    assert f"head-moco {answer['recipe_hash']}, exact refits" in texts(app)
    assert len(topic.to_csv(answer).splitlines()) == 5
    assert leave_one_out.load(Workspace.open(ws.path)) is None, "of the head alone"


def test_how_to_measure_it(ws):
    app = opened()
    assert not app.exception and "Not measured yet for head-moco. It refits the head exactly" in texts(app)
    assert any("evaluate loo --model head-moco" in line for line in commands(app))
    assert "the noise between two seeds drowns what one image does" in texts(opened("demo-cnn"))
