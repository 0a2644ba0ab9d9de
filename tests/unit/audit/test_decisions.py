"""Which decisions are current follows from the log's entries by one plain rule."""

import random

import pytest

from attribution.audit.decisions import DecisionFold
from attribution.store.database import Transaction
from tests.unit.audit.test_decision_log import log, say  # noqa: F401


def reference(entries):
    """item -> (action, label, clients in conflict), by the rule as it is told, from the whole log."""
    decisions = {}
    for item in {entry.item for entry in entries}:
        last = {}  # uid -> the last that was said of it
        for entry in entries:
            if entry.of:
                last[entry.of] = entry.action
        current = [entry for entry in entries if entry.item == item and not entry.of and last.get(entry.uid) != "undo"]
        if not current:
            continue
        newest = current[-1]
        theirs = {entry.client: entry for entry in current}  # of each, the newest
        decisions[item] = (
            newest.action,
            newest.label,
            sorted(
                client
                for client, entry in theirs.items()
                if client != newest.client
                and entry.id > newest.seen
                and (entry.action, entry.label) != (newest.action, newest.label)
            ),
        )
    return decisions


@pytest.mark.parametrize("seed", range(20))
def test_any_sequence_folds_as_the_rule_says(log, seed):  # noqa: F811
    draw = random.Random(seed)
    fold, uids = DecisionFold(), []
    for _ in range(80):
        action = draw.choice(["keep", "relabel", "remove", "unsure", "undo", "redo", "undo", "redo"])
        if action in ("undo", "redo") and not uids:
            continue
        before = reference(log.entries())
        revises = action in ("undo", "redo")
        what = {"of": draw.choice(uids)} if revises else {"item": draw.randrange(4)}
        if action == "relabel":
            what["label"] = draw.randrange(3)
        uid = say(log, action, client=draw.choice(["ann", "bob", "cid"]), seen=draw.randint(0, log.newest_id()), **what)
        uids += [] if revises else [uid]
        entry = log.entries()[-1]
        stood = before.get(entry.item)
        assert entry.old == (stood and {"action": stood[0], "label": stood[1]})
        if draw.random() < 0.3:
            fold.add(log.entries(max(0, fold.newest_id - draw.choice([0, 3]))))  # some of it once more
    fold.add(log.entries(fold.newest_id))
    expected = reference(log.entries())
    assert log.current_decisions() == fold.current == log.current_decisions(up_to_id=log.newest_id())
    for upto in (log.newest_id(), 20, 50):
        assert {
            item: (decision.action, decision.label, sorted(entry.client for entry in decision.conflict))
            for item, decision in log.current_decisions(upto).items()
        } == reference(log.entries(limit=upto))
    assert set(expected) == set(fold.current)


def test_adding_tells_which_images_it_was_about(log):  # noqa: F811
    uid = say(log, "keep", 5)
    say(log, "keep", 6)
    fold = DecisionFold()
    assert fold.add(log.entries()) == {5, 6} and fold.newest_id == 2 and fold.add(log.entries()) == set()
    say(log, "undo", of=uid)
    assert fold.add(log.entries(fold.newest_id)) == {5} and set(fold.current) == {6}


def test_a_further_decision_folds_as_itself_alone(log):  # noqa: F811
    """After 50,000 entries as after none: a key that is held down does not wait for all that was decided before."""
    with Transaction(log.db):
        nothing = dict.fromkeys(("label", "of", "old_action", "old_label", "queue"))
        for i in range(50_000):
            one = {"uid": f"u{i}", "client": "ab"[i % 2], "item": i % 60, "action": "keep"}
            log._insert("entries", {"at": 0.0, "who": "", "reason": "", "seen": 0} | nothing | one)
    fold = DecisionFold()
    fold.add(log.entries())
    say(log, "remove", 5)
    new = log.entries(fold.newest_id)
    assert len(new) == 1 and fold.add(new) == {5} and fold.current[5].action == "remove"
