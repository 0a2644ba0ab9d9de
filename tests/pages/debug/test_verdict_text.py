"""The words and the HTML of the drawer's answers."""

import pandas as pd
import pytest

from attribution.evaluation.adaptive_supports import COLUMNS, AdaptiveSupports
from attribution.experiments import retrain
from pages.debug import verdict_text as text
from tests.pages.answers import retrained


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ([], "Holds"),
        (["edit"], "Flipped"),
        (["edit", "random"], "Flipped, by chance too"),
        (["edit", "none", "random"], "Already wrong"),
    ],
)
def test_the_verdict_stands_beside_its_controls(ws, store, wrong, word):
    spec = retrain.retrain_spec(ws, 0, "trak-10", "remove", 4)
    assert text.retraining_verdict(ws, spec, spec.answer(ws, store)) is None
    retrained(ws, store, spec, right=0, wrong=2, parts=wrong)
    verdict = text.retraining_verdict(ws, spec, spec.answer(ws, store))
    assert verdict[0] == word and "4 random images of the same classes: " in verdict[1]


def test_the_sentence_of_a_flip_names_its_controls(ws, store):
    spec = retrain.retrain_spec(ws, 0, "trak-10", "remove", 4)
    retrained(ws, store, spec, right=0, wrong=2, parts=["edit"])
    assert text.retraining_verdict(ws, spec, spec.answer(ws, store)) == (
        "Flipped",
        "Without trak-10's top 4 images, 5 of 5 predict Dot. Without 4 random images of the same classes: Bar in 5 of "
        "5. With all images: Bar in 5 of 5.",
    )


@pytest.mark.parametrize(
    ("repaired", "word"),
    [
        (["edit"], "Repaired"),
        ([], "Still wrong"),
        (["edit", "random"], "Repaired, by chance too"),
        (["edit", "none", "random"], "Right already"),
    ],
)
def test_the_verdict_on_a_repair(ws, store, repaired, word):
    spec = retrain.retrain_spec(ws, 1, "trak-10", "remove", 3, end="harmful")
    retrained(ws, store, spec, right=2, wrong=1, parts=repaired)
    assert text.retraining_verdict(ws, spec, spec.answer(ws, store))[0] == word


def test_names_are_escaped(ws, store):
    spec = retrain.retrain_spec(ws, 1, "trak-10", "remove", 4)
    retrained(ws, store, spec, right=1, wrong=2)
    drawn = text.retraining_html(ws, spec, spec.answer(ws, store))
    assert "Box &lt;b&gt; in 5 of 5" in drawn and "Box <b>" not in drawn


def test_what_the_adaptive_order_needs():
    rows = [(0, "flipped", 10, "flipped", 5), (4, "censored", None, "flipped", 1)]
    table = pd.DataFrame(rows, columns=COLUMNS).astype({"prefix": "Int64", "adaptive": "Int64"})
    found = AdaptiveSupports("head-moco", "1", 20, 8, table)
    said = text.adaptive_text(found, 0)
    assert "after every 8 images removed: 5 images; in the order of the full training set: 10 images." in said
    assert ": 1 image;" in text.adaptive_text(found, 4) and "none up to 20" in text.adaptive_text(found, 4)
    assert text.adaptive_text(found, 7) == ""
