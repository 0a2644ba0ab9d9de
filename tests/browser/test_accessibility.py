"""What axe-core finds on each room, in both themes: no serious violation, and headings in order."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser import serving

#: what a visitor opens; each is looked at in light and dark
PLACES = (
    "/?model=demo-cnn&target=60",
    "/?model=head-moco",
    "/labels",
    "/compare",
    "/data",
)
GRAVE = ("serious", "critical")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("place", PLACES)
def test_no_serious_violation(browser, server, scheme, place):
    page = serving.new_page(browser, color_scheme=scheme)
    serving.open_page(page, server.url + place)
    page.locator("[data-testid=stBidiComponentIsolated], h1, h2").first.wait_for()
    page.wait_for_timeout(1500)  # fonts, and transitions that fade in
    found = Axe().run(page).response["violations"]
    page.context.close()
    grave = [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary'][:200]}"
        for one in found
        for node in one["nodes"]
        if one["impact"] in GRAVE or one["id"] == "heading-order"
    ]
    assert not grave, "\n".join(grave)
