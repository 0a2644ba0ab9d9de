"""Sentences about how many labels are wrong."""

import doctest

import pytest

from attribution.export import error_sentences


def answer(**more):
    drawn = {"wrong": 0, "right": 1, "unknown": 0}
    return {"total": {"errors": 431.6, "ci": [309.7, 620.2]}, "found": 212, "drawn": drawn, "next": None} | more


def test_the_examples_hold():
    assert doctest.testmod(error_sentences).failed == 0


def test_the_total():
    said = error_sentences.total_sentence(answer(), 10_000)
    assert said == (
        "About 432 of 10,000 labels are wrong (95 % interval 309 to 621): 212 found, the rest estimated from "
        "1 random image."
    )
    every = answer(drawn={"wrong": 0, "right": 0, "unknown": 0}, total={"errors": 3.0, "ci": [3, 3]}, found=3)
    assert error_sentences.total_sentence(every, 60).endswith("3 to 3): 3 found, and every label was looked at.")
    assert "not known yet" in error_sentences.total_sentence(answer(total=None), 10)


@pytest.mark.parametrize(
    "errors, seconds, said",
    [
        (3.0, 4.0, "about 3 errors (1 to 7); at your 4.0 s an image that is 2 min 13 s an error."),
        (1.2, None, "about 1 error (1 to 7)."),
        (1.2, 0.01, "about 1 error (1 to 7)."),
        (0.4, 4.0, "less than one error (1 to 7): you can stop here."),
    ],
)
def test_what_comes_next_and_when_to_stop(errors, seconds, said):
    ahead = {"ahead": 100, "errors": errors, "ci": [1, 7], "seconds": seconds}
    assert error_sentences.next_sentence(answer(next=ahead)) == f"The next 100 suspects hold {said}"
    assert error_sentences.next_sentence(answer()) == ""


def test_suggestions():
    share = {"share": 0.55, "ci": [0.4, 0.69], "count": 22, "n": 40}
    said = error_sentences.suggestion_sentence({"suggestions": share})
    assert said == "Suggestions were right for 22 of 40 relabelled images: 55 % (95 % interval 40 to 69 %)."
    assert error_sentences.suggestion_sentence({"suggestions": {"n": 0}}) == ""
