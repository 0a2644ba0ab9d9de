"""Merged classes, and whether rankings tell them apart still."""

import json

import numpy as np
import pytest

from attribution import UserError
from attribution.evaluation import subclasses
from attribution.files import data_folder
from attribution.training.head import Head


def test_similarity_tells_them_apart_and_random_order_does_not(ws):
    """Features of the tiny workspace are its classes, and nearly nothing else. Of classes 0 and 1 there are 19 and 20
    training images, and 4 targets each."""
    answer = subclasses.compute(ws, [[0, 1]], ["l2-moco", "influence-moco", "random"], k=5)
    assert answer["merged"] == [["Bar", "Box <b>"]] and answer["chosen_by"] is None and answer["targets"] == 8
    assert answer["chance"] == pytest.approx((4 * 19 / 39 + 4 * 20 / 39) / 8)
    near, influence, random = answer["rankings"].values()
    assert [near[key]["mean"] for key in ("first", "share", "superclass", "within")] == [1, 1, 1, 1]
    assert 0.2 < random["within"]["mean"] < 0.8 and random["superclass"]["mean"] == 1
    assert near["under"] == random["under"] == "no model" and influence["under"] == "head-moco with merged labels"
    assert answer["heads"]["head-moco"]["accuracy"] == 1
    assert json.loads(json.dumps(answer)) == answer


def test_the_shares_by_hand():
    listed = np.array([[0, 1, 2, 0], [2, 2, 1, -1]])  # 0 and 1 are one superclass
    found = subclasses._shares(listed, np.array([0, 1]), np.array([0, 0, 1]))
    means = {key: row["mean"] for key, row in found.items()}
    # own class 2 of 4 and 1 of 3; superclass 3 of 4 and 1 of 3; of these its own 2 of 3 and 1 of 1
    assert means == pytest.approx({"first": 0.5, "share": 5 / 12, "superclass": 13 / 24, "within": 5 / 6})


def test_a_merged_head_is_that_of_merged_labels_and_is_not_kept(ws):
    merged = subclasses.MergedLabels(ws, [[0, 2]])
    assert merged.superclass.tolist() == [0, 1, 0] and merged.classes == ["Bar+Dot", "Box <b>"]
    features = np.asarray(ws.feature("moco").train)
    labels = (ws.train_labels == 1).astype(int)
    expected = Head.fit(features, labels, 2)
    assert merged.head("moco").head.weights == pytest.approx(expected.weights, abs=1e-6)
    scores = expected.influence(np.asarray(ws.feature("moco").val)[[1]], np.array([1]))[0]
    assert merged.ranking("influence-moco").scores(1) == pytest.approx(scores, abs=1e-6)
    assert merged.ranking("l2-moco").candidates(0).tolist() == np.flatnonzero(ws.train_labels != 1).tolist()
    assert not list(data_folder().rglob("heads/*")), "a head on disk would be taken for that of the given labels"
    assert ws.head("moco").head.n_classes == 3 and ws.ranking("influence-moco").head.n_classes == 3


def test_the_most_confused_pair_is_merged(ws):
    """Target 1, a Box, is read as a Dot by every model; nothing else is confused."""
    assert subclasses.confused_pairs(ws) == [[1, 2]]
    answer = subclasses.compute(ws, None, ["l2-moco"])
    assert answer["chosen_by"] == "demo-cnn" and answer["merged"] == [["Box <b>", "Dot"]]
    with pytest.raises(UserError, match="confuses no classes"):
        subclasses.confused_pairs(ws.with_model("head-moco"))


def test_classes_are_read_by_name_and_number(ws):
    assert subclasses.read_groups(ws, " Dot + 0 ") == [[2, 0]]
    for text, why in (
        ("Bar", "Bar stands alone"),
        ("Bar+Dot,2+Box <b>", "Dot is named twice"),
        ("0+1+2", "all classes into one"),
        ("0+Tree", "no class 'Tree' in tiny; it has Bar"),
        (",", "no classes to merge"),
    ):
        with pytest.raises(UserError, match=why):
            subclasses.read_groups(ws, text)


def test_what_knows_the_classes_is_refused(ws):
    for name, why in (
        ("trak-10", "computed with the classes apart"),
        ("l2-moco+trak-10", "trak-10 was computed with the classes apart"),
        ("l2-moco@pair", "tells the classes apart"),
        ("l3-moco", "no ranking 'l3-moco'"),
    ):
        with pytest.raises(UserError, match=why):
            subclasses.compute(ws, [[0, 1]], [name])
    several = subclasses.compute(ws, [[0, 1]], ["influence-moco@true", "l2-moco+influence-moco", "signed-moco"])
    assert [row["under"] for row in several["rankings"].values()] == [
        "head-moco with merged labels",
        "no model; head-moco with merged labels",
        "no model; merged labels give the sign",
    ]


def test_the_rankings_that_are_measured(ws):
    assert subclasses.default_names(ws) == ["influence-moco", "esvm-moco", "l2-moco", "random"]
    assert subclasses.default_names(ws.with_model("head-moco")) == subclasses.default_names(ws)
