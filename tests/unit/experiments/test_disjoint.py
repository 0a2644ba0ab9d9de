"""Disjoint supports on a simulated trainer: the target flips without all of one of two sets of images."""

import pytest

from attribution import UserError
from attribution.experiments import support_table
from attribution.experiments.disjoint import disjoint_spec
from attribution.experiments.support import support_spec
from attribution.training import recipes
from tests.unit.experiments.test_jobs import drive


@pytest.fixture(autouse=True)
def without_supports(ws):
    (ws.path / "supports.parquet").unlink()


@pytest.fixture
def flips(ws):
    """Target 0, a Bar (0), is read as a Dot (2) without the ranking's images 1 to 3, or without its 5th and 6th."""
    first = ws.ranking("trak-10").top(0, 6).ids.tolist()
    sets = set(first[:3]), set(first[4:6])
    return lambda edit, seed: 2 if any(one <= set(edit.indices) for one in sets) else 0


def ask(ws, **more):
    return disjoint_spec(ws, **{"target": 0, "ranking": "trak-10", "kind": "remove", "k_max": 12} | more)


def test_each_search_passes_over_the_images_of_those_before(ws, store, flips):
    spec = ask(ws)
    asked = drive(ws, store, spec, flips)
    found = spec.answer(ws, store)
    order = ws.ranking("trak-10").top(0, 12).ids.tolist()
    first, second, third = found["supports"]
    # of the second, the ranking's 4th image stands before those that matter
    assert (first["support"], second["support"], third["status"]) == (3, 3, "censored") and found["complete"]
    assert "without" not in first and second["without"] == sorted(order[:3]) and third["without"] == sorted(order[:6])
    assert third["lo"] == 12, "K images again, beyond those that are passed over"
    assert found["trainings"] == len(asked) and spec.total == 1
    assert all(not set(order[:3]) <= set(edit.indices) for edit, _ in asked[first["trainings"] :])


def test_no_more_than_asked_for(ws, store, flips):
    spec = ask(ws, count=2)
    drive(ws, store, spec, flips)
    assert len(spec.answer(ws, store)["supports"]) == 2


def test_the_plain_answer_is_used_and_no_other_is_mixed_with_it(ws, store, flips):
    drive(ws, store, support_spec(ws, 0, "trak-10", "remove", k_max=12), flips)
    table = support_table.load_support_table(ws, store)
    spec = ask(ws)
    begun = spec.answer(ws, store)
    assert [one["support"] for one in begun["supports"]] == [3] and not begun["complete"]
    drive(ws, store, spec, flips)
    assert (
        support_table.load_support_table(ws, store).to_dict("records") == table.to_dict("records") and len(table) == 1
    )
    assert drive(ws, store, spec, flips) == [], "asked again, it costs nothing"


def test_answers_for_another_version_of_the_ranking_are_not_used(ws, store, flips):
    spec = ask(ws)
    drive(ws, store, spec, flips)
    hash_ = recipes.get_recipe("demo-cnn").hash
    ((question, answer), _) = store.answers(hash_, "support")
    store.put_answer(hash_, question, answer | {"version": "other"})
    assert [one["support"] for one in spec.answer(ws, store)["supports"]] == [3]


def test_a_target_that_is_wrong_already_has_none(ws, store):
    spec = ask(ws, target=1)
    drive(ws, store, spec)
    assert [one["status"] for one in spec.answer(ws, store)["supports"]] == ["already_wrong"]


@pytest.mark.parametrize("count", [1, 4, 0])
def test_how_many(ws, count):
    with pytest.raises(UserError, match="disjoint supports are 2 to 3"):
        ask(ws, count=count)


def test_what_is_left_of_the_chain_costs(ws, store, flips):
    """At most: the search under way and those after it; nothing once it is done."""
    whole = ask(ws).cost(ws, store)
    one = (support_spec(ws, 0, "trak-10", "remove", k_max=12)).cost(ws, store)
    assert (whole.min_trainings, whole.max_trainings, whole.known) == (one.min_trainings, 3 * one.max_trainings, 0)
    drive(ws, store, support_spec(ws, 0, "trak-10", "remove", k_max=12), flips)
    assert ask(ws).cost(ws, store).max_trainings == 2 * one.max_trainings
    drive(ws, store, ask(ws), flips)
    assert ask(ws).cost(ws, store).max_trainings == 0
