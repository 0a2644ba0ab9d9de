"""Edits: what does the same is the same, whatever order it was asked for in."""

import json

import numpy as np
import pytest

from attribution.errors import UserError
from attribution.training.edits import Edit, correct, no_edit, parse_image_numbers, relabel, remove

LABELS = np.array([0, 1, 2, 0, 1])


def test_an_edit_is_canonical():
    assert remove([4, 1, 1]) == remove(np.array([1, 4])) and remove([4, 1]).hash == remove([1, 4]).hash
    assert relabel([4, 1], [0, 2]) == relabel([1, 4], [2, 0]) and relabel([4, 1], 2) == relabel([1, 4], [2, 2])
    assert remove([4, 1]).indices == (1, 4) and remove([4, 1]).k == 2


def test_different_edits_have_different_hashes():
    edits = [no_edit(), remove([1]), remove([2]), remove([1, 2]), relabel([1], 2), relabel([1], 0), relabel([1, 2], 2)]
    assert len({edit.hash for edit in edits}) == len(edits)


def test_no_index_is_no_edit():
    assert remove([]) == relabel([], []) == relabel([], 1) == no_edit()


def test_apply_leaves_the_given_labels_alone():
    kept, labels = remove([3, 0]).apply(LABELS)
    assert kept.tolist() == [1, 2, 4] and labels.tolist() == LABELS.tolist()
    kept, labels = relabel([3, 0], [2, 1]).apply(LABELS)
    assert kept.tolist() == [0, 1, 2, 3, 4] and labels.tolist() == [1, 1, 2, 2, 1]
    assert LABELS.tolist() == [0, 1, 2, 0, 1]
    kept, labels = no_edit().apply(LABELS)
    assert kept.tolist() == [0, 1, 2, 3, 4] and labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize("edit", [remove([5]), remove([-1]), relabel([0, 9], 1)], ids=str)
def test_an_index_out_of_range(edit):
    with pytest.raises(UserError, match="outside 0..4"):
        edit.apply(LABELS)


def test_two_labels_for_one_image_and_lengths_that_differ():
    with pytest.raises(UserError, match="two different labels"):
        relabel([1, 1], [0, 2])
    with pytest.raises(UserError, match="one label for each image"):
        relabel([1, 2], [0])
    assert relabel([1, 1], [2, 2]).k == 1


def test_a_correction_relabels_and_removes_in_one():
    edit = correct({3: 2, 0: 1}, [4, 1])
    kept, labels = edit.apply(LABELS)
    assert kept.tolist() == [0, 2, 3] and labels[kept].tolist() == [1, 2, 2] and labels[[1, 4]].tolist() == [1, 1]
    assert LABELS.tolist() == [0, 1, 2, 0, 1] and edit.k == 4 and edit.indices == (0, 1, 3, 4)
    assert edit == correct({np.int64(0): np.uint8(1), 3: 2}, np.array([1, 4, 4]))
    others = [
        correct({3: 2}, [4, 1]),
        correct({3: 2, 0: 2}, [4, 1]),
        remove([0, 1, 3, 4]),
        correct({3: 2, 1: 1}, [4, 0]),
    ]
    assert len({one.hash for one in (edit, *others)}) == 5


def test_a_correction_that_does_one_thing_is_that():
    assert correct({}, []) == no_edit() and correct({}, [2, 1]) == remove([1, 2])
    assert correct({4: 0, 1: 2}, []) == relabel([1, 4], [2, 0])
    with pytest.raises(UserError, match="training image 3 is both relabelled and removed"):
        correct({3: 1}, [3])
    with pytest.raises(UserError, match="below 0"):
        correct({3: -1}, [2])
    with pytest.raises(UserError, match="outside 0..4"):
        correct({5: 1}, [0]).apply(LABELS)


def test_the_part_of_an_edit_that_is_of_some_images():
    edit = correct({3: 2, 0: 1}, [4, 1])
    assert (
        edit.restricted_to([0, 4, 2, 4]) == correct({0: 1}, [4])
        and edit.restricted_to(np.arange(5)) == edit
        and edit.restricted_to([2]) == no_edit()
    )
    assert edit.restricted_to([1]) == remove([1]) and remove([1, 2]).restricted_to([2, 3]) == remove([2])
    assert relabel([1, 2], [0, 2]).restricted_to([2]) == relabel([2], 2) and no_edit().restricted_to([1]) == no_edit()


@pytest.mark.parametrize(
    "edit", [no_edit(), remove([3, 1]), relabel([np.int64(3)], [np.uint8(1)]), correct({3: 1}, [np.int64(2)])], ids=str
)
def test_json_and_back(edit):
    assert Edit.from_json(json.loads(json.dumps(edit.to_json()))) == edit


def test_images_named_by_hand():
    assert parse_image_numbers("3, 7 10-12;7", 60) == [3, 7, 10, 11, 12]
    for text, said in (
        ("", "no training image"),
        ("a", "'a' is not"),
        ("60", "out of range"),
        ("9-7", "upwards"),
        ("-3", "'-3' is not"),
        ("1.5", "'1.5' is not"),
    ):
        with pytest.raises(UserError, match=said):
            parse_image_numbers(text, 60)
