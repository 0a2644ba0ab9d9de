"""The queue: jobs and their states, the trainings that run now, and those whose worker died."""

import time

import pytest

from attribution.training.edits import remove


def test_jobs(store):
    first, second = store.add_job({"a": 1}, "one"), store.add_job({"a": 2}, "two")
    assert store.add_job({"a": 1}, "one") == first, "an open job is joined"
    assert [job.id for job in store.jobs()] == [second, first] and store.job(99) is None
    assert store.start_job(first, 10) and store.job(first).state == "running" and store.job(first).total == 10
    store.progress_job(first, 4)
    assert store.job(first).done == 4
    store.finish_job(first, "failed", "why")
    job = store.job(first)
    assert (job.state, job.message, job.is_open) == ("failed", "why", False) and job.seconds < 5
    assert store.add_job({"a": 1}, "one") not in (first, second), "a finished one is asked anew"
    assert [job.what for job in store.open_jobs()] == ["two", "one"]


def test_cancel(store):
    number = store.add_job({}, "")
    assert store.cancel_job(number) and store.job(number).state == "cancelling" and store.job(number).is_open
    assert not store.cancel_job(number) and not store.start_job(number, 1), "what is cancelled is not started"
    store.finish_job(number, "cancelled")
    assert not store.cancel_job(number) and not store.cancel_job(99)


def test_pause_and_resume(store):
    number, other = store.add_job({"a": 1}, "one"), store.add_job({"a": 2}, "two")
    assert not store.resume_job(number), "it is not paused"
    store.start_job(number, 10)
    assert store.pause_job(number) and not store.pause_job(number) and not store.start_job(number, 10)
    job = store.job(number)
    assert (job.state, job.is_open, job.has_ended) == ("paused", False, False) and job.seconds < 5
    assert [job.id for job in store.open_jobs()] == [other] and store.next_job((), False).id == other
    store.db.execute("UPDATE jobs SET started = started - 100, finished = finished - 60 WHERE id = ?", (number,))
    assert 39 < store.job(number).seconds < 41, "40 s of work, and 60 s of rest"
    assert store.resume_job(number) and store.job(number).state == "queued" and 39 < store.job(number).seconds < 45
    assert store.next_job((), False).id == number, "at its old place"


def test_a_job_that_is_paused_before_it_starts_has_worked_for_no_second(store):
    number = store.add_job({}, "")
    assert store.pause_job(number) and store.job(number).seconds == 0
    assert store.resume_job(number) and store.job(number).started is None


def test_asked_for_again_a_paused_job_goes_on(store):
    number = store.add_job({"a": 1}, "one")
    store.pause_job(number)
    assert store.add_job({"a": 1}, "one") == number and store.job(number).state == "queued"


def test_a_paused_job_can_be_cancelled(store):
    number = store.add_job({}, "")
    store.start_job(number, 1)
    store.pause_job(number)
    store.db.execute("UPDATE jobs SET started = started - 100, finished = finished - 60 WHERE id = ?", (number,))
    assert store.cancel_job(number) and store.jobs_to_cancel() == [number] and not store.pause_job(number)
    store.finish_job(number, "cancelled")
    assert store.job(number).has_ended and 39 < store.job(number).seconds < 45 and not store.resume_job(number)


def test_what_a_long_queue_is_asked(store):
    verbs = ["study", "retrain", "subsets", "support", "paint"]
    one, two, three, four, five = (store.add_job({"verb": verb}, verb) for verb in verbs)
    long = ("study", "subsets")
    assert store.next_job(long, False).id == two and store.next_job(long, True).id == one
    assert store.next_job(long, False, [two, four]).id == five and store.next_job(long, True, [one, three]) is None
    store.start_job(four, 1)
    assert store.next_job(long, False).id == four, "what a runner had begun goes first"
    assert store.has_open_jobs() and store.count_jobs_ahead(four) == 3 and store.count_jobs() == 5
    store.pause_job(one)
    assert store.job_states([one, two, 99]) == {one: "paused", two: "queued"} and store.job_states([]) == {}
    assert store.count_jobs_ahead(four) == 2 and [job.id for job in store.jobs_described("study")] == [one]
    store.finish_job(one, "done")
    newer = store.add_job({"verb": "study", "again": 1}, "study")
    assert [job.id for job in store.studies()] == [newer, one] and [job.id for job in store.studies(1)] == [newer]
    assert [job.id for job in store.jobs_described("study")] == [newer]
    for number in (two, three, four, five, newer):
        store.pause_job(number)
    assert not store.has_open_jobs()


def test_what_is_running(store):
    store.set_live_training("k", 1, 4321, 6)
    store.set_live_epoch("k", 2, 6)
    store.set_live_epoch("unknown", 2, 6)
    assert {name: store.live_trainings()["k"][name] for name in ("job", "pid", "epoch", "epochs")} == {
        "job": 1,
        "pid": 4321,
        "epoch": 2,
        "epochs": 6,
    }
    store.clear_live_trainings("k")
    assert store.live_trainings() == {}


def test_lost_trainings_are_counted_until_one_succeeds(store, put):
    key = store.key("r", remove([1, 3]), 0)
    assert [store.record_failure(key), store.record_failure(key), store.record_failure("another")] == [
        1,
        2,
        1,
    ] and store.count_retried() == 2
    put(store)
    assert store.count_retried() == 1
    assert store.record_failure(key) == 1
    store.clear_failures(key)
    assert store.record_failure(key) == 1


def test_a_clock_that_is_set_back(store, monkeypatch):
    number = store.add_job({}, "")
    store.start_job(number, 1)
    stamps = {store.supports_version()}
    for target, hours in enumerate((0, 1, 2)):
        monkeypatch.setattr(time, "time", lambda hours=hours: 1e9 - 3600 * hours)
        store.put_support("r", "trak-10", min(target, 1), "remove", "default", 128, {})
        stamps.add(store.supports_version())
    assert len(stamps) == 4, "each answer is noticed, the one in another's place as well"
    store.finish_job(number, "done")
    assert store.job(number).seconds == 0


@pytest.mark.parametrize("goes_on", ["resume_job", "cancel_job"])
def test_a_clock_that_is_set_back_while_a_job_is_paused(store, monkeypatch, goes_on):
    number = store.add_job({}, "")
    for seconds, step in ((0, lambda: store.start_job(number, 1)), (60, lambda: store.pause_job(number))):
        monkeypatch.setattr(time, "time", lambda seconds=seconds: 1e9 + seconds)
        assert step()
    monkeypatch.setattr(time, "time", lambda: 1e9 - 3600)
    assert getattr(store, goes_on)(number)
    monkeypatch.setattr(time, "time", lambda: 1e9 + 100)
    assert store.job(number).seconds == 100, "and no hour more"
