"""What a browser may write."""

import pytest

from attribution import UserError
from pages.labels import decision_cache
from tests.pages.labels.entries import add, entry


def sent(*entries, client="browser"):
    return {"n": 1, "client": client, "seen": 0, "entries": list(entries)}


def test_what_is_sent_twice_is_written_once(ws, log, queue):
    outbox, written = sent(entry(queue.items[0]), entry(queue.items[1], "remove")), set()
    for _ in range(2):
        assert decision_cache.write_outbox(ws, log, outbox, "me", written)["acked"] == [
            e["uid"] for e in outbox["entries"]
        ]
    assert decision_cache.write_outbox(ws, log, outbox, "me", set())["error"] is None, (
        "as after a restart of the server"
    )
    assert len(log.entries()) == 2


@pytest.mark.parametrize(
    "wrong, says",
    [
        ({"item": 10**6}, "not in this queue"),
        ({"item": "3"}, "not in this queue"),
        ({"uid": 7}, "not in this queue"),
        ({"action": "drop table"}, "does not know"),
        ({"action": "relabel", "label": 3}, "none of the 3 classes"),
        ({"action": "relabel", "label": "0"}, "none of the 3 classes"),
        ({"reason": "x" * 501}, "more than 500"),
        ({"action": "undo", "of": "nobody's"}, "no longer in the log"),
        ({"queue": 2}, "not in this queue"),
        ({"queue": "1"}, "not in this queue"),
        ({"reason": "half \ud83d"}, "half of a character"),
        ({"seen": "all"}, "left out"),
    ],
)
def test_what_fits_no_image_or_class_is_left_out_and_said(ws, log, queue, wrong, says):
    good = entry(queue.items[0])
    answer = decision_cache.write_outbox(ws, log, sent(entry(queue.items[1]) | wrong, good), "me", set())
    assert says in answer["error"] and len(answer["acked"]) == 2, "it is not sent for ever"
    assert [one.uid for one in log.entries()] == [good["uid"]]


def test_what_was_decided_in_a_queue_that_is_no_longer_on_view_is_written_as_made_in_it(ws, log, queue):
    add(log, ws, size=3)
    here, there = entry(queue.items[0], queue=2), entry(queue.items[9])
    answer = decision_cache.write_outbox(ws, log, sent(there, here), "me", set())
    assert answer["error"] is None and [(one.item, one.queue) for one in log.entries()] == [
        (queue.items[9], 1),
        (queue.items[0], 2),
    ]


def test_a_decision_and_its_undo_may_come_together(ws, log, queue):
    one = entry(queue.items[0], "remove")
    answer = decision_cache.write_outbox(ws, log, sent(one, entry(queue.items[0], "undo", of=one["uid"])), "me", set())
    assert answer["error"] is None and decision_cache.DecisionCache().read(log)[0] == {}


def test_where_nothing_can_be_written_nothing_is_acknowledged(ws, log, queue, monkeypatch):
    def full(*_):
        raise UserError("the data folder is full")

    monkeypatch.setattr(log, "append", full)
    answer = decision_cache.write_outbox(ws, log, sent(entry(queue.items[0])), "me", set())
    assert answer["acked"] == [] and "Nothing is lost here" in answer["error"]


def test_the_tabs_that_decided_under_a_name_just_now(ws, log, queue, monkeypatch):
    one, two, three = queue.items[:3]
    log.append([entry(one)], "Ann", "first tab", 1)
    log.append([entry(two)], "Ann", "second tab", 1)
    log.append([entry(three)], "Bob", "his tab", 1)
    log.append([entry(three)], "Ann", "import 0123456789ab")  # a file is no tab
    decision_cache.current(ws, log)
    assert decision_cache.recent_tabs(ws, "Ann") == ["first tab", "second tab"]
    assert decision_cache.recent_tabs(ws, "Bob") == ["his tab"] and decision_cache.recent_tabs(ws, "Eve") == []
    monkeypatch.setattr(decision_cache, "RECENT", -1)
    assert decision_cache.recent_tabs(ws, "Ann") == []
