"""A question of one target whose job is paused."""

from functools import partial

from attribution.experiments import retrain
from tests.pages.page import open_page, texts

opened = partial(open_page, "debug", panel="verdict")


def test_a_paused_question_can_go_on(ws, store):
    spec = retrain.retrain_spec(ws, 3, "trak-10", "remove", 2)
    number = store.add_job(spec, spec.describe())
    store.pause_job(number)
    app = opened(target="3", k="2", ranking="trak-10")
    assert f"Job {number}: Paused" in texts(app)
    app.button(key="resume").click().run()
    assert store.job(number).state == "queued" and f"Job {number}: Waiting for the runner" in texts(app)
