"""Pruning, a section of the Supports tab."""

import csv
import io

from attribution.experiments.pruning import pruning_spec
from attribution.training import recipes
from pages.compare.supports import pruning
from pages.ui import state
from tests.pages.answers import answered
from tests.pages.compare.tabs import opened_topic
from tests.pages.page import commands, html, texts


def pruned(ws, store, seeds=3):
    spec = pruning_spec(ws, "trak-10", [20, 50], range(seeds))
    chosen = spec.edits(ws)
    answered(ws, store, spec, lambda edit, seed: ws.val_labels if edit.k == 0 or edit in chosen else 9)
    return spec


def test_without_any_pruning_it_can_be_asked_for_and_watched(ws, store):
    app = opened_topic("Pruning")
    assert not app.exception and "Nothing has been pruned here yet" in texts(app)
    app.selectbox(key=state.PRUNE_RANKING).set_value("l2-moco")
    app.button_group(key=state.PRUNE_SHARES).set_value([30])
    app.number_input(key=state.PRUNE_SEEDS).set_value(2).run()
    assert "6 trainings in the background" in texts(app)
    line = f"python -m attribution prune --ranking l2-moco --shares 30 --seeds 2 --workspace {ws.path}"
    assert line in commands(app)
    app.button(key="start pruning").click().run()
    (job,) = store.open_jobs()
    assert not app.exception and job.spec == pruning_spec(ws, "l2-moco", [30], range(2))
    assert app.button(key="start pruning").disabled and app.button(key="cancel pruning")
    app.button_group(key=state.PRUNE_SHARES).set_value([]).run()
    assert not app.exception and "Give at least one share" in texts(app)


def test_the_curves_of_pruning(ws, store):
    pruned(ws, store)
    app = opened_topic("Pruning")
    assert not app.exception and not app.error and "Nothing has been pruned" not in texts(app)
    assert "3 seeds per point, each with its own random draw" in texts(app) and "1 planted errors" in texts(app)
    assert "<b>100.0</b>" in html(app) and "<b>+100.0</b>" in html(app) and "20 %" in html(app)


def test_pruning_as_a_chart_and_as_csv(ws, store):
    spec = pruned(ws, store)
    known = [spec.answer(ws, store)]
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
        "recipe_hash": recipes.get_recipe("demo-cnn").hash,
    }


def test_curves_of_a_ranking_that_changed_are_not_shown(ws, store):
    pruned(ws, store)
    ws.record_part("rankings/trak-10", ws.manifest["parts"]["rankings/trak-10"], ["rankings/trak-10/scores.npy"])
    assert "Nothing has been pruned here yet" in texts(opened_topic("Pruning"))


def test_a_single_seed_has_no_interval(ws, store):
    spec = pruned(ws, store, seeds=1)
    known = [spec.answer(ws, store)]
    assert "–" in pruning.table_html(known) and pruning.figure(known).data[0].error_y.array == (0, 0, 0)
