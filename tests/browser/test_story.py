"""The whole story, as a visitor lives it: from the first picture to a verdict, with real trainings on a few shapes."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser import serving
from tests.torture import processes

TRAINED = 120_000  # ms: a first training starts a runner and a worker, which load torch


@pytest.fixture(autouse=True)
def patience():
    """Trainings take the processor from the server: what appears at once on an idle machine may take seconds here."""
    expect.set_options(timeout=30_000)
    yield
    expect.set_options(timeout=5_000)


def visible(page, text):
    return expect(page.get_by_text(text).first)


def verdict(page):
    return page.locator(".lu-verdict")


def test_from_the_first_picture_to_a_verdict(page, shapes):
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))

    # Open, filter, pick a target, compare the rows.
    serving.open_page(page, shapes.url)
    expect(page.get_by_role("heading", name="All 10 models predict Bar.")).to_be_visible()
    serving.open_page(page, f"{shapes.url}/?show=right")
    visible(page, re.compile("11 matches")).to_be_visible()
    page.get_by_role("option", name="validation image 3,").click()
    expect(page.get_by_alt_text("validation image 3,")).to_be_visible()
    rows = page.get_by_role("listbox", name="best first")
    rows.first.get_by_role("option").first.hover()
    expect(page.locator(".twin").first).to_be_visible()

    # Cut after two, and retrain without them: the price is on the button.
    k = page.get_by_role("spinbutton", name="Top")
    k.fill("2")
    k.press("Enter")
    page.get_by_role("button", name="Remove top 2 and retrain, about").click()
    visible(page, re.compile(r"Job 1: (Waiting|Running)")).to_be_visible()
    expect(verdict(page)).to_contain_text("Without 2 random images of the same class", timeout=TRAINED)
    expect(page.locator(".lu-lab .dot.right, .lu-lab .dot.wrong")).to_have_count(15)
    expect(page).to_have_url(re.compile("job=1"))

    # It is there after a reload, in the history too, and asking again trains nothing.
    said = verdict(page).inner_text()
    page.reload()
    serving.settle(page, 60)
    expect(verdict(page)).to_have_text(said)
    page.get_by_role("button", name="Show the verdict (known)").click()
    visible(page, re.compile("Known since .*nothing was trained")).to_be_visible()
    page.get_by_role("radio", name="History").click()
    expect(page.locator(".lu-job")).to_contain_text("done target 3: retrain without the first 2")
    expect(page.locator(".lu-job")).to_have_count(1)

    # Another one is cancelled, and says so within seconds.
    page.get_by_role("radio", name="Verdict").click()
    page.get_by_text("More tests").click()
    page.get_by_role("radio", name="Mislabel").click()
    visible(page, re.compile("relabelled Box")).to_be_visible()
    page.get_by_role("radio", name="Smallest set that flips").click()
    (runner,) = processes(shapes.data)["runner"]
    runner.suspend()  # else it may be done before the page shows the button
    page.get_by_role("button", name="Search, about").click()
    page.get_by_role("button", name="Cancel").first.click()
    visible(page, re.compile("Job 2: Stopping")).to_be_visible()
    runner.resume()
    visible(page, re.compile("Job 2 was cancelled")).to_be_visible(timeout=TRAINED)

    # The first is opened again from the history.
    serving.settle(page, 60)  # while a run goes on, the drawer of the run before may still stand beside the new one
    page.get_by_role("radio", name="History").click()
    expect(page.locator(".lu-job").first).to_contain_text("cancelled")
    page.get_by_role("button", name="1", exact=True).click()
    expect(verdict(page)).to_have_text(said)
    page.keyboard.press("Escape")

    # How typical is it? Read the curve, and follow it to a target.
    page.get_by_role("link", name="Compare").first.click()
    visible(page, re.compile("Too few to compare rankings")).to_be_visible()
    expect(page.locator(".lu-table").first).to_contain_text("trak-10")
    plot = page.locator(".js-plotly-plot .nsewdrag").first
    expect(plot).to_be_visible()
    box = plot.bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"], steps=5)
    page.mouse.up()
    visible(page, re.compile("1 selected in the chart")).to_be_visible()
    page.get_by_role("option", name="validation image 0,").click()
    expect(page.get_by_alt_text("validation image 0,")).to_be_visible()
    assert not errors


@pytest.mark.parametrize(
    ("path", "heading"),
    [
        ("/?target=1", "All 10 models predict Dot. Its label is Box <b>."),
        (
            "/brittleness?target=4&k=3&ranking=l2-moco&kind=mislabel",
            "Is it still Box <b> with l2-moco's top 3 images relabelled Bar?",
        ),
        ("/methods", "How few training images decide a prediction?"),
    ],
)
def test_a_deep_link_is_the_first_request_of_a_fresh_server(browser, ws, tmp_path, path, heading):
    with serving.server(tmp_path / "data", workspace=ws.path) as fresh:
        page = serving.new_page(browser)
        page.goto(fresh.url + path)
        expect(page.get_by_role("heading", name=heading)).to_be_visible(timeout=60_000)
        expect(page.get_by_text("Page not found")).to_have_count(0)
        expect(page.get_by_role("link", name="Debug").first).to_be_visible()  # app.py ran: there is navigation
        expect(page.locator("[data-testid=stException]")).to_have_count(0)
        page.context.close()
