"""The server itself: no torch in it, nothing fetched from elsewhere, light and dark."""

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
