"""The sentence and the facts that head the page of a target."""

import pytest

from attribution.experiments import retrain
from pages.debug import headline
from tests import tiny
from tests.pages.answers import retrained

FOUND = {"k_max": 20, "becomes": "Dot", "seeds": 5, "wrong": 5, "votes": 5, "close": False, "status": "flipped"}
FOUR = FOUND | {"support": 4, "k": 4, "votes": 4, "wrong": 4}
CLOSE = FOUND | {"status": "unstable", "support": 7, "k": 7, "close": True, "votes": 6, "wrong": 6, "seeds": 10}
CLEAR = CLOSE | {"k": 9, "close": False, "votes": 2, "wrong": 3, "seeds": 3}
NONE = {"status": "censored", "support": None, "k_max": 20}


def said(ws, target, supports, ranking="trak-10", k=1, answer=None) -> str:
    return headline.sentence(ws, target, supports, ranking, k, answer)


@pytest.mark.parametrize(
    ("supports", "sentence"),
    [
        ({}, ""),
        ({"remove": {"random": NONE}}, " No edit tested changes that."),
        ({"remove": {"trak-10": FOUR}}, " Without trak-10's top 4 images, 4 of 5 predict Dot."),
        (
            {"remove": {"trak-10": CLEAR, "l2-moco": CLOSE}},
            " Without trak-10's top 9 images, 3 of 3 are wrong, mostly Dot; flips begin near 7.",
        ),
        (
            {"remove": {"random": NONE}, "mislabel": {"l2-moco": CLOSE}},
            " No removal tested changes that; with l2-moco's top 7 images relabelled Box <b>, 6 of 10 predict Dot.",
        ),
    ],
)
def test_the_smallest_flip_found_stands_where_nothing_is_known_of_the_cut(ws, supports, sentence):
    assert said(ws, 0, supports) == f"All 10 models predict Bar.{sentence}"


def test_it_follows_the_cut_where_its_answer_is_known(ws, store):
    spec = retrain.retrain_spec(ws, 0, "trak-10", "remove", 6)
    retrained(ws, store, spec, right=0, wrong=2, parts=["edit"])
    answer = spec.answer(ws, store)
    assert said(ws, 0, {"remove": {"trak-10": FOUR}}, k=6, answer=answer) == (
        "All 10 models predict Bar. Without trak-10's top 6 images, 5 of 5 predict Dot; flips begin near 4."
    )
    assert "control: without 6 random images of the same classes: Bar in 5 of 5" in headline.facts_html(ws, 0, answer)


def test_what_holds_is_said_so(ws, store):
    spec = retrain.retrain_spec(ws, 0, "trak-10", "remove", 1)
    retrained(ws, store, spec, right=0, wrong=2)
    assert said(ws, 0, {}, answer=spec.answer(ws, store)).endswith("trak-10's top image, 5 of 5 still predict Bar.")


def test_a_wrong_prediction_names_its_label_and_its_repair(ws, store):
    assert said(ws, 1, {}) == "All 10 models predict Dot. Its label is Box <b>."
    spec = retrain.retrain_spec(ws, 1, "trak-10", "remove", 3, end="harmful")
    retrained(ws, store, spec, right=2, wrong=1, parts=["edit"])
    assert said(ws, 1, {}, k=3, answer=spec.answer(ws, store)) == (
        "All 10 models predict Dot. Without trak-10's 3 most harmful images, 5 of 5 predict Box <b>."
    )


def test_some_models_disagree(ws):
    assert said(ws, 2, {}).startswith("7 of 10 models predict Dot.")


def test_without_base_models_only_what_is_known_is_said(tmp_path):
    ws = tiny.write(tmp_path / "tiny", base=False)
    assert said(ws, 1, {}) == "Box <b>. No model has been trained here yet."


def test_a_head_has_no_votes(ws):
    ws = ws.with_model("head-moco")
    one = FOUR | {"seeds": 1, "votes": 1, "wrong": 1}
    assert said(ws, 0, {"remove": {"trak-10": one}}) == (
        "The model predicts Bar. Without trak-10's top 4 images, it predicts Dot (exact)."
    )


def test_names_are_escaped(ws):
    drawn = headline.line_html(ws, 1, {}, "data:,", "trak-10", 1, None)
    assert "Box &lt;b&gt;" in drawn and "Box <b>" not in drawn
    assert "true label <b>Box &lt;b&gt;</b> · prediction <b>Dot</b> 0.70" in drawn
    assert "0 of 10 demo-cnn models correct" in drawn
