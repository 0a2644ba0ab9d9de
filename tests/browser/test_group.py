"""A cell of the confusion matrix is explained together, and refitted for, in the browser."""

import re

from playwright.sync_api import expect

from tests.browser import serving


def test_a_cell_is_explained_and_refitted_for(open_page):
    page = open_page("/?model=head-moco&class=Coat&predicted=Shirt")
    page.get_by_role("button", name="Explain together").click()
    drawer = page.get_by_role("dialog")
    expect(drawer.get_by_role("heading", name="11 validation images labelled Coat and predicted Shirt")).to_be_visible()
    expect(drawer.get_by_role("option")).to_have_count(24)
    drawer.get_by_role("button", name=re.compile("^Remove 40 and refit")).click()
    verdict = drawer.get_by_role("status").filter(has_text="Without these 40 training images")
    expect(verdict).to_be_visible(timeout=60_000)
    said = verdict.inner_text()
    assert "falls from 11 to 8 errors" in said
    page.reload()
    serving.settle(page)
    expect(verdict).to_have_text(said)  # the link brings it back, and nothing is refitted
    drawer.get_by_role("option").first.click()
    expect(page).to_have_url(re.compile("panel=image"))
    page.keyboard.press("Escape")
    expect(drawer).to_have_count(0)


def test_the_list_of_jobs_leads_to_the_group_under_its_own_model(open_page):
    page = open_page("/?model=head-moco&class=Coat&predicted=Shirt&panel=group&group_ranking=l2-moco&group_k=12")
    page.get_by_role("dialog").get_by_role("button", name=re.compile("^Remove 12 and refit")).click()
    verdict = page.get_by_role("dialog").get_by_role("status").filter(has_text="Without these 12 training images")
    expect(verdict).to_be_visible(timeout=60_000)
    serving.open_page(page, page.url.split("?")[0] + "data?model=demo-cnn")
    page.get_by_role("link", name="Show in Debug").first.click()
    expect(verdict).to_be_visible(timeout=30_000)
    expect(page).to_have_url(re.compile("model=head-moco"))


def test_two_models_lead_from_compare_to_what_one_of_them_loses(open_page):
    page = open_page("/compare?tab=Advanced&topic=Two+models&model=head-moco&other_model=head-dino")
    page.get_by_role("link", name="Explain together the 48 that head-dino alone gets right").click()
    drawer = page.get_by_role("dialog")
    expect(drawer.get_by_role("heading", name="and rightly by head-dino")).to_be_visible(timeout=30_000)
    expect(drawer.get_by_role("combobox", name="Compared with")).to_have_value("influence-dino")
    drawer.get_by_role("spinbutton", name="Top").fill("12")
    drawer.get_by_role("spinbutton", name="Top").press("Enter")
    ask = drawer.get_by_role("button", name=re.compile("^Remove 12 and refit"))
    for left in (2, 1):  # a button goes once its job is there
        expect(ask).to_have_count(left, timeout=30_000)
        ask.first.click()
    verdicts = drawer.get_by_role("status").filter(has_text="Without these 12 training images")
    expect(verdicts).to_have_count(2, timeout=60_000)
    expect(drawer.get_by_role("heading", name="Under head-dino")).to_be_visible()
