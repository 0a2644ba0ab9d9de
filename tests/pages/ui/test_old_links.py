"""Addresses of earlier versions lead to what they showed."""

import pytest

from pages.ui import old_links
from tests.pages.page import open_page, texts

TABS = {  # old tab of Methods -> its new address, and a heading that it then shows
    "supports": ("tab=Summary", "How few training images decide a prediction?"),
    "lds": ("tab=Summary", "Is similarity influence?"),
    "agreement": ("tab=Agreement", "Do the methods choose the same images?"),
    "cost": ("tab=Cost", "What does each ranking cost, and what is it worth?"),
    "compute": ("tab=Cost", "What does more compute buy?"),
    "calibration": ("tab=Advanced&topic=Calibration", "Do scores predict the effect of removal?"),
    "features": ("tab=Advanced&topic=Features", "Which features are worth having?"),
    "algorithms": ("tab=Advanced&topic=Algorithms", "Whose influence changes with the learning algorithm?"),
    "models": ("tab=Advanced&topic=Two+models", "Where do two models differ?"),
    "checks": ("tab=Advanced&topic=Checks", "Do the rankings stand checks whose answer is known?"),
}


def test_every_old_tab_has_a_new_place():
    assert old_links.COMPARE_TABS.keys() == TABS.keys()


@pytest.mark.parametrize("tab", TABS)
def test_an_old_tab_of_methods(tab):
    assert old_links.new_address("methods", f"tab={tab}&model=head-moco") == (
        f"./compare?{TABS[tab][0].partition('&')[0]}&model=head-moco"
        + "&topic=" * ("topic" in TABS[tab][0])
        + TABS[tab][0].partition("topic=")[2]
    )
    assert old_links.new_address("methods", f"tab={tab}") == f"./compare?{TABS[tab][0]}"


@pytest.mark.parametrize("tab", TABS)
def test_an_old_tab_on_the_new_page(ws, tab):
    app = open_page("compare", tab=tab)
    assert not app.exception and TABS[tab][1] in texts(app)
    assert app.button_group(key="tab").value == TABS[tab][0].partition("&")[0].removeprefix("tab=")


def test_other_old_pages_keep_their_parameters():
    assert old_links.new_address("explore", "target=5&k=3") == "./?target=5&k=3"
    assert old_links.new_address("methods", "") == "./compare"
    assert old_links.new_address("compare", "tab=cost") is None
