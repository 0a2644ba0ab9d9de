"""A study as somebody watches it: paused, resumed and cancelled in Brittleness. It trains."""

import re

import pytest
from playwright.sync_api import expect

from attribution import Workspace
from attribution.experiments import study
from tests.browser import serving

TRAINED = 120_000  # ms: a first training starts a runner and a worker, which load torch


@pytest.fixture
def shapes(ws, tmp_path):
    """A server for one test: nothing was asked before."""
    with serving.server(tmp_path / "data", workspace=ws.path) as running:
        yield running


def ask(store, folder):
    ws = Workspace.open(folder)
    spec = study.study_spec(ws, [0, *range(3, 12)], ["trak-10", "l2-moco", "random"], ["remove", "mislabel"], k_max=20)
    assert store.add_job(spec, spec.describe()) == 1


def says(page, text):
    return expect(page.locator("[data-testid=stProgress]").get_by_text(re.compile(text)))


def press(page, name):
    """As from the keyboard: the button has the focus, and Enter is hit."""
    button = page.locator(f".st-key-{name.lower()}-study").get_by_role("button", name=name, exact=True)
    button.focus()
    button.press("Enter")


def test_a_study_is_paused_resumed_and_cancelled(page, shapes, store, tmp_path):
    expect.set_options(timeout=30_000)  # trainings take the processor from the server
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))

    # Nothing yet: the way to ask for one leads to Methods.
    serving.open_page(page, f"{shapes.url}/brittleness?view=studies")
    page.get_by_role("link", name="Ask for a study in Methods").click()
    expect(page.get_by_role("button", name="Run a study")).to_be_visible()

    # The page of one that is queued sees to it that a runner is there.
    ask(store, tmp_path / "w")
    serving.open_page(page, f"{shapes.url}/methods")
    says(page, "Study.*job 1").to_be_visible()
    page.get_by_role("link", name="Watch it in Brittleness").click()
    says(page, r"Job 1, running for .*: \d+ of 60 searches answered").to_be_visible(timeout=TRAINED)
    expect(page).to_have_url(re.compile("job=1"))
    expect(page.locator(".lu-facts")).to_contain_text("left, an estimate")
    expect(page.locator(".lu-facts")).to_contain_text("median of the last", timeout=TRAINED)  # some are trained
    expect(page.locator(".js-plotly-plot .subplot").first).to_be_visible()

    # Paused, it finishes what is under way, and then nothing moves; a reload shows the same.
    press(page, "Pause")
    says(page, "Job 1, paused: nothing of it is running").to_be_visible(timeout=TRAINED)
    before = store.count()
    page.reload()
    serving.settle(page, 60)
    says(page, "Job 1, paused: nothing of it is running").to_be_visible()
    assert store.count() == before > 0 and store.live_trainings() == {}

    # The question that was being put together stays as it was while somebody looks at studies.
    page.get_by_role("radio", name="one target").click()
    k = page.get_by_label("k", exact=True)
    k.fill("7")
    k.press("Enter")
    expect(page.get_by_role("heading", name=re.compile("without the first 7 images"))).to_be_visible()
    for _ in range(5):  # also where the run that draws the studies is cut short
        page.get_by_role("radio", name="studies").click()
        says(page, "Job 1, paused").to_be_visible()
        page.get_by_role("radio", name="one target").click()
        expect(page.get_by_label("k", exact=True)).to_have_value("7")
    page.get_by_role("radio", name="studies").click()

    # Resumed, it goes on; cancelled, it ends within seconds.
    press(page, "Resume")
    says(page, "Job 1, running for").to_be_visible(timeout=TRAINED)
    expect(page.locator(".lu-facts")).to_contain_text(re.compile("[12] under way"), timeout=TRAINED)
    press(page, "Cancel")
    says(page, "Job 1, cancelled after").to_be_visible()
    assert store.job(1).state == "cancelled" and store.live_trainings() == {}
    expect(page.get_by_role("button", name="Go on")).to_be_visible()
    assert not errors
    expect.set_options(timeout=5_000)
