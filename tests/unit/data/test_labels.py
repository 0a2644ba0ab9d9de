import numpy as np
import pytest
import torch

from attribution.data.labels import number_classes
from attribution.errors import UserError


@pytest.mark.parametrize(
    "labels, numbers, names",
    [
        ([0, 2, 0], [0, 2, 0], ["0", "1", "2"]),  # numbers from 0 are numbers of classes, gaps and all
        ([1, 3, 1], [0, 1, 0], ["1", "3"]),  # others are what classes are called
        ([0, 70, 0], [0, 1, 0], ["0", "70"]),
        (["10", "9", "10"], [1, 0, 1], ["9", "10"]),  # in the order of numbers
        (["0", "1.0", "2"], [0, 1, 2], ["0", "1", "2"]),
        ([0.0, 1.0, np.float32(2)], [0, 1, 2], ["0", "1", "2"]),
        ([True, False, True], [1, 0, 1], ["0", "1"]),
        (["dog", " cat ", b"dog"], [1, 0, 1], ["cat", "dog"]),
        (["dog", 7, "cat"], [2, 0, 1], ["7", "cat", "dog"]),
        (np.array([[1], [0], [1]]), [1, 0, 1], ["0", "1"]),
        (np.eye(3)[[2, 0, 1]], [2, 0, 1], ["0", "1", "2"]),
        (torch.tensor([1, 0, 1]), [1, 0, 1], ["0", "1"]),
        (["é", "z", "a"], [2, 1, 0], ["a", "z", "é"]),
        (["٣", "z", "z"], [1, 0, 0], ["z", "٣"]),
    ],
)
def test_labels_as_people_write_them(labels, numbers, names):
    found, classes = number_classes(labels)
    assert found.tolist() == numbers and classes == names and found.dtype == np.int64


def test_known_classes():
    classes = ["cat", "dog", "7"]
    assert number_classes(["dog", "cat", "7"], classes)[0].tolist() == [1, 0, 2]
    assert number_classes([1, "0", 2.0], classes)[0].tolist() == [1, 0, 2]
    for labels, why in (
        (["bird", "cat"], "label 'bird' in x is none of its 3 classes .cat, dog, 7.,"),
        ([3, 0], "label 3 in x is none"),
        ([-1, 0], "label -1 in x is none"),
    ):
        with pytest.raises(UserError, match=why):
            number_classes(labels, classes, "x")
    with pytest.raises(UserError, match="two classes of x are called 'a'"):
        number_classes([0], ["a", "b", "a"], "x")


@pytest.mark.parametrize(
    "labels, why",
    [
        (["a", None, ""], "2 of 3 labels are missing in x, the first of row 1;"),
        ([1, float("nan")], "1 of 2 labels are missing in x, the first of row 1;"),
        ([0, 0.5], "label 0.5 in x is no class"),
        ([0, float("inf")], "label inf in x is no class"),
        ([0, -1], "label -1 stands in x for images that have none"),
        ([[0, 1, 1]], "several numbers"),
        (np.full((2, 4), 0.25), "several numbers"),
    ],
)
def test_what_is_no_class_is_refused(labels, why):
    with pytest.raises(UserError, match=why):
        number_classes(labels, None, "x", lambda i: f"row {i}")
