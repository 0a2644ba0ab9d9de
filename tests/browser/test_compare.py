"""Compare, on the demo: every tab has its chart and its table, a ranking has one colour and one figure of each name; a
disagreement leads to Debug and back, old links lead here; and the report and a figure, once on disk, need nobody."""

import re
import zlib
from contextlib import suppress
from xml.etree import ElementTree

import pytest
from playwright.sync_api import expect

from tests.browser import serving

TABS = {  # tab or topic of Advanced -> its question
    "Summary": "Which ranking finds the images that decide what demo-cnn predicts?",
    "Agreement": "Do the methods choose the same images?",
    "Cost": "How good is each ranking for what it costs?",
}
TOPICS = {
    "Calibration": "Do scores predict the effect of removal?",
    "Features": "Which feature set gives the best rankings?",
    "Algorithms": "Which training images matter more under another learning algorithm?",
    "Candidate sets": "How good is a ranking that may choose from all classes?",
    "LDS and supports": "Do LDS and supports agree?",
    "Checks": "Do the rankings pass checks whose answer is known?",
}
OLD_TABS = {  # of Methods -> a heading that it shows today
    "supports": "How few training images decide a prediction?",
    "lds": "Is similarity influence?",
    "agreement": TABS["Agreement"],
    "cost": TABS["Cost"],
    "compute": "Does more compute give better rankings?",
    "calibration": TOPICS["Calibration"],
    "features": TOPICS["Features"],
    "algorithms": TOPICS["Algorithms"],
    "models": "Where do two models differ?",
    "checks": TOPICS["Checks"],
}
NO_CHART = ["Features"]  # its pictures are rows of images
MOST_MARKERS = 12  # of a curve
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
    page = open_page("/compare")
    for tab, question in [*TABS.items(), ("Advanced", TOPICS["Calibration"]), *TOPICS.items()]:
        page.get_by_role("radio", name=tab, exact=True).click()
        expect(page.get_by_role("heading", name=question)).to_be_visible(timeout=SLOW)
        serving.settle(page)
        tables = page.locator(".lu-table")
        expect(tables.first).to_be_attached()
        assert re.search(r"\d\.\d", tables.first.text_content()), f"{tab} has a table without numbers"
        if tab in NO_CHART:
            expect(page.get_by_role("listbox").first.get_by_role("option").first).to_be_visible()
        else:
            charts, marks = page.locator(".js-plotly-plot"), page.locator(".scatterlayer path, .heatmaplayer image")
            expect(charts.first).to_be_visible(timeout=SLOW)
            expect(charts.filter(has_not=marks), f"an empty chart in {tab}").to_have_count(0)
        assert not page.locator("[data-testid=stException], [data-testid=stAlertContentError]").all_inner_texts(), tab
    assert not errors


@pytest.mark.parametrize("tab", OLD_TABS)
def test_an_old_link_to_a_tab_of_methods(open_page, tab):
    page = open_page(f"/methods?tab={tab}")
    expect(page.get_by_role("heading", name=OLD_TABS[tab])).to_be_visible(timeout=SLOW)
    expect(page).to_have_url(re.compile("/compare"))  # what is the default stands in no address


def cells(page, ranking, table=0):
    """The cells of a ranking's row in a table of the page."""
    row = page.locator(".lu-table").nth(table).locator("tbody tr").filter(has_text=ranking).first
    expect(row).to_be_visible(timeout=SLOW)
    return row.locator("td").all_inner_texts()


def test_one_name_has_one_number(open_page):
    page = open_page("/compare?tab=Summary")
    expect(page.get_by_role("heading", name=TABS["Summary"])).to_be_visible(timeout=SLOW)
    auc = cells(page, "trak-10")[1]
    heads = page.locator(".lu-table").first.locator("th").all_inner_texts()
    assert "removal, 40 targets, default" in heads
    cost = page.get_by_role("listitem").filter(has_text="Cost.").inner_text()
    page.get_by_role("radio", name="Cost", exact=True).click()
    expect(page.get_by_role("heading", name="Does more compute give better rankings?")).to_be_visible(timeout=SLOW)
    serving.settle(page)
    row = cells(page, "trak-10")
    assert auc in row and f"trak-10 took {row[2]} " in cost
    heads = [" ".join(head.split()) for head in page.locator(".lu-table th").all_inner_texts()]
    aucs = [head for head in heads if "AUC" in head]
    assert aucs and all(re.search(r", \d+ targets, (default|adaptive)$", head) for head in aucs), aucs
    assert {head for head in heads if "time" in head} == {"build time", "one-core time"}
    variants = page.locator(".lu-table").nth(1)
    expect(variants.get_by_text("TRAK of 10 models")).to_be_visible()
    expect(variants.get_by_text("trak-10", exact=True)).to_have_count(0)


def test_approximate_supports_do_not_bury_the_curves(open_page):
    page = open_page("/compare?model=head-moco")  # 850 targets a curve
    expect(page.get_by_role("heading", name="decide what head-moco predicts?")).to_be_visible(timeout=SLOW)
    chart = page.locator(".js-plotly-plot").first
    curves = chart.locator(".scatterlayer .trace")
    expect(curves.first).to_be_visible(timeout=SLOW)
    counts = [curve.locator(".points path").count() for curve in curves.all()]
    assert 0 < max(counts) <= MOST_MARKERS, counts
    page = open_page("/compare?model=demo-cnn")
    expect(page.get_by_role("heading", name="decide what demo-cnn predicts?")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("Approximate (≈): other seeds gave another size")).to_be_visible(timeout=SLOW)
    assert "unstable" not in page.locator("[data-testid=stMain]").inner_text()
    serving.settle(page)


def swatches(page):
    """Ranking -> the backgrounds of its swatch in all tables on view."""
    found = {}
    for cell in page.locator(".lu-table td:has(.swatch)").all():
        found.setdefault(cell.text_content().strip(), set()).add(cell.locator(".swatch").get_attribute("style"))
    return found


def test_a_ranking_has_one_swatch_and_one_name_in_every_tab(open_page):
    page, seen = open_page("/compare"), {}
    for tab, question in TABS.items():
        page.get_by_role("radio", name=tab, exact=True).click()
        expect(page.get_by_role("heading", name=question)).to_be_visible(timeout=SLOW)
        serving.settle(page)
        for name, styles in swatches(page).items():
            seen.setdefault(name, set()).update(styles)
    assert {"esvm-moco", "l2-moco", "trak-10", "random"} <= seen.keys() and "ESVM" not in seen
    assert all(len(styles) == 1 for styles in seen.values()), seen


def test_the_target_of_debug_is_marked_and_back_returns_to_the_tab(open_page):
    page = open_page("/?target=9&model=demo-cnn")
    page.get_by_role("link", name="Compare").click()
    expect(page.get_by_text("Target 9 (")).to_be_visible(timeout=SLOW)
    expect(page).to_have_url(re.compile("target=9"))
    page.get_by_role("radio", name="Agreement", exact=True).click()
    tile = page.get_by_role("listbox", name="validation images").get_by_role("option").nth(2)
    tile.click(timeout=SLOW)
    expect(page).to_have_url(re.compile(r"/\?.*target="), timeout=SLOW)
    page.go_back()
    expect(page.get_by_role("heading", name=TABS["Agreement"])).to_be_visible(timeout=SLOW)
    expect(page).to_have_url(re.compile("tab=Agreement"))


def test_from_a_disagreement_to_files_that_stand_alone(open_page, errors, browser, tmp_path):
    # The methods differ on a target: Debug has its lineup.
    page = open_page("/compare?tab=Agreement")
    tile = page.get_by_role("listbox", name="validation images").get_by_role("option").nth(2)
    target = number(tile)
    tile.click()
    goal = page.get_by_label("Target", exact=True)
    expect(goal).to_have_value(target, timeout=SLOW)
    expect(page).to_have_url(re.compile(f"target={target}"))

    # A training image of it, whom that helps, and one of those.
    page.get_by_role("listbox", name="best first").first.get_by_role("option").first.click()
    expect(page.get_by_role("heading", name=re.compile("helps (and|or) harms most"))).to_be_visible(timeout=SLOW)
    helped = page.get_by_role("listbox", name="helps, most first").get_by_role("option")
    expect(helped.first).to_be_visible()
    tile = next(one for one in helped.all() if number(one) != target)
    other = number(tile)
    tile.click()
    expect(goal).to_have_value(other, timeout=SLOW)
    expect(page.get_by_alt_text(f"validation image {other},")).to_be_visible()

    # Back over the target before to the tab: its report of the target looked at last, from disk, without a network.
    serving.settle(page)
    page.go_back()
    expect(goal).to_have_value(target, timeout=SLOW)
    serving.settle(page)
    page.go_back()
    expect(page.get_by_role("heading", name=TABS["Agreement"])).to_be_visible(timeout=SLOW)
    with page.expect_download(timeout=SLOW) as download:
        page.get_by_role("button", name="Report").click()
    assert download.value.suggested_filename == f"report-{target}.html"
    download.value.save_as(tmp_path / "report.html")
    context = browser.new_context(offline=True)
    asked = []
    report = context.new_page()
    report.on("request", lambda one: asked.append(one.url))
    report.goto((tmp_path / "report.html").as_uri())
    picture = report.get_by_alt_text(re.compile(f"^validation image {target},"))
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
