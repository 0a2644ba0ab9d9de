"""Feldman and Zhang's file: within the class, in the file's order, and only for the data set that it was made for."""

import numpy as np
import pytest

from attribution import UserError
from attribution.importing.formats import DataSetSizes, Declaration
from attribution.importing.formats.feldman_zhang import load, sniff

#: 4 training images of class 0 and 6 of class 1; 2 and 3 test images
SIZES = DataSetSizes(np.array([0, 1, 1, 0, 1, 1, 0, 1, 1, 0]), np.array([1, 0, 1, 1, 0]))


@pytest.fixture
def save(tmp_path):
    def save(**changes):
        rng = np.random.default_rng(0)
        arrays = {
            "tr_mem": np.zeros(10),
            "tr_labels": SIZES.train_labels,
            "tt_labels": SIZES.val_labels,
            "tr_classidx_0": np.array([9, 6, 3, 0]),
            "tr_classidx_1": np.array([1, 2, 4, 5, 7, 8]),
            "infl_matrix_class0": rng.normal(size=(4, 2)),
            "infl_matrix_class1": rng.normal(size=(6, 3)),
        }
        arrays = {name: array for name, array in (arrays | changes).items() if array is not None}
        np.savez(tmp_path / "cifar100_infl_matrix.npz", **arrays)
        return tmp_path / "cifar100_infl_matrix.npz"

    return save


def test_lists_within_the_class(save):
    file = save(infl_matrix_class0=np.array([[0.1, -0.4], [0.2, -0.3], [0.3, -0.2], [0.4, -0.1]]))
    incoming = load(file, Declaration(), SIZES)
    assert incoming.targets.tolist() == [1, 4, 0, 2, 3] and incoming.signed
    ids, scores = incoming.read_lists(0, 5)
    assert ids[:2].tolist() == [[0, 3, 6, 9, -1, -1], [0, 3, 6, 9, -1, -1]]
    assert scores[1, :4].tolist() == [-0.1, -0.2, -0.3, -0.4]
    assert (np.sort(ids[2:]) == [1, 2, 4, 5, 7, 8]).all() and (np.diff(scores[2:]) <= 0).all()
    for block in ((1, 3), (4, 5)):
        assert np.array_equal(incoming.read_lists(*block)[0], ids[slice(*block)])
    turned = load(file, Declaration(sign="harmful"), SIZES).read_lists(0, 1)
    assert turned[0][0].tolist() == [9, 6, 3, 0, -1, -1]


def test_the_test_images_order_where_the_file_says_it(save):
    incoming = load(save(tt_classidx_0=np.array([4, 1]), tt_classidx_1=np.array([3, 2, 0])), Declaration(), SIZES)
    assert incoming.targets.tolist() == [4, 1, 3, 2, 0]


@pytest.mark.parametrize(
    "changes, why",
    [
        ({"tr_labels": 1 - SIZES.train_labels}, "tr_labels .* differs .* for 10 of the 10 images"),
        ({"tt_labels": np.array([1, 0, 1, 1, 1])}, "tt_labels .* for 1 of the 5 images"),
        ({"tr_labels": SIZES.train_labels[:9]}, "tr_labels in .* is 9, and 10 is expected"),
        ({"tr_classidx_0": np.array([9, 6, 3, 1])}, "tr_classidx_0 .* does not name the images of that class"),
        ({"tr_classidx_0": np.array([9, 6, 3, 3])}, "tr_classidx_0 .* does not name"),
        ({"tr_classidx_1": None}, "has no array tr_classidx_1"),
        ({"tt_labels": None}, "has no array tt_labels"),
    ],
)
def test_another_data_set(save, changes, why):
    with pytest.raises(UserError, match=why):
        load(save(**changes), Declaration(), SIZES)


@pytest.mark.parametrize(
    "matrix, why",
    [
        (np.zeros((2, 4)), "infl_matrix_class0 in .* is 2 x 4, and 4 x 2 is expected"),
        (None, "has no array"),
        (np.full((4, 2), np.nan), "target 1 in .* NaN"),
        (np.zeros((4, 2)), "target 1 in .* equal"),
        (np.array([["a", "b"]] * 4), "cannot be read"),
    ],
)
def test_a_matrix_that_does_not_fit(save, matrix, why):
    incoming = load(save(infl_matrix_class0=matrix), Declaration(), SIZES)
    with pytest.raises(UserError, match=why):
        incoming.read_lists(0, 1)


def test_a_target_without_an_order_is_left_out_with_targets(save, tmp_path):
    file = save(infl_matrix_class0=np.array([[0.1, 7], [0.2, 7], [0.3, 7], [0.4, 7]]))
    with pytest.raises(UserError, match="all scores of target 4 .* leave that target out with --targets"):
        load(file, Declaration(), SIZES).read_lists(0, 5)
    np.save(tmp_path / "targets.npy", [0, 1, 3])
    some = load(file, Declaration(targets=tmp_path / "targets.npy"), SIZES)
    assert some.targets.tolist() == [1, 0, 3]
    ids, scores = some.read_lists(0, 3)
    assert ids[0].tolist() == [0, 3, 6, 9, -1, -1] and scores[0, :4].tolist() == [0.4, 0.3, 0.2, 0.1]
    whole = load(save(), Declaration(), SIZES).read_lists(2, 5)
    assert np.array_equal(ids[1:], whole[0][[0, 2]]) and np.array_equal(scores[1:], whole[1][[0, 2]])


def test_declarations_have_no_place(save):
    with pytest.raises(UserError, match="leave all declarations but --sign and --targets out"):
        load(save(), Declaration(orientation="train-first"), SIZES)
    assert sniff(save()) and not sniff(save().with_name("other.npz"))
