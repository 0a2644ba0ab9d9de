"""The database: opened by many, written whole or not at all; what cannot be used is refused in one sentence."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from attribution.errors import UserError
from attribution.store import database
from attribution.store.database import FILE
from attribution.store.lock import acquire_runner_lock
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
    with pytest.raises(UserError, match="schema version 99, and this Lineup reads 2"):
        ResultStore(store.folder, store.fingerprint)
    assert (store.folder / FILE).read_bytes() == before


def test_no_database_and_no_folder(tmp_path):
    (tmp_path / FILE).write_bytes(b"not a database" * 100)
    with pytest.raises(UserError, match="are damaged .*not a database.*; put a copy of that folder back"):
        ResultStore(tmp_path, "f")
    assert (tmp_path / FILE).read_bytes() == b"not a database" * 100
    with pytest.raises(UserError, match="set LINEUP_DATA to a folder you may write to"):
        ResultStore(tmp_path / FILE / "below-a-file", "f")


def test_a_store_of_no_bytes_is_no_beginning(tmp_path):
    (tmp_path / FILE).touch()
    with pytest.raises(UserError, match="damaged .*has no bytes"):
        ResultStore(tmp_path, "f" * 64)
    assert (tmp_path / FILE).stat().st_size == 0


def test_a_maker_that_is_killed_locks_nobody_out(tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(database.os, "replace", killed)
        ResultStore(tmp_path / "s", "f" * 64)
    assert not (tmp_path / "s" / FILE).exists()
    ResultStore(tmp_path / "s", "f" * 64).close()
    assert [file.name for file in (tmp_path / "s").iterdir()] == [FILE]


def test_many_make_it_at_once(tmp_path, put):
    def work(seed):
        with ResultStore(tmp_path / "s", "f" * 64) as store:
            put(store, seed=seed)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    with ResultStore(tmp_path / "s", "f" * 64) as store:
        assert store.count() == 16


def test_another_data_set(store, put):
    put(store)
    with pytest.raises(UserError, match=r"are of another \(f{16}\) data set; move that folder away"):
        ResultStore(store.folder, "e" * 64)


# -- a store of schema 1, written by the code of 27 November 2026: nine retrainings, a support, an answer and a job


@pytest.fixture
def old(tmp_path):
    folder = tmp_path / "old"
    folder.mkdir()
    shutil.copy(Path(__file__).parent / "schema_1.sqlite", folder / FILE)
    return folder


def contents(store):
    keys = [key for (key,) in store.db.execute("SELECT key FROM retrainings ORDER BY key")]
    rows = [store.get(key) for key in keys]
    return [(row.key, row.seed, row.predicted.tolist(), row.margins.tolist(), row.seconds) for row in rows]


def test_a_store_of_before_opens_with_all_it_holds(old, put):
    for _ in range(2):
        with ResultStore(old, "f" * 64) as store:
            rows = contents(store)
            assert len(rows) == 9 and sorted(row[2][2] for row in rows) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
            assert rows == [row for row in rows if row[3] == [0.5, -1.25, row[1]] and row[4] == 1 + row[1]]
            assert store.supports("r")[0]["support"] == 7 and store.answers("r", "halves")[0][1]["value"] == [1, 2]
            assert store.out_of_subset("r")[1].tolist() == [0, 3, 0, 3] and store.jobs()[0].what == "one"
            assert store.count_damaged() == 0
    with ResultStore(old, "f" * 64) as store:
        assert put(store, seed=77) and store.count() == 10


def test_a_store_of_before_of_another_data_set_is_not_stamped(old):
    before = (old / FILE).read_bytes()
    with pytest.raises(UserError, match="are of another data set"):
        ResultStore(old, "e" * 64)
    with ResultStore(old, "f" * 64) as store:
        assert store.count() == 9
    assert (old / FILE).read_bytes() != before


def test_answers_of_before_that_nothing_vouches_for(old):
    with closing(sqlite3.connect(old / FILE)) as db, db:
        db.execute("DELETE FROM retrainings")
    with pytest.raises(UserError, match="are of another data set"):
        ResultStore(old, "f" * 64)


def test_a_runner_of_before_is_waited_for(old, monkeypatch):
    monkeypatch.setattr(database, "MIGRATION_PATIENCE", 0.1)
    handle = acquire_runner_lock(old)
    with pytest.raises(UserError, match="older Lineup whose runner is still at work"):
        ResultStore(old, "f" * 64)
    os.close(handle)
    ResultStore(old, "f" * 64).close()


def test_a_migration_that_is_killed_half_way(old):
    script = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom attribution.store import results, schema\n"
        "seen = []\ncrc = schema.row_crc\n"
        "def killed(*values):\n    seen.append(values)\n"
        "    return os.kill(os.getpid(), signal.SIGKILL) if len(seen) == int(sys.argv[2]) else crc(*values)\n"
        "schema.row_crc = killed\nresults.ResultStore(Path(sys.argv[1]), 'f' * 64)"
    )
    for row in (1, 7, 13):
        done = subprocess.run([sys.executable, "-c", script, old, str(row)], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == -signal.SIGKILL, done.stderr
        with closing(sqlite3.connect(old / FILE)) as db:
            assert db.execute("PRAGMA user_version").fetchone()[0] == 1
            assert "crc" not in {row[1] for row in db.execute("PRAGMA table_info(edits)")}
    with ResultStore(old, "f" * 64) as store:
        assert len(contents(store)) == 9


def test_a_runner_of_before_cannot_write_into_a_store_of_today(store):
    with pytest.raises(sqlite3.Error, match="12 columns"):
        store.db.execute(f"INSERT OR IGNORE INTO retrainings VALUES ({','.join('?' * 11)})", [None] * 11)


def test_it_is_looked_through_after_an_unclean_end(tmp_path, put):
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom attribution.store.results import ResultStore\n"
        "store = ResultStore(Path(sys.argv[1]), 'f' * 64)\nstore.add_job({'verb': 'x'}, 'one')\nos._exit(1)"
    )
    with ResultStore(tmp_path, "f" * 64) as store:
        for seed in range(50):
            put(store, seed=seed, predicted=np.zeros(900), margins=np.zeros(900))
        assert not store.ended_unclean
    subprocess.run([sys.executable, "-c", script, tmp_path], cwd=ROOT)
    with ResultStore(tmp_path, "f" * 64) as store:
        assert store.ended_unclean
        store.check_after_unclean_end()
        assert not store.ended_unclean
    subprocess.run([sys.executable, "-c", script, tmp_path], cwd=ROOT)
    with open(tmp_path / FILE, "r+b") as file:
        for page in range(3, (tmp_path / FILE).stat().st_size // 4096 - 1):
            file.seek(page * 4096)
            file.write(b"\xff" * 100)
    with pytest.raises(UserError, match="are damaged"):
        ResultStore(tmp_path, "f" * 64).check_after_unclean_end()


def test_others_may_not_look_into_it(tmp_path, monkeypatch):
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))
    folder = tmp_path / "data" / "f"
    with ResultStore(folder, "f" * 64) as store:
        store.add_job({"verb": "x"}, "one")
        modes = {path.name: path.stat().st_mode & 0o777 for path in (folder.parent, folder, *folder.iterdir())}
    assert {modes.pop(name) for name in ("data", "f")} == {0o700} and set(modes.values()) == {0o600}
    assert FILE in modes
    folder.chmod(0o755)  # as older versions left it
    (folder / FILE).chmod(0o644)
    ResultStore(folder, "f" * 64).close()
    assert (folder.stat().st_mode & 0o777, (folder / FILE).stat().st_mode & 0o777) == (0o700, 0o600)
    folder.parent.chmod(0o775)  # shared on purpose
    folder.chmod(0o775)
    ResultStore(folder, "f" * 64).close()
    assert folder.stat().st_mode & 0o777 == 0o775
