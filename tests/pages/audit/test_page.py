"""Audit: what the deck and its post are given, what a browser may write, and the page around them."""

from types import SimpleNamespace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from attribution import UserError, Workspace, background, detectors, queues
from attribution.decisions import Decisions
from pages.audit import corrections, decision_cache, review_component
from pages.ui import audit_queue, state
from tests import tiny
from tests.conftest import ROOT

PAGE = str(ROOT / "pages" / "audit" / "page.py")


@pytest.fixture
def ws(tmp_path, monkeypatch):
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))
    (tmp_path / "w").mkdir()
    ws = tiny.write(tmp_path / "w")
    detectors.build(ws, ["knn-moco"])
    monkeypatch.setenv("LINEUP_WORKSPACE", str(ws.path))
    return Workspace.open(ws.path)


@pytest.fixture
def log(ws):
    with Decisions.of(ws) as log:
        yield log


@pytest.fixture
def queue(ws, log):
    return log.queue(add(log, ws))


def add(log, ws, **asked) -> int:
    spec = queues.spec(ws, **asked)
    found = queues.make(ws, spec)
    return log.add_queue(
        spec, found.images.tolist(), found.controls.tolist(), found.scores.tolist(), found.suggestions.tolist(), "me"
    )


def entry(item, action="keep", **more):
    entry.count = getattr(entry, "count", 0) + 1
    return {"uid": f"u{entry.count}", "item": int(item), "action": action, "seen": 0, "reason": "", "queue": 1, **more}


def sent(*entries, client="browser"):
    return {"n": 1, "client": client, "seen": 0, "entries": list(entries)}


def drawn(ws, log, queue, mode="one", at=0, **more):
    standing, upto = decision_cache.DecisionCache().read(log)
    return review_component.review_data(
        ws, queue, standing, upto, who="me", mode=mode, per=50, at=at, token="t", **more
    )


# -- the deck


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
    }
    assert data["upto"] == 2 and [entry["item"] for entry in data["mine"]] == [one]


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
    assert data["said"]["lines"] == ["1 of 2 wrong so far: 50% (95 % 9% to 91%)"]


# -- what a browser may write


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


# -- the page


def run():
    page = AppTest.from_file(PAGE, default_timeout=60).run()
    assert not page.exception, page.exception
    return page


def words(page) -> str:
    return " ".join(
        one.value
        for kind in ("markdown", "caption", "info", "warning", "error", "success")
        for one in getattr(page, kind)
    )


def test_it_opens_with_a_queue_of_the_usual_detector(ws, log):
    page = run()
    (row,) = log.queues()
    assert row.spec["detector"] == "knn-moco" and row.n == 50
    assert "by knn\\-moco" in words(page) and "1 planted errors" in words(page)


def test_a_new_queue_is_made_and_opened(ws, log):
    page = run()
    page.selectbox(key=state.GIVEN).set_value("Dot")
    page.number_input(key=state.QUEUE_SIZE).set_value(4)
    page.toggle(key=state.CONTROLS).set_value(True)
    page.toggle(key=state.BLIND).set_value(True)
    page.button(key="make queue").click().run()
    assert not page.exception
    spec = log.queues()[0].spec
    assert (spec["given"], spec["size"], spec["controls"], spec["blind"]) == (2, 4, True, True)
    assert page.selectbox(key=state.QUEUE).value == "2"
    page.selectbox(key=state.SUGGESTED).set_value(tiny.CLASSES[1])
    page.button(key="make queue").click().run()
    assert "No training image fits these filters" in words(page) and len(log.queues()) == 2


def test_a_link_to_a_queue_or_an_image_that_is_not_there_says_so(ws):
    page = AppTest.from_file(PAGE, default_timeout=60)
    page.query_params["queue"], page.query_params["image"] = "77", "59"
    page.run()
    assert "no queue 77" in words(page) and not page.exception


def test_one_class_has_no_wrong_labels(ws, monkeypatch):
    monkeypatch.setattr(ws, "classes", ["Bar <i>"])
    monkeypatch.setattr("pages.ui.theme.workspace", lambda: ws)
    assert "none can be suspected" in words(run())


def test_where_nothing_was_detected_it_says_how_and_starts_it(tmp_path, monkeypatch):
    (tmp_path / "x").mkdir()
    other = tiny.write(tmp_path / "x", colour=True)
    monkeypatch.setenv("LINEUP_WORKSPACE", str(other.path))
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))
    asked = []
    monkeypatch.setattr(background, "start", lambda ws, what: asked.append(what))
    page = run()
    assert "No detector has looked" in words(page) and "detectors build" in page.code[0].value
    page.button(key="start detectors build").click().run()
    assert asked == [["detectors", "build"]] and not page.exception


# -- taking home


def test_captions_say_what_stands(ws, log, queue):
    one, two, three, four = queue.items[:4]
    log.append(
        [entry(one, "relabel", label=0), entry(two), entry(three, "remove"), entry(four, "unsure")], "me", "b", 1
    )
    log.append([entry(one, "remove")], "Ann", "hers", 1)
    standing, _ = decision_cache.DecisionCache().read(log)
    given = [ws.classes[ws.train_labels[i]] for i in queue.items[:4]]
    assert [corrections.caption(ws, standing[i]) for i in queue.items[:4]] == [
        "Bar or removed",
        given[1],
        f"{given[2]}, out",
        f"{given[3]}?",
    ]


def test_nothing_decided_yet(ws):
    page = run()
    page.segmented_control(key=state.ROOM_OF_AUDIT).set_value("take home").run()
    assert not page.exception and "Nothing is decided yet" in words(page)


def test_counts_files_and_the_command(ws, log, queue, tmp_path):
    log.append([entry(queue.items[0], "relabel", label=0), entry(queue.items[1])], "me", "b", 1)
    log.append([entry(queue.items[1], "remove")], "Ann", "hers", 1)
    page = run()
    page.segmented_control(key=state.ROOM_OF_AUDIT).set_value("take home").run()
    assert not page.exception and "labels.npy" in words(page).replace("\\", "")
    page.button(key="queue of conflicts").click().run()
    assert log.queues()[0].spec["of"] == "conflicts" and log.queues()[0].n == 1
    page.segmented_control(key=state.ROOM_OF_AUDIT).set_value("take home").run()
    page.text_input(key=state.FOLDER).set_value(str(tmp_path / "out")).run()
    page.button(key="write corrections").click().run()
    assert "Written to" in words(page) and (tmp_path / "out" / "corrections.csv").exists()
    page.text_input(key=state.FOLDER).set_value(str(ws.path / "workspace.json")).run()
    page.button(key="write corrections").click().run()
    assert page.error and not page.exception


def test_all_files_in_one(ws, log, queue):
    import io
    import zipfile

    log.append([entry(queue.items[0], "relabel", label=0)], "me", "b", 1)
    archive = zipfile.ZipFile(io.BytesIO(corrections.packed(ws)))
    assert {"corrections.csv", "labels.npy", "log.csv"} <= set(archive.namelist())
    assert np.load(archive.open("labels.npy"))[3] == 0


def test_who_decides_where_nobody_says(monkeypatch):
    monkeypatch.setattr(audit_queue.getpass, "getuser", lambda: (_ for _ in ()).throw(KeyError("uid")))
    assert audit_queue.user_name() == "somebody"
