"""Scores as CSV: a matrix, a table of pairs, and what is wrong with either."""

import numpy as np
import pytest

from attribution import UserError
from attribution.importing.formats import DataSetSizes, Declaration, csv_scores, detect_format, get_format

SIZES = DataSetSizes(np.arange(5) % 2, np.arange(3) % 2)
SCORES = np.random.default_rng(0).normal(size=(3, 5))
HELPFUL = Declaration(sign="helpful")


@pytest.fixture
def file(tmp_path):
    return tmp_path / "scores.csv"


def table(columns: dict) -> str:
    rows = zip(*(column.tolist() for column in columns.values()))
    return "\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n"


def pairs() -> dict:
    targets, train = np.divmod(np.arange(15), 5)
    return {"target": targets, "train": train, "score": SCORES.reshape(-1)}


@pytest.mark.parametrize("turned", [False, True])
def test_a_matrix(file, turned):
    np.savetxt(file, SCORES.T if turned else SCORES, delimiter=",")
    assert detect_format(file) == "csv"
    found = csv_scores.load(file, HELPFUL, SIZES)
    assert found.signed and np.array_equal(found.read_scores(0, 3), SCORES)


@pytest.mark.parametrize(("sign", "factor"), [("helpful", 1), ("harmful", -1)])
def test_a_table_of_scores_in_any_order(file, sign, factor):
    columns = pairs()
    order = np.random.default_rng(1).permutation(15)
    file.write_text(table({name: column[order] for name, column in columns.items()}))
    found = csv_scores.load(file, Declaration(sign=sign), SIZES)
    ids, scores = found.read_lists(0, 3)
    expected = np.argsort(-factor * SCORES, axis=1)
    assert np.array_equal(ids, expected)
    assert np.allclose(scores, np.take_along_axis(factor * SCORES, expected, 1))


def test_a_table_of_ranks_has_no_sign_and_may_count_from_one(file):
    columns = {"target": np.array([1, 1, 3]), "train": np.array([5, 2, 1]), "rank": np.array([1, 2, 1])}
    file.write_text(table(columns))
    found = csv_scores.load(file, Declaration(index_base=1), SIZES)
    assert not found.signed and found.targets.tolist() == [0, 2]
    assert found.read_lists(0, 2)[0].tolist() == [[4, 1], [0, -1]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("target,train\n0,1\n", "has no column rank; its columns are target, train"),
        ("train,score\n0,1\n", "has no column target"),
        ("target,train,score\n0,9,1\n", "has the number 9 in its column train"),
        ("target,train,score\n0,1,\n", "the column score of .* has gaps"),
        ("target,train,score\n0,x,1\n", "cannot be read as CSV"),
        ("target,train,train,rank\n0,1,1,0\n", "has the column train twice"),
        ("target,train,rank\n0,1,0\n0,1,1\n", "names a training image twice"),
        ("target,train,rank\n0,1,0\n0,2,3\n", "do not go 0, 1, 2"),
        ("target,train,score\n" + "0,1,0.5\n" * 20, "has 20 rows, and there are 3 x 5 pairs"),
        ("1,2\n3,x\n", "holds more than numbers"),
        ("1,2\n3\n", "cannot be read as CSV"),
        ("1,2\n3,4\n", "is 2 x 2, and 3 x 5 or its transpose is expected"),
        ("", "."),
    ],
)
def test_what_is_wrong_is_one_sentence(file, text, said):
    file.write_text(text)
    with pytest.raises(UserError, match=said) as error:
        csv_scores.load(file, HELPFUL, SIZES)
    assert "\n" not in str(error.value) and ";" in str(error.value)


def test_a_table_of_scores_has_to_say_what_positive_means(file):
    file.write_text(table(pairs()))
    with pytest.raises(UserError, match="say --sign helpful, harmful or unsigned"):
        csv_scores.load(file, Declaration(), SIZES)


def test_an_archive_of_numpy_is_a_tensor(tmp_path):
    np.savez(tmp_path / "a.npz", scores=SCORES, names=np.arange(4))
    assert detect_format(tmp_path / "a.npz") == "tensor"
    found = get_format("tensor").load(tmp_path / "a.npz", HELPFUL, SIZES)
    assert np.array_equal(found.read_scores(0, 3), SCORES)
    np.savez_compressed(tmp_path / "bomb.npz", scores=np.zeros((3000, 3000)))
    with pytest.raises(UserError, match="unpacks to far more than it has"):
        get_format("tensor").load(tmp_path / "bomb.npz", HELPFUL, SIZES)
    np.savez(tmp_path / "code.npz", np.array([print], dtype=object))
    with pytest.raises(UserError):
        get_format("tensor").load(tmp_path / "code.npz", HELPFUL, SIZES)
