"""Two models of one workspace: the choice in the header is kept from page to page, by Back and by a reload."""

import re

import pytest
from playwright.sync_api import expect

from attribution.importing import base_predictions
from tests import tiny
from tests.browser import serving
from tests.unit.importing.test_base_predictions import predictions, soft


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A server of the tiny workspace with predictions of my-net, which reads image 5, a Dot, as a Bar."""
    ws = tiny.write(tmp_path_factory.mktemp("models"))
    said = ws.val_labels.copy()
    said[5] = 0
    base_predictions.import_predictions(ws, "my-net", predictions(soft(said)))
    with serving.server(tmp_path_factory.mktemp("data"), ws.path) as running:
        yield running


def test_the_model_is_kept_from_page_to_page_and_by_a_reload(page, two):
    alone = page.get_by_text("my-net is known here by its predictions alone").first
    serving.open_page(page, two.url + "/?target=5")
    expect(page.get_by_role("heading", name="All 10 models predict Dot.")).to_be_visible()
    page.get_by_role("combobox", name="Model").click()
    page.get_by_role("option", name="my-net").click()
    expect(page.get_by_role("heading", name="The model predicts Bar.")).to_be_visible()
    expect(page).to_have_url(re.compile("model=my-net"))
    page.get_by_role("link", name="Compare", exact=True).click()
    expect(page).to_have_url(re.compile("/compare"))
    expect(alone).to_be_visible()
    page.reload()
    serving.settle(page)
    expect(alone).to_be_visible()
    serving.settle(page)
    page.go_back()
    serving.settle(page)
    expect(page).to_have_url(re.compile("model=my-net"))
    expect(page.get_by_role("heading", name="The model predicts Bar.")).to_be_visible()
    page.get_by_role("button", name="Look at demo-cnn").click()
    expect(page.get_by_role("heading", name="All 10 models predict Dot.")).to_be_visible()
    expect(alone).to_have_count(0)


def test_the_rows_of_both_for_an_image_on_which_they_differ(page, two):
    serving.open_page(page, two.url + "/methods?tab=models&other_model=my-net")
    expect(page.get_by_text("demo-cnn and my-net differ on 16.7 %")).to_be_visible()
    page.get_by_role("option", name="validation image 5, Dot").click()
    expect(page.get_by_text("my-net: Bar in 1 of 1")).to_be_visible()
    expect(page.get_by_text("demo-cnn: Dot in 10 of 10")).to_be_visible()


def model_of(page):
    return page.locator(".st-key-model-choice input")


def test_a_bare_address_opens_on_a_head_and_what_is_chosen_stays(page, server):
    network = page.get_by_role("heading", name=re.compile(r"^(All 10|\d+ of 10) models predict"))
    serving.open_page(page, server.url)
    expect(page).to_have_url(re.compile(r"/\?model=head-moco&target=\d+"))
    expect(page.get_by_role("heading", name=re.compile("^The model predicts"))).to_be_visible(timeout=60_000)
    model_of(page).click()
    page.get_by_role("option", name="demo-cnn").click()
    expect(network).to_be_visible(timeout=60_000)
    expect(page).to_have_url(re.compile("model=demo-cnn"))
    page.reload()
    serving.settle(page)
    expect(network).to_be_visible()
    page.get_by_role("link", name="Compare", exact=True).click()
    expect(page).to_have_url(re.compile("/compare"))
    page.get_by_role("link", name="Debug", exact=True).click()
    expect(network).to_be_visible()
    serving.open_page(page, f"{server.url}/?target=44")  # a link that says anything is about what it was about
    expect(page.get_by_text(re.compile("demo-cnn models correct"))).to_be_visible()
