"""Metasmoothness on Compare: what is shown where it was measured, and how to measure it."""

from attribution import Workspace
from attribution.evaluation import metasmoothness
from pages.compare import metasmoothness as topic
from tests.pages.page import commands, html, open_page, texts


def measured(ws) -> dict:
    recipe = ws.get_recipe()
    by = {"spearman": 0.42, "ci": [0.31, 0.5], "each": [0.4, 0.44]}
    rows = [
        {"share": share, "dropped": round(60 * share), "spread": 0.2, "epochs": [{"epochs": e, **by} for e in (1, 2)]}
        for share in (0.05, 0.1)
    ]
    return {
        "recipe": recipe.name, "recipe_hash": recipe.hash, "targets": 12, "seeds": [300, 301], "draws": 1, "epochs": 2,
        "windows": 3, "precision": "float32, where the recipe trains in bfloat16", "shares": rows,
    }  # fmt: skip


def test_what_was_measured_is_a_table(ws):
    metasmoothness.save(ws, measured(ws), {"command": "x", "made": "2026-11-30"})
    app = open_page("compare", tab="Advanced", topic="Metasmoothness")
    assert not app.exception and "last 2 epochs" in html(app) and "0.42" in html(app) and "0.31 to 0.50" in html(app)
    assert "12 targets, 2 seeds" in texts(app)
    assert "0.42" in topic.to_csv(measured(ws)) and len(topic.to_csv(measured(ws)).splitlines()) == 5


def test_how_to_measure_it(ws):
    app = open_page("compare", tab="Advanced", topic="Metasmoothness")
    assert not app.exception and "Not measured yet for demo-cnn. It trains 14 times" in texts(app)
    assert any("evaluate metasmoothness" in line for line in commands(app))
    assert metasmoothness.load(Workspace.open(ws.path)) is None
