"""Nothing jumps: how far each room's elements move, as Chromium measures it (cumulative layout shift), while targets
change, tiles are pointed at and the chip of running jobs appears. What follows a person's own click
or key at once is no shift. (While a job ends: test_running_jobs.py.)"""

import pytest

from attribution import Workspace
from attribution.experiments.retrain import retrain_spec
from attribution.store.results import ResultStore
from tests.browser import serving

MOST = 0.02  # a tenth is "needs improvement" by web.dev's scale
SHIFTS = """() => { window.shifted = 0; window.moved = [];
    const name = (source) => source.node?.className || source.node?.nodeName;
    new PerformanceObserver((list) => { for (const one of list.getEntries()) if (!one.hadRecentInput) {
        window.shifted += one.value;
        window.moved.push(`${one.value.toFixed(4)} ${one.sources.map(name)}`);
    } }).observe({ type: "layout-shift" }); }"""
DEBUG = ("/?model=head-moco&target=5", "/?model=demo-cnn&target=88", "/?model=head-moco&show=wrong&target=3")
PLACES = (*DEBUG, "/labels", "/labels?mode=wall", "/compare?model=demo-cnn", "/compare?tab=Cost", "/data")


@pytest.fixture
def paused(server, monkeypatch):
    """paused() puts a job beside those of the server's store, paused: its chip appears. Cancelled at the end."""
    monkeypatch.setenv("LINEUP_DATA", str(server.data))
    ws, numbers = Workspace.open().with_model("demo-cnn"), []

    def add():
        spec = retrain_spec(ws, 88, "trak-10", "remove", 5, seeds=[0], draws=1)
        with ResultStore.for_workspace(ws) as store:
            numbers.append(store.add_job(spec, spec.describe()))
            store.pause_job(numbers[-1])

    yield add
    with ResultStore.for_workspace(ws) as store:
        for number in numbers:
            store.cancel_job(number)


@pytest.mark.parametrize("place", PLACES)
def test_nothing_jumps(page, server, paused, place, record_property):
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(server.url + place)
    serving.settle(page, 120)
    page.wait_for_timeout(6000)  # fonts, pictures and a head's answers have come
    page.evaluate(SHIFTS)
    for y in range(120, 880, 95):
        for x in range(60, 1240, 160):
            page.mouse.move(x, y)
            page.wait_for_timeout(30)
    if place in DEBUG:
        paused()
        for name in ("Next", "Next", "Previous"):
            page.get_by_role("button", name=name).first.click()
            page.wait_for_timeout(1500)
            serving.settle(page)
        page.locator(".st-key-running-jobs").wait_for(timeout=60_000)
        page.wait_for_timeout(1000)
    shifted = page.evaluate("window.shifted")
    record_property("layout shift", shifted)
    print(f"layout shift of {place}: {shifted:.4f}")
    assert shifted <= MOST, page.evaluate("window.moved")
