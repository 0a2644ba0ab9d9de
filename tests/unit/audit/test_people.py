"""Agreement between people: who says what now, and kappa by hand."""

import numpy as np
import pytest

from attribution.audit import people
from attribution.audit.decisions import Entry

LABELS = np.zeros(100, int)


def entry(number, who, item, action="keep", label=None, of=None):
    return Entry(number, f"u{number}", 0.0, who, "tab", item, action, label, of, None, "", None, 0)


def test_the_newest_answer_of_each_counts():
    said = people.answers_by_person(
        [
            entry(1, "Ann", 3, "relabel", 1),
            entry(2, "Ann", 3, "keep"),
            entry(3, "Ben", 3, "relabel", 0),
            entry(4, "Ben", 4, "remove"),
            entry(5, "Ben", 5, "unsure"),
            entry(6, "Ben", 4, "undo", of="u4"),
            entry(7, "", 9, "keep"),
            entry(8, "Ann", 5, "relabel", 2),
            entry(9, "Ann", 5, "undo", of="u8"),
            entry(10, "Ann", 5, "redo", of="u8"),
        ],
        LABELS,
    )
    assert said == {"Ann": {3: 0, 5: 2}, "Ben": {3: 0, 5: "unsure"}}, "keeping class 0 is saying class 0"


def test_kappa_is_agreement_beyond_chance():
    """Of 20 images both say 0 of 10 and 1 of 6, and differ on 4: 16 of 20 alike, by chance 0.6 x 0.6 + 0.4 x 0.4."""
    first = [0] * 12 + [1] * 8
    second = [0] * 10 + [1] * 2 + [1] * 6 + [0] * 2
    entries = [entry(i, "Ann", i, "relabel", label) for i, label in enumerate(first)]
    entries += [entry(100 + i, "Ben", i, "relabel", label) for i, label in enumerate(second)]
    (row,) = people.agreement(entries, LABELS)
    assert (row["people"], row["images"], row["same"]) == (["Ann", "Ben"], 20, 0.8)
    assert row["kappa"] == pytest.approx((0.8 - 0.52) / (1 - 0.52))
    assert row["ci"][0] < row["kappa"] < row["ci"][1] <= 1


def test_few_images_and_one_answer_say_no_kappa():
    few = [entry(i, who, i % 9) for i, who in enumerate(["Ann"] * 9 + ["Ben"] * 9)]
    assert people.agreement(few, LABELS) == []
    same = [entry(i, who, i % 10) for i, who in enumerate(["Ann"] * 10 + ["Ben"] * 10)]
    assert people.agreement(same, LABELS) == [
        {"people": ["Ann", "Ben"], "images": 10, "same": 1.0, "kappa": None, "ci": None}
    ]
    rows = people.agreement([*same, *(entry(50 + i, "Cem", i) for i in range(30))], LABELS)
    assert len(rows) == 3
