"""Explore in a browser, on a tiny workspace: the strip under the pointer and under the keyboard."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser import serving


@pytest.fixture
def explore(page, shapes):
    """explore("/?target=1") -> the page, and no error on its console up to the end of the test."""
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield lambda path="/": serving.open_page(page, shapes.url + path)
    assert not errors


def rows(page):
    return page.get_by_role("listbox", name="best first")


def cut(page):
    return page.get_by_role("slider", name="the cut")


def test_tiles_have_names_and_are_drawn_pixel_by_pixel(explore):
    page = explore("/?target=0&rankings=trak-10&rankings=l2-moco&end=both")
    expect(rows(page)).to_have_count(3)  # two of trak-10, one of l2-moco
    expect(page.get_by_text("not defined for this method")).to_have_count(1)
    expect(page.get_by_role("option", name="rank 1: training image 1, Box <b>, label: Box <b>")).to_be_visible()
    picture = rows(page).first.locator(".pic").first
    assert picture.evaluate("node => getComputedStyle(node).imageRendering") == "pixelated"
    assert picture.evaluate("node => getComputedStyle(node).backgroundImage").count("/pictures/") == 1
    assert page.get_by_alt_text("validation image 0").get_attribute("src").startswith("pictures/")


def test_the_same_training_image_stands_out_in_every_row(explore):
    page = explore("/?target=0&rankings=trak-10&rankings=random")
    expect(rows(page)).to_have_count(2)
    rows(page).first.get_by_role("option").nth(1).hover()
    twins = page.locator(".twin")
    expect(twins).to_have_count(2)
    assert len(set(twins.evaluate_all("nodes => nodes.map(node => node.ariaLabel.split(': ')[1])"))) == 1
    expect(page.locator(".status")).to_contain_text("trak-10 #2 · random #")
    expect(page.locator(".zoom.shown")).to_contain_text("training image 6")


def test_arrow_keys_walk_the_rows_and_enter_opens_a_card(explore):
    page = explore("/?target=0&rankings=trak-10&rankings=l2-moco")
    options = rows(page).first.get_by_role("option")
    options.first.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    expect(options.nth(1)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(rows(page).nth(1).get_by_role("option").nth(1)).to_be_focused()
    page.keyboard.press("End")
    expect(rows(page).nth(1).get_by_role("option").last).to_be_focused()
    assert page.locator("[role=listbox][aria-label*='best first'] [role=option][tabindex='0']").count() == 1
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.get_by_alt_text("training image 0, Bar")).to_be_visible()
    expect(options.first).to_have_attribute("aria-selected", "true")
    expect(options.first).to_be_focused()


def test_the_cut_moves_by_keys_drag_and_number(explore):
    page = explore("/?target=0&k=4&rankings=trak-10")
    number = page.get_by_role("spinbutton", name="Top")
    expect(cut(page)).to_have_attribute("aria-valuenow", "4")
    cut(page).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(number).to_have_value("6")
    expect(cut(page)).to_be_focused()
    box, tile = cut(page).bounding_box(), rows(page).get_by_role("option").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 - 2.2 * tile["width"], box["y"] + 60, steps=4)
    page.mouse.up()
    expect(number).to_have_value("4")
    number.fill("2")
    number.press("Enter")
    expect(cut(page)).to_have_attribute("aria-valuenow", "2")
    expect(page).to_have_url(re.compile("k=2"))


def test_a_target_is_picked_from_the_film_and_with_j_and_k(explore):
    page = explore("/?target=0")
    page.get_by_role("option", name="validation image 1,").click()
    expect(
        page.get_by_role("heading", name="Dot in 10 of 10 models of demo-cnn, but it is labelled Box <b>.")
    ).to_be_visible()
    expect(page).to_have_url(re.compile("target=1"))
    page.keyboard.press("k")
    expect(page.get_by_alt_text("validation image 2,")).to_be_visible()
    page.keyboard.press("j")
    expect(page.get_by_alt_text("validation image 1,")).to_be_visible()
    page.get_by_role("option", name="validation image 0,").last.click()  # on the trail
    expect(page.get_by_alt_text("validation image 0,")).to_be_visible()


def test_a_row_header_says_what_is_cut(explore):
    page = explore("/?target=0&rankings=trak-10&rankings=l2-moco")
    head = page.get_by_role("button", name="L2 + helpful")
    head.click()
    expect(head).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("combobox", name="of")).to_have_value("l2-moco")


@pytest.mark.parametrize("ending", ["PNG", "SVG", "PDF", "CSV"])
def test_the_figure_is_downloaded(explore, ending):
    page = explore("/?target=0&rankings=trak-10")
    page.get_by_role("button", name="Export the figure").click()
    with page.expect_download() as download:
        page.get_by_role("button", name=ending).click()
    assert download.value.suggested_filename.endswith(ending.lower())
    assert download.value.path().stat().st_size > 100
