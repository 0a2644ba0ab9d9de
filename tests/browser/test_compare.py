"""Compare, on the demo: every tab of Methods has its chart and its table; a disagreement leads to Explore, a training
image to those it helps; and the report and a figure, once on disk, need nobody."""

import re
import zlib
from contextlib import suppress
from xml.etree import ElementTree

import pytest
from playwright.sync_api import expect

from tests.browser import serving

TABS = {
    "supports": "How few training images decide a prediction?",
    "agreement": "Do the methods choose the same images?",
    "calibration": "Do scores foretell what removing images does?",
    "cost": "What does each ranking cost, and what is it worth?",
    "compute": "What does more compute buy?",
    "features": "Which features are worth having?",
    "algorithms": "Whose influence changes with the learning algorithm?",
    "checks": "Do the rankings stand checks whose answer is known?",
}
NO_CHART = ["features"]  # its pictures are rows of images
SLOW = 30_000  # milliseconds: other trainings may keep the processor busy


@pytest.fixture
def errors(page):
    """What the page's console says is wrong; but for Streamlit's own questions below a page's path, which it repeats
    at the root."""
    found = []
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on(
        "console",
        lambda one: found.append(one.text) if one.type == "error" and "_stcore" not in one.location["url"] else None,
    )
    return found


def number(tile):
    """The image that a tile shows."""
    return re.search(r"image (\d+),", tile.get_attribute("aria-label"))[1]


def test_every_tab_has_its_chart_and_its_table(open_page, errors):
    page = open_page("/methods")
    for tab, question in TABS.items():
        page.get_by_role("radio", name=tab, exact=True).click()
        expect(page.get_by_role("heading", name=question)).to_be_visible(timeout=SLOW)
        serving.settle(page)
        table = page.locator(".lu-table").first
        expect(table).to_be_visible()
        assert re.search(r"\d\.\d", table.inner_text()), f"{tab} has a table without numbers"
        if tab in NO_CHART:
            expect(page.get_by_role("listbox").first.get_by_role("option").first).to_be_visible()
        else:
            charts, marks = page.locator(".js-plotly-plot"), page.locator(".scatterlayer path, .heatmaplayer image")
            expect(charts.first).to_be_visible(timeout=SLOW)
            expect(charts.filter(has_not=marks), f"an empty chart in {tab}").to_have_count(0)
        assert not page.locator("[data-testid=stException], [data-testid=stAlertContentError]").all_inner_texts(), tab
    assert not errors


def test_from_a_disagreement_to_files_that_stand_alone(open_page, errors, browser, tmp_path):
    # The methods differ on a target: Explore has its lineup.
    page = open_page("/methods?tab=agreement")
    tile = page.get_by_role("listbox", name="validation images").get_by_role("option").nth(2)
    target = number(tile)
    tile.click()
    goal = page.get_by_label("Target", exact=True)
    expect(goal).to_have_value(target, timeout=SLOW)
    expect(page).to_have_url(re.compile(f"target={target}"))

    # A training image of it, whom that helps, and one of those.
    page.get_by_role("listbox", name="best first").first.get_by_role("option").first.click()
    expect(page.get_by_role("heading", name="Whom it helps and harms most")).to_be_visible(timeout=SLOW)
    helped = page.get_by_role("listbox", name="helps, most first").get_by_role("option")
    expect(helped.first).to_be_visible()
    tile = next(one for one in helped.all() if number(one) != target)
    other = number(tile)
    tile.click()
    expect(goal).to_have_value(other, timeout=SLOW)
    expect(page.get_by_alt_text(f"validation image {other},")).to_be_visible()

    # The report of that target, from disk, without a network.
    page.get_by_role("link", name="Methods").click()
    expect(page.get_by_role("heading", name=TABS["agreement"])).to_be_visible(timeout=SLOW)
    with page.expect_download(timeout=SLOW) as download:
        page.get_by_role("button", name="Report").click()
    assert download.value.suggested_filename == f"report-{other}.html"
    download.value.save_as(tmp_path / "report.html")
    context = browser.new_context(offline=True)
    asked = []
    report = context.new_page()
    report.on("request", lambda one: asked.append(one.url))
    report.goto((tmp_path / "report.html").as_uri())
    picture = report.get_by_alt_text(re.compile(f"^validation image {other},"))
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") > 0
    expect(report.locator("figure svg").first).to_be_visible()
    assert all(url.startswith(("file:", "data:")) for url in asked), asked
    context.close()

    # A figure.
    page.get_by_role("button", name="Figure").first.click()
    files = {}
    for ending in ("SVG", "PDF"):
        with page.expect_download(timeout=SLOW) as download:
            page.get_by_role("button", name=ending, exact=True).click()
        files[ending] = download.value.path().read_bytes()
    assert len(list(ElementTree.fromstring(files["SVG"]).iter("{http://www.w3.org/2000/svg}use"))) > 100, "letters"
    assert files["PDF"].startswith(b"%PDF") and "esvm-moco" in letters(files["PDF"])
    assert not errors


def letters(pdf: bytes) -> str:
    """What a figure's PDF shows as text; each letter stands in brackets of its own."""
    found = b""
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.S):
        with suppress(zlib.error):  # those that are not deflated show nothing
            found += zlib.decompressobj().decompress(stream)
    return b"".join(re.findall(rb"\(\x00?(.)\)", found)).decode("latin-1")
