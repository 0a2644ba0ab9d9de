"""The fall of the margin on Compare: a row a ranking, where it was measured, and how to measure it."""

from attribution.evaluation import margin_removal
from attribution.store.results import ResultStore
from pages.compare import margin_removal as topic
from tests.pages.page import commands, html, open_page, texts


def opened(model="head-moco"):
    return open_page("compare", tab="Advanced", topic="Margin without the top 1 %", model=model)


def test_what_was_measured_is_a_table(ws):
    seen = ws.with_model("head-moco")
    with ResultStore.for_workspace(ws) as store:
        answer = margin_removal.compute(seen, store, ["random", "influence-moco"], 0.1, draws=2)
    margin_removal.save(seen, answer, {"command": "x", "made": "2026-11-30"})
    app = opened()
    assert not app.exception and "influence-moco" in html(app)
    assert [name for name, _ in topic.in_order(answer)] == ["influence-moco", "random"]
    fall = answer["rankings"]["influence-moco"]["same_classes"]["fall"]["mean"]
    assert f"{fall:.2f}" in html(app) and "The first 6 training images (10 %)" in texts(app)
    assert "exact refits without seeds; 12 targets" in texts(app)
    assert len(topic.to_csv(answer).splitlines()) == 5


def test_a_network_has_no_random_images_of_any_class():
    row = {name: {"mean": 0.5, "ci": [0.25, 0.75], "n": 3} for name in ("fall", "control", "difference")}
    answer = {"rankings": {"trak-10": {"removed": 6.0, "same_classes": row, "any_class": None}}}
    assert "0.25 to 0.75" in topic.table_html(answer) and "–" in topic.table_html(answer)


def test_how_to_measure_it(ws):
    app = opened()
    assert not app.exception and "It refits the head exactly without the first 1 %" in texts(app)
    assert any("evaluate removal --model head-moco" in line for line in commands(app))
    assert "A network would have to be trained" in texts(opened("demo-cnn"))
