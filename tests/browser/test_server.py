"""The server itself: no torch in it, nothing fetched from elsewhere, light and dark."""

import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser import serving


def test_every_page_opens_without_an_error(open_page):
    for path in ("/", "/brittleness", "/methods"):
        expect(open_page(path).locator("[data-testid=stException]")).to_have_count(0)


def test_nothing_is_fetched_from_elsewhere(page, server):
    hosts = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    serving.open_page(page, server.url)
    assert hosts <= {"127.0.0.1", None}  # None: data and blob URLs


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_server_process_has_not_loaded_torch(open_page, server):
    open_page("/")
    assert "libtorch" not in Path(f"/proc/{server.process.pid}/maps").read_text()


def test_light_and_dark_follow_the_system(browser, server):
    backgrounds = []
    for scheme in ("light", "dark"):
        page = serving.open_page(serving.new_page(browser, color_scheme=scheme), server.url)
        backgrounds.append(page.locator("[data-testid=stApp]").evaluate("e => getComputedStyle(e).backgroundColor"))
        page.context.close()
    light, dark = (sum(map(int, colour.removeprefix("rgb(").rstrip(")").split(","))) for colour in backgrounds)
    assert light > 600 > 150 > dark


def test_the_printed_link_lets_a_browser_in(browser, server):
    printed = re.search(r"http://\S+token=\S+", server.log.read_text())[0]
    context = browser.new_context()
    page = context.new_page()
    assert page.goto(server.url).status == 403
    expect(page.get_by_role("heading", name="Open the link that Lineup printed")).to_be_visible()
    serving.open_page(page, printed)
    expect(page).to_have_url(re.compile(re.escape(f"{server.url}/?model=head-moco&target=")))  # as a bare address opens
    for _ in range(2):
        expect(page.locator(".st-key-rows [role=option]").first).to_be_visible()
        page.reload()
        serving.settle(page)
    serving.open_page(page, f"{server.url}/methods?tab=supports")
    expect(page.get_by_role("heading", name="How few training images decide a prediction?")).to_be_visible()
    assert "token" not in page.url
    context.close()
    fresh = browser.new_context()
    for path in ("/", "/methods?tab=supports", "/_stcore/host-config"):
        assert fresh.request.get(server.url + path).status == 403
    assert fresh.request.get(f"{server.url}/_stcore/health").status == 200
    fresh.close()


def test_a_deep_link_with_the_token_keeps_the_rest(browser, server):
    context = browser.new_context()
    page = serving.open_page(context.new_page(), f"{server.url}/brittleness?target=3&token={serving.TOKEN}&k=7")
    assert "token" not in page.url
    assert {"target=3", "k=7"} <= set(urlsplit(page.url).query.split("&"))
    context.close()


def test_the_refusal_follows_light_and_dark(browser, server):
    backgrounds = []
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        page = context.new_page()
        page.goto(server.url)
        backgrounds.append(page.locator("body").evaluate("e => getComputedStyle(e).backgroundColor"))
        context.close()
    assert backgrounds == ["rgb(255, 255, 255)", "rgb(14, 17, 23)"]
