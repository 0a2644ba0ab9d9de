"""A study as somebody watches it: paused, resumed and cancelled in Data & jobs. It trains."""

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

    # Nothing yet: the form is open. An old link leads here.
    serving.open_page(page, f"{shapes.url}/brittleness?view=studies")
    expect(page.get_by_role("button", name="Start the study")).to_be_visible()
    expect(page).to_have_url(re.compile("/data.*part=studies"))

    # The page of one that is queued sees to it that a runner is there.
    ask(store, tmp_path / "w")
    serving.open_page(page, f"{shapes.url}/data")
    expect(page.get_by_text(re.compile("1. Study: 10 targets")).first).to_be_visible()
    page.get_by_role("button", name="Show the study").click()
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
