"""The result store: a retraining is saved once, whole, and found by what was trained; answers by their question."""

import numpy as np
import pytest

from attribution.store.results import ResultStore
from attribution.store.schema import row_crc
from attribution.training.edits import no_edit, relabel, remove


def test_a_class_that_a_byte_cannot_name(store, put):
    put(store, predicted=(999, 2))
    assert store.get(store.key("r", remove([1, 3]), 0)).predicted.tolist() == [999, 2]


def test_kept_and_found(store, put):
    assert put(store) is True
    found = store.get(store.key("r", remove([1, 3]), 0))
    assert found.predicted.tolist() == [1, 2] and found.predicted.dtype == np.uint8
    assert found.margins.tolist() == [0.5, -1.25] and found.margins.dtype == np.float16
    assert (found.seed, found.seconds, found.device, found.library, found.threads) == (0, 1.5, "cpu", "torch", 1)
    assert found.created > 1e9 and store.count() == 1


@pytest.mark.parametrize("scale", [1e-9, 1e-4, 0.1, 1e5, 1e30])
def test_margins_are_kept_as_large_or_small_as_they_are(store, put, scale):
    """Of a user's network, whose outputs may have any size; those of others take two bytes each, as ever."""
    put(store, margins=np.array([0.5, -1.25]) * scale)
    margins = store.get(store.key("r", remove([1, 3]), 0)).margins
    assert np.allclose(margins / scale, [0.5, -1.25], rtol=1e-3)
    assert margins.dtype == (np.float16 if scale == 0.1 else np.float32)


def test_the_key_knows_data_recipe_edit_and_seed(store, tmp_path):
    other = ResultStore(tmp_path / "other", "e" * 64)
    keys = {
        store.key("r", remove([1]), 0),
        other.key("r", remove([1]), 0),
        store.key("q", remove([1]), 0),
        store.key("r", relabel([1], 0), 0),
        store.key("r", no_edit(), 0),
        store.key("r", remove([1]), 1),
    }
    assert len(keys) == 6
    other.close()


def test_kept_once(store, put):
    assert put(store) and not put(store, predicted=(9, 9))
    assert store.get(store.key("r", remove([1, 3]), 0)).predicted.tolist() == [1, 2]


def test_each_model_counts_once_in_the_out_of_subset_sums(store, put):
    probabilities = np.array([[0.25, 0.75], [1, 0]])
    assert put(store, out_of_subset=probabilities) and not put(store, out_of_subset=probabilities)
    assert put(store, remove([0, 3]), out_of_subset=np.array([[0.5, 0.5], [0.5, 0.5]]))
    assert put(store, remove([5]), seed=1, out_of_subset=np.array([[0, 1]]))
    assert put(store, remove([2]), recipe="other", out_of_subset=np.array([[0, 1]]))
    sums, counts = store.out_of_subset("r")
    assert counts.tolist() == [1, 1, 0, 2, 0, 1]
    assert sums.tolist() == [[0.5, 0.5], [0.25, 0.75], [0, 0], [1.5, 0.5], [0, 0], [0, 1]]
    assert store.out_of_subset("nobody") is None


def test_median_seconds_of_small_edits(store, put):
    assert store.median_seconds("r") is None
    for seed, seconds in enumerate((1, 2, 9)):
        put(store, remove([1]), seed, predicted=[0], margins=[0], seconds=seconds)
    put(store, remove(range(600)), predicted=[0], margins=[0], seconds=100)
    assert store.median_seconds("r") == (2, 3)


def test_what_came_in_since(store, put):
    assert store.last_retraining_number() == 0 and store.retrained_since(0) == (set(), 0)
    put(store)
    place = store.last_retraining_number()
    assert place and store.retrained_since(place) == (set(), place)
    put(store, seed=1)
    keys, place = store.retrained_since(place)
    assert keys == {store.key("r", remove([1, 3]), 1)} and place == store.last_retraining_number()


def test_supports(store):
    store.put_support("r", "trak-10", 4, "remove", "default", 128, {"status": "flipped", "support": 7, "trace": []})
    store.put_support("r", "trak-10", 4, "remove", "default", 128, {"status": "flipped", "support": 8, "trace": []})
    (row,) = store.supports("r")
    assert row["support"] == 8 and row["ranking"] == "trak-10" and row["k_max"] == 128
    assert store.supports("q") == []


def test_answers_are_kept_by_their_question(store):
    store.put_answer("r", {"verb": "prune", "seeds": [0, 1]}, {"a": 1})
    store.put_answer("r", {"seeds": [0], "verb": "prune"}, {"a": 2})
    store.put_answer("r", {"verb": "prune", "seeds": [0]}, {"a": 3})  # the same question in another order
    store.put_answer("other", {"verb": "support"}, {"a": 4})
    assert store.answer("r", {"verb": "prune", "seeds": [0]})["a"] == 3 and store.answer("r", {"verb": "x"}) is None
    assert [answer["a"] for _, answer in store.answers("r", "prune")] == [1, 3] and store.answers("r", "support") == []
    assert store.supports("r") == []


# -- checksums

#: a column of each table with checksums, and what it may be changed into by a disk, a copy or a hand
CHANGES = [
    ("retrainings", "predicted", "x'0102'"),
    ("retrainings", "margins", "x'00'"),
    ("retrainings", "margins", "NULL"),
    ("retrainings", "seconds", "99.5"),
    ("retrainings", "edit", "'another'"),
    ("retrainings", "crc", "NULL"),
    ("retrainings", "device", "CAST(x'63ff' AS TEXT)"),
    ("supports", "body", "CAST(x'7bff7d' AS TEXT)"),
    ("supports", "body", "replace(body, '7', '8')"),
    ("supports", "target", "5"),
    ("answers", "body", "'{'"),
    ("answers", "question", "replace(question, '3', '4')"),
    ("out_of_subset", "sums", "zeroblob(64)"),
]


@pytest.mark.parametrize("table, column, value", CHANGES)
def test_a_row_that_was_changed_is_put_aside(store, put, table, column, value):
    put(store, predicted=(3, 3), out_of_subset=np.array([[0.5, 0.5], [1, 0]]))
    store.put_support("r", "trak-10", 4, "remove", "default", 128, {"status": "flipped", "support": 7})
    store.put_answer("r", {"verb": "halves", "n": 3}, {"value": 1})

    def served():
        return [
            store.get(store.key("r", remove([1, 3]), 0)) is not None,
            len(store.supports("r")) == 1,
            len(store.answers("r", "halves")) == 1,
            store.out_of_subset("r") is not None,
        ]

    assert served() == [True] * 4
    store.db.execute(f"UPDATE {table} SET {column} = {value}")
    at = ["retrainings", "supports", "answers", "out_of_subset"].index(table)
    assert served() == [i != at for i in range(4)]
    assert store.count_damaged() == 1 and not store.db.execute(f"SELECT * FROM {table}").fetchall()


def test_what_was_damaged_is_trained_again_and_counts_once(store, put):
    probabilities = np.array([[0.25, 0.75], [1, 0]])
    put(store, out_of_subset=probabilities)
    store.db.execute("UPDATE retrainings SET predicted = x'0000'")
    key = store.key("r", remove([1, 3]), 0)
    assert store.get(key) is None
    assert put(store, out_of_subset=probabilities) and store.get(key).predicted.tolist() == [1, 2]
    assert store.out_of_subset("r")[1].tolist() == [0, 1, 0, 1]


def test_numbers_of_numpy_are_kept_as_numbers(store, put):
    put(store, seed=3, seconds=np.float64(2), threads=1)
    store.put_support("r", "trak-10", np.int64(4), "remove", "default", 128, {"support": 7})
    assert store.get(store.key("r", remove([1, 3]), 3)).seconds == 2 and store.supports("r")[0]["target"] == 4


def test_a_checksum_tells_kinds_and_borders_apart():
    rows = [("ab", "c"), ("a", "bc"), (b"ab", "c"), ("abc",), (None, "abc"), ("", "abc"), (1, "2"), ("1", 2), (0, None)]
    assert len({row_crc(*row) for row in rows}) == len(rows)
    assert row_crc(1) == row_crc(1.0)


def test_what_cannot_be_remembered_is_no_error(store):
    """On a full disk; SQLite may not grow."""
    store.db.execute("CREATE TABLE filler (body BLOB)")
    store.db.execute(f"PRAGMA max_page_count = {store.db.execute('PRAGMA page_count').fetchone()[0]}")
    store.remember_file("x" * 10_000, "state", "digest")
    store.set_identity("x" * 10_000, "value")
    assert store.read_file("x" * 10_000, "state") is None and store.identity("x" * 10_000) is None


def test_questions_of_a_verb_are_found_without_their_answers(store):
    store.put_answer("r", {"verb": "unrolled", "target": 4}, {"scores": "x" * 1000})
    store.put_answer("r", {"verb": "worth", "said": "of unrolled"}, {"n": 1})
    store.put_answer("other", {"verb": "unrolled", "target": 5}, {})
    (found,) = store.answered_questions("r", "unrolled")
    assert found[0] == {"verb": "unrolled", "target": 4} and found[1] > 0
    assert [answer["n"] for _, answer in store.answers("r", "worth")] == [1]
    store.db.execute("UPDATE answers SET question = substr(question, 1, 30) WHERE recipe = 'r'")  # damaged
    assert store.answered_questions("r", "unrolled") == []
