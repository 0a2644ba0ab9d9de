"""The row that is computed when it is asked for, in a browser with a real runner: one click adds it, its own button
computes it, one more sharpens it, and it is cut like any other."""

import pytest
from playwright.sync_api import expect

from attribution.store.results import ResultStore
from tests.browser import serving

SOON = 240_000  # ms, on a busy machine: a worker has to load torch


@pytest.fixture
def shapes(ws, tmp_path, monkeypatch):
    """A server on the tiny workspace, for one test; its runner is soon gone."""
    monkeypatch.setenv("LINEUP_IDLE", "5")
    monkeypatch.setenv("LINEUP_WORKERS", "1")
    with serving.server(tmp_path / "data", workspace=ws.path) as running:
        yield running


def row(page):
    return page.get_by_role("listbox", name="unrolled-exact")


def test_a_row_is_computed_from_its_button_sharpened_and_cut(page, shapes, ws):
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_viewport_size({"width": 1280, "height": 900})
    serving.open_page(page, shapes.url + "/?target=4&rankings=trak-10&rankings=unrolled-exact")
    expect(page.get_by_text("Not computed for this target yet")).to_be_visible()
    expect(row(page)).to_have_count(0)
    compute = page.locator(".st-key-rows").get_by_role("button", name="Compute (about")
    compute.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Being computed")).to_be_visible(timeout=SOON)
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    expect(page.get_by_text("Unrolled, exact: 1 model.")).to_be_visible(timeout=SOON)
    expect(row(page).get_by_role("option")).to_have_count(20)
    page.get_by_role("button", name="+1 model").click()
    expect(page.get_by_text("the mean of 2 models")).to_be_visible(timeout=SOON)
    expect(page.locator(".st-key-rows").get_by_text("of 20 the same")).to_be_visible()
    page.locator('.st-key-rows [data-choose="unrolled-exact helpful"]').click()
    expect(page.locator('.st-key-rows .chosen [data-choose="unrolled-exact helpful"]')).to_be_visible(timeout=SOON)
    page.get_by_role("button", name="Remove top").click()
    expect(page.get_by_role("button", name="Pause").first).to_be_visible(timeout=SOON)
    with ResultStore.for_workspace(ws) as store:
        assert store.jobs()[0].spec["ranking"] == "unrolled-exact"
    assert not errors


def test_one_click_adds_the_row_and_its_job_can_be_cancelled(page, shapes, ws):
    serving.open_page(page, shapes.url + "/?target=5")
    page.get_by_role("button", name="Unrolled, exact").click()
    cancel = page.locator(".st-key-cancel-computed-row").get_by_role("button")
    expect(cancel).to_be_visible(timeout=SOON)
    cancel.click()
    expect(cancel).to_have_count(0, timeout=SOON)
    with ResultStore.for_workspace(ws) as store:
        assert store.jobs()[0].state in ("cancelled", "done")
