"""The audit page, run without a browser; tests/browser drives the review."""

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from attribution.audit import detectors
from attribution.runner import commands
from attribution.workspace import parts
from pages.ui import audit_queue, state
from tests import tiny
from tests.pages.labels.entries import PAGE, entry, run, words
from tests.pages.page import open_page
from tests.unit.audit.test_decision_log import damage


def test_it_opens_with_a_queue_of_the_usual_detector(ws, log):
    page = run()
    (row,) = log.queues()
    assert row.spec["detector"] == "knn-moco" and row.n == 50
    assert "by detector knn\\-moco" in words(page) and "1 planted errors" in words(page)


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


def test_damage_is_said(log, queue):
    log.append([entry(queue.items[0])], "me", "tab", queue.number)
    damage(log, "entries", "item", "1", 1)
    page = run()
    assert "one row of it is damaged and left out" in words(page) and not page.exception


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
    monkeypatch.setattr(commands, "start_command", lambda ws, what: asked.append(what))
    page = run()
    assert "No label suspicions computed yet" in words(page) and "audit start" in page.code[0].value
    assert "the review can begin after about" in words(page)
    page.button(key="start audit start").click().run()
    assert asked == [["audit", "start"]] and not page.exception


def test_while_evidence_is_collected_no_queue_is_made_of_a_part_of_it(ws, log, monkeypatch):
    monkeypatch.setattr("pages.ui.measurement.is_running", lambda ws, words: True)
    page = run()
    assert "Label suspicions are being computed" in words(page) and not page.exception
    assert log.queues() == []
    detectors.build_detectors(ws, ["fold-moco", "combined"])
    run()
    assert [row.spec["detector"] for row in log.queues()] == ["combined"]


def test_under_a_head_the_evidence_is_what_the_workspace_has(ws, log):
    detectors.build_detectors(ws, ["fold-moco", "combined"])
    assert "combined" not in detectors.names(ws.with_model("head-moco"))
    page = open_page("labels", model="head-moco")
    assert not page.exception and not page.error and "by detector combined" in words(page)
    assert [row.spec["detector"] for row in log.queues()] == ["combined"]
    assert page.selectbox(key=state.DETECTOR).value == "combined"


def test_a_queue_says_that_its_detector_was_computed_again(ws, log):
    assert "computed again since" not in words(run())
    about = {"family": "knn", "about": "another", "uses_val": False, "suggests": False}
    parts.save_part(ws, "detectors/knn-moco", {"scores": np.arange(60, dtype=np.float32)}, about)
    assert "computed again since" in words(run())


@pytest.mark.parametrize(
    "link, step",
    [
        ({}, "1 Review"),
        ({"audit": "queue"}, "1 Review"),
        ({"audit": "take home"}, "2 Export"),
        ({"audit": "was it worth it"}, "3 Measure the benefit"),
        ({"audit": "nonsense"}, "1 Review"),
        ({"step": "2 Export"}, "2 Export"),
    ],
)
def test_links_of_today_and_of_before_open_their_step(ws, link, step):
    page = open_page("labels", **link)
    assert not page.exception and page.segmented_control(key=state.STEP).value == step
    assert "audit" not in page.query_params


def test_a_key_of_the_review_turns_to_the_export(ws):
    page = open_page("labels", session={state.STEP_ASKED: state.EXPORT_STEP})
    assert not page.exception and page.segmented_control(key=state.STEP).value == state.EXPORT_STEP


def test_a_named_set_is_a_queue_of_that_name(ws, log, monkeypatch):
    gone = []
    monkeypatch.setattr(st, "switch_page", lambda page, query_params: gone.append(query_params))
    monkeypatch.setattr(audit_queue, "state_of", {})
    audit_queue.open_set(ws, [5, 9, 7], " Dark coats ")
    assert gone == [{"queue": "1"}]
    queue = log.queue(1)
    assert sorted(queue.items) == [5, 7, 9] and queue.spec["name"] == "Dark coats"
    assert page_options() == ["1 · Dark coats · 3 images"]


def page_options():
    return run().selectbox(key=state.QUEUE).options
