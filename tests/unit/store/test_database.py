"""The database: opened by many, written whole or not at all; what cannot be used is refused in one sentence."""

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
from attribution.training.edits import remove
from tests.conftest import ROOT
from tests.torture import fill, small_disk


@contextmanager
def disk(folder):
    """A small disk on `folder`, where one may be mounted."""
    try:
        with small_disk(folder, "2m"):
            yield
    except PermissionError as error:
        pytest.skip(str(error))


def test_a_full_disk_keeps_nothing_of_it_and_the_store_goes_on(store, put):
    assert put(store)
    pages = store.db.execute("PRAGMA page_count").fetchone()[0]
    store.db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(sqlite3.Error, match="full"):
        put(store, seed=1, predicted=np.zeros(100_000), margins=np.zeros(100_000), out_of_subset=np.zeros((2, 3)))
    assert store.count() == 1 and store.out_of_subset("r") is None
    store.db.execute("PRAGMA max_page_count = 1000000")
    assert put(store, seed=1) and store.count() == 2


def test_threads_and_connections_share_it(store, put):
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


def test_a_writer_that_is_killed_in_a_transaction_leaves_nothing_of_it(store, put):
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


def test_a_disk_that_fills_and_has_room_again(tmp_path, put):
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


def test_a_store_that_was_made_before_there_were_other_questions(tmp_path, put):
    old = ResultStore(tmp_path / "old", "f")
    put(old)
    old.db.execute("DROP TABLE answers")
    old.close()
    for _ in range(2):
        store = ResultStore(tmp_path / "old", "f")
        assert store.count() == 1 and store.answer("r", {}) is None
        store.close()
