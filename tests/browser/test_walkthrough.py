"""The tasks of docs/walkthrough.md as a visitor does them, within the clicks that stand there.

"Clean ten labels" is in test_labels.py, "Compare your own scores" in test_data.py."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser import serving


class Visitor:
    """A first visit to the demo, without any network but the server's own; counts clicks."""

    def __init__(self, browser, server, address: str = "/"):
        self.page = serving.new_page(browser, first_visit=True)
        self.page.set_viewport_size({"width": 1280, "height": 900})
        self.clicks, self.strangers = 0, []
        self.page.on("request", lambda asked: self._note(asked.url, server.url))
        serving.open_page(self.page, server.url + address)

    def _note(self, url: str, home: str) -> None:
        if not url.startswith((home, home.replace("http", "ws"), "data:", "blob:")):
            self.strangers.append(url)

    def click(self, place) -> None:
        """One click, which is counted."""
        self.clicks += 1
        place.click()


@pytest.fixture
def visit(browser, server):
    """visit(address) is a Visitor; closed at the end."""
    visitors = []

    def start(address: str = "/") -> Visitor:
        visitors.append(Visitor(browser, server, address))
        return visitors[-1]

    yield start
    for visitor in visitors:
        visitor.page.context.close()


def test_explain_a_wrong_prediction(visit):
    visitor = visit()
    page = visitor.page
    visitor.click(page.get_by_role("button", name="Explain a wrong prediction"))
    expect(page.get_by_role("heading", name=re.compile(r"The model predicts (\w|-)+\. Its label is"))).to_be_visible()
    cause = re.compile("may have caused this error and look mislabeled")
    expect(page.get_by_role("heading", name=cause)).to_be_visible()
    suspect = page.get_by_role("listbox", name=re.compile("^suspects")).get_by_role("option").first
    visitor.click(suspect)
    drawer = page.locator(".st-key-drawer")
    expect(drawer.get_by_role("button", name=re.compile("Send to review"))).to_be_visible()
    expect(drawer).to_contain_text("helps or harms")
    assert visitor.clicks <= 4


def test_publish_figure_7(visit):
    visitor = visit("/?model=demo-cnn&target=88")
    page = visitor.page
    visitor.click(page.get_by_role("button", name="Export the figure"))
    with page.expect_download() as figure:
        visitor.click(page.get_by_role("button", name="PDF"))
    content = figure.value.path().read_bytes()
    assert content.startswith(b"%PDF") and len(content) > 20_000
    assert visitor.clicks <= 3


def test_the_first_flip_on_a_stage(visit):
    visitor = visit("/?present=1&model=head-moco")
    page = visitor.page
    expect(page.get_by_role("heading", name=re.compile(r"The model predicts .*\. Without .*predicts"))).to_be_visible()
    verdict = page.locator("[data-live]").first
    expect(verdict).to_contain_text(re.compile(r"without \d+: "))
    before = verdict.inner_text()
    slider = page.get_by_role("slider", name=re.compile("cut"))
    slider.focus()
    for _ in range(3):
        slider.press("ArrowRight")
    expect(verdict).not_to_have_text(before)
    expect(page.get_by_text("Filters", exact=True)).to_have_count(0)
    assert visitor.clicks == 0 and not visitor.strangers
