"""Back, Forward and reload: a page comes back as it was left, and each target is one step."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser import serving

ROOMS = ("Clean labels", "Compare", "Data & jobs")


def target(page):
    return page.get_by_label("Target", exact=True).first


def settled_at(page, address: str) -> None:
    """Waits until the address ends so, and the page rests."""
    page.wait_for_url(re.compile(re.escape(address) + "$"))
    serving.settle(page)


@pytest.mark.parametrize("room", ROOMS)
def test_back_returns_to_what_was_looked_at(open_page, room):
    page = open_page("/?target=12&k=7&show=right&model=demo-cnn")
    expect(target(page)).to_have_value("12")
    left = page.url
    page.get_by_role("link", name=room).first.click()
    page.wait_for_url(lambda url: url != left)
    serving.settle(page)
    room_address = page.url
    page.go_back()
    page.wait_for_url(left)
    expect(target(page)).to_have_value("12")
    page.reload()
    serving.settle(page)
    expect(target(page)).to_have_value("12")
    assert {"target=12", "k=7", "show=right", "model=demo-cnn"} <= set(re.split("[?&]", page.url))
    page.go_forward()
    page.wait_for_url(lambda url: url.split("?")[0] == room_address.split("?")[0])
    page.go_back()
    expect(target(page)).to_have_value("12")


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("address", ["/", "/?model=head-moco&target=0&k=4"])
def test_back_from_a_page_that_is_still_computed(open_page, address, room):
    page = open_page(address)
    expect(page.locator(".lu-target")).to_have_count(1)
    serving.settle(page)
    opened = [target(page).input_value(), page.get_by_label("Top", exact=True).input_value()]
    page.get_by_role("link", name=room, exact=True).click()
    page.wait_for_url(re.compile(r"/(labels|compare|data)\b"))
    page.wait_for_timeout(200)
    page.go_back()
    expect(page).to_have_url(re.compile(r"/\?.*\bmodel=head-moco"))
    expect(page.locator(".st-key-model-choice input")).to_have_value("head-moco")
    serving.settle(page)
    expect(target(page)).to_have_value(opened[0])
    expect(page.get_by_label("Top", exact=True)).to_have_value(opened[1])
    page.get_by_role("link", name=room, exact=True).click()
    page.wait_for_url(re.compile(r"/(labels|compare|data)\b"))
    serving.settle(page)
    page.get_by_role("link", name="Debug", exact=True).click()
    expect(page.locator(".lu-target p")).to_contain_text(f"validation image {opened[0]}")


def test_each_target_is_one_step_and_the_cut_is_none(open_page):
    page = open_page("/?target=12&model=demo-cnn")
    steps = page.evaluate("history.length")
    for wanted in ("13", "14"):
        page.get_by_role("button", name="Next").first.click()
        expect(target(page)).to_have_value(wanted)
        expect(page).to_have_url(re.compile(f"target={wanted}"))
    serving.settle(page)
    assert page.evaluate("history.length") == steps + 2
    slider = page.get_by_role("slider", name=re.compile("cut"))
    slider.focus()
    slider.press("ArrowLeft")
    expect(page).to_have_url(re.compile(r"\bk=\d+"))
    assert page.evaluate("history.length") == steps + 2
    page.go_back()
    expect(target(page)).to_have_value("13")
    page.go_back()
    expect(target(page)).to_have_value("12")
    page.go_forward()
    expect(target(page)).to_have_value("13")


def test_next_goes_on_from_where_two_quick_backs_led(open_page):
    """The answer to the first Back may arrive after the second one."""
    page = open_page("/?target=12&model=demo-cnn")
    for pause in (0, 30, 60, 0, 30, 60):
        for wanted in ("13", "14"):
            page.get_by_role("button", name="Next").first.click()
            expect(target(page)).to_have_value(wanted)
            expect(page).to_have_url(re.compile(f"target={wanted}"))
        serving.settle(page)
        page.go_back()
        expect(target(page)).to_have_value("13")
        page.wait_for_timeout(pause)
        page.go_back()
        expect(target(page)).to_have_value("12")
        serving.settle(page)


def test_a_late_answer_does_not_move_the_address_and_is_told_so_a_few_times_only(open_page):
    page = open_page("/?target=12&model=demo-cnn")
    page.get_by_role("button", name="Next").first.click()
    expect(page).to_have_url(re.compile("target=13"))
    serving.settle(page)
    page.go_back()
    expect(target(page)).to_have_value("12")
    serving.settle(page)
    page.evaluate("window.told = 0; addEventListener('popstate', () => { window.told += 1; })")
    late = "history.replaceState({}, '', location.search.replace('target=12', 'target=13'))"
    for told in (1, 2, 3, 3):
        page.evaluate(late)
        page.wait_for_timeout(100)
        assert page.evaluate("window.told") == told
    expect(page).to_have_url(re.compile("target=12"))
    serving.settle(page)
    expect(target(page)).to_have_value("12")


@pytest.mark.parametrize(("old", "room"), [
    ("/methods?tab=cost&target=5", "/compare"),
    ("/audit?queue=1", "/labels"),
    ("/workspace", "/data"),
    ("/explore?target=5", "/"),
])  # fmt: skip
def test_an_old_link_leads_to_the_room_of_today(open_page, old, room):
    page = open_page(old)
    assert re.fullmatch(r"http://[^/]*(/\w*)(\?.*)?", page.url)[1] == room
    assert not page.locator("[data-testid=stException]").count()


def test_a_second_tab_shows_what_the_first_one_does(open_page, browser):
    page = open_page("/?target=31&k=9&model=demo-cnn")
    other = serving.new_page(browser)
    serving.open_page(other, page.url)
    expect(target(other)).to_have_value("31")
    expect(other.get_by_role("slider", name=re.compile("cut"))).to_have_attribute("aria-valuenow", "9")
    other.context.close()
