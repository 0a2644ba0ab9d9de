"""Studies in Data & jobs, run without a browser and without a runner; tests/browser/test_studies.py trains."""

from functools import partial

from attribution.experiments import jobs, study
from attribution.training import recipes
from pages.data import study_text
from pages.ui import state
from tests.pages.page import html, open_page, texts

opened = partial(open_page, "data")


def asked(ws, store, targets=(0, 4), k_max=8, **more):
    spec = study.study_spec(ws, list(targets), ["trak-10", "l2-moco"], ["remove"], k_max=k_max)
    return store.add_job({**spec} | more, spec.describe())


def answer(ws, store, ranking, target, support):
    version = ws.ranking(ranking).version
    store.put_support(
        recipes.get_recipe(ws.recipe).hash,
        ranking,
        target,
        "remove",
        "default",
        8,
        {
            "status": "flipped" if support else "censored",
            "support": support,
            "lo": support and support - 1 or 8,
            "hi": support,
            "trace": [],
            "trainings": 10,
            "version": version,
        },
    )


def bar(app) -> str:
    return " ".join(one.proto.text for one in app.get("progress")).replace("\\", "")


def heading(app) -> str:
    return app.subheader[0].value.replace("\\", "")


def keys(app) -> set:
    """Of the buttons, but that of a new study."""
    return {button.key for button in app.button} - {"start study"}


def test_a_study_is_started_here(ws, store):
    app = opened(part="studies")
    assert not app.exception and "searches" in texts(app)
    app.number_input(key=state.STUDY_TARGETS).set_value(2)
    app.button_group(key=state.STUDY_RANKINGS).set_value(["trak-10"])
    app.button_group(key=state.STUDY_KINDS).set_value(["remove"]).run()
    app.button(key="start study").click().run()
    (job,) = store.open_jobs()
    assert not app.exception and job.spec["rankings"] == ["trak-10"] and len(job.spec["targets"]) == 2
    assert f"Job {job.id}, waiting for the runner" in bar(app) and [*app.query_params["job"]] == [str(job.id)]
    assert app.button(key="start study").disabled, "one at a time"


def test_a_study_is_watched_paused_resumed_and_cancelled(ws, store):
    number = asked(ws, store)
    app = opened(part="studies")
    assert not app.exception and "2 targets under 2 rankings" in heading(app)
    assert f"Job {number}, waiting for the runner: 0 of 4 searches answered" in bar(app)
    assert keys(app) >= {"pause study", "cancel study"} and study_text.PAUSING in texts(app)
    store.start_job(number, 5)
    answer(ws, store, "trak-10", 0, 3)
    app.run()
    assert f"Job {number}, running for" in bar(app) and "1 of 4 searches answered" in bar(app)
    assert "<b>10</b> trainings done" in html(app) and "<b>about 30</b> trainings left" in html(app)
    assert "left, an estimate" in html(app) and "30 × 5 s a training (a guess yet)" in html(app)
    assert '1 of 2</td><td class="n">50% to 100%' in html(app) and '0 of 2</td><td class="n">0% to 100%' in html(app)
    app.button(key="pause study").click().run()
    assert store.job(number).state == "paused" and "paused: nothing of it is running" in bar(app)
    assert keys(app) >= {"resume study", "cancel study"}
    app.button(key="resume study").click().run()
    assert store.job(number).state == "queued" and keys(app) >= {"pause study", "cancel study"}
    app.button(key="cancel study").click().run()
    assert store.job(number).state == "cancelling" and "stopping" in bar(app)
    assert app.button(key="pause study").disabled and app.button(key="cancel study").disabled
    store.finish_job(number, "cancelled")
    app.run()
    assert "cancelled after" in bar(app) and "go on" in keys(app)
    app.button(key="go on").click().run()
    (again,) = store.open_jobs()
    assert not app.exception and again.spec == store.job(number).spec
    assert f"Job {again.id}, waiting" in bar(app) and [*app.query_params["job"]] == [str(again.id)]


def test_a_link_to_a_study_opens_it(ws, store):
    old, new = asked(ws, store), asked(ws, store, targets=[5])
    store.finish_job(old, "done")
    app = opened(job=str(old))
    assert not app.exception and not app.warning and "2 targets under 2 rankings" in heading(app)
    app = opened(part="studies")
    assert "1 target under 2 rankings: how few images decide it?" in heading(app), "the one that has not ended"
    app.button_group(key=state.STUDY).set_value(old).run()
    assert [*app.query_params["job"]] == [str(old)] and f"Job {old}, done" in bar(app)
    assert new != old


def test_a_study_beyond_the_list_is_opened_by_its_number(ws, store):
    numbers = [asked(ws, store, k_max=8 + again) for again in range(9)]
    app = opened(job=str(numbers[0]))
    assert not app.exception and f"Job {numbers[0]}, waiting for the runner" in bar(app)
    app = opened(job=str(numbers[6]))
    assert f"Job {numbers[6]}, waiting for the runner, 6 jobs before it" in bar(app)


def test_what_goes_wrong_with_a_button_is_one_sentence(ws, store, monkeypatch):
    store.pause_job(asked(ws, store))
    app = opened(part="studies")

    def broken(workspace):
        raise jobs.UserError("the background runner cannot work: no")

    monkeypatch.setattr(jobs, "ensure_runner", broken)
    app.button(key="resume study").click().run()
    assert not app.exception and "The background runner cannot work" in app.error[0].value
