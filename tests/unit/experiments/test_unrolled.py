"""The job that computes Unrolled of a target: what it asks, what is known, and what it costs."""

import numpy as np
import pytest

from attribution import UserError
from attribution.experiments import registry
from attribution.experiments.unrolled import UnrolledSpec, unrolled_spec
from attribution.rankings.unrolled import on_demand


def known(ws, store, target, seed, seconds=10.0, first=0):
    scores = np.zeros(60)
    scores[first : first + 20] = np.arange(20, 0, -1)
    spec = unrolled_spec(ws, target, 1)
    spec = UnrolledSpec(**{**{name: spec[name] for name in spec if name != "verb"}, "seeds": [seed]})
    spec.keep(store, {**on_demand.pack(scores), "seconds": seconds})


def test_a_spec_says_what_it_asks_and_survives_the_queue(ws):
    spec = unrolled_spec(ws, 4, 2)
    assert spec.describe() == "target 4: unrolled-exact by 2 models" and spec.total == 2
    assert unrolled_spec(ws, 4, 1).describe() == "target 4: unrolled-exact by 1 model"
    assert dict(registry.from_json(dict(spec))) == dict(spec)
    assert spec.question() == {"verb": "unrolled", "target": 4, "seeds": [300, 301], "epochs": 3, "windows": 3}


@pytest.mark.parametrize("models", [0, 21, "many"])
def test_a_number_of_models_out_of_range_is_refused(ws, models):
    with pytest.raises(UserError, match="models"):
        unrolled_spec(ws, 4, models)
    with pytest.raises(UserError, match="99 is out of range"):
        unrolled_spec(ws, 99, 1)


def test_under_a_head_it_is_refused(ws):
    with pytest.raises(UserError, match="it is the row influence-moco"):
        unrolled_spec(ws.with_model("head-moco"), 4, 1)


def test_only_what_is_not_known_is_asked_of_a_worker(ws, store):
    known(ws, store, 4, 300)
    asked = [list(search) for search in unrolled_spec(ws, 4, 3).searches(ws, store)]
    assert asked[0] == []
    assert [[part["seeds"] for part in parts] for (parts,) in asked[1:]] == [[[301]], [[302]]]
    other = [list(search) for search in unrolled_spec(ws, 5, 1).searches(ws, store)]
    assert other[0][0][0]["target"] == 5


def test_the_cost_goes_by_what_models_took_here(ws, store):
    before = unrolled_spec(ws, 4, 2).cost(ws, store)
    assert before.known == 0 and before.max_trainings == 2
    assert before.each == 5 * (1 + 6 * 0.5)  # nothing was trained here: a guess, with half of the epochs gone back over
    known(ws, store, 4, 300, seconds=10)
    known(ws, store, 5, 300, seconds=30)
    cost = unrolled_spec(ws, 4, 2).cost(ws, store)
    assert cost.known == 1 and cost.each == 20 and cost.seconds == 25  # with the start of a worker
    known(ws, store, 4, 301)
    assert unrolled_spec(ws, 4, 2).cost(ws, store).seconds == 0


def test_the_answer_says_how_many_there_are_and_how_stable(ws, store):
    spec = unrolled_spec(ws, 4, 2)
    assert spec.answer(ws, store) is None
    known(ws, store, 4, 300)
    answer = spec.answer(ws, store)
    assert (answer["models"], answer["of"], answer["complete"], answer["shared"]) == (1, 2, False, None)
    known(ws, store, 4, 301, first=7)
    answer = spec.answer(ws, store)
    assert (answer["models"], answer["complete"], answer["first"], answer["shared"]) == (2, True, 20, 13)
