"""Addresses of earlier versions lead on."""

from pages.ui.old_links import new_address


def test_the_map_is_a_view_of_the_picker():
    assert new_address("map", "") == "./?picker=map"
    address = "./?picker=map&features=moco&target=1&k=3&ranking=trak-10"
    assert new_address("map", "features=moco&target=1&k=3&ranking=trak-10") == address
