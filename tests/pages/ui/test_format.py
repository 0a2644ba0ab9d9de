"""How numbers and names are written."""

from pages.ui import format as write


def test_number_ranges():
    assert write.number_ranges([0, 1, 2, 3, 7, 8]) == "0–3, 7, 8" and write.number_ranges([]) == ""
