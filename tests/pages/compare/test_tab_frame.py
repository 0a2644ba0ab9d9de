"""What all tabs have in common: answers that are missing, under way or broken; tests/browser/test_compare.py has the
rest, on the demo."""

from types import SimpleNamespace

import pytest

from attribution.evaluation import agreement, sanity_checks
from attribution.runner import commands
from pages.compare import tab_frame
from tests.pages.compare.tabs import opened, opened_topic
from tests.pages.page import html, texts

RUNNING = SimpleNamespace(
    number=1, is_open=True, state="running", message="", progress=("comparing", 1, 4), seconds=2.0
)


@pytest.mark.parametrize("tab", ["agreement", "cost", "compute", "calibration"])
def test_what_is_being_measured_is_not_asked_for_again(held, monkeypatch, tab):
    running = SimpleNamespace(**vars(RUNNING), words=["evaluate", tab])
    monkeypatch.setattr(commands, "list_commands", lambda ws: [running])
    keys = {button.key for button in opened(tab).button}
    assert f"cancel evaluate {tab}" in keys and f"start evaluate {tab}" not in keys


def test_a_broken_answer_is_one_sentence_and_the_next_part_is_drawn(ws):
    ws.manifest["parts"]["base"] = {"digest": None}
    sanity_checks.save(ws, {"features": "moco"}, {})
    file = ws.folder("sanity") / "sanity.json"
    file.write_text("{" * file.stat().st_size)
    app = opened_topic("Checks")
    assert len(app.error) == 1 and "sanity.json" in app.error[0].value.replace("\\", "")
    assert "Backdoor, or mixed data sets: do rankings find" in texts(app)


def test_an_answer_is_read_again_when_its_part_has_changed(ws):
    agreement.save(ws, agreement.compute(ws, ["trak-10", "random"], 5), {})
    assert ">random</td>" in html(opened("Agreement")) and ">l2-moco</td>" not in html(opened("Agreement"))
    agreement.save(ws, agreement.compute(ws, ["trak-10", "l2-moco"], 5), {"made": "later"})
    assert ">l2-moco</td>" in html(opened("Agreement"))


def test_an_answer_is_read_once(ws):
    times = []

    def load(workspace):
        times.append(workspace)
        return {"n": 1}

    assert tab_frame.load_answer(ws, load) is tab_frame.load_answer(ws, load) and len(times) == 1
