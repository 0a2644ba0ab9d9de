"""The suspects of a wrong prediction on Debug, and the queue that is made of them."""

import re
from html import unescape

import pytest
import streamlit as st

from attribution.audit import detectors
from attribution.audit.decision_log import DecisionLog
from attribution.audit.suspects import find_suspects
from pages.debug import suspects as view
from pages.ui import audit_queue, state
from tests.pages.page import html, open_page, texts


@pytest.fixture(autouse=True)
def detector(ws):
    detectors.build_detectors(ws, ["knn-moco"])


def opened(target):
    return open_page(target=str(target))


def heads(app):
    return [unescape(text) for text in re.findall("<h2>(.*?mislabeled)</h2>", html(app))]


def test_a_wrong_prediction_opens_on_its_suspects(ws):
    app = opened(1)
    assert not app.exception and heads(app) == ["6 images may have caused this error and look mislabeled"]
    said = texts(app)
    assert "among the 100 most harmful images of trak-10 or the 100 nearest labeled Dot of esvm-moco, l2-moco" in said
    assert "among the 6 of 60 images whose labels knn-moco doubts most (20 nearest in moco)." in said
    assert "First come those labeled Dot or likely Box <b>, by influence times suspicion." in said


def test_ten_are_shown_at_first(ws, monkeypatch):
    many = find_suspects(ws, 1, "knn-moco") * 3
    monkeypatch.setattr(view, "find_suspects", lambda *of: many)
    app = opened(1)
    assert app.button(key="all suspects").label == "Show all 18"
    app.button(key="all suspects").click().run()
    assert not app.exception and "all suspects" not in [button.key for button in app.button]


def test_a_repair_is_offered(ws):
    app = opened(1)
    app.button(key="find a repair").click().run()
    assert not app.exception and app.query_params["panel"] == "verdict"
    assert "harmful images, removed, make it Box <b>?" in unescape(html(app))


def test_a_right_prediction_has_none(ws):
    app = opened(0)
    assert not app.exception and heads(app) == []


def test_without_a_detector_there_is_nothing(ws):
    ws.remove_part("detectors/knn-moco")
    app = opened(1)
    assert not app.exception and heads(app) == []


def test_the_strip(ws):
    found = find_suspects(ws, 1, "knn-moco")
    data = view.suspects_data(ws, found, {}, 1)
    first = data["rows"][0]["tiles"][0]
    assert (first["id"], first["at"], first["caption"], first["mark"]) == (3, 0, "Dot → Bar", "Dot → Bar")
    assert first["text"] == (
        "training image 3, labeled Dot but likely Bar (1 of 60 in suspicion); no. 1 of esvm-moco against this target"
    )
    assert first["score"] == "#1 esvm-moco"
    agreed = [tile for tile, one in zip(data["rows"][0]["tiles"], found) if one.suggestion == one.given]
    assert all("→" not in tile["caption"] and "mark" not in tile for tile in agreed)


def test_where_no_image_fits():
    assert view.suspects_sentence([]) == "No image that may have caused this error looks mislabeled"


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
