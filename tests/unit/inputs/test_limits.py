"""Numbers that a person or a file gives: read within bounds, refused in one short sentence."""

import doctest
from types import SimpleNamespace

import numpy as np
import pytest

from attribution import UserError
from attribution.experiments.registry import from_json
from attribution.explore.influence import check_image
from attribution.inputs import limits
from attribution.training.edits import parse_image_numbers

ODD = ["²", "٣", "1e3", "1e999", "0x1", "1_0", "", " ", "\0", "\ud800", "+1", "--1", "nan", "9" * 19, "5" * 5000, None]


def test_examples_hold():
    assert doctest.testmod(limits) == (0, 1)


@pytest.mark.parametrize("text", ODD, ids=ascii)
def test_what_is_no_whole_number(text):
    assert limits.read_whole(text) is None
    with pytest.raises(UserError, match="^--k .*; give a whole number from 1 to 20$") as error:
        limits.check_whole(text, "--k", 1, 20)
    assert len(str(error.value)) < 120


@pytest.mark.parametrize(("text", "number"), [("7", 7), (" 07 ", 7), (7, 7), (np.int64(7), 7), ("-7", -7)])
def test_what_is_one(text, number):
    assert limits.read_whole(text) == number and type(limits.read_whole(text)) is int


@pytest.mark.parametrize("value", [0, 21, -1, 10**30, "-0021", 10**400])
def test_bounds_hold(value):
    with pytest.raises(UserError, match="^--k .* is out of range; give a whole number from 1 to 20$"):
        limits.check_whole(value, "--k", 1, 20)


@pytest.mark.parametrize("value", ["nan", "inf", "1e999", "-0.1", "1.1", "x", "5" * 5000])
def test_a_fraction_has_bounds_too(value):
    assert limits.check_fraction("0.5", "--share", 0, 1) == 0.5
    with pytest.raises(UserError, match="^--share .*; give a number from 0 to 1$"):
        limits.check_fraction(value, "--share", 0, 1)


@pytest.mark.parametrize("text", ["5" * 5000, "0-" + "9" * 5000, "²", "٣", "1" + "0" * 30])
def test_images_named_by_hand(text):
    with pytest.raises(UserError) as error:
        parse_image_numbers(text, 60)
    assert len(str(error.value)) < 150
    with pytest.raises(UserError, match="is not there; give a number from 0 to 59"):
        check_image(SimpleNamespace(n_train=60), text)


RETRAIN = {"verb": "retrain", "workspace": "/w", "recipe": "demo-cnn", "target": 0, "ranking": "trak-10"} | {
    "kind": "remove",
    "k": 1,
    "ids": [3],
    "seeds": [0],
    "draws": 1,
}


@pytest.mark.parametrize(
    ("name", "value"),
    [("target", -1), ("k", 10**30), ("ids", [3, -1]), ("seeds", [2**70]), ("draws", 10**8), ("draws", -1)]
    + [("seeds", range(10**5)), ("k", float("inf"))],
)
def test_a_spec_holds_no_number_that_cannot_be(name, value):
    assert from_json(RETRAIN).draws == 1
    with pytest.raises(UserError, match=f"{name}"):
        from_json({**RETRAIN, name: value})
