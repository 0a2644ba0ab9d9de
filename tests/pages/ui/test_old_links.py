"""Old addresses, and where they lead."""

import pytest

from pages.ui.old_links import new_address


@pytest.mark.parametrize(
    ("query", "address"),
    [
        ("", "./?panel=verdict"),
        (
            "target=4&k=3&ranking=l2-moco&kind=mislabel&test=first+k",
            "./?target=4&k=3&ranking=l2-moco&kind=mislabel&test=first+k&panel=verdict",
        ),
        ("test=chosen+images&ids=3%2C7&view=one+target", "./?test=chosen+images&ids=3%2C7&panel=verdict"),
        ("job=7&model=fast94", "./?job=7&model=fast94&panel=verdict"),
        ("view=studies&job=3", "./data?job=3&part=studies"),
    ],
)
def test_brittleness_is_debugs_drawer(query, address):
    assert new_address("brittleness", query) == address
