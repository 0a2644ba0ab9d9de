"""The log of decisions: nothing is lost, nothing is changed, and what cannot be is refused."""

import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from attribution.audit.decision_log import CHECKED, FILE, DecisionLog
from attribution.errors import UserError
from tests import tiny
from tests.conftest import ROOT

ODD = '=1+1, "Box" <b>\r\n🩰é'
NUMBERS = count()


@pytest.fixture
def log(tmp_path):
    log = DecisionLog(tmp_path / "log", "f" * 64, 60, 3)
    yield log
    log.close()


def another(log):
    return DecisionLog(log.folder, log.fingerprint, log.n_train, log.n_classes)


def say(log, action, item=None, label=None, of=None, client="ann", seen=None, **more):
    """Appends one entry, and returns its uid; its client knows all there is unless told otherwise."""
    uid = f"uid-{next(NUMBERS)}"
    entry = {
        "uid": uid,
        "item": item,
        "action": action,
        "label": label,
        "of": of,
        **more,
        "seen": log.newest_id() if seen is None else seen,
    }
    log.append([entry], client, client, None)
    return uid


def stands(log, item):
    decision = log.current_decisions().get(item)
    return decision and (decision.action, decision.label)


def conflict(log, item):
    return [entry.client for entry in log.current_decisions()[item].conflict]


# -- what is written


def test_written_and_read(log):
    queue = log.add_queue({"detector": "combined"}, [7, 3], [False, True], [0.5, 0.25], [1, 2], "Ann")
    before = time.time()
    assert log.append(
        [
            {"uid": "a", "item": 7, "action": "relabel", "label": 2, "reason": ODD, "seen": 0},
            {"uid": "b", "item": 7, "action": "remove", "seen": 0},
        ],
        "Ann " + ODD,
        "tab",
        queue,
    ) == [1, 2]
    first, second = log.entries()
    assert before <= first.at <= time.time() and first.at == second.at
    assert (
        first.id,
        first.uid,
        first.who,
        first.client,
        first.item,
        first.action,
        first.label,
        first.of,
        first.old,
        first.reason,
        first.queue,
        first.seen,
    ) == (1, "a", "Ann " + ODD, "tab", 7, "relabel", 2, None, None, ODD, queue, 0)
    assert second.old == {"action": "relabel", "label": 2} and second.label is None and second.reason == ""
    assert log.entries(after=1) == [second] and log.entries(limit=1) == [first] and log.newest_id() == 2


def test_a_uid_is_written_once(log):
    entry = {"uid": "a", "item": 7, "action": "keep", "seen": 0}
    other = {"uid": "b", "item": 8, "action": "keep", "seen": 0}
    assert log.append([entry, entry], "ann", "tab") == [1, 1]
    assert log.append([entry | {"action": "remove"}, other], "ann", "tab") == [1, 2]
    assert [entry.action for entry in log.entries()] == ["keep", "keep"]


def test_old_is_what_stood(log):
    first = say(log, "keep", 5)
    second = say(log, "relabel", 5, 1)
    say(log, "undo", of=second)
    say(log, "undo", of=first)
    say(log, "redo", of=second)
    say(log, "unsure", 5)
    say(log, "keep", 6)
    keep, relabel = {"action": "keep", "label": None}, {"action": "relabel", "label": 1}
    assert [entry.old for entry in log.entries()] == [None, keep, relabel, keep, None, relabel, None]
    assert {entry.item for entry in log.entries()[:6]} == {5}, "an undo knows its image"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"item": 60}, "there is no training image 60; give a whole number from 0 to 59"),
        ({"item": -1}, "no training image -1"),
        ({"item": None}, "no training image None"),
        ({"item": "7"}, "no training image '7'"),
        ({"item": 7.0}, "no training image 7.0"),
        ({"item": True}, "no training image True"),
        ({"item": 1 << 70}, "no training image"),
        ({"action": "relabel"}, "there is no class None; give a whole number from 0 to 2"),
        ({"action": "relabel", "label": 3}, "no class 3"),
        ({"label": 1}, "keep takes no label"),
        ({"action": "burn"}, "no action 'burn'; say one of keep, relabel, remove, unsure, undo, redo"),
        ({"action": None}, "no action None"),
        ({"of": "a"}, "keep acts on no other entry"),
        ({"action": "undo"}, "the decision to undo is None"),
        ({"action": "undo", "of": "z"}, "names no decision: 'z'"),
        ({"action": "redo", "of": "a-undo"}, "names no decision"),
        ({"action": "undo", "of": "b"}, "is about image 8"),
        ({"uid": ""}, "an entry has no uid"),
        ({"uid": None}, "a uid is None"),
        ({"uid": "x" * 201}, "a uid has 201"),
        ({"reason": "x" * 501}, "a reason has 501 characters; give a text of at most 500"),
        ({"reason": 5}, "a reason is 5"),
        ({"reason": "\ud83d"}, "half of a character"),
        ({"reason": "\0"}, "a NUL character"),
        ({"seen": None}, "no entry seen None"),
        ({"seen": -1}, "no entry seen -1"),
    ],
)
def test_what_cannot_be_is_refused_whole(log, change, message):
    log.append(
        [
            {"uid": "a", "item": 7, "action": "keep", "seen": 0},
            {"uid": "b", "item": 8, "action": "keep", "seen": 0},
            {"uid": "a-undo", "action": "undo", "of": "a", "seen": 0},
        ],
        "ann",
        "tab",
    )
    good = {"uid": "good", "item": 9, "action": "keep", "seen": 0}
    with pytest.raises(UserError) as error:
        log.append([good, {"uid": "c", "item": 7, "action": "keep", "seen": 0} | change], "ann", "tab")
    assert message in str(error.value) and len(str(error.value).splitlines()) == 1
    assert log.newest_id() == 3 and 9 not in log.current_decisions()
    assert log.append([good], "ann", "tab") == [4], "and it goes on"


def test_a_queue_that_is_not_there(log):
    with pytest.raises(UserError, match="there is no queue 5"):
        log.append([{"uid": "a", "item": 7, "action": "keep", "seen": 0}], "ann", "tab", 5)
    assert log.newest_id() == 0


@pytest.mark.parametrize(
    "line",
    [
        "UPDATE entries SET action = 'keep'",
        "DELETE FROM entries",
        "DELETE FROM queues",
        "UPDATE queues SET who = ''",
        "INSERT OR REPLACE INTO entries SELECT id, 'new', at, who, client, item, 'keep', NULL, NULL, NULL, NULL, '', "
        "NULL, 0, 0 FROM entries",
        "INSERT OR REPLACE INTO entries SELECT 99, uid, at, who, client, item, 'keep', NULL, NULL, NULL, NULL, '', "
        "NULL, 0, 0 FROM entries",
        "INSERT OR REPLACE INTO queues SELECT number, '{}', 0, x'', x'', NULL, NULL, '', 0, 0 FROM queues",
    ],
)
def test_the_file_itself_refuses_changes(log, line):
    log.add_queue({}, [7], [False], None, None, "ann")
    say(log, "remove", 7)
    before = log.entries(), log.queue(1)
    with pytest.raises(sqlite3.IntegrityError, match="nothing here is"):
        log.db.execute(line)
    assert (log.entries(), log.queue(1)) == before


# -- what stands


def test_the_newest_that_is_not_undone_stands(log):
    assert log.current_decisions() == {}
    first, second = say(log, "keep", 5), say(log, "relabel", 5, 1)
    assert stands(log, 5) == ("relabel", 1)
    undo = say(log, "undo", of=second)
    assert stands(log, 5) == ("keep", None)
    say(log, "undo", of=second)
    assert stands(log, 5) == ("keep", None), "undone already: noted, and without effect"
    say(log, "undo", of=first)
    assert stands(log, 5) is None and 5 not in log.current_decisions()
    say(log, "redo", of=second)
    assert stands(log, 5) == ("relabel", 1), "redone once, however often it was undone"
    say(log, "redo", of=first)
    assert stands(log, 5) == ("relabel", 1), "redone at its old place"
    with pytest.raises(UserError, match="names no decision"):
        say(log, "undo", of=undo)
    assert (
        len(log.entries()) == 7
        and log.current_decisions(up_to_id=2)[5].label == 1
        and log.current_decisions(up_to_id=3)[5].action == "keep"
    )
    assert log.current_decisions(up_to_id=0) == {}


def test_another_client_may_undo_it(log):
    uid = say(log, "remove", 5, client="ann")
    say(log, "undo", of=uid, client="bob")
    assert log.current_decisions() == {}


def test_what_stands_tells_where_it_came_from(log):
    queue = log.add_queue({}, [5], [False], None, None, "ann")
    entry = {"uid": "a", "item": 5, "action": "relabel", "label": 2, "reason": "why", "seen": 0}
    log.append([entry], "Ann", "x", queue)
    decision, entry = log.current_decisions()[5], log.entries()[0]
    assert (
        decision.item,
        decision.action,
        decision.label,
        decision.id,
        decision.uid,
        decision.who,
        decision.at,
        decision.reason,
        decision.queue,
        decision.conflict,
    ) == (5, "relabel", 2, 1, "a", "Ann", entry.at, "why", queue, ())


def test_two_who_did_not_know_of_each_other(log):
    say(log, "keep", 5, client="ann", seen=0)
    say(log, "remove", 5, client="bob", seen=0)
    assert stands(log, 5) == ("remove", None) and conflict(log, 5) == ["ann"]
    say(log, "keep", 5, client="ann", seen=1)
    assert conflict(log, 5) == ["bob"], "ann still does not know of bob's"
    say(log, "remove", 5, client="cid", seen=2)
    assert conflict(log, 5) == ["ann"], "cid has seen the first two, not ann's second"
    say(log, "relabel", 5, 1, client="dan")
    assert stands(log, 5) == ("relabel", 1) and conflict(log, 5) == [], "dan knew them all"


def test_no_conflict_without_a_difference(log):
    say(log, "relabel", 5, 1, client="ann", seen=0)
    say(log, "relabel", 5, 1, client="bob", seen=0)
    assert conflict(log, 5) == []
    say(log, "relabel", 5, 2, client="cid", seen=0)
    assert conflict(log, 5) == ["ann", "bob"], "another class is a difference; oldest first"
    say(log, "keep", 6, client="ann", seen=0)
    say(log, "remove", 6, client="ann", seen=0)
    assert conflict(log, 6) == [], "nobody contradicts oneself"
    say(log, "remove", 6, client="bob", seen=0)
    assert conflict(log, 6) == [], "of ann's, the newest alone stands"


def test_a_conflict_goes_with_what_made_it(log):
    first = say(log, "keep", 5, client="ann", seen=0)
    second = say(log, "remove", 5, client="bob", seen=0)
    undo = say(log, "undo", of=first, client="bob")
    assert conflict(log, 5) == [] and undo
    say(log, "redo", of=first, client="ann")
    assert conflict(log, 5) == ["ann"]
    say(log, "undo", of=second, client="bob")
    assert stands(log, 5) == ("keep", None) and conflict(log, 5) == []


def test_a_client_of_a_log_that_was_lost_knows_nothing_of_this_one(log):
    say(log, "keep", 5, client="ann", seen=0)
    say(log, "remove", 5, client="bob", seen=5000)
    assert log.entries()[1].seen == 1
    say(log, "keep", 5, client="cid", seen=0)
    assert conflict(log, 5) == ["bob"], "not hidden behind an id that is to come"


# -- queues


def test_queues(log):
    assert log.queue(1) is None and log.queues() == []
    first = log.add_queue(
        {"detector": "knn-moco", "about": ODD},
        [7, 3, 59],
        [False, True, False],
        [0.1, float("-inf"), 2],
        [0, 1, 2],
        "Ann",
    )
    second = log.add_queue({}, [], [], None, None, "bob")
    queue = log.queue(first)
    assert (queue.number, queue.spec, queue.items, queue.controls, queue.scores, queue.suggestions, queue.who) == (
        first,
        {"detector": "knn-moco", "about": ODD},
        [7, 3, 59],
        [False, True, False],
        [0.1, float("-inf"), 2],
        [0, 1, 2],
        "Ann",
    )
    assert log.queue(second).scores is None and log.queue(second).items == []
    assert [(row.number, row.n, row.who) for row in log.queues()] == [(second, 0, "bob"), (first, 3, "Ann")]
    assert log.queues()[1].spec == queue.spec and log.queues()[1].created == queue.created
    with pytest.raises(UserError, match="no training image 60"):
        log.add_queue({}, [60], [False], None, None, "ann")
    with pytest.raises(UserError, match="no class 3"):
        log.add_queue({}, [5], [False], None, [3], "ann")
    with pytest.raises(ValueError, match="an item"):
        log.add_queue({}, [5], [], None, None, "ann")


# -- many at once, and blows

WRITER = """
import sys
from pathlib import Path
from attribution.audit.decision_log import DecisionLog
log = DecisionLog(Path(sys.argv[1]), "f" * 64, 60, 3)
for number in range(int(sys.argv[3])):
    uid = f"{sys.argv[2]}-{number}"
    print(uid, *log.append([{"uid": uid, "item": number % 60, "action": "keep", "seen": 0}], "x", sys.argv[2]),
          flush=True)
"""


def writer(folder, name, n):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, folder, name, str(n)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_killed_writer_loses_nothing_that_it_was_told_is_written(log):
    process = writer(log.folder, "w", 1_000_000)
    lines = [process.stdout.readline() for _ in range(50)]
    process.kill()
    lines += process.stdout.readlines()
    process.wait()
    acknowledged = [tuple(line.split()) for line in lines if line.endswith("\n")]
    with another(log) as again:
        there = {entry.uid: entry.id for entry in again.entries()}
        assert len(acknowledged) >= 50 and all(there[uid] == int(number) for uid, number in acknowledged)
        assert len(there) <= len(acknowledged) + 1
        start = time.monotonic()
        say(again, "keep", 5)
        assert time.monotonic() - start < 5, "the lock went with it"
        assert again.db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_processes_that_begin_and_write_at_once(tmp_path):
    folder = tmp_path / "new"
    processes = [writer(folder, name, 100) for name in "abc"]
    for process in processes:
        assert process.communicate()[1] == "" and process.returncode == 0
    with DecisionLog(folder, "f" * 64, 60, 3) as log:
        assert [entry.id for entry in log.entries()] == list(range(1, 301))
        for name in "abc":
            assert [entry.uid for entry in log.entries() if entry.client == name] == [f"{name}-{i}" for i in range(100)]


def test_threads_that_open_and_close(tmp_path):
    errors = []

    def work(name):
        try:
            for number in range(15):
                with DecisionLog(tmp_path / "new", "f" * 64, 60, 3) as own:
                    own.append([{"uid": f"{name}-{number}", "item": 5, "action": "keep", "seen": 0}], name, name)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with DecisionLog(tmp_path / "new", "f" * 64, 60, 3) as log:
        assert not errors and len(log.entries()) == 60


def test_a_waiting_writer_sees_what_stood_when_its_turn_came(log):
    """`old` is read within the transaction: of many who append at once, each finds the one before."""

    def work(name):
        with another(log) as own:
            for number in range(20):
                own.append(
                    [{"uid": f"{name}-{number}", "item": 5, "action": "relabel", "label": int(name), "seen": 0}],
                    name,
                    name,
                )

    threads = [threading.Thread(target=work, args=(name,)) for name in "012"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = log.entries()
    assert len(entries) == 60 and entries[0].old is None
    assert [entry.old["label"] for entry in entries[1:]] == [entry.label for entry in entries[:-1]]


# -- checksums


def damage(log, table, column, value, key):
    """Changes a row as a disk might."""
    with closing(sqlite3.connect(log.folder / FILE)) as db, db:
        db.execute(f"DROP TRIGGER IF EXISTS {table}_update")
        db.execute(f"UPDATE {table} SET {column} = {value} WHERE {CHECKED[table][0]} = ?", (key,))


@pytest.mark.parametrize(
    "column, value",
    [
        ("action", "'keep'"),
        ("label", "2"),
        ("item", "6"),
        ("uid", "'another'"),
        ("who", "CAST(x'61ff' AS TEXT)"),
        ("at", "at + 1"),
        ("crc", "NULL"),
        ("id", "9"),
    ],
)
def test_an_entry_that_was_changed_is_left_out_and_said(log, column, value):
    say(log, "remove", 5)
    say(log, "relabel", 5, 1)
    say(log, "keep", 7)
    assert log.damage() == ""
    damage(log, "entries", column, value, 2)
    with another(log) as again:
        for _ in range(2):
            assert stands(again, 5) == ("remove", None) and stands(again, 7) == ("keep", None)
            assert 6 not in again.current_decisions() and len(again.entries()) == 2
            assert again.count_damaged() == 1 and "one row of it is damaged and left out; put a copy" in again.damage()
        say(again, "keep", 5)
        assert again.entries()[-1].old == {"action": "remove", "label": None}
        assert len(again.db.execute("SELECT 1 FROM entries").fetchall()) == 4, "nothing here is deleted"


def test_a_decision_that_was_changed_cannot_be_taken_back(log):
    uid = say(log, "remove", 5)
    damage(log, "entries", "item", "6", 1)
    assert log.known_uids([uid]) == set()
    with pytest.raises(UserError, match="names no decision"):
        say(log, "undo", of=uid)


def test_a_queue_that_was_changed_is_left_out_and_said(log):
    for _ in range(3):
        log.add_queue({"detector": "x"}, [7, 3], [False, True], [0.5, 0.25], [1, 2], "Ann")
    damage(log, "queues", "items", "zeroblob(16)", 2)
    damage(log, "queues", "spec", "'{'", 3)
    assert [row.number for row in log.queues()] == [1] and log.queue(2) is None and log.queue(3) is None
    assert log.queue(1).items == [7, 3] and "2 rows of it are damaged" in log.damage()


@pytest.fixture
def old(tmp_path):
    """The folder of a log as it was written before there were checksums."""
    (tmp_path / "old").mkdir()
    shutil.copy(Path(__file__).parent / "schema_1.sqlite", tmp_path / "old" / FILE)
    return tmp_path / "old"


def test_a_log_of_before_opens_with_all_it_holds(old):
    for _ in range(2):
        with DecisionLog(old, "f" * 64, 60, 3) as log:
            assert [(one.id, one.uid, one.item, one.action, one.label, one.of, one.who) for one in log.entries()] == [
                (1, "a", 7, "relabel", 2, None, "Ann"),
                (2, "b", 3, "remove", None, None, "Ann"),
                (3, "c", 3, "undo", None, "b", "Bob"),
                (4, "d", 59, "keep", None, None, "Bob"),
            ]
            assert log.entries()[2].old == {"action": "remove", "label": None} and log.entries()[0].reason == "why é"
            assert sorted(log.current_decisions()) == [7, 59] and log.damage() == ""
            queue = log.queue(1)
            assert (queue.items, queue.scores, queue.spec["size"]) == ([7, 3, 59], [0.5, float("-inf"), 2], 3)
    with DecisionLog(old, "f" * 64, 60, 3) as log:
        say(log, "undo", of="a")
        assert sorted(log.current_decisions()) == [59] and [entry.id for entry in log.entries()] == [1, 2, 3, 4, 5]
        with pytest.raises(sqlite3.IntegrityError, match="nothing here is changed"):
            log.db.execute("UPDATE entries SET crc = 1")


def test_a_log_of_before_that_is_opened_by_many_at_once(old):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: DecisionLog(old, "f" * 64, 60, 3).newest_id(), range(8)))
    assert found == [4] * 8


def test_an_older_lineup_that_has_it_open_cannot_write_without_a_checksum(old):
    with closing(sqlite3.connect(old / FILE)) as of_before, DecisionLog(old, "f" * 64, 60, 3) as log:
        with pytest.raises(sqlite3.IntegrityError, match="start the newest Lineup"):
            of_before.execute(
                "INSERT INTO entries (uid, at, who, client, item, action, reason, seen) "
                "VALUES ('x', 0, '', '', 5, 'keep', '', 0)"
            )
        assert log.newest_id() == 4


def test_a_migration_of_the_log_that_is_killed_half_way(old):
    script = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom attribution.audit import decision_log\n"
        "seen = []\ncrc = decision_log.row_crc\n"
        "def killed(*values):\n    seen.append(values)\n"
        "    return os.kill(os.getpid(), signal.SIGKILL) if len(seen) == int(sys.argv[2]) else crc(*values)\n"
        "decision_log.row_crc = killed\ndecision_log.DecisionLog(Path(sys.argv[1]), 'f' * 64, 60, 3)"
    )
    for row in (1, 5):
        done = subprocess.run([sys.executable, "-c", script, old, str(row)], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == -signal.SIGKILL, done.stderr
        with closing(sqlite3.connect(old / FILE)) as db:
            assert db.execute("PRAGMA user_version").fetchone()[0] == 1
            assert len(db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()) == 7
    with DecisionLog(old, "f" * 64, 60, 3) as log:
        assert len(log.entries()) == 4 and log.damage() == ""


def test_a_log_of_before_of_another_data_set_is_not_touched(old):
    with pytest.raises(UserError, match="are about another data set"):
        DecisionLog(old, "e" * 64, 60, 3)
    with closing(sqlite3.connect(old / FILE)) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == 1


# -- files that cannot be used


def test_of_a_workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))
    with DecisionLog.of(tiny.write(tmp_path / "tiny")) as log:
        assert (log.n_train, log.n_classes, log.fingerprint) == (60, 3, "0" * 64)
        assert (tmp_path / "data" / ("0" * 16) / FILE).exists()
        assert log.db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert log.db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_another_schema_version_and_another_data_set(log):
    with pytest.raises(UserError, match="are about another data set"):
        DecisionLog(log.folder, "e" * 64, 60, 3)
    log.db.execute("PRAGMA user_version = 99")
    with pytest.raises(UserError, match="schema version 99, and this Lineup reads 2"):
        another(log)


def test_no_database_and_no_folder(tmp_path):
    (tmp_path / FILE).write_bytes(b"not a database" * 100)
    with pytest.raises(UserError, match="are damaged .*not a database.*; put a copy of that folder back"):
        DecisionLog(tmp_path, "f", 60, 3)
    assert (tmp_path / FILE).read_bytes() == b"not a database" * 100
    with pytest.raises(UserError, match="set LINEUP_DATA to a folder you may write to"):
        DecisionLog(tmp_path / FILE / "below", "f", 60, 3)


def test_a_file_of_no_bytes_is_no_beginning_and_one_without_tables_is(tmp_path):
    (tmp_path / FILE).touch()
    with pytest.raises(UserError, match="the decisions in .* are damaged .*has no bytes"):
        DecisionLog(tmp_path, "f", 60, 3)
    (tmp_path / FILE).unlink()
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("VACUUM")  # as a maker of before left it that was killed
    assert (tmp_path / FILE).stat().st_size
    for _ in range(2):
        with DecisionLog(tmp_path, "f", 60, 3) as log:
            assert log.newest_id() == 0


def test_a_file_that_is_taken_away_is_not_written_into(log):
    say(log, "keep", 5)
    (log.folder / FILE).rename(log.folder / "elsewhere")
    with pytest.raises(UserError, match="was moved or deleted while in use"):
        log.append([{"uid": "a", "item": 7, "action": "keep", "seen": 0}], "ann", "tab")
    with pytest.raises(UserError, match="was moved or deleted while in use"):
        log.current_decisions()


def test_a_full_disk_keeps_nothing_of_it_and_the_log_goes_on(log):
    say(log, "keep", 5)
    pages = log.db.execute("PRAGMA page_count").fetchone()[0]
    log.db.execute(f"PRAGMA max_page_count = {pages}")
    many = [{"uid": f"m{i}", "item": 5, "action": "keep", "seen": 0, "reason": "x" * 500} for i in range(500)]
    with pytest.raises(UserError, match="cannot be used .*full.*make room there"):
        log.append(many, "ann", "tab")
    assert log.newest_id() == 1
    log.db.execute("PRAGMA max_page_count = 1000000")
    assert len(log.append(many, "ann", "tab")) == 500
