"""What axe-core finds on each room, in both themes: no serious violation, and headings in order."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser import serving

#: what a visitor opens; each is looked at in light and dark
PLACES = (
    "/?model=demo-cnn&target=60",
    "/?model=demo-cnn&panel=verdict",
    "/?model=demo-cnn&picker=map",
    "/?model=head-moco",
    "/?model=head-moco&show=wrong&target=3&panel=history",
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


@pytest.mark.parametrize("place", PLACES)
def test_no_serious_violation(page, server, place):
    serving.open_page(page, server.url + place)
    page.locator(".stMainBlockContainer h1").first.wait_for(state="attached")
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
