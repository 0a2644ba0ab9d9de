"""Addresses of earlier versions, and where they lead."""

import pytest

from pages.ui.old_links import COMPARE_TABS, ROOMS, new_address
from tests.pages.page import open_page, texts

MOVED = {
    "explore": {
        "": "./",
        "target=4&k=3&rankings=esvm-moco&rankings=random": "./?target=4&k=3&rankings=esvm-moco&rankings=random",
    },
    "brittleness": {
        "": "./?panel=verdict",
        "target=4&k=3&ranking=l2-moco&kind=mislabel&test=first+k": (
            "./?target=4&k=3&ranking=l2-moco&kind=mislabel&test=first+k&panel=verdict"
        ),
        "test=chosen+images&ids=3%2C7&view=one+target": "./?test=chosen+images&ids=3%2C7&panel=verdict",
        "job=7&model=fast94": "./?job=7&model=fast94&panel=verdict",
        "view=studies&job=3": "./data?part=studies&job=3",
    },
    "audit": {
        "": "./labels",
        "audit=take+home&who=Ann": "./labels?step=2+Export&who=Ann",
        "audit=was%20it%20worth%20it": "./labels?step=3+Measure+the+benefit",
        "audit=queue&queue=2&mode=wall": "./labels?step=1+Review&queue=2&mode=wall",
        "audit=else": "./labels?audit=else",
    },
    "methods": {"": "./compare", "tab=models&other_model=x": "./compare?tab=Advanced&topic=Two+models&other_model=x"},
    "map": {
        "": "./?picker=map",
        "features=moco&target=1&k=3&ranking=trak-10": "./?picker=map&features=moco&target=1&k=3&ranking=trak-10",
    },
    "workspace": {"": "./data", "model=fast94": "./data?model=fast94"},
}


@pytest.mark.parametrize(("path", "query"), [(path, query) for path, queries in MOVED.items() for query in queries])
def test_an_old_address_leads_to_the_room_of_today(path, query):
    assert new_address(path, query) == MOVED[path][query]


@pytest.mark.parametrize("path", ["", "labels", "compare", "data", "static", "brittleness/x"])
def test_other_addresses_are_left_alone(path):
    assert path not in ROOMS and new_address(path, "target=3") is None


TABS = {  # old tab of Methods -> its new address, and a heading that it then shows
    "supports": ("tab=Summary", "How few training images decide a prediction?"),
    "lds": ("tab=Summary", "Is similarity influence?"),
    "agreement": ("tab=Agreement", "Do the methods choose the same images?"),
    "cost": ("tab=Cost", "How good is each ranking for what it costs?"),
    "compute": ("tab=Cost", "Does more compute give better rankings?"),
    "calibration": ("tab=Advanced&topic=Calibration", "Do scores predict the effect of removal?"),
    "features": ("tab=Advanced&topic=Features", "Which feature set gives the best rankings?"),
    "algorithms": (
        "tab=Advanced&topic=Algorithms",
        "Which training images matter more under another learning algorithm?",
    ),
    "models": ("tab=Advanced&topic=Two+models", "Where do two models differ?"),
    "checks": ("tab=Advanced&topic=Checks", "Do the rankings pass checks whose answer is known?"),
}


def test_every_old_tab_has_a_new_place():
    assert COMPARE_TABS.keys() == TABS.keys()


@pytest.mark.parametrize("tab", TABS)
def test_an_old_tab_of_methods(tab):
    assert new_address("methods", f"tab={tab}&model=head-moco") == f"./compare?{TABS[tab][0]}&model=head-moco"


@pytest.mark.parametrize("tab", TABS)
def test_an_old_tab_on_the_new_page(ws, tab):
    app = open_page("compare", tab=tab)
    assert not app.exception and TABS[tab][1] in texts(app)
    assert app.button_group(key="tab").value == TABS[tab][0].partition("&")[0].removeprefix("tab=")
