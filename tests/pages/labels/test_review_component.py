"""What the review and its post are given."""

from types import SimpleNamespace

import numpy as np
import pytest

from attribution.audit import error_estimate
from pages.labels import decision_cache, review_component
from tests.pages.labels.entries import add, entry


def drawn(ws, log, queue, mode="one", at=0, **more):
    standing, upto = decision_cache.DecisionCache().read(log)
    return review_component.review_data(
        ws, queue, standing, upto, who="me", mode=mode, per=50, at=at, token="t", **more
    )


def test_an_item_has_its_labels_its_evidence_and_where_it_comes_from(ws, log, queue):
    data = drawn(ws, log, queue)
    first = data["items"][0]
    assert first["id"] == queue.items[0] == 3, "the planted error comes first"
    assert (ws.classes[first["given"]], ws.classes[first["suggested"]]) == ("Dot", "Bar")
    assert first["place"] == "1" and first["mix"][0] == [0, 19] and len(first["near"]) == 8
    assert first["source"] == "image 1003 of the source data" and first["bars"] == [] and first["harmed"] == []
    assert data["sources"]["opinion"] is None and "moco" in data["sources"]["neighbours"]
    assert data["order"] == queue.items and data["classes"] == ws.classes
    for one in data["items"]:
        assert one["at"] < data["tiles"]["count"] and one["picture"] < data["pictures"]["count"]
        assert all(place < data["tiles"]["count"] for place, _, _ in one["near"])


def test_a_deck_holds_images_around_a_place(ws, log, queue, monkeypatch):
    monkeypatch.setattr(review_component, "AFTER", 12)
    data = drawn(ws, log, queue, at=20)
    assert data["start"] == 8 and [one["id"] for one in data["items"]] == queue.items[8:32]
    assert [one["picture"] for one in data["items"]] == list(range(24))


def test_a_wall_holds_itself_and_the_next_one(ws, log):
    queue = log.queue(add(log, ws, size=60))
    data = review_component.review_data(ws, queue, {}, 0, who="me", mode="wall", per=20, at=25, token="t")
    assert data["start"] == 0 and len(data["items"]) == 60
    data = review_component.review_data(ws, queue, {}, 0, who="me", mode="wall", per=20, at=45, token="t")
    assert data["start"] == 20 and len(data["items"]) == 40 and data["items"][0]["near"] == []


def test_large_images_come_fewer_at_a_time(ws, log):
    queue = log.queue(add(log, ws, size=60))
    assert review_component._window(ws, 60, "one", 50, 0) == (0, 48)
    large = SimpleNamespace(train_images=np.zeros((1, 224, 224, 3)))
    assert review_component._window(large, 60, "one", 50, 10) == (0, 39) and len(queue.items) == 60


def test_what_stands_goes_along_and_ones_own_can_be_undone(ws, log, queue):
    one, two = queue.items[:2]
    log.append([entry(one, "relabel", label=0, reason="a bar")], "me", "browser", 1)
    log.append([entry(two)], "Ann", "another", 1)
    data = drawn(ws, log, queue)
    assert data["standing"][one] == {
        "action": "relabel",
        "label": 0,
        "who": "me",
        "reason": "a bar",
        "conflict": [],
        "upto": 2,
        "tab": "browser",
        "id": 1,
    }
    assert data["upto"] == 2 and [entry["item"] for step in data["mine"] for entry in step] == [one]


def test_two_answers_are_told_of(ws, log, queue):
    one = queue.items[0]
    log.append([entry(one, "relabel", label=0, reason="a bar")], "Ann", "hers", 1)
    log.append([entry(one)], "Bob", "his", 1)
    standing, upto = decision_cache.DecisionCache().read(log)
    told = review_component.decision_data(standing[one], upto)
    assert told["who"] == "Bob" and told["conflict"] == [
        {"who": "Ann", "action": "relabel", "label": 0, "reason": "a bar"}
    ]
    assert review_component.decision_data(None, 5) == {"action": None, "upto": 5}


def test_the_post_says_what_is_new_and_how_good_the_detector_is(ws, log, queue):
    log.append([entry(queue.items[0], "relabel", label=0), entry(queue.items[1])], "me", "browser", 1)
    standing, upto = decision_cache.DecisionCache().read(log)
    data = review_component.post_data(ws, queue, standing, upto, {queue.items[1]}, {"acked": ["x"], "error": None})
    assert data["acked"] == ["x"] and list(data["changed"]) == [queue.items[1]] and data["upto"] == 2
    assert data["said"]["lines"] == ["1 of 2 suspects mislabeled: 50 % (95 % interval 9 to 91 %)"]


def test_what_one_key_decided_is_undone_as_one_step(ws, log, queue):
    tab = "0123456789ab-"
    uids = [f"{tab}00000001-{i:08x}" for i in range(3)] + [f"{tab}00000002-00000000", "older"]
    log.append([entry(item, uid=uid) for item, uid in zip(queue.items, uids)], "me", "a tab", 1)
    data = drawn(ws, log, queue)
    assert [[one["uid"] for one in step] for step in data["mine"]] == [uids[:3], uids[3:4], uids[4:]]
    assert review_component.step_of("x" * 24) == "x" * 24


def test_where_the_models_predictions_come_from():
    title = review_component.opinion_title
    assert title("1,000 models that did not see the image") == "Held-out predictions (1,000 models)"
    assert title("a file, out of sample") == "Predictions of a file, out of sample"


def test_the_post_says_how_many_errors_there_are_as_decisions_come_in(ws, log, monkeypatch):
    """Of 60 images: 5 in 50 are drawn at random, and the planted error is the first suspect."""
    queue = log.queue(add(log, ws, random=True))
    cache = decision_cache.DecisionCache()

    def rows():
        current, newest = cache.read(log)
        data = review_component.post_data(
            ws, queue, current, newest, set(), {"acked": [], "error": None}, queues=cache.queues_of(log, current)
        )
        assert "control" not in " ".join(data["said"]["lines"])
        return data["said"]["rows"]

    assert rows() == []
    monkeypatch.setattr(error_estimate, "stored_guess", lambda ws: 4.2)
    assert rows() == ["A first guess by a model: about 4 of 60 labels are wrong. It can be far off."]
    log.append([entry(3, "relabel", label=0)], "me", "browser", 1)
    first_drawn = queue.controls.index(True)
    if queue.items.index(3) < first_drawn:
        assert rows()[0] == "How many labels are wrong is not known yet: no random image has been decided."
    log.append([entry(item) for item in queue.items if item != 3], "me", "browser", 1)
    total, following, suggested = rows()
    assert total.startswith("About 1 of 60 labels are wrong (95 % interval 1 to ") and "1 found" in total
    assert following.startswith("The next 100 suspects hold") and following.count(".") == 1
    assert suggested == "Suggestions were right for 1 of 1 relabelled images: 100 % (95 % interval 21 to 100 %)."
    plain = log.queue(add(log, ws))
    data = review_component.post_data(ws, plain, {}, 0, set(), {"acked": [], "error": None})
    assert data["said"]["rows"] == ["A first guess by a model: about 4 of 60 labels are wrong. It can be far off."]


def test_a_queue_is_read_once(ws, log, queue, monkeypatch):
    cache = decision_cache.DecisionCache()
    log.append([entry(queue.items[0])], "me", "browser", 1)
    current, _ = cache.read(log)
    assert [one.number for one in cache.queues_of(log, current)] == [1]
    monkeypatch.setattr(type(log), "queue", lambda self, number: pytest.fail("it was read again"))
    assert [one.number for one in cache.queues_of(log, current)] == [1]
    assert cache.queues_of(log, {}) == []


def test_what_tells_random_images_apart_waits_for_the_decision(ws, log):
    data = drawn(ws, log, log.queue(add(log, ws, random=True)))
    assert data["queue"]["random"] and sum(item["control"] for item in data["items"]) == 5
    assert not drawn(ws, log, log.queue(add(log, ws)))["queue"]["random"]
