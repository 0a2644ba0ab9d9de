"""The chip in the header: a job that was started on one page is seen on another, and leads to its result."""

import re

import pytest
from playwright.sync_api import expect

from attribution.audit import detectors
from attribution.audit.decision_log import DecisionLog
from attribution.experiments import jobs
from attribution.experiments.retrain import retrain_spec
from attribution.store.results import ResultStore
from tests.browser import serving
from tests.pages.labels.entries import add, entry

SOON = 60_000  # ms, on a busy machine
#: How far elements have moved since the page was opened, as Chromium measures it; what follows a key or click of the
#: person's is no shift.
SHIFT = """() => { window.shifted = 0; new PerformanceObserver((list) => { for (const one of list.getEntries())
    if (!one.hadRecentInput) window.shifted += one.value; }).observe({ type: "layout-shift" }); }"""


@pytest.fixture
def shapes(ws, tmp_path):
    """A server on the tiny workspace, with a queue in which one label was changed, for one test."""
    detectors.build_detectors(ws, ["knn-moco"])
    with DecisionLog.of(ws) as log:
        number = add(log, ws)
        log.append([entry(log.queue(number).items[0], "relabel", label=0)], "me", "a tab", number)
    with serving.server(tmp_path / "data", workspace=ws.path) as running:
        yield running


def chip(page):
    return page.locator(".st-key-running-jobs [data-testid=stPopoverButton]")


def test_a_job_started_on_one_page_is_seen_on_another_and_stopped_there(page, shapes, ws):
    page.set_viewport_size({"width": 1280, "height": 900})
    serving.open_page(page, shapes.url + "/labels?step=3+Measure+the+benefit")
    expect(chip(page)).to_have_count(0)
    page.get_by_role("button", name="Train and compare").click()
    expect(chip(page)).to_contain_text("1 job", timeout=SOON)
    page.get_by_role("link", name="Compare").click()
    expect(page).to_have_url(re.compile("/compare"))
    expect(chip(page)).to_contain_text("1 job")
    box = chip(page).bounding_box()
    assert box["y"] + box["height"] < 60 and box["x"] + box["width"] < 1210, "it is in the header"
    chip(page).click()
    popover = page.get_by_test_id("stPopoverBody")
    popover.get_by_role("button", name="Pause").click()
    expect(chip(page)).to_contain_text("paused", timeout=SOON)
    popover.get_by_role("button", name="Cancel").click()
    expect(chip(page)).to_have_count(0, timeout=SOON)
    with ResultStore.for_workspace(ws) as store:
        assert [job.state for job in store.jobs()] == ["cancelled"]


def test_what_is_done_stays_until_its_result_was_shown_and_moves_nothing(page, shapes, ws):
    spec = retrain_spec(ws, 0, "trak-10", "remove", 2, seeds=[0], draws=1)
    with ResultStore.for_workspace(ws) as store:
        number = store.add_job(spec, spec.describe())
        store.pause_job(number)
    page.add_init_script(f"({SHIFT})()")
    serving.open_page(page, shapes.url + "/data")
    expect(chip(page)).to_contain_text("1 job paused")
    page.wait_for_timeout(1000)
    page.evaluate("window.shifted = 0")
    jobs.resume(ws, number)
    expect(chip(page)).to_contain_text("1 job done · show result", timeout=SOON)
    assert page.evaluate("window.shifted") < 0.01
    chip(page).click()
    page.get_by_test_id("stPopoverBody").get_by_role("link", name="Show result").click()
    expect(page).to_have_url(re.compile(f"job={number}"))
    expect(page).to_have_url(re.compile("panel=verdict"))
    expect(chip(page)).to_have_count(0)


@pytest.mark.parametrize("width", [390, 1280])
def test_it_stands_beside_the_other_things_of_the_header(page, shapes, ws, width):
    spec = retrain_spec(ws, 0, "trak-10", "remove", 2)
    with ResultStore.for_workspace(ws) as store:
        number = store.add_job(spec, spec.describe())
        store.pause_job(number)
    page.set_viewport_size({"width": width, "height": 844})
    serving.open_page(page, shapes.url + "/labels")
    expect(chip(page)).to_be_visible()
    box = chip(page).bounding_box()
    header = ("[data-testid=stMainMenu]", "[data-testid=stExpandSidebarButton]", "header a", "header img")
    others = page.locator(", ".join([".st-key-model-choice [data-testid=stSelectbox]", *header]))
    for one in [other.bounding_box() for other in others.all() if other.is_visible()]:
        apart = box["x"] + box["width"] <= one["x"] + 1 or one["x"] + one["width"] <= box["x"] + 1
        assert apart or one["y"] >= box["y"] + box["height"] or one["y"] + one["height"] <= box["y"], (box, one)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
