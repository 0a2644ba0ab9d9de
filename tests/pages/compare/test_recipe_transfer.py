"""Several recipes, a section of the Supports tab."""

import csv
import dataclasses
import io
import sys
import types

import numpy as np
import pytest

from attribution.evaluation import recipe_transfer as transfer
from attribution.experiments import study, unedited
from attribution.training import recipes
from pages.compare.supports import recipe_transfer
from tests.pages.compare.tabs import opened_topic
from tests.pages.page import commands, html, texts


@pytest.fixture
def second(monkeypatch):
    module = types.ModuleType("attribution.training.recipes.second")
    module.RECIPE = dataclasses.replace(recipes.get_recipe("demo-cnn"), name="second", epochs=1)
    monkeypatch.setitem(sys.modules, "attribution.training.recipes.second", module)
    monkeypatch.setitem(recipes.NAMES, "second", "second")


def test_with_one_recipe_it_says_that_there_is_one(ws, monkeypatch):
    for name in set(recipes.NAMES) - {"demo-cnn"}:
        monkeypatch.delitem(recipes.NAMES, name)
    monkeypatch.setattr("attribution.workspace.heads.names", lambda workspace: [])
    app = opened_topic("Other recipes")
    assert not app.exception and "there is one, or no model yet" in texts(app)


def test_with_another_recipe_the_command_that_compares(ws, monkeypatch, second):
    for name in set(recipes.NAMES) - {"demo-cnn", "second"}:
        monkeypatch.delitem(recipes.NAMES, name)
    app = opened_topic("Other recipes")
    assert not app.exception and "Does a ranking's lead hold under another recipe?" in texts(app)
    assert f"python -m attribution study --recipes demo-cnn,second --targets 20 --workspace {ws.path}" in commands(app)


def test_one_curve_a_recipe(ws, store, second):
    def under(spec, needs):
        store.finish_job(store.add_job(spec, ""), "done")
        for search in spec.searches(ws, store):
            answer, hash_ = None, recipes.get_recipe(spec["recipe"]).hash
            while True:
                try:
                    wanted = search.send(answer)
                except StopIteration:
                    break
                for edit, seed in wanted:
                    predicted = np.where(edit.k >= needs, 9, ws.val_labels)
                    store.put(
                        hash_,
                        edit,
                        seed,
                        seconds=1.0,
                        device="cpu",
                        library="x",
                        threads=1,
                        predicted=predicted,
                        margins=np.full(12, 0.5),
                    )
                answer = [store.get(store.key(hash_, edit, seed)) for edit, seed in wanted]

    asked = {"targets": [0, 3, 4], "rankings": ["trak-10", "random"], "kinds": ["remove"], "k_max": 20}
    under(unedited.unedited_spec(ws, "second"), 99)
    under(study.study_spec(ws, **asked), 5)
    under(study.study_spec(ws, **asked, recipe="second"), 10)
    app = opened_topic("Other recipes")
    assert not app.exception and not app.error
    assert "not comparable as numbers" in texts(app) and app.selectbox(key="transfer ranking").value == "trak-10"
    label = f"second {recipes.get_recipe('second').hash}"
    assert label in html(app) and f"demo-cnn {recipes.get_recipe('demo-cnn').hash}" in html(app)
    found = transfer.common_studies(ws, store, ["demo-cnn", "second"])
    drawn = {one.name: one for one in recipe_transfer.figure(ws, found, "trak-10").data}
    # target 0 brings its own answer (4 under trak-10, none under random)
    assert drawn[label].y[9] == 0 and drawn[label].y[10] == 1 and label in drawn and "random, second" in drawn
    rows = list(csv.DictReader(io.StringIO(recipe_transfer.to_csv(ws, found))))
    assert len(rows) == 2 * 2 * 3 and {row["support"] for row in rows if row["recipe"] == "second"} == {"10"}
