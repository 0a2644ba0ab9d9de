"""The suspects of a wrong prediction on Explore, and the queue that is made of them."""

import pytest
import streamlit as st

from attribution.audit import detectors
from attribution.audit.decision_log import DecisionLog
from attribution.audit.suspects import find_suspects
from pages.debug import suspects as view
from pages.ui import audit_queue, state
from tests.pages.page import open_page, texts


@pytest.fixture(autouse=True)
def detector(ws):
    detectors.build_detectors(ws, ["knn-moco"])


def opened(target, open=True):
    return open_page(session={state.SUSPECTS: open}, target=str(target))


def expanders(app):
    return [one.label for one in app.expander]


def test_a_wrong_prediction_has_suspects(ws):
    app = opened(1)
    assert not app.exception and expanders(app) == ["Suspects"]
    said = texts(app)
    assert "images are among the 100 most harmful of trak-10 or the 100 nearest labelled Dot of esvm-moco" in said
    assert "of the 6 of 60 whose labels knn-moco doubts most (20 nearest in moco)." in said
    assert app.button(key="audit suspects")


def test_they_are_looked_for_when_somebody_asks(ws, monkeypatch):
    asked = []
    monkeypatch.setattr(view, "find_suspects", lambda *of: asked.append(of[1:]) or [])
    assert expanders(opened(1, open=False)) == ["Suspects"] and not asked
    opened(1)
    assert asked == [(1, "knn-moco")]


def test_a_right_prediction_has_none(ws):
    app = opened(0)
    assert not app.exception and expanders(app) == []


def test_without_a_detector_there_is_nothing(ws):
    ws.remove_part("detectors/knn-moco")
    app = opened(1)
    assert not app.exception and expanders(app) == []


def test_the_strip(ws):
    found = find_suspects(ws, 1, "knn-moco")
    data = view.suspects_data(ws, found, {}, 1)
    first = data["rows"][0]["tiles"][0]
    assert (first["id"], first["at"], first["caption"], first["mark"]) == (3, 0, "Dot → Bar", "Dot → Bar")
    assert first["text"].startswith("training image 3, labelled Dot, suspicion 1 of 60, named by ")
    agreed = [tile for tile, one in zip(data["rows"][0]["tiles"], found) if one.suggestion == one.given]
    assert all("→" not in tile["caption"] and "mark" not in tile for tile in agreed)


def test_where_no_image_fits(ws):
    assert view.suspects_sentence(ws, 1, "knn-moco", []).startswith("No training image is among the 100 most harmful")


def test_they_are_sent_to_the_audit(ws, monkeypatch):
    gone = []
    monkeypatch.setattr(st, "switch_page", lambda page, query_params=None: gone.append((page, query_params)))
    app = opened(1)
    app.button(key="audit suspects").click().run()
    assert not app.exception and gone == [("pages/labels/page.py", {"queue": "1"})]
    found = find_suspects(ws, 1, "knn-moco")
    with DecisionLog.of(ws) as log:
        queue = log.queue(1)
    assert queue.items == [one.image for one in found] and queue.suggestions == [one.suggestion for one in found]
    assert (queue.spec["detector"], queue.spec["from"], queue.who) == ("knn-moco", 1, audit_queue.user_name())
    assert not any(queue.controls) and queue.scores == pytest.approx([one.score for one in found])


def test_a_queue_that_cannot_be_made_is_said(ws, monkeypatch):
    monkeypatch.setattr(audit_queue, "make", lambda ws, **asked: state.set_error(ValueError("the disk is full")))
    app = opened(1)
    app.button(key="audit suspects").click().run()
    assert [one.value for one in app.error] == ["The disk is full."]
