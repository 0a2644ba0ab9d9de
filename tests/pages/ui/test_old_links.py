"""Addresses of earlier versions, and where they lead."""

import pytest

from pages.ui.old_links import ROOMS, new_address

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
