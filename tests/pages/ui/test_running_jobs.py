"""The chip in the header: what runs, how far it is, and the way to what comes of it."""

import time

import pytest

from attribution.audit.gain import gain_spec
from attribution.experiments.retrain import retrain_spec
from attribution.explore.group_edit import edit_spec
from attribution.explore.groups import read_group
from attribution.runner import commands
from attribution.runner.commands import Command
from attribution.training.edits import remove
from pages.ui import running_jobs, state
from tests.pages.page import open_page
from tests.unit.audit.test_gain import STANDING


@pytest.fixture
def job(ws, store):
    """The number of a job of target 1 that is under way: 3 of 15 after 30 seconds."""
    spec = retrain_spec(ws, 1, "trak-10", "remove", 2)
    number = store.add_job(spec, spec.describe())
    store.start_job(number, 15)
    store.progress_job(number, 3)
    store.db.execute("UPDATE jobs SET started = ? WHERE id = ?", (time.time() - 30, number))
    return number


def command(number=4, state="running", progress=("training", 5, 10), seconds=60.0):
    return Command(number, ["base", "train", "--workspace", "/w"], state, 0.0, seconds, "", progress)


def chips(app) -> list[str]:
    """The chip's text, where there is one."""
    return [block.proto.popover.label for block in app.main.children.values() for block in _popovers(block)]


def _popovers(block):
    if getattr(getattr(block, "proto", None), "id", "").endswith("jobs under way"):
        yield block
    for child in getattr(block, "children", {}).values():
        yield from _popovers(child)


@pytest.mark.parametrize("room", ["debug", "labels", "compare", "data"])
def test_every_page_shows_what_runs(ws, job, room):
    app = open_page(room)
    assert not app.exception
    (text,) = chips(app)
    assert text.replace("*", "") == "1 job running · 20 % · about 2 min left"
    assert {f"pause chip job {job}", f"cancel chip job {job}"} <= {button.key for button in app.button}


def test_nothing_is_drawn_while_nothing_runs(ws, store):
    spec = retrain_spec(ws, 1, "trak-10", "remove", 2)
    number = store.add_job(spec, spec.describe())
    store.finish_job(number, "done")
    assert chips(open_page("data")) == []


def test_what_begins_elsewhere_is_news_until_there_is_a_chip(ws, store, job, monkeypatch):
    monkeypatch.setattr(running_jobs, "session", {})
    assert running_jobs.has_news(ws)
    monkeypatch.setattr(running_jobs, "session", {state.WATCHED_TASKS: [f"job {job}"]})
    assert not running_jobs.has_news(ws)
    store.finish_job(job, "done")
    monkeypatch.setattr(running_jobs, "session", {})
    assert not running_jobs.has_news(ws)


def test_what_ended_stays_until_it_is_looked_at(ws, store, job):
    app = open_page("data")
    store.finish_job(job, "done")
    app.run()
    assert [text.replace("*", "") for text in chips(app)] == ["1 job done · show result"]
    app.button(key=f"dismiss job {job}").click().run()
    assert chips(app) == [] and not app.exception


def test_it_is_looked_at_where_its_result_is(ws, store, job):
    app = open_page("debug", target="1", job=str(job))
    store.finish_job(job, "done")
    app.run()
    assert chips(app) == [] and not app.exception


def test_what_failed_says_so_and_what_was_cancelled_goes(ws, store, job):
    app = open_page("data")
    store.finish_job(job, "failed", "out of memory")
    app.run()
    assert [text.replace("*", "") for text in chips(app)] == ["1 job failed · see why"]
    spec = retrain_spec(ws, 2, "trak-10", "remove", 2)
    other = store.add_job(spec, spec.describe())
    app = open_page("data")
    store.finish_job(other, "cancelled")
    app.run()
    assert chips(app) == []


def test_a_job_is_paused_and_resumed_here(ws, store, job):
    app = open_page("compare")
    app.button(key=f"pause chip job {job}").click().run()
    assert store.job(job).state == "paused"
    assert chips(app)[0].replace("*", "").startswith("1 job paused · 20 %")
    app.button(key=f"resume chip job {job}").click().run()
    assert store.job(job).state == "queued" and not app.exception
    store.pause_job(job)
    store.db.execute("UPDATE jobs SET finished = ? WHERE id = ?", (time.time() - 3600, job))
    assert chips(open_page("data")) == [], "one that was paused long ago is on Data & jobs"


def test_where_results_are(ws, store, job):
    assert running_jobs.result_address(store.job(job)) == (
        "debug",
        {"target": "1", "job": str(job), "panel": "verdict"},
    )
    spec = gain_spec(ws, STANDING)
    worth = store.job(store.add_job(spec, spec.describe()))
    assert running_jobs.result_address(worth) == ("labels", {state.STEP: "3 Measure the benefit"})
    assert running_jobs.result_address(command()) == ("data", {})
    group = read_group(ws, "Box <b>->Dot")
    asked = edit_spec(ws, group, remove([3]))
    cell = store.job(store.add_job(asked, asked.describe()))
    assert running_jobs.result_address(cell) == (
        "debug",
        {"class": "Box <b>", "predicted": "Dot", "panel": "group", "group_k": "1"},
    )


def test_a_group_is_linked_by_its_filters():
    def link(group, **more):
        return state.group_link({"group": group, "edit": {"indices": [3, 5]}, **more})

    panel = {"panel": "group", "group_k": "2"}
    assert link("class:Coat") == {"class": "Coat", **panel}
    assert link("wrong:Coat", ranking="trak-10") == {
        "class": "Coat", "show": "wrong", **panel, "group_ranking": "trak-10"
    }  # fmt: skip
    assert link("false-positives:Coat") == {"predicted": "Coat", "show": "wrong", **panel}
    assert link("ids:3,5") == panel
    assert link("lost-to:head-dino", against="influence-dino", end="harmful", label="Shirt") == {
        "versus": "right by head-dino alone", **panel, "group_against": "influence-dino", "group_end": "harmful",
        "group_edit": "Label them Shirt",
    }  # fmt: skip


def test_texts(ws, store, job):
    one = store.job(job)
    assert running_jobs.chip_label([one, command()]).replace("*", "") == "2 jobs running · 35 % · about 3 min left"
    assert running_jobs.chip_label([command(progress=None)]).replace("*", "") == "1 job running"
    assert running_jobs.title(command()) == "Command · base train"
    assert running_jobs.progress_text(command()) == "training, 5 of 10 · about 60 s left"
    assert running_jobs.progress_text(command(progress=None)) == "starting"
    assert [running_jobs.roughly(s) for s in (1, 42, 200, 4810)] == ["5 s", "40 s", "3 min", "1 h 20 min"]
    assert running_jobs.progress_text(one).startswith("3 of 15 · about 2 min")


def test_commands_that_run_are_found_beside_those_that_ended(ws, monkeypatch):
    home = commands._commands_folder(ws)
    for number, ended in ((1, True), (2, False)):
        (home / str(number)).mkdir(parents=True)
        commands.write_json(home / str(number) / "asked.json", {"words": ["x"], "pid": 1, "started": 0.0})
        if ended:
            commands.write_json(home / str(number) / "ended.json", {"state": "done", "at": 1.0})
    assert commands.running_commands(ws) == [], "the second is gone without a word"
    monkeypatch.setattr(commands, "is_locked", lambda folder: True)
    assert [one.number for one in commands.running_commands(ws)] == [2]
    assert commands.find_command(ws, 1).state == "done" and commands.find_command(ws, 9) is None


def test_a_look_is_cheap(ws, store, job):
    """On every run of every page: 0.5 ms on an idle core; the bound leaves room for a busy one."""
    took = []
    for _ in range(30):
        start = time.perf_counter()
        running_jobs.current_tasks(ws)
        took.append(time.perf_counter() - start)
    assert min(took) < 0.002
