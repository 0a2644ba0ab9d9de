"""Jobs of Data & jobs, run without a browser and without a runner: what is listed, how far it is, where it leads."""

import time
from functools import partial

from attribution.experiments import retrain, study
from attribution.experiments.unrolled import unrolled_spec
from attribution.runner import commands
from attribution.runner.commands import Command
from pages.data import job_list, job_text
from pages.ui import state
from tests.pages.page import open_page, texts

opened = partial(open_page, "data")


def ask(ws, store, target=3):
    spec = retrain.retrain_spec(ws, target, "trak-10", "remove", 2)
    return store.add_job(spec, spec.describe())


def links(app) -> dict:
    return {link.proto.label: link.proto for link in app.get("page_link")}


def bars(app) -> str:
    return " ".join(one.proto.text for one in app.get("progress")).replace("\\", "")


def test_where_nothing_ran_there_are_ways_to_begin(ws):
    app = opened()
    assert not app.exception and "Nothing has run here yet." in texts(app)
    assert [button.label for button in app.button] == ["Import scores", "Compute features or scores", "Start a study"]
    app.button[0].click().run()
    assert not app.exception and app.header[0].value == "Import" and "import" in app.query_params["part"]


def test_a_job_is_followed_paused_resumed_and_cancelled(ws, store):
    first, number = ask(ws, store), ask(ws, store, 4)
    app = opened()
    assert not app.exception and f"{number}. Target 4: retrain without the first 2 of trak-10" in texts(app)
    assert "Waiting, 1 job before it" in bars(app)
    store.start_job(number, 10)
    store.progress_job(number, 4)
    store.db.execute("UPDATE jobs SET started = ? WHERE id = ?", (time.time() - 20, number))
    app.run()
    assert "Running for 20 s: 4 of 10, about 30 s left" in bars(app)
    app.button(key=f"pause {number}").click().run()
    assert store.job(number).state == "paused" and "Paused at 4 of 10" in bars(app)
    app.button(key=f"resume {number}").click().run()
    assert store.job(number).state == "queued"
    app.button(key=f"cancel {number}").click().run()
    assert store.job(number).state == "cancelling" and "Stopping" in bars(app)
    store.finish_job(number, "cancelled")
    store.finish_job(first, "failed", "the disk is full")
    app = opened()
    assert not app.exception and "Cancelled, " in texts(app) and "Failed: the disk is full, " in texts(app)
    assert not app.get("progress") and not any("cancel" in button.key for button in app.button)


def test_unfinished_jobs_stand_first_and_the_newest_of_the_others_next(ws, store):
    old = ask(ws, store)
    for target in range(4, 10):
        store.finish_job(ask(ws, store, target), "done")
    shown = texts(opened())
    places = [shown.index(f"**{number}. ") for number in (old, 7, 6, 2)]
    assert places == sorted(places)


def test_where_a_job_leads(ws, store):
    number = ask(ws, store)
    spec = study.study_spec(ws, [0, 4], ["trak-10"], ["remove"])
    studied = store.add_job(spec, spec.describe())
    assert job_text.result_link(store.job(number), "demo-cnn") == (
        "debug",
        "Show in Debug",
        {"target": "3", "ranking": "trak-10", "k": "2", "job": str(number), "model": "demo-cnn"},
    )
    unrolled = unrolled_spec(ws, 4, 1)
    page, _, address = job_text.result_link(store.job(store.add_job(unrolled, unrolled.describe())), "demo-cnn")
    assert page == "debug" and address["target"] == "4" and address["ranking"] == "unrolled-exact"
    page, _, address = job_text.result_link(store.job(studied), "demo-cnn")
    assert page == "data" and address[state.PART] == "studies" and address["job"] == str(studied)
    app = opened()
    assert "Show in Debug" in links(app)
    next(button for button in app.button if button.label == "Show the study").click().run()
    assert not app.exception and app.header[0].value == "Studies" and str(studied) in app.query_params["job"]


def test_a_command_says_what_it_did_and_how_it_failed(ws, monkeypatch):
    told = ["import", "tensor", "/x/mine.npy", "--name", "mine", "--workspace", str(ws.path)]
    listed = [
        Command(3, ["features", "train", "moco", "--workspace", "/w"], "running", time.time(), 5, "", ("epochs", 3, 9)),
        Command(2, told, "failed", time.time() - 9, 2.0, "/x/mine.npy is square; say --orientation target-first", None),
    ]
    monkeypatch.setattr(commands, "list_commands", lambda workspace: listed)
    app = opened()
    assert not app.exception and "Compute moco features" in texts(app) and "Epochs: 3 of 9, 5.0 s so far" in bars(app)
    assert "Import scores: mine" in texts(app)
    assert 'Failed after 2.0 s: /x/mine.npy is square; answer "The first axis is" above' in texts(app)


def test_an_import_is_told_beside_the_bundled_rankings():
    check = {"n": 12, "top1_same_class": 0.75, "chance": 0.33, "warning": None}
    answer = {"ranking": "mine", "alignment": check, "lds": None, "why_no_lds": "tiny has no held-out halves"}
    assert job_text.import_text(answer) == (
        "Imported mine for 12 targets. Its top image has the target's class for 75% of them (33% by chance). "
        "LDS was not measured: tiny has no held-out halves."
    )
    answer |= {"lds": {"lds": 0.412, "ci": [0.39, 0.43]}, "halves": {"masks": 100, "recipe": "demo-cnn"}}
    told = job_text.import_text(answer, {"trak-10": 0.486})
    assert "LDS 0.41 (95% interval 0.39 to 0.43), measured on 100 models trained on random halves (demo-cnn)." in told
    assert told.endswith("For comparison: trak-10 0.49.")


def test_the_end_is_foreseen_by_the_pace_once_enough_is_done():
    assert job_text.seconds_left(0, 100, 60) is None and job_text.seconds_left(1, 1000, 60) is None
    assert job_text.seconds_left(25, 100, 60) == 180 and job_text.seconds_left(100, 100, 60) is None


def test_the_rows_with_an_import_begin_with_it(ws):
    rows = job_list.rows_with(ws, "random")
    assert rows[0] == "random" and rows.count("random") == 1 and len(rows) > 1
