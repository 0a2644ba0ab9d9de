"""How numbers and names are written."""

from pages.ui import format as write


def test_number_ranges():
    assert write.number_ranges([0, 1, 2, 3, 7, 8]) == "0–3, 7, 8" and write.number_ranges([]) == ""


def test_classes_to_choose_by():
    assert list(write.class_numbers(["Box", "Bar"], "any")) == ["Box", "Bar"]
    names = [*(f"class {i}" for i in range(996)), "crane", "maillot", "crane", "any"]
    numbers = write.class_numbers(names, "any")
    assert len(numbers) == 1000 and numbers["crane (996)"] == 996 and numbers["crane (998)"] == 998
    assert (numbers["maillot"], numbers["any (999)"], numbers["class 7"]) == (997, 999, 7) and "any" not in numbers
