"""What axe-core finds on each room, in both themes: no serious violation, and headings in order."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser import serving

#: what a visitor opens; each is looked at in light and dark
PLACES = (
    "/?model=demo-cnn&target=60",
    "/?model=demo-cnn&panel=verdict",
    "/?model=demo-cnn&target=9&panel=trust",
    "/?model=demo-cnn&picker=map",
    "/?model=head-moco",
    "/?model=head-moco&show=wrong&target=3&panel=history",
    "/?model=head-moco&target=5&panel=image&image=67",
    "/?model=head-moco&class=Coat&predicted=Shirt&panel=group",
    "/labels",
    "/labels?mode=wall",
    "/labels?step=2+Export",
    "/labels?step=3+Measure+the+benefit",
    "/compare",
    "/compare?tab=Agreement",
    "/compare?tab=Cost",
    "/compare?tab=Advanced",
    "/data",
    "/data?part=import",
    "/data?part=models",
    "/data?part=studies",
)
GRAVE = ("serious", "critical")


#: what a click opens above a page: address -> the name of the button, and what appears
OPENED = {
    "/?model=head-moco&target=5": ("?", "[role=dialog]"),
    "/?model=demo-cnn&target=60": ("Terms", "[data-testid=stPopoverBody]"),
    "/?model=demo-cnn&target=61": ("Export the figure", "[data-testid=stPopoverBody]"),
    "/?model=demo-cnn&target=62": ("Rows", "[data-testid=stPopoverBody]"),
    "/labels": ("New queue", "[data-testid=stPopoverBody]"),
}


@pytest.mark.parametrize("place", PLACES)
def test_no_serious_violation(page, server, place):
    serving.open_page(page, server.url + place)
    page.locator(".stMainBlockContainer h1").first.wait_for(state="attached")
    look(page)


@pytest.mark.parametrize("place", OPENED)
def test_no_serious_violation_in_what_a_click_opens(page, server, place):
    button, opened = OPENED[place]
    serving.open_page(page, server.url + place)
    page.get_by_role("button", name=button).first.click()
    page.locator(opened).first.wait_for()
    look(page)


def test_no_serious_violation_on_the_first_visit(browser, server):
    page = serving.new_page(browser, first_visit=True)
    serving.open_page(page, server.url)
    page.get_by_role("dialog", name="Start").wait_for(timeout=60_000)
    look(page)
    page.keyboard.press("Escape")
    page.get_by_role("region", name="Hint").wait_for()
    look(page)
    page.context.close()


def look(page) -> None:
    """Looks at the page in both themes."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(1500)  # fonts, and transitions that fade in
        grave = [
            f"{scheme}: {one['id']}: {node['html'][:200]} {node['failureSummary'][:200]}"
            for one in Axe().run(page).response["violations"]
            for node in one["nodes"]
            if one["impact"] in GRAVE or one["id"] == "heading-order"
        ]
        assert not grave, "\n".join(grave)
