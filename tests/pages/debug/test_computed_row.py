"""The row that is computed when it is asked for: the way to it, its cost, its progress, and what it says then."""

import numpy as np
import pytest

from attribution.experiments.unrolled import unrolled_spec
from attribution.rankings.unrolled import on_demand
from attribution.rankings.unrolled.on_demand import NAME
from pages.debug import computed_row
from pages.ui import running_jobs, state
from tests.pages.page import open_page, texts

LINK = {"target": "4", "rankings": ["trak-10", NAME]}


def keep(ws, store, target, seed, first=0):
    scores = np.zeros(60)
    scores[first : first + 20] = np.arange(20, 0, -1)
    spec = unrolled_spec(ws, target, seed - 299)
    store.put_answer(spec.recipe_hash, on_demand.question(target, seed, 3), {**on_demand.pack(scores), "seconds": 12.0})


def button(app, key):
    return next((found for found in app.button if found.key == key), None)


def test_a_target_without_unrolled_scores_offers_the_row_and_its_cost(ws, store):
    app = open_page(target="4")
    offer = button(app, "add computed row")
    assert offer.label == "Unrolled, exact: about 25 s"
    offer.click().run()
    assert not app.exception and not app.error
    assert app.session_state[state.RANKINGS][-1] == NAME
    (job,) = store.jobs()
    assert job.spec["verb"] == "unrolled" and job.spec["target"] == 4 and job.spec["seeds"] == [300]
    assert button(app, "add computed row") is None
    (bar,) = [bar for bar in app.get("progress") if "exact" in bar.proto.text]
    assert bar.proto.text.replace("\\", "") == "Unrolled, exact: waiting for its turn"


def test_no_other_way_to_it_where_the_scores_are_stored(ws, store, monkeypatch):
    monkeypatch.setattr(computed_row, "_has_scores", lambda ws, target: True)
    assert button(open_page(target="4"), "add computed row") is None


def test_a_link_to_a_row_that_is_not_computed_shows_its_button(ws, store):
    app = open_page(**LINK)
    assert not app.exception and not app.warning
    assert button(app, "sharpen computed row") is None  # the row itself has it
    said = computed_row.empty_row(ws, 4)
    assert said["empty"] == "Not computed for this target yet" and said["action"]["text"] == "Compute (about 25 s)"
    assert "last 3 of 6 epochs" in said["action"]["title"]


def test_progress_counts_the_model_that_is_under_way(ws, store):
    keep(ws, store, 4, 300)
    spec = unrolled_spec(ws, 4, 2)
    number = store.add_job(spec, spec.describe())
    store.start_job(number, 2)
    store.progress_job(number, 1)
    store.set_live_training("part", number, 1, 6)
    store.set_live_epoch("part", 30, 60)
    store.db.execute("UPDATE jobs SET started = started - 30 WHERE id = ?", (number,))
    app = open_page(**LINK)
    (bar,) = [bar for bar in app.get("progress") if "exact" in bar.proto.text]
    assert bar.proto.value == 75
    assert bar.proto.text.replace("\\", "") == "Unrolled, exact: model 2 of 2 · 75 % · about 10 s left"
    assert button(app, "cancel computed row") is not None and button(app, "sharpen computed row") is None
    assert computed_row.empty_row(ws, 4)["empty"].startswith("Being computed")


def test_a_row_says_how_many_models_it_has_and_how_stable_it_is(ws, store):
    keep(ws, store, 4, 300)
    app = open_page(**LINK)
    assert "Unrolled, exact: 1 model. How stable the row is shows with a second." in texts(app)
    assert button(app, "sharpen computed row").label == "+1 model (about 15 s)"
    keep(ws, store, 4, 301, first=7)
    app.run()
    assert "Of the first 20 images by one model alone, 13 are among the first 20 by another." in texts(app)
    button(app, "sharpen computed row").click().run()
    (job,) = store.jobs()
    assert job.spec["seeds"] == [300, 301, 302]


def test_a_job_that_failed_says_why_and_can_be_asked_again(ws, store):
    keep(ws, store, 4, 300)
    spec = unrolled_spec(ws, 4, 2)
    number = store.add_job(spec, spec.describe())
    store.finish_job(number, "failed", "a worker process ended; perhaps the memory is full")
    app = open_page(**LINK)
    assert "A worker process ended; perhaps the memory is full." in texts(app)
    assert button(app, "sharpen computed row") is not None


def test_under_a_head_it_says_which_row_is_the_same(ws, store):
    app = open_page(model="head-moco", target="4", rankings=NAME)
    assert not app.exception
    assert "under a head Unrolled is exact and immediate: it is the row influence-moco" in texts(app)
    assert button(app, "add computed row") is None


@pytest.mark.parametrize("model", [None, "demo-cnn"])
def test_the_chip_leads_to_the_row(ws, store, model):
    spec = {**unrolled_spec(ws, 4, 1), **({"model": model} if model else {})}
    job = store.job(store.add_job(spec, "x"))
    folder, link = running_jobs.result_address(job)
    assert folder == "debug" and link["target"] == "4" and link["ranking"] == NAME
    assert link.get("model") == model
