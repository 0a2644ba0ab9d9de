"""The forms that make queues: of faults of the pictures, or how to have the library that finds them."""

import numpy as np
import pytest
import streamlit as st

from attribution.audit import faults
from attribution.audit.decision_log import DecisionLog
from attribution.explore import image_sets
from attribution.runner import commands
from pages.labels import new_queue, review_component
from pages.ui import state
from tests.pages.labels.entries import run
from tests.pages.page import commands as command_lines
from tests.pages.page import texts
from tests.unit.audit.test_faults import SOME, made


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """Nothing is cached, and the library counts as installed, whether it is or not."""
    st.cache_data.clear()
    st.cache_resource.clear()
    monkeypatch.setattr(faults, "find_spec", lambda name: True)
    monkeypatch.setattr(faults, "version", lambda name: "0.3.7")


def test_a_queue_of_faults_is_made_and_opened(ws, log):
    faults.save(ws, SOME, {})
    page = run()
    assert "6 of 60 training images have a fault, found by cleanvision 0.3.7." in texts(page)
    page.selectbox(key=state.FAULT).set_value("blurry")
    page.number_input(key=state.FAULT_QUEUE_SIZE).set_value(2)
    page.button(key="make queue of faults").click().run()
    assert not page.exception
    row = log.queues()[0]
    assert row.spec["of"] == "faults" and log.queue(row.number).items == [30, 31]
    assert page.selectbox(key=state.QUEUE).value == "2" and "Image faults found by cleanvision, worst first" in texts(
        page
    )
    assert page.selectbox(key=state.QUEUE).options[0] == "2 · image faults: blurred · 2 images"
    page.selectbox(key=state.FAULT).set_value(new_queue.ANY)
    page.button(key="make queue of faults").click().run()
    assert log.queue(3).items == SOME.order().tolist()[: len(log.queue(3).items)] and not page.exception


def test_an_image_of_such_a_queue_says_what_is_wrong_with_it(ws, log):
    faults.save(ws, SOME, {})
    number = log.add_queue(faults.queue_spec(ws, None, 3), [9, 4, 0], [False] * 3, [0.9, 0.8, 0], [0] * 3, "me")
    data = review_component.review_data(ws, log.queue(number), {}, 0, who="me", mode="one", per=50, at=0, token="t")
    assert [item["note"] for item in data["items"]] == [
        "image fault: dark 0.10, blurred 0.25",
        "image fault: dark 0.20",
        "no image fault found",
    ]
    ws.remove_part("faults")
    assert review_component.fault_notes(ws, np.array([9])) == ["no image fault found"]


def test_what_is_true_of_most_images_is_said_and_makes_no_queue(ws):
    faults.save(ws, made(dark=dict.fromkeys(range(40), 0.1)), {})
    page = run()
    assert "Dark: 67 %, a property of the data set rather than a fault of an image." in texts(page)
    assert not [one for one in page.selectbox if one.key == state.FAULT]


def test_where_nobody_has_looked_a_button_does(ws, monkeypatch):
    asked = []
    monkeypatch.setattr(commands, "start_command", lambda ws, words: asked.append(words))
    page = run()
    assert any(line.startswith("python -m attribution faults") for line in command_lines(page))
    next(one for one in page.button if one.label == "Find image faults").click().run()
    assert asked == [["faults"]]


def test_without_the_library_a_sentence_says_how_to_have_it(ws, monkeypatch):
    monkeypatch.setattr(faults, "find_spec", lambda name: None)
    page = run()
    assert "The faults of pictures are found by cleanvision; install it with: `python -m pip install" in texts(page)
    assert not [one for one in page.button if one.label == "Find image faults"]


def test_what_cannot_be_read_is_said(ws):
    faults.STORED.save(ws, {"scores": SOME.scores, "found": SOME.found}, {"kinds": ["ugly"]})
    page = run()
    assert "cannot be read" in texts(page) and not page.exception
    with DecisionLog.of(ws) as log:
        assert len(log.queues()) == 1


def test_a_kept_set_is_a_queue_that_is_made_once(ws, log):
    assert not [button for button in run().button if button.key.startswith("review set")]
    image_sets.save_set(ws, "dark <b>", [9, 4], [])
    image_sets.save_set(ws, "of targets alone", [], [3])
    page = run()
    assert not [button for button in page.button if button.key == "review set of targets alone"]
    page.button(key="review set dark <b>").click().run()
    assert not page.exception and sorted(log.queue(2).items) == [4, 9]
    assert page.selectbox(key=state.QUEUE).value == "2"
    assert page.selectbox(key=state.QUEUE).options[0] == "2 · dark <b> · 2 images"
    page.selectbox(key=state.QUEUE).set_value("1").run()
    page.button(key="review set dark <b>").click().run()
    assert page.selectbox(key=state.QUEUE).value == "2" and len(log.queues()) == 2
    image_sets.save_set(ws, "dark <b>", [9, 4, 5], [])  # other images under the name: another queue
    page.run()
    page.button(key="review set dark <b>").click().run()
    assert not page.exception and sorted(log.queue(3).items) == [4, 5, 9]
