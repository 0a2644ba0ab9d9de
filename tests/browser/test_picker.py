"""The picker and the Start panel of Debug in a browser: filters, the way through the targets, and the first visit."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser import serving

SLOW = 60_000  # milliseconds


@pytest.fixture(autouse=True)
def patience():
    expect.set_options(timeout=SLOW)
    yield
    expect.set_options(timeout=5_000)


@pytest.fixture
def debug(page, shapes):
    """debug("/?target=1") -> the page, with its targets drawn."""

    def opened(path="/"):
        page.goto(shapes.url + path)
        expect(page.get_by_role("option", name=re.compile("^validation image")).first).to_be_visible()
        serving.settle(page)

    return opened


@pytest.fixture
def visitor(browser, shapes):
    """The page of a browser that was never here, at the bare address."""
    page = serving.new_page(browser, first_visit=True)
    page.goto(shapes.url)
    expect(panel(page)).to_be_visible(timeout=30_000)
    page.wait_for_function("document.cookie.includes('=seen')", timeout=30_000)  # the matrix is drawn, too
    serving.settle(page)
    yield page
    page.context.close()


def target(page):
    return page.get_by_label("Target", exact=True).last  # while the page is drawn anew, the old one may still be there


def panel(page):
    return page.get_by_role("dialog", name="Start")


def set_class(page, name: str, value: str) -> None:
    page.get_by_role("combobox", name=name).click()
    page.get_by_role("option", name=value, exact=True).click()


def test_the_folded_picker_is_low(debug, page):
    page.set_viewport_size({"width": 1280, "height": 900})
    debug("/?target=0")
    expect(page.get_by_role("option", name="validation image 0,").first).to_be_visible()
    top = page.locator(".st-key-picker-band").bounding_box()["y"]
    strip = page.locator(".st-key-film").bounding_box()
    assert strip["y"] + strip["height"] - top <= 150


def test_j_is_next_and_k_is_previous(debug, page):
    debug("/?target=1")
    page.keyboard.press("j")
    expect(target(page)).to_have_value("2")
    page.keyboard.press("k")
    expect(target(page)).to_have_value("1")


def test_a_filter_that_excludes_the_target_moves_on_and_says_so(debug, page):
    debug("/?target=0")
    page.get_by_text("Filters", exact=True).click()
    page.get_by_role("radio", name="wrong").click()
    expect(target(page)).to_have_value("1")
    expect(page.get_by_text("Target 0 does not match the filter. This is target 1, the first match.")).to_be_visible()
    expect(page.get_by_text("1–1 of 1 match (12 images)")).to_be_visible()
    expect(page).to_have_url(re.compile("show=wrong"))


def test_a_link_to_a_target_that_the_filter_excludes_says_it(debug, page):
    debug("/?target=0&show=wrong")
    expect(page.get_by_text("Target 0 does not match the filter.")).to_be_visible()
    expect(target(page)).to_have_value("0")
    page.get_by_role("button", name="Go to the first match").click()
    expect(target(page)).to_have_value("1")
    expect(page.get_by_text("does not match")).to_have_count(0)


def test_filters_survive_a_reload_a_second_tab_and_back(debug, page):
    debug("/?target=2&class=Dot&confidence=0.2&confidence=1.0&picker=wall")
    count = page.get_by_text("1–4 of 4 matches (12 images)")
    expect(count).to_be_visible()
    page.keyboard.press("j")
    expect(target(page)).to_have_value("5")
    expect(page).to_have_url(re.compile("target=5"))
    page.reload()
    serving.settle(page)
    expect(count).to_be_visible()
    expect(target(page)).to_have_value("5")
    expect(page.get_by_role("radio", name="wall")).to_be_checked()
    second = page.context.new_page()
    serving.open_page(second, page.url)
    expect(second.get_by_text("1–4 of 4 matches (12 images)")).to_be_visible()
    second.close()
    page.get_by_role("link", name="Compare").first.click()
    expect(page).to_have_url(re.compile("/compare"))
    page.go_back()
    expect(target(page)).to_have_value("5")
    expect(count).to_be_visible()


def test_back_leads_to_the_target_before(debug, page):
    debug("/?target=3")
    page.keyboard.press("j")
    expect(target(page)).to_have_value("4")
    expect(page).to_have_url(re.compile("target=4"))
    page.keyboard.press("j")
    expect(page).to_have_url(re.compile("target=5"))
    page.go_back()
    expect(target(page)).to_have_value("4")
    page.go_back()
    expect(target(page)).to_have_value("3")


def test_for_an_audience_there_are_no_filters(debug, page):
    debug("/?target=1&present=1&show=wrong")
    expect(target(page)).to_have_value("1")
    expect(page.get_by_text("1–1 of 1 match (12 images)")).to_be_visible()
    expect(page.get_by_text("Filters", exact=True)).to_have_count(0)
    expect(page.get_by_role("combobox", name="True class")).to_be_hidden()


def test_start_is_shown_once_and_opens_again(visitor):
    expect(panel(visitor)).to_be_visible()
    expect(panel(visitor)).to_contain_text("Mean accuracy 89.2 % (83.3 % to 91.7 %) on 12 validation images")
    expect(panel(visitor)).to_contain_text("1 image predicted wrong by most models")
    panel(visitor).get_by_role("button", name="Close").click()
    expect(panel(visitor)).to_have_count(0)
    visitor.reload()
    serving.settle(visitor)
    expect(target(visitor)).to_have_value("0")
    expect(panel(visitor)).to_have_count(0)
    visitor.get_by_role("button", name="?", exact=True).click()
    expect(panel(visitor)).to_be_visible()


def test_a_link_is_not_covered_by_start(browser, shapes):
    page = serving.new_page(browser, first_visit=True)
    serving.open_page(page, shapes.url + "/?target=3")
    expect(target(page)).to_have_value("3")
    expect(panel(page)).to_have_count(0)
    page.context.close()


def test_a_cell_shows_its_images_and_leads_to_them(visitor):
    cell = panel(visitor).get_by_role("button", name="1 image of Box <b>, predicted Dot")
    cell.hover()
    image = panel(visitor).get_by_alt_text("validation image 1", exact=True)
    expect(image).to_have_js_property("naturalWidth", 8)
    cell.click()
    expect(target(visitor)).to_have_value("1")
    expect(panel(visitor)).to_have_count(0)
    expect(visitor).to_have_url(re.compile(r"class=Box.*predicted=Dot|predicted=Dot.*class=Box"))
    expect(visitor.get_by_text("1–1 of 1 match (12 images)")).to_be_visible()


def test_arrow_keys_walk_the_matrix(visitor):
    cells = panel(visitor).locator(".confusion button")
    expect(cells).to_have_count(4)
    cells.first.focus()
    visitor.keyboard.press("ArrowRight")
    expect(panel(visitor).get_by_text("3 images of Box <b>, predicted right", exact=True)).to_be_visible()
    visitor.keyboard.press("Enter")
    expect(target(visitor)).to_have_value("4")


def test_the_doors_lead_where_they_say(visitor):
    panel(visitor).get_by_role("button", name="Explain a wrong prediction").click()
    expect(target(visitor)).to_have_value("1")
    expect(visitor).to_have_url(re.compile("show=wrong"))
    visitor.get_by_role("button", name="?", exact=True).click()
    panel(visitor).get_by_role("button", name="Compare methods").click()
    expect(visitor).to_have_url(re.compile("/compare"))
    visitor.go_back()
    expect(target(visitor)).to_have_value("1")
    expect(panel(visitor)).to_have_count(0)
    visitor.get_by_role("button", name="?", exact=True).click()
    panel(visitor).get_by_role("button", name="Clean labels").click()
    expect(visitor).to_have_url(re.compile("/labels"))


def hint(page):
    return page.get_by_role("region", name="Hint")


def test_a_hint_of_three_steps_is_shown_once_and_moves_nothing(browser, shapes):
    page = serving.new_page(browser, first_visit=True)
    serving.open_page(page, shapes.url + "/?target=0")
    expect(hint(page)).to_contain_text("1 of 3: the rows")
    head = page.locator(".lu-target h1").last
    before = head.bounding_box()
    hint(page).get_by_role("button", name="Next").click()
    expect(hint(page)).to_contain_text("2 of 3: the cut")
    hint(page).get_by_role("button", name="Next").click()
    expect(hint(page)).to_contain_text("3 of 3: remove and retrain")
    hint(page).get_by_role("button", name="Done").click()
    expect(hint(page)).to_have_count(0)
    serving.settle(page)
    assert head.bounding_box() == before
    page.reload()
    serving.settle(page)
    expect(target(page)).to_have_value("0")
    expect(hint(page)).to_have_count(0)
    page.context.close()


def test_the_hint_waits_for_start(visitor):
    expect(hint(visitor)).to_have_count(0)
    visitor.keyboard.press("Escape")
    expect(hint(visitor)).to_contain_text("1 of 3")
    hint(visitor).get_by_role("button", name="Skip").click()
    expect(hint(visitor)).to_have_count(0)


def test_the_hint_waits_for_the_drawer_and_goes_on_where_it_was(browser, shapes):
    page = serving.new_page(browser, first_visit=True)
    serving.open_page(page, shapes.url + "/?target=0")
    hint(page).get_by_role("button", name="Next").click()
    expect(hint(page)).to_contain_text("2 of 3: the cut")
    page.get_by_role("button", name="History").click()
    expect(page.get_by_role("dialog", name="History")).to_be_visible()
    expect(hint(page)).to_have_count(0)
    page.keyboard.press("Escape")
    expect(hint(page)).to_contain_text("2 of 3: the cut")
    page.context.close()


def test_terms_are_explained_in_every_room(page, shapes):
    for room, term in {"": "margin", "labels": "review queue", "compare": "noise ceiling", "data": "recipe"}.items():
        serving.open_page(page, f"{shapes.url}/{room}")
        page.get_by_role("button", name="Terms").click()
        expect(page.get_by_role("listitem").filter(has_text=re.compile(f"^{term}:"))).to_be_visible()
