"""The further sections of Methods: repairs in the chart, pruning, and several recipes; run without a browser."""

import csv
import dataclasses
import io
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from attribution import jobs, prune, questions, recipes, studies, transfer
from attribution.support import Support
from pages.methods.supports import curves, pruning, recipe_transfer, tables
from pages.ui import state
from tests.pages.test_brittleness import answered

APP = Path(__file__).resolve().parents[3] / "app.py"


@pytest.fixture
def second(monkeypatch):
    module = types.ModuleType("attribution.recipes.second")
    module.RECIPE = dataclasses.replace(recipes.get("demo-cnn"), name="second", epochs=1)
    monkeypatch.setitem(sys.modules, "attribution.recipes.second", module)
    monkeypatch.setitem(recipes.NAMES, "second", "second")


def opened():
    app = AppTest.from_file(str(APP), default_timeout=30)
    app._page_hash = calc_hash("methods")
    return app.run()


def texts(app) -> str:
    return " ".join(str(one.value) for one in [*app.markdown, *app.caption, *app.header]).replace("\\", "")


def html(app) -> str:
    return " ".join(one.proto.body for one in app.get("html"))


def support(size, k_max=20, status="flipped"):
    return Support(status, size, size - 1, size, [], 9) if size else Support("censored", None, k_max, None, [], 5)


# -- repairs


def test_repairs_have_a_panel_and_a_count_of_their_own():
    right = Support("already_right", None, None, None, [], 0)
    study = studies.Study(
        20,
        "default",
        {"remove": {"trak-10": {0: support(4)}}, "repair": {"trak-10": {1: support(3, status="repaired"), 2: right}}},
    )
    drawn = curves.support_curves(study)
    assert [one.text for one in drawn.layout.annotations] == ["Removal", "Repair of wrong targets"]
    measured = studies.evaluate(study)
    assert tables.counts("repair", measured["repair"]["rankings"]) == (
        "Repair supports: 1 target, 1 more already right and left out"
    )
    assert "Repair supports" in tables.table_html(measured, None, 20)


def test_a_study_of_repairs_is_asked_for_by_itself(ws, store):
    (ws.path / "supports.parquet").unlink()
    app = opened()
    app.number_input(key=state.STUDY_TARGETS).set_value(1)
    app.button_group(key=state.STUDY_RANKINGS).set_value(["trak-10"])
    app.button_group(key=state.STUDY_KINDS).set_value(["remove", "repair"]).run()
    assert not app.exception and "make two studies" in texts(app)
    app.button_group(key=state.STUDY_KINDS).set_value(["repair"]).run()
    app.button(key="start study").click().run()
    assert not app.exception and store.jobs()[0].spec["targets"] == [1]
    spec = store.jobs()[0].spec
    answered(ws, store, spec, lambda edit, seed: 1 if edit.k >= 3 else 2)
    store.finish_job(1, "done")
    app = opened()
    assert not app.exception and "Repair supports: 1 target, 0 more already right" in texts(app)
    assert "A repair removes the most harmful images" in texts(app)
    outcome = next(group for group in app.button_group if group.label == "Outcome")
    assert outcome.value == "repaired"


# -- pruning


def pruned(ws, store, seeds=3):
    spec = questions.prune_spec(ws, "trak-10", [20, 50], range(seeds))
    chosen = prune.edits(ws, spec)
    answered(ws, store, spec, lambda edit, seed: ws.val_labels if edit.k == 0 or edit in chosen else 9)
    return spec


def test_without_any_pruning_it_can_be_asked_for_and_watched(ws, store):
    app = opened()
    assert not app.exception and "Nothing has been pruned here yet" in texts(app)
    app.selectbox(key=state.PRUNE_RANKING).set_value("l2-moco")
    app.button_group(key=state.PRUNE_SHARES).set_value([30])
    app.number_input(key=state.PRUNE_SEEDS).set_value(2).run()
    assert "6 trainings, in the background" in texts(app)
    line = f"python -m attribution prune --ranking l2-moco --shares 30 --seeds 2 --workspace {ws.path}"
    assert line in [code.value for code in app.code]
    app.button(key="start pruning").click().run()
    (job,) = store.open_jobs()
    assert not app.exception and job.spec == questions.prune_spec(ws, "l2-moco", [30], range(2))
    assert app.button(key="start pruning").disabled and app.button(key="cancel pruning")
    app.button_group(key=state.PRUNE_SHARES).set_value([]).run()
    assert not app.exception and "Give at least one share" in texts(app)


def test_the_curves_of_pruning(ws, store):
    pruned(ws, store)
    app = opened()
    assert not app.exception and not app.error and "Nothing has been pruned" not in texts(app)
    assert "3 seeds a point, each with a random draw of its own" in texts(app) and "1 planted errors" in texts(app)
    assert "<b>100.0</b>" in html(app) and "<b>+100.0</b>" in html(app) and "20 %" in html(app)


def test_pruning_as_a_chart_and_as_csv(ws, store):
    spec = pruned(ws, store)
    known = [prune.answer(ws, store, spec)]
    drawn = pruning.figure(known)
    lines = {one.name: one for one in drawn.data}
    assert lines["trak-10"].x == (0, 20, 50) and lines["trak-10"].y == (1, 1, 1)
    assert lines["random, classes of trak-10"].y == (1, 0, 0) and lines["random, classes of trak-10"].line.dash == "dot"
    rows = list(csv.DictReader(io.StringIO(pruning.to_csv(known))))
    assert len(rows) == 3 * 5 and rows[0] == {
        "ranking": "trak-10",
        "share": "0",
        "images": "0",
        "part": "full",
        "seed": "0",
        "accuracy": "1.0",
        "targets": "6",
        "recipe": "demo-cnn",
        "recipe_hash": recipes.get("demo-cnn").hash,
    }


def test_curves_of_a_ranking_that_changed_are_not_shown(ws, store):
    pruned(ws, store)
    ws.record("rankings/trak-10", ws.manifest["parts"]["rankings/trak-10"], ["rankings/trak-10/scores.npy"])
    assert "Nothing has been pruned here yet" in texts(opened())


def test_a_single_seed_has_no_interval(ws, store):
    spec = pruned(ws, store, seeds=1)
    known = [prune.answer(ws, store, spec)]
    assert "–" in pruning.table_html(known) and pruning.figure(known).data[0].error_y.array == (0, 0, 0)


# -- several recipes


def test_with_one_recipe_there_is_no_such_section(ws, monkeypatch):
    for name in set(recipes.NAMES) - {"demo-cnn"}:
        monkeypatch.delitem(recipes.NAMES, name)
    app = opened()
    assert not app.exception and "under another recipe" not in texts(app)


def test_with_another_recipe_the_command_that_compares(ws, monkeypatch, second):
    for name in set(recipes.NAMES) - {"demo-cnn", "second"}:
        monkeypatch.delitem(recipes.NAMES, name)
    app = opened()
    assert not app.exception and "Does it hold under another recipe?" in texts(app)
    assert f"python -m attribution study --recipes demo-cnn,second --targets 20 --workspace {ws.path}" in [
        code.value for code in app.code
    ]


def test_one_curve_a_recipe(ws, store, second):
    def under(spec, needs):
        store.finish_job(store.add_job(spec, ""), "done")
        for search in jobs.searches(ws, store, spec):
            answer, hash_ = None, recipes.get(spec["recipe"]).hash
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
    under(questions.unedited_spec(ws, "second"), 99)
    under(jobs.study_spec(ws, **asked), 5)
    under(jobs.study_spec(ws, **asked, recipe="second"), 10)
    app = opened()
    assert not app.exception and not app.error
    assert "not comparable as numbers" in texts(app) and app.selectbox(key="transfer ranking").value == "trak-10"
    label = f"second {recipes.get('second').hash}"
    assert label in html(app) and f"demo-cnn {recipes.get('demo-cnn').hash}" in html(app)
    found = transfer.compare(ws, store, ["demo-cnn", "second"])
    drawn = {one.name: one for one in recipe_transfer.figure(found, "trak-10").data}
    # target 0 brings its own answer (4 under trak-10, none under random)
    assert drawn[label].y[9] == 0 and drawn[label].y[10] == 1 and label in drawn and "random, second" in drawn
    rows = list(csv.DictReader(io.StringIO(recipe_transfer.to_csv(found))))
    assert len(rows) == 2 * 2 * 3 and {row["support"] for row in rows if row["recipe"] == "second"} == {"10"}
