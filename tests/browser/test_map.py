"""Map in a browser, on a tiny workspace: a box on the map is a set, and the set goes to Brittleness and to Explore."""

import re

import pytest
from playwright.sync_api import expect

from attribution.features import projection
from tests import tiny
from tests.browser import serving

SLOW = 60_000  # milliseconds


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workspace")
    ws = tiny.write(folder)
    projection.save(ws, projection.project(ws, "moco", "pca"), {})
    with serving.server(tmp_path_factory.mktemp("data"), workspace=folder) as running:
        yield running


@pytest.fixture
def boxed(page, shapes):
    """The map of target 1 with a box around all that is drawn."""
    serving.open_page(page, shapes.url + "/map?target=1")
    expect(page.locator(".js-plotly-plot .nsewdrag").first).to_be_visible(timeout=SLOW)  # WebGL without a GPU
    page.locator('[data-attr="dragmode"][data-val="select"]').click()
    box = page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] - 2, steps=8)
    page.mouse.up()
    expect(page.get_by_text(re.compile(r"60 training images .* and 12 validation images"))).to_be_visible(timeout=SLOW)
    return page


def test_a_set_goes_to_brittleness_with_its_target(boxed):
    expect(boxed.get_by_role("listbox", name="training images of the set").get_by_role("option")).to_have_count(60)
    boxed.get_by_role("button", name="To Brittleness").click()
    expect(boxed.get_by_label("Training images", exact=True)).to_have_value("0-59", timeout=SLOW)
    expect(boxed.get_by_label("Target", exact=True)).to_have_value("1")
    expect(boxed).to_have_url(re.compile("/brittleness"))


def test_an_image_of_a_set_leads_to_its_lineup(boxed):
    boxed.get_by_role("listbox", name="validation images of the set").get_by_role("option").nth(5).click()
    expect(boxed.get_by_label("Target", exact=True)).to_have_value("5", timeout=SLOW)
    expect(boxed.get_by_role("listbox", name="best first").first).to_be_visible()


def test_a_set_leads_to_its_first_validation_image_in_explore(boxed):
    boxed.get_by_role("button", name="Validation image 0 in Explore").click()
    expect(boxed.get_by_label("Target", exact=True)).to_have_value("0", timeout=SLOW)
    expect(boxed.get_by_role("listbox", name="best first").first).to_be_visible()


def test_a_training_image_of_a_set_opens_its_card(boxed):
    boxed.get_by_role("listbox", name="training images of the set").get_by_role("option").nth(7).click()
    expect(boxed.get_by_alt_text("training image 7, Box <b>, enlarged")).to_be_visible(timeout=SLOW)
    expect(boxed.get_by_label("Target", exact=True)).to_have_value("1")
