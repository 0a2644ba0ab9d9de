"""The audit page, run without a browser; tests/browser drives the review."""

from streamlit.testing.v1 import AppTest

from attribution.runner import commands
from pages.ui import state
from tests import tiny
from tests.pages.labels.entries import PAGE, entry, run, words
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
    assert "No label suspicions computed yet" in words(page) and "detectors build" in page.code[0].value
    page.button(key="start detectors build").click().run()
    assert asked == [["detectors", "build"]] and not page.exception
