"""Debug's rows in a browser: the cut is dragged by its tag; rows fit, say what they show, and stand still."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser import serving

ROW = 72  # pixels
SUM_OF_SHIFTS = """() => new Promise(resolve => {
  let sum = 0;
  new PerformanceObserver(list => list.getEntries().forEach(entry => { sum += entry.value; }))
    .observe({type: "layout-shift", buffered: false});
  window.shifts = () => sum;
  resolve();
})"""


@pytest.fixture
def rows_page(page, shapes):
    """rows_page("/?target=1", width) -> the page, and no error on its console up to the end of the test."""
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))

    def open_rows(path, width=1280):
        page.set_viewport_size({"width": width, "height": 900})
        serving.open_page(page, shapes.url + path)
        rows(page).first.wait_for()
        return page

    yield open_rows
    assert not errors


def rows(page):
    return page.get_by_role("listbox", name="best first")


def cut(page):
    return page.get_by_role("slider", name="the cut")


def strip_part(page, part):
    return page.locator(".st-key-rows").locator(part)


def top(page):
    return page.get_by_role("spinbutton", name="Top")


def middle(box):
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page, handle, columns):
    handle.scroll_into_view_if_needed()
    x, y = middle(handle.bounding_box())
    pitch = rows(page).first.get_by_role("option").first.bounding_box()["width"]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + columns * pitch, y, steps=5)
    page.mouse.up()


# -- the cut


def test_the_tag_of_the_cut_is_dragged(rows_page):
    page = rows_page("/?target=0&k=4&rankings=trak-10")
    tag = strip_part(page, ".knob")
    expect(tag).to_have_text("k = 4")
    assert tag.evaluate("node => getComputedStyle(node).cursor") == "ew-resize"
    expect(cut(page)).to_have_attribute("title", "Drag to change how many images are removed")
    before = middle(cut(page).bounding_box())[0]
    drag(page, tag, 3)
    expect(cut(page)).to_have_attribute("aria-valuenow", re.compile("^[67]$"))  # the tag hangs left of its line
    expect(top(page)).to_have_value(re.compile("^[67]$"))
    assert middle(cut(page).bounding_box())[0] > before + 100
    drag(page, tag, -20)
    expect(top(page)).to_have_value("1")


def test_the_tag_at_the_edge_is_dragged_and_a_click_brings_the_cut_into_view(rows_page):
    page = rows_page("/?target=0&k=18&rankings=trak-10", width=800)
    edge = strip_part(page, ".edge")
    expect(edge).to_be_visible()
    expect(edge).to_have_text("k = 18 →")
    drag(page, edge, -3)
    expect(edge).to_be_hidden()
    now = int(cut(page).get_attribute("aria-valuenow"))
    assert 1 <= now < 16
    expect(top(page)).to_have_value(str(now))
    top(page).fill("18")
    top(page).press("Enter")
    expect(edge).to_be_visible()
    edge.click()
    expect(edge).to_be_hidden()
    expect(cut(page)).to_be_in_viewport()
    expect(cut(page)).to_have_attribute("aria-valuenow", "18")


def test_a_drag_at_the_edge_scrolls_to_further_columns(rows_page):
    page = rows_page("/?target=0&k=3&rankings=trak-10", width=800)
    scroller = strip_part(page, ".scroll")
    strip_part(page, ".knob").scroll_into_view_if_needed()
    x, y = middle(strip_part(page, ".knob").bounding_box())
    right = scroller.bounding_box()["x"] + scroller.bounding_box()["width"]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(right - 5, y, steps=3)
    expect(cut(page)).to_have_attribute("aria-valuenow", "20")
    page.mouse.up()
    expect(top(page)).to_have_value("20")
    assert scroller.evaluate("node => node.scrollLeft") > 100


def test_a_finger_drags_the_tag(browser, shapes):
    page = serving.new_page(browser, has_touch=True)
    try:
        page.set_viewport_size({"width": 1280, "height": 900})
        serving.open_page(page, f"{shapes.url}/?target=0&k=4&rankings=trak-10")
        rows(page).first.wait_for()
        tag = strip_part(page, ".knob")
        tag.scroll_into_view_if_needed()
        x, y = middle(tag.bounding_box())
        touch = page.context.new_cdp_session(page)

        def send(kind, *points):
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

        send("touchStart", (x, y))
        for step in range(1, 6):
            send("touchMove", (x + 30 * step, y))
        send("touchEnd")
        expect(top(page)).to_have_value(re.compile("^[67]$"))
        assert strip_part(page, ".scroll").evaluate("node => node.scrollLeft") == 0, "the finger moved the cut alone"
    finally:
        page.context.close()


def test_keys_move_the_cut(rows_page):
    page = rows_page("/?target=0&k=4&rankings=trak-10")
    cut(page).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(top(page)).to_have_value("6")
    page.keyboard.press("Home")
    expect(top(page)).to_have_value("1")
    expect(cut(page)).to_be_focused()


# -- what fits, and what stands still


def test_sixteen_columns_and_the_cut_after_them_fit_a_page_of_1280(open_page, page):
    page.set_viewport_size({"width": 1280, "height": 900})
    open_page("/?target=44&model=demo-cnn&k=16")
    rows(page).first.wait_for()
    left = strip_part(page, ".row:not(.axis) .head").first.bounding_box()["x"]
    tile = rows(page).first.get_by_role("option").nth(15).bounding_box()
    room = page.evaluate("() => document.querySelector('[data-testid=stMainBlockContainer]').clientWidth") - 2 * 32
    assert tile["x"] + tile["width"] + 8 - left <= min(room, 1216)


def test_six_rows_of_one_height(open_page, page):
    open_page("/?target=44&model=demo-cnn&k=16")
    drawn = strip_part(page, ".row:not(.axis)")
    expect(drawn).to_have_count(6)
    heights = drawn.evaluate_all("nodes => nodes.map(node => node.getBoundingClientRect().height)")
    assert heights == [ROW] * 6
    assert strip_part(page, ".inner").bounding_box()["height"] == 24 + 6 * ROW
    for line in drawn.locator(".head").all():
        assert line.evaluate("node => node.scrollHeight <= node.clientHeight"), "all lines of a header are seen"


def test_under_a_head_a_row_has_its_verdict_and_its_curve(open_page, page):
    open_page("/?target=5&model=head-moco&k=4")
    drawn = strip_part(page, ".row:not(.axis)")
    first = drawn.first.bounding_box()
    assert first["height"] == 104
    expect(drawn.first.locator(".live")).to_contain_text("without 4:", timeout=60_000)
    expect(drawn.first.locator("svg")).to_be_visible(timeout=60_000)
    assert drawn.first.bounding_box()["height"] == 104
    head = drawn.first.locator(".head")
    assert head.evaluate("node => node.scrollHeight <= node.clientHeight")


def test_nothing_moves_when_tiles_are_pointed_at_and_chosen(open_page, page):
    open_page("/?target=44&model=demo-cnn&k=16")
    rows(page).first.wait_for()
    page.wait_for_timeout(1500)  # fonts and pictures have come
    page.evaluate(SUM_OF_SHIFTS)
    for row in range(5):
        for rank in (0, 5, 9):
            rows(page).nth(row).get_by_role("option").nth(rank).hover()
            page.wait_for_timeout(60)
    rows(page).first.get_by_role("option").nth(2).hover()
    expect(strip_part(page, ".zoom.shown")).to_be_visible()
    page.mouse.move(5, 5)
    page.wait_for_timeout(200)
    assert page.evaluate("window.shifts()") < 0.02


# -- words and colours


def test_a_label_is_named_where_it_is_not_the_class_explained(rows_page):
    page = rows_page("/?target=0&rankings=trak-10&end=harmful")
    first = rows(page).first.get_by_role("option", name="rank 1: training image 1, Box <b>, label: Box <b>")
    expect(first.locator(".caption")).to_have_text("label: Box <b>")
    captions = rows(page).first.locator(".caption").all_inner_texts()
    assert captions and all(text.startswith("label: ") and text != "label: Bar" for text in captions)
    assert "≠" not in strip_part(page, ".inner").inner_text()


def test_a_long_label_is_set_smaller_and_has_its_text_as_a_tooltip(open_page, page):
    open_page("/?model=head-moco&show=wrong&target=3&end=both")
    captions = page.locator(".st-key-rows .caption, .st-key-film .caption")
    captions.first.wait_for()
    said = captions.evaluate_all("""nodes => nodes.map(node => [node.textContent, node.title,
        node.scrollWidth > node.clientWidth, parseFloat(getComputedStyle(node).fontSize)])""")
    assert all(title == text for text, title, is_cut, _ in said if is_cut)
    assert any(not is_cut for text, _, is_cut, _ in said if text == "label: T-shirt")
    assert all(9.5 <= size <= 11 for *_, size in said) and min(size for *_, size in said) < 11


def test_an_old_link_that_explains_the_prediction(rows_page):
    page = rows_page("/?target=1&rankings=l2-moco&explain=predicted")
    expect(page.get_by_role("radio", name="prediction")).to_be_checked()
    expect(page.get_by_role("button", name="L2 + for Dot")).to_be_visible()
    expect(rows(page).locator(".caption")).to_have_count(0)  # all are Dots, as the prediction says


def test_a_wrong_target_opens_on_its_error_and_a_link_keeps_another_choice(rows_page):
    page = rows_page("/?target=1&rankings=l2-moco")
    expect(page.get_by_role("radio", name="prediction")).to_be_checked()
    page.get_by_role("radio", name="true label").click(force=True)
    expect(page).to_have_url(re.compile(r"explain=true\+label"))
    page.reload()
    expect(page.get_by_role("radio", name="true label")).to_be_checked()
    rows_page("/?target=0&rankings=l2-moco")  # a right one: there is nothing to choose
    expect(rows(page).first).to_be_visible()
    expect(page.get_by_role("radio", name="true label")).to_have_count(0)


def test_each_row_has_its_colour_and_the_control_no_sign(rows_page):
    page = rows_page("/?target=0&rankings=trak-10&rankings=random")
    swatches = strip_part(page, ".head .swatch")
    colours = swatches.evaluate_all("nodes => nodes.map(node => getComputedStyle(node).backgroundColor)")
    assert colours == ["rgb(201, 133, 0)", "rgb(128, 128, 128)"]
    expect(page.get_by_role("button", name="TRAK + helpful")).to_be_visible()
    control = strip_part(
        page,
        ".row",
    ).filter(has_text="Random")
    expect(control.locator(".sign")).to_have_text("control")
    frames = rows(page).locator(".tile:first-child .frame")
    borders = frames.evaluate_all("nodes => nodes.map(node => getComputedStyle(node).borderTopColor)")
    assert borders[0] == "rgb(0, 114, 178)" != borders[1]


# -- which rows


def test_rows_are_chosen_in_the_table_and_by_sets(rows_page):
    page = rows_page("/?target=0&rankings=trak-10")
    page.get_by_role("button", name="Rows").click()
    box = page.get_by_role("checkbox", name="l2-moco")
    expect(box).not_to_be_checked()
    box.check()
    expect(rows(page)).to_have_count(2)
    expect(page).to_have_url(re.compile("rankings=trak-10&rankings=l2-moco"))
    expect(box).to_be_focused()
    page.get_by_role("checkbox", name="trak-10").uncheck()
    expect(page.get_by_role("button", name="TRAK + helpful")).to_have_count(0)
    page.get_by_role("button", name="Everything").click()
    expect(page.get_by_role("button", name="Everything")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="Random control")).to_have_count(1)


# -- a room full of people, and pictures that are kept


def test_presenting_makes_type_and_tiles_larger(browser, server):
    page = serving.new_page(browser)
    try:
        page.set_viewport_size({"width": 2300, "height": 1000})
        serving.open_page(page, f"{server.url}/?target=44&model=demo-cnn&present=1")
        picture = rows(page).first.locator(".pic").first
        picture.wait_for()
        expect(picture).to_have_css("width", "84px")
        assert strip_part(page, ".title b").first.evaluate("node => parseFloat(getComputedStyle(node).fontSize)") > 18
        serving.open_page(page, f"{server.url}/?target=44&model=demo-cnn&present=0")
        expect(picture).to_have_css("width", "56px")
    finally:
        page.context.close()


def test_a_picture_that_was_seen_is_not_sent_again(rows_page, shapes):
    sent = []
    page = rows_page("/?target=0&rankings=trak-10")
    page.on("response", lambda answer: sent.append(answer))
    picture = rows(page).locator(".pic").first
    address = picture.evaluate("node => getComputedStyle(node).backgroundImage").split('"')[1]
    assert address.startswith(f"{shapes.url}/pictures/")
    assert "immutable" in page.request.get(address).headers["cache-control"]
    assert page.request.get(address[:-8] + "0000.png").status == 404
    page.get_by_role("radio", name="harmful").click()
    expect(picture).not_to_have_css("background-image", f'url("{address}")')
    page.get_by_role("radio", name="helpful").click()
    expect(picture).to_have_css("background-image", f'url("{address}")')
    again = [answer for answer in sent if answer.url == address and not answer.from_service_worker]
    sizes = page.evaluate("url => performance.getEntriesByName(url).map(entry => entry.transferSize)", address)
    assert len(again) <= 1 and all(size == 0 for size in sizes[1:])


def test_a_row_says_how_far_it_can_be_trusted(rows_page):
    """In the row's own height, and without choosing it; a click, or Enter, opens what that rests on."""
    page = rows_page("/?target=0&rankings=trak-10&rankings=l2-moco&rankings=random")
    marks = strip_part(page, "button.trust")
    expect(marks).to_have_count(2)  # the random order is a control itself
    expect(marks.first).to_contain_text("tested here")
    heights = strip_part(page, ".row:not(.axis)").evaluate_all("rows => rows.map(row => row.offsetHeight)")
    assert heights == [ROW] * 3
    hidden = "nodes => nodes.filter(node => node.scrollHeight > node.clientHeight + 1).length"
    assert strip_part(page, ".side").evaluate_all(hidden) == 0, "nothing is cut off"
    page.evaluate(SUM_OF_SHIFTS)
    before = strip_part(page, ".head[aria-pressed=true]").inner_text()
    marks.nth(1).focus()
    page.keyboard.press("Enter")
    panel = page.get_by_role("dialog", name="Trust")
    expect(panel).to_contain_text("it and l2-moco")
    expect(page).to_have_url(re.compile("panel=trust"))
    serving.settle(page)
    assert strip_part(page, ".head[aria-pressed=true]").inner_text() == before
    assert page.evaluate("window.shifts()") < 0.02
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)


ROWS_OF = """() => {
  for (const node of document.querySelectorAll(".st-key-rows *"))
    if (node.shadowRoot?.querySelector(".strip")) return node.shadowRoot.querySelector(".strip").dataset.of;
}"""


def open_with_rows_ahead(rows_page, page, path):
    """The page, once it has the rows of the next target."""
    with page.expect_response(re.compile("/ahead/")) as answer:
        rows_page(path)
    assert answer.value.ok
    page.wait_for_function("address => performance.getEntriesByName(address).length > 0", arg=answer.value.url)
    serving.settle(page)
    return answer.value.json()


def chosen_in_one_task(page, choose):
    """What the rows are of in the very task of the browser in which a target is chosen, before a server can answer."""
    return page.evaluate(f"() => {{ {choose}; return ({ROWS_OF})(); }}")


NEXT = """document.querySelector(".st-key-next button").click()"""


def test_the_next_target_has_its_rows_at_once(rows_page, page):
    fetched = open_with_rows_ahead(rows_page, page, "/?target=3")
    assert page.evaluate(ROWS_OF) == "3" and fetched["of"] == 4
    assert chosen_in_one_task(page, NEXT) == "4"
    at_once = rows(page).first.get_by_role("option").evaluate_all("tiles => tiles.map(tile => tile.ariaLabel)")
    expect(page.get_by_role("spinbutton", name="Target")).to_have_value("4")
    serving.settle(page)
    told = rows(page).first.get_by_role("option").evaluate_all("tiles => tiles.map(tile => tile.ariaLabel)")
    assert page.evaluate(ROWS_OF) == "4" and at_once == told


def test_rows_come_back_where_the_page_does_not_follow(rows_page, page):
    """Such as when the server is gone: rows never stand for long beside another target."""
    open_with_rows_ahead(rows_page, page, "/?target=3")
    page.evaluate("document.addEventListener('click', event => event.stopPropagation(), {capture: true})")
    assert chosen_in_one_task(page, NEXT) == "4"
    page.wait_for_function(f"() => ({ROWS_OF})() === '3'", timeout=10_000)
