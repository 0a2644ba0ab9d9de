"""Debug in a browser, on a tiny workspace: the strip and the drawer under the pointer and under the keyboard."""

import re
import time

import pytest
from playwright.sync_api import expect

from attribution.experiments.retrain import retrain_spec
from attribution.store.results import ResultStore
from tests.browser import serving
from tests.pages.answers import retrained


@pytest.fixture(autouse=True)
def patience():
    """A busy machine takes longer to draw a panel."""
    expect.set_options(timeout=15_000)
    yield
    expect.set_options(timeout=5_000)


@pytest.fixture
def debug(page, shapes):
    """debug("/?target=1") -> the page, and no error on its console up to the end of the test."""
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield lambda path="/": serving.open_page(page, shapes.url + path)
    assert not errors


def rows(page):
    return page.get_by_role("listbox", name="best first")


def drawer(page):
    return page.get_by_role("dialog")


def cut(page):
    return page.get_by_role("slider", name="the cut")


def test_tiles_have_names_and_are_drawn_pixel_by_pixel(debug):
    page = debug("/?target=0&rankings=trak-10&rankings=l2-moco&end=both")
    expect(rows(page)).to_have_count(3)  # two of trak-10, one of l2-moco
    expect(page.get_by_text("This method has no harmful scores")).to_have_count(1)
    expect(page.get_by_role("option", name="rank 1: training image 1, Box <b>, label: Box <b>")).to_be_visible()
    picture = rows(page).first.locator(".pic").first
    assert picture.evaluate("node => getComputedStyle(node).imageRendering") == "pixelated"
    assert "/pictures/" in picture.evaluate("node => getComputedStyle(node).backgroundImage")
    assert page.get_by_alt_text("validation image 0").evaluate("node => node.complete && node.naturalWidth") > 0


def test_the_same_training_image_stands_out_in_every_row(debug):
    page = debug("/?target=0&rankings=trak-10&rankings=random")
    expect(rows(page)).to_have_count(2)
    rows(page).first.get_by_role("option").nth(1).hover()
    twins = page.locator(".twin")
    expect(twins).to_have_count(2)
    assert len(set(twins.evaluate_all("nodes => nodes.map(node => node.ariaLabel.split(': ')[1])"))) == 1
    expect(page.locator(".status")).to_contain_text("trak-10 #2 · random #")
    expect(page.locator(".zoom.shown")).to_contain_text("training image 6")


def test_arrow_keys_walk_the_rows_and_enter_opens_a_card(debug):
    page = debug("/?target=0&rankings=trak-10&rankings=l2-moco")
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
    expect(drawer(page).get_by_alt_text("training image 0, Bar")).to_be_visible()
    expect(options.first).to_have_attribute("aria-selected", "true")
    expect(drawer(page)).to_be_focused()
    page.keyboard.press("Escape")
    expect(drawer(page)).to_have_count(0)
    expect(options.first).to_be_focused()


def test_the_cut_moves_by_keys_drag_and_number(debug):
    page = debug("/?target=0&k=4&rankings=trak-10")
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


def test_a_target_is_picked_from_the_film_and_with_j_and_k(debug):
    page = debug("/?target=0")
    page.get_by_role("option", name="validation image 1,").click()
    expect(page.get_by_role("heading", name="All 10 models predict Dot. Its label is Box <b>.")).to_be_visible()
    expect(page).to_have_url(re.compile("target=1"))
    page.keyboard.press("j")
    expect(page.get_by_alt_text("validation image 2,")).to_be_visible()
    page.keyboard.press("k")
    expect(page.get_by_alt_text("validation image 1,")).to_be_visible()
    page.get_by_role("option", name="validation image 0,").last.click()  # on the trail
    expect(page.get_by_alt_text("validation image 0,")).to_be_visible()


def test_a_row_header_says_what_is_cut(debug):
    page = debug("/?target=0&rankings=trak-10&rankings=l2-moco")
    head = page.get_by_role("button", name="L2 + helpful")
    head.click()
    expect(head).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("combobox", name="of")).to_have_value("l2-moco")


@pytest.mark.parametrize("ending", ["PNG", "SVG", "PDF", "CSV"])
def test_the_figure_is_downloaded(debug, ending):
    page = debug("/?target=0&rankings=trak-10")
    page.get_by_role("button", name="Export the figure").click()
    with page.expect_download() as download:
        page.get_by_role("button", name=ending).click()
    assert download.value.suggested_filename.endswith(ending.lower())
    assert download.value.path().stat().st_size > 100


# -- the drawer


def test_a_verdict_stands_after_a_reload_and_in_another_tab(debug, shapes, known):
    page = debug("/?target=3&k=2&rankings=trak-10")
    button = page.get_by_role("button", name="Show the verdict (known)")
    expect(button).to_be_visible()
    before = rows(page).first.bounding_box()
    button.click()
    said = drawer(page).locator(".lu-verdict")
    expect(said).to_contain_text("Flipped. Without trak-10's top 2 images, 5 of 5 predict Dot.")
    expect(said).to_contain_text("Without 2 random images of the same classes: Bar in 5 of 5.")
    expect(drawer(page).get_by_role("img", name=re.compile("^seed"))).to_have_count(15)
    expect(page).to_have_url(re.compile("panel=verdict"))
    assert rows(page).first.bounding_box() == before, "the page stays where it was"
    page.reload()
    serving.settle(page)
    expect(said).to_contain_text("5 of 5 predict Dot")
    other = serving.open_page(page.context.new_page(), page.url)
    expect(drawer(other).locator(".lu-verdict")).to_contain_text("5 of 5 predict Dot")
    other.close()


def test_escape_and_the_button_close_it(debug, known):
    page = debug("/?target=3&k=2&rankings=trak-10&panel=history")
    expect(page.get_by_role("dialog", name="History")).to_be_visible()  # from now on keys are listened to
    page.keyboard.press("Escape")
    expect(drawer(page)).to_have_count(0)
    expect(page).not_to_have_url(re.compile("panel="))
    page.get_by_role("button", name="History").click()
    expect(drawer(page)).to_be_visible()
    serving.settle(page)
    drawer(page).get_by_role("button", name="Close").click()
    expect(drawer(page)).to_have_count(0)


def test_the_selected_image_is_not_under_the_drawer(debug):
    page = debug("/?target=0&rankings=trak-10")
    page.set_viewport_size({"width": 1280, "height": 900})
    tile = rows(page).first.get_by_role("option").nth(14)
    before = tile.bounding_box()
    tile.click()
    expect(drawer(page)).to_be_focused()

    def is_clear(tile):
        box = tile.bounding_box()
        return box["x"] + box["width"] <= drawer(page).bounding_box()["x"]

    poll(lambda: is_clear(tile))
    assert tile.bounding_box()["y"] == before["y"], "the rows scroll sideways and stay where they are"
    page.reload()
    expect(drawer(page)).to_be_visible()
    poll(lambda: is_clear(tile))
    page.keyboard.press("Escape")
    expect(drawer(page)).to_have_count(0)


def poll(is_so, seconds=15):
    """Waits until is_so()."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_chosen_images_are_clicked(debug):
    page = debug("/?target=0&rankings=trak-10&panel=verdict&test=chosen+images")
    expect(drawer(page).get_by_text("Click training images in the rows")).to_be_visible()
    assert page.get_by_role("alert").filter(has_text="given").count() == 0, "an empty field is no error"
    options = rows(page).first.get_by_role("option")
    images = [options.nth(at).get_attribute("aria-label").split("training image ")[1].split(",")[0] for at in (0, 2)]
    serving.settle(page)
    field = drawer(page).get_by_role("textbox", name="Training images")
    options.nth(0).click()
    expect(field).to_have_value(images[0])
    serving.settle(page)
    options.nth(2).click()
    expect(field).to_have_value(", ".join(sorted(images, key=int)))
    expect(drawer(page).get_by_role("heading", name="Is it still Bar without 2 chosen images?")).to_be_visible()
    options.first.click()
    expect(field).to_have_value(images[1])


def test_only_what_makes_sense_is_offered(debug):
    page = debug("/?target=1&panel=verdict")  # every model is wrong
    drawer(page).get_by_text("More tests").click()
    expect(drawer(page).get_by_role("radio", name="Repair")).to_be_visible()
    expect(drawer(page).get_by_role("radio", name="Mislabel")).to_have_count(0)
    expect(page.get_by_role("heading", name=re.compile("still Box"))).to_have_count(0)
    page = debug("/?target=0&panel=verdict")
    drawer(page).get_by_text("More tests").click()
    expect(drawer(page).get_by_role("radio", name="Remove")).to_be_visible()
    expect(drawer(page).get_by_role("radio", name="Repair")).to_have_count(0)


@pytest.fixture
def known(ws, shapes, monkeypatch):
    """The answer to one question is in the server's store: target 3 without the top 2 of trak-10."""
    monkeypatch.setenv("LINEUP_DATA", str(shapes.data))
    with ResultStore.for_workspace(ws) as store:
        retrained(ws, store, retrain_spec(ws, 3, "trak-10", "remove", 2), right=0, wrong=2, parts=["edit"])
