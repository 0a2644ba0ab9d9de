"""Addresses of earlier versions lead to the rooms of today."""

import pytest

from pages.ui.old_links import new_address


@pytest.mark.parametrize(("query", "new"), [
    ("", "./labels"),
    ("audit=take+home&who=Ann", "./labels?step=2+Export&who=Ann"),
    ("audit=was%20it%20worth%20it", "./labels?step=3+Measure+the+benefit"),
    ("audit=queue&queue=2&mode=wall", "./labels?step=1+Review&queue=2&mode=wall"),
    ("audit=else", "./labels?audit=else"),
])  # fmt: skip
def test_the_audit_is_clean_labels(query, new):
    assert new_address("audit", query) == new
