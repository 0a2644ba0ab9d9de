"""The store: a retraining is kept once, whole, and found by what was trained; what cannot be used is refused."""

import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

from attribution.errors import UserError
from attribution.store.database import FILE
from attribution.store.results import ResultStore
from attribution.training.edits import no_edit, relabel, remove
from tests.conftest import ROOT
from tests.torture import fill, small_disk

RUN = {"seconds": 1.5, "device": "cpu", "library": "torch", "threads": 1}


@contextmanager
def disk(folder):
    """A small disk on `folder`, where one may be mounted."""
    try:
        with small_disk(folder, "2m"):
            yield
    except PermissionError as error:
        pytest.skip(str(error))


def put(store, edit=None, seed=0, recipe="r", predicted=(1, 2), margins=(0.5, -1.25), **more):
    return store.put(recipe, edit or remove([3, 1]), seed, predicted=predicted, margins=margins, **RUN, **more)


def test_a_class_that_a_byte_cannot_name(store):
    put(store, predicted=(999, 2))
    assert store.get(store.key("r", remove([1, 3]), 0)).predicted.tolist() == [999, 2]


def test_kept_and_found(store):
    assert put(store) is True
    found = store.get(store.key("r", remove([1, 3]), 0))
    assert found.predicted.tolist() == [1, 2] and found.predicted.dtype == np.uint8
    assert found.margins.tolist() == [0.5, -1.25] and found.margins.dtype == np.float16
    assert (found.seed, found.seconds, found.device, found.library, found.threads) == (0, 1.5, "cpu", "torch", 1)
    assert found.created > 1e9 and store.count() == 1


def test_the_key_knows_data_recipe_edit_and_seed(store, tmp_path):
    other = ResultStore(tmp_path / "other", "e" * 64)
    keys = {
        store.key("r", remove([1]), 0),
        other.key("r", remove([1]), 0),
        store.key("q", remove([1]), 0),
        store.key("r", relabel([1], 0), 0),
        store.key("r", no_edit(), 0),
        store.key("r", remove([1]), 1),
    }
    assert len(keys) == 6
    other.close()


def test_kept_once(store):
    assert put(store) and not put(store, predicted=(9, 9))
    assert store.get(store.key("r", remove([1, 3]), 0)).predicted.tolist() == [1, 2]


def test_each_model_counts_once_in_the_out_of_subset_sums(store):
    probabilities = np.array([[0.25, 0.75], [1, 0]])
    assert put(store, out_of_subset=probabilities) and not put(store, out_of_subset=probabilities)
    assert put(store, remove([0, 3]), out_of_subset=np.array([[0.5, 0.5], [0.5, 0.5]]))
    assert put(store, remove([5]), seed=1, out_of_subset=np.array([[0, 1]]))
    assert put(store, remove([2]), recipe="other", out_of_subset=np.array([[0, 1]]))
    sums, counts = store.out_of_subset("r")
    assert counts.tolist() == [1, 1, 0, 2, 0, 1]
    assert sums.tolist() == [[0.5, 0.5], [0.25, 0.75], [0, 0], [1.5, 0.5], [0, 0], [0, 1]]
    assert store.out_of_subset("nobody") is None


def test_a_full_disk_keeps_nothing_of_it_and_the_store_goes_on(store):
    assert put(store)
    pages = store.db.execute("PRAGMA page_count").fetchone()[0]
    store.db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(sqlite3.Error, match="full"):
        put(store, seed=1, predicted=np.zeros(100_000), margins=np.zeros(100_000), out_of_subset=np.zeros((2, 3)))
    assert store.count() == 1 and store.out_of_subset("r") is None
    store.db.execute("PRAGMA max_page_count = 1000000")
    assert put(store, seed=1) and store.count() == 2


def test_threads_and_connections_share_it(store):
    def work(number):
        own = ResultStore(store.folder, store.fingerprint)
        for seed in range(20):
            put(own, remove([1]), seed=seed, out_of_subset=np.array([[0.5, 0.5]]))
        own.close()

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.count() == 20 and store.out_of_subset("r")[1].tolist() == [0, 20]


def test_median_seconds_of_small_edits(store):
    assert store.median_seconds("r") is None
    for seed, seconds in enumerate((1, 2, 9)):
        store.put("r", remove([1]), seed, predicted=[0], margins=[0], **RUN | {"seconds": seconds})
    store.put("r", remove(range(600)), 0, predicted=[0], margins=[0], **RUN | {"seconds": 100})
    assert store.median_seconds("r") == (2, 3)


def test_what_came_in_since(store):
    assert store.last_retraining_number() == 0 and store.retrained_since(0) == (set(), 0)
    put(store)
    place = store.last_retraining_number()
    assert place and store.retrained_since(place) == (set(), place)
    put(store, seed=1)
    keys, place = store.retrained_since(place)
    assert keys == {store.key("r", remove([1, 3]), 1)} and place == store.last_retraining_number()


def test_supports(store):
    store.put_support("r", "trak-10", 4, "remove", "default", 128, {"status": "flipped", "support": 7, "trace": []})
    store.put_support("r", "trak-10", 4, "remove", "default", 128, {"status": "flipped", "support": 8, "trace": []})
    (row,) = store.supports("r")
    assert row["support"] == 8 and row["ranking"] == "trak-10" and row["k_max"] == 128
    assert store.supports("q") == []


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


def test_a_store_of_before_is_given_its_indexes_and_one_that_has_them_is_opened_by_readers(store):
    def indexes():
        return {row[0] for row in store.db.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}

    for name in ("jobs_state", "jobs_what", "jobs_verb", "retrainings_recent"):
        store.db.execute(f"DROP INDEX {name}")
    ResultStore(store.folder, store.fingerprint).close()
    assert {"jobs_state", "jobs_what", "jobs_verb", "retrainings_recent"} <= indexes()
    store.db.execute("BEGIN IMMEDIATE")  # somebody writes for long
    start = time.monotonic()
    ResultStore(store.folder, store.fingerprint).close()
    assert time.monotonic() - start < 5


def test_what_is_running(store):
    store.set_live_training("k", 1, 4321, 6)
    store.set_live_epoch("k", 2)
    store.set_live_epoch("unknown", 2)
    assert {name: store.live_trainings()["k"][name] for name in ("job", "pid", "epoch", "epochs")} == {
        "job": 1,
        "pid": 4321,
        "epoch": 2,
        "epochs": 6,
    }
    store.clear_live_trainings("k")
    assert store.live_trainings() == {}


def test_lost_trainings_are_counted_until_one_succeeds(store):
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


def test_a_writer_that_is_killed_in_a_transaction_leaves_nothing_of_it(store):
    put(store)
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom attribution.store.results import ResultStore\n"
        "store = ResultStore(Path(sys.argv[1]), 'f' * 64)\nstore.db.execute('PRAGMA cache_size = 5')\n"
        "with store.transaction():\n"
        "    for key in range(2000):\n"
        "        store.db.execute('INSERT INTO tries VALUES (?, 1)', (f'{key} ' * 50,))\n"
        "    print('now', flush=True)\n    time.sleep(60)"
    )
    writer = subprocess.Popen([sys.executable, "-c", script, store.folder], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert writer.stdout.readline() == "now\n"
    writer.kill()
    writer.wait()
    start = time.monotonic()
    assert put(store, seed=1) and time.monotonic() - start < 10, "the lock went with it"
    assert store.failed_keys() == [] and store.count() == 2
    assert store.db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


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


def test_a_store_that_is_taken_away(store):
    store.check_exists()
    (store.folder / FILE).rename(store.folder / "elsewhere")
    with pytest.raises(UserError, match="was moved or deleted"):
        store.check_exists()
    ResultStore(store.folder, store.fingerprint).close()
    with pytest.raises(UserError, match="was moved or deleted"):
        store.check_exists()


def test_a_folder_that_may_only_be_read(tmp_path):
    with disk(tmp_path):
        ResultStore(tmp_path / "old", "f").close()
        subprocess.run(["mount", "-o", "remount,ro", str(tmp_path)], check=True)
        for name in ("old", "new"):
            with pytest.raises(UserError, match="cannot be used .* set LINEUP_DATA to a folder you may write to$"):
                ResultStore(tmp_path / name, "f")


def test_a_disk_that_fills_and_has_room_again(tmp_path):
    with disk(tmp_path):
        store = ResultStore(tmp_path / "store", "f" * 64)
        put(store, out_of_subset=np.array([[0.5, 0.5], [1, 0]]))
        filler = fill(tmp_path)
        kept = 1
        with pytest.raises(sqlite3.Error, match="full|I/O"):
            for seed in range(1, 500):
                put(store, seed=seed, predicted=np.zeros(3000), out_of_subset=np.array([[0.5, 0.5], [1, 0]]))
                kept += 1
        assert store.count() == kept and store.out_of_subset("r")[1].max() == kept
        with pytest.raises(UserError, match="make room there"):
            ResultStore(tmp_path / "new", "f")
        filler.unlink()
        assert put(store, seed=1000) and store.count() == kept + 1
        ResultStore(tmp_path / "new", "f").close()
        assert store.db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        store.close()


def test_another_schema_version(store):
    store.db.execute("PRAGMA user_version = 99")
    store.db.execute("PRAGMA journal_mode = DELETE")
    before = (store.folder / FILE).read_bytes()
    with pytest.raises(UserError, match="schema version 99, and this Lineup reads 1"):
        ResultStore(store.folder, store.fingerprint)
    assert (store.folder / FILE).read_bytes() == before


def test_no_database_and_no_folder(tmp_path):
    (tmp_path / FILE).write_bytes(b"not a database" * 100)
    with pytest.raises(UserError, match="are damaged .*not a database.*; put a copy of that folder back"):
        ResultStore(tmp_path, "f")
    assert (tmp_path / FILE).read_bytes() == b"not a database" * 100
    with pytest.raises(UserError, match="set LINEUP_DATA to a folder you may write to"):
        ResultStore(tmp_path / FILE / "below-a-file", "f")


# -- answers to other questions


def test_answers_are_kept_by_their_question(store):
    store.put_answer("r", {"verb": "prune", "seeds": [0, 1]}, {"a": 1})
    store.put_answer("r", {"seeds": [0], "verb": "prune"}, {"a": 2})
    store.put_answer("r", {"verb": "prune", "seeds": [0]}, {"a": 3})  # the same question in another order
    store.put_answer("other", {"verb": "support"}, {"a": 4})
    assert store.answer("r", {"verb": "prune", "seeds": [0]})["a"] == 3 and store.answer("r", {"verb": "x"}) is None
    assert [answer["a"] for _, answer in store.answers("r", "prune")] == [1, 3] and store.answers("r", "support") == []
    assert store.supports("r") == []


def test_a_store_that_was_made_before_there_were_other_questions(tmp_path):
    old = ResultStore(tmp_path / "old", "f")
    put(old)
    old.db.execute("DROP TABLE answers")
    old.close()
    for _ in range(2):
        store = ResultStore(tmp_path / "old", "f")
        assert store.count() == 1 and store.answer("r", {}) is None
        store.close()
