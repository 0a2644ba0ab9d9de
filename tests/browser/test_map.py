"""The picker's map in a browser: images on hover, a click that opens, a lasso that makes a set, a still legend."""

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


@pytest.fixture(autouse=True)
def patience():
    expect.set_options(timeout=SLOW)
    yield
    expect.set_options(timeout=5_000)


@pytest.fixture
def opened(page, shapes):
    """The map of target 1, by an address of an earlier version."""
    page.goto(shapes.url + "/map?target=1")
    expect(page.locator(".stage canvas")).to_be_visible()
    expect(page).to_have_url(re.compile("picker=map"))
    serving.settle(page, 60)
    return page


@pytest.fixture
def lassoed(opened):
    """The same with a lasso around all that is drawn."""
    box = opened.locator(".stage canvas").bounding_box()
    corners = [(2, 2), (box["width"] - 2, 2), (box["width"] - 2, box["height"] - 2), (2, box["height"] - 2)]
    opened.mouse.move(box["x"] + 2, box["y"] + 2)
    opened.mouse.down()
    for x, y in corners[1:]:
        opened.mouse.move(box["x"] + x, box["y"] + y, steps=3)
    opened.mouse.up()
    expect(opened.get_by_text(re.compile(r"60 training images .* and 12 validation images"))).to_be_visible()
    return opened


def target(page):
    return page.get_by_label("Target", exact=True).last  # while the page is drawn anew, the old one may still be there


def canvas(page):
    return page.locator(".stage canvas")


def point_at(page, text: str) -> tuple[float, float]:
    """Moves the pointer over the map until a point is named whose text matches, and there; where that is."""
    where = canvas(page).evaluate(
        """(node, text) => {
            const box = node.getBoundingClientRect(), root = node.getRootNode(), named = new RegExp(text);
            for (let y = box.top + 9; y < box.bottom; y += 7) for (let x = box.left + 9; x < box.right; x += 7) {
                node.dispatchEvent(new PointerEvent("pointermove", { clientX: x, clientY: y, bubbles: true }));
                const tip = root.querySelector(".tip.shown");
                if (tip && named.test(tip.textContent)) return [x, y];
            }
            return null;
        }""",
        text,
    )
    assert where, f"no point on the map is {text}"
    page.mouse.move(*where)
    return tuple(where)


def test_a_point_shows_its_image_and_a_click_opens_the_target(opened):
    where = point_at(opened, "validation image (?!1,)")
    image = opened.locator(".tip.shown img")
    expect(image).to_have_js_property("naturalWidth", 8)
    number = re.search(r"\d+", opened.locator(".tip").inner_text())[0]
    opened.mouse.click(*where)
    expect(target(opened)).to_have_value(number)
    expect(opened.get_by_alt_text(f"validation image {number},")).to_be_visible()


def test_a_click_on_a_training_image_opens_its_card(opened):
    where = point_at(opened, "training image")
    number = re.search(r"\d+", opened.locator(".tip").inner_text())[0]
    opened.mouse.click(*where)
    expect(opened.get_by_alt_text(re.compile(f"training image {number},.* enlarged"))).to_be_visible()
    expect(target(opened)).to_have_value("1")


def test_arrow_keys_walk_the_points_and_enter_opens_one(opened):
    stage = opened.get_by_role("application", name=re.compile("^Map of the moco features.*Enter opens it"))
    stage.focus()
    opened.keyboard.press("Home")
    said = stage.locator("xpath=ancestor::*[@class='map']").get_by_role("status")
    expect(said).to_have_text(re.compile("^validation image 1, "))
    expect(opened.locator(".tip.shown")).to_have_text(said.inner_text())
    for key in ("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"):
        opened.keyboard.press(key)
        if "image 1," not in said.inner_text():
            break
    number = re.search(r"validation image (?!1,)(\d+)", said.inner_text())[1]
    opened.keyboard.press("Enter")
    expect(target(opened)).to_have_value(number)
    for key in ("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"):
        opened.keyboard.press(f"Shift+{key}")
    expect(said).to_have_text(re.compile("^training image"))


def test_the_legend_hides_and_moves_nothing(opened):
    where = point_at(opened, "training image .*Dot")
    words = opened.locator(".tip").inner_text()
    opened.get_by_role("button", name="Dot", exact=True).click()
    opened.mouse.move(where[0] + 1, where[1])
    expect(opened.locator(".tip.shown").filter(has_text=words)).to_have_count(0)
    opened.get_by_role("button", name="Dot", exact=True).click()
    opened.mouse.move(*where)
    expect(opened.locator(".tip.shown")).to_have_text(words)


def test_points_are_coloured_by_error(opened):
    opened.get_by_role("radio", name="error").click()
    expect(opened.get_by_role("button", name="predicted wrong")).to_be_visible()
    expect(opened.get_by_role("button", name="Dot", exact=True)).to_have_count(0)


def test_a_lasso_is_a_set_whose_images_open(lassoed):
    expect(lassoed.get_by_role("listbox", name="training images of the set").get_by_role("option")).to_have_count(60)
    lassoed.get_by_role("listbox", name="validation images of the set").get_by_role("option").nth(5).click()
    expect(target(lassoed)).to_have_value("5")


def test_a_set_is_kept_under_a_name(lassoed, shapes):
    lassoed.get_by_role("button", name="Keep it").click()
    lassoed.get_by_label("Name of the set").fill("all of them")
    lassoed.keyboard.press("Enter")
    lassoed.get_by_role("button", name="Keep the set").click()
    expect(lassoed.get_by_text("The set all of them is kept.")).to_be_visible()
    serving.open_page(lassoed, shapes.url + "/?target=1&set=all+of+them")
    expect(lassoed.get_by_text("1–12 of 12 matches (12 images)")).to_be_visible()


def test_a_set_is_asked_about_as_a_removal(lassoed):
    lassoed.get_by_role("button", name="Remove these and retrain").click()
    expect(lassoed.get_by_role("textbox", name=re.compile("^Training images"))).to_have_value("0-59")


def test_the_rows_begin_on_the_page_that_shows_a_set(page, server):
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(f"{server.url}/?model=demo-cnn&picker=map")
    serving.settle(page, 120)  # nobody was at this server before
    stage = page.get_by_role("application").bounding_box()
    x, y = stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2
    page.mouse.move(x - 60, y - 60)
    page.mouse.down()
    for right, down in ((60, -60), (60, 60), (-60, 60), (-60, -60)):
        page.mouse.move(x + right, y + down, steps=4)
    page.mouse.up()
    expect(page.get_by_role("listbox", name="training images of the set")).to_be_visible()
    first = page.get_by_role("listbox", name="best first").first.bounding_box()
    assert first["y"] + first["height"] < 900, "a whole row is on view"
    assert page.get_by_role("application").bounding_box() == stage, "the map stays where it was"
