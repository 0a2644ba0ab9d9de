"""Matrices with a score for every pair: transposed, negated, square, of other images, not finite, without an order."""

import numpy as np
import pytest

from attribution import UserError
from attribution.importing.formats import DataSetSizes, Declaration
from attribution.importing.formats.arrays import open_array
from attribution.importing.formats.dense import check_ids, load_dense

SIZES = DataSetSizes(np.arange(8) % 2, np.arange(5) % 2)
#: [n_val, n_train]
SCORES = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)


@pytest.fixture
def bring(tmp_path):
    """bring(array, sizes=SIZES, own={}, **declared) -> Incoming of that array in a file."""

    def bring(array, sizes=SIZES, own=None, **declared):
        np.save(tmp_path / "x.npy", array)
        declared = Declaration(**{"sign": "helpful", **declared})
        return load_dense("Mine", tmp_path / "x.npy", open_array(tmp_path / "x.npy"), declared, sizes, **own or {})

    return bring


@pytest.fixture
def ids(tmp_path):
    """ids(numbers) -> a file of them."""

    def ids(numbers, name="ids.npy"):
        np.save(tmp_path / name, np.asarray(numbers))
        return tmp_path / name

    return ids


@pytest.mark.parametrize("array", [SCORES, SCORES.T], ids=["target-first", "train-first"])
def test_the_orientation_that_fits(bring, array):
    incoming = bring(array)
    assert np.array_equal(incoming.read_scores(1, 4), SCORES[1:4])
    assert "the one that fits" in incoming.provenance["orientation"]
    assert (incoming.targets.tolist(), incoming.train, incoming.signed) == ([0, 1, 2, 3, 4], None, True)


@pytest.mark.parametrize("sign, factor, signed", [("helpful", 1, True), ("harmful", -1, True), ("unsigned", 1, False)])
def test_sign(bring, sign, factor, signed):
    incoming = bring(SCORES, sign=sign)
    assert np.array_equal(incoming.read_scores(0, 5), factor * SCORES) and incoming.signed is signed
    assert np.array_equal(incoming.read_scores(0, 5), factor * SCORES), "read again, it is the same"


def test_sign_is_needed_and_goes_before_the_formats(bring):
    with pytest.raises(UserError, match="which hangs on it; say --sign helpful or --sign harmful"):
        bring(SCORES, sign=None, own={"sign_depends": ", which hangs on it"})
    own = {"sign": "helpful"}
    assert np.array_equal(bring(SCORES, sign=None, own=own).read_scores(0, 5), SCORES)
    assert np.array_equal(bring(SCORES, sign="harmful", own=own).read_scores(0, 5), -SCORES)


def test_a_square_matrix_has_to_be_declared(bring):
    square, sizes = SCORES[:, :5], DataSetSizes(np.zeros(5, int), np.zeros(5, int))
    with pytest.raises(UserError, match="square, 5 x 5, .* say --orientation"):
        bring(square, sizes)
    assert np.array_equal(bring(square, sizes, orientation="target-first").read_scores(0, 5), square)
    assert np.array_equal(bring(square, sizes, orientation="train-first").read_scores(0, 5), square.T)


def test_transposed(bring):
    with pytest.raises(UserError, match="5 x 8 and looks transposed; say --orientation target-first"):
        bring(SCORES, orientation="train-first")
    with pytest.raises(UserError, match="looks transposed; import it as a tensor with --orientation target-first"):
        bring(SCORES, own={"orientation": "train-first"})
    with pytest.raises(UserError, match="a file of this format is target-first; leave --orientation out"):
        bring(SCORES, own={"orientation": "target-first"}, orientation="train-first")


@pytest.mark.parametrize(
    "array",
    [SCORES[:4], SCORES[:, :7], SCORES[0], SCORES[None], np.float32(1)],
    ids=["targets", "images", "row", "three", "number"],
)
def test_other_shapes(bring, array):
    for declared in ({}, {"orientation": "target-first"}):
        with pytest.raises(UserError, match="is expected for 8 training images and 5 targets; bring the file"):
            bring(array, **declared)


def test_some_targets_and_some_images(bring, ids):
    incoming = bring(SCORES[:3, :4], targets=ids([4, 0, 2], "t.npy"), train=ids([7, 1, 2, 0], "i.npy"))
    assert incoming.targets.tolist() == [4, 0, 2] and incoming.train.tolist() == [7, 1, 2, 0]
    assert np.array_equal(incoming.read_scores(0, 3), SCORES[:3, :4])
    assert bring(SCORES[:3], targets=ids([5, 1, 3]), index_base=1).targets.tolist() == [4, 0, 2]


@pytest.mark.parametrize(
    "numbers, why",
    [
        ([0, 1, 5], "the number 5 among its targets, which go from 0 to 4"),
        ([0, -1, 2], "the number -1"),
        ([0, 1, 1], "the same image twice"),
        ([0.0, 1.0, 2.0], "whole numbers"),
        ([[0, 1, 2]], "whole numbers"),
        ([0, 1], "is expected for 8 training images and 2 targets"),
        (np.zeros(0, int), "whole numbers"),
        ([True, False, True], "whole numbers"),
    ],
)
def test_targets_that_do_not_fit(bring, ids, numbers, why):
    with pytest.raises(UserError, match=why):
        bring(SCORES[:3], targets=ids(numbers))


def test_index_base_one_has_no_zero():
    assert check_ids("x", [1, 5], 5, 1, "targets").tolist() == [0, 4]
    with pytest.raises(UserError, match="the number 0 among its targets, which go from 1 to 5"):
        check_ids("x", [1, 0], 5, 1, "targets")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite(bring, value):
    array = SCORES.astype(float)
    array[3, 2] = value
    incoming = bring(array)
    incoming.read_scores(0, 3)
    with pytest.raises(UserError, match="target 3 in .* NaN or infinite"):
        incoming.read_scores(2, 5)


def test_a_target_without_an_order(bring):
    array = SCORES.copy()
    array[3] = 0.5
    with pytest.raises(UserError, match="all scores of target 3 in .* are equal, which is no order"):
        bring(array).read_scores(0, 5)
    assert bring(array, own={"zero_is_none": True}).read_scores(0, 5)[3].tolist() == [0.5] * 8


@pytest.mark.parametrize("what, value", [("orientation", "sideways"), ("sign", "good"), ("index_base", 2)])
def test_declarations_are_known_words(bring, what, value):
    with pytest.raises(UserError, match=f"--{what.replace('_', '-')} {value} is not known"):
        bring(SCORES, **{what: value})


def test_rows_hold_no_more_than_the_block(bring, monkeypatch):
    """Of a train-first matrix a block of columns is read, not the matrix."""
    incoming = bring(np.zeros((8, 5), np.float16) + np.arange(8)[:, None])
    copied = []
    empty = np.empty
    monkeypatch.setattr(np, "empty", lambda shape, *rest: copied.append(shape) or empty(shape, *rest))
    incoming.read_scores(1, 3)
    assert copied == [(2, 8)]


@pytest.mark.parametrize("kept", [[0, 1, 2, 4], [4, 2], [0]])
@pytest.mark.parametrize("first", ["target", "train"])
def test_the_advice_to_leave_a_target_out_works(bring, ids, first, kept):
    """--targets names those that are taken of a file that has all."""
    array = SCORES.copy()
    array[3] = 0.5
    some = bring(array if first == "target" else array.T, targets=ids(kept))
    assert some.targets.tolist() == sorted(kept)
    assert np.array_equal(some.read_scores(0, len(kept)), array[sorted(kept)])


def test_a_file_of_some_targets_is_read_as_they_are_named(bring, ids):
    assert bring(SCORES[[4, 1]], targets=ids([4, 1])).targets.tolist() == [4, 1]
    whole = bring(SCORES, targets=ids([4, 3, 2, 1, 0]))
    assert whole.targets.tolist() == [4, 3, 2, 1, 0] and np.array_equal(whole.read_scores(0, 5), SCORES)
