"""The store: a retraining is kept once, whole, and found by what was trained; what cannot be used is refused."""

import sqlite3
import threading

import numpy as np
import pytest

from attribution.edits import nothing, relabel, remove
from attribution.errors import UserError
from attribution.store import Store

RUN = {"seconds": 1.5, "device": "cpu", "library": "torch", "threads": 1}


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "store", "f" * 64)
    yield store
    store.close()


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
    other = Store(tmp_path / "other", "e" * 64)
    keys = {store.key("r", remove([1]), 0), other.key("r", remove([1]), 0), store.key("q", remove([1]), 0),
            store.key("r", relabel([1], 0), 0), store.key("r", nothing(), 0), store.key("r", remove([1]), 1)}
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
        own = Store(store.folder, store.fingerprint)
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
    assert store.mean_seconds("r") is None
    for seed, seconds in enumerate((1, 2, 9)):
        store.put("r", remove([1]), seed, predicted=[0], margins=[0], **RUN | {"seconds": seconds})
    store.put("r", remove(range(600)), 0, predicted=[0], margins=[0], **RUN | {"seconds": 100})
    assert store.mean_seconds("r") == (2, 3)


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
    assert (job.state, job.message, job.open) == ("failed", "why", False) and job.seconds < 5
    assert store.add_job({"a": 1}, "one") not in (first, second), "a finished one is asked anew"
    assert [job.what for job in store.open_jobs()] == ["two", "one"]


def test_cancel(store):
    number = store.add_job({}, "")
    assert store.cancel_job(number) and store.job(number).state == "cancelling" and store.job(number).open
    assert not store.cancel_job(number) and not store.start_job(number, 1), "what is cancelled is not started"
    store.finish_job(number, "cancelled")
    assert not store.cancel_job(number) and not store.cancel_job(99)


def test_what_is_running(store):
    store.set_live("k", 1, 4321, 6)
    store.set_epoch("k", 2)
    store.set_epoch("unknown", 2)
    assert {name: store.live()["k"][name] for name in ("job", "pid", "epoch", "epochs")} == \
        {"job": 1, "pid": 4321, "epoch": 2, "epochs": 6}
    store.clear_live("k")
    assert store.live() == {}


def test_lost_trainings_are_counted_until_one_succeeds(store):
    key = store.key("r", remove([1, 3]), 0)
    assert [store.lost(key), store.lost(key), store.lost("another")] == [1, 2, 1]
    put(store)
    assert store.lost(key) == 1
    store.forgive(key)
    assert store.lost(key) == 1


def test_another_schema_version(store):
    store.db.execute("PRAGMA user_version = 99")
    with pytest.raises(UserError, match="schema version 99, and this Lineup reads 1"):
        Store(store.folder, store.fingerprint)


def test_no_database_and_no_folder(tmp_path):
    (tmp_path / "results.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(UserError, match="cannot be used .*not a database"):
        Store(tmp_path, "f")
    with pytest.raises(UserError, match="set LINEUP_DATA to a folder you may write to"):
        Store(tmp_path / "results.sqlite" / "below-a-file", "f")


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
    old = Store(tmp_path / "old", "f")
    put(old)
    old.db.execute("DROP TABLE answers")
    old.close()
    for _ in range(2):
        store = Store(tmp_path / "old", "f")
        assert store.count() == 1 and store.answer("r", {}) is None
        store.close()
