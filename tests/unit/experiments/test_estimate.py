"""What a job is said to cost, beside what jobs took."""

import numpy as np

from attribution.experiments import estimate, retrain
from attribution.store.results import ResultStore


def spec(view, target=3):
    return retrain.retrain_spec(view, target, "trak-10", "remove", 4)


def test_under_a_head_what_stands_beside_the_refits_is_measured(ws):
    view = ws.with_model("head-moco")
    with ResultStore.for_workspace(ws) as store:
        first = spec(view).cost(view, store)
        assert first.start == estimate.START_SECONDS and first.seconds > first.start
        for seconds in (3.0, 7.0, 4.0):
            number = store.add_job(spec(view), "")
            store.start_job(number, 5)
            store.finish_job(number, "done")
            started = "UPDATE jobs SET started = 100, finished = ? WHERE id = ?"
            store.db.execute(started, (100 + seconds, number))
        cost = spec(view).cost(view, store)
        rounds = -(-5 // cost.workers)
        assert np.isclose(cost.start, 4 - rounds * cost.each)
        all_known = estimate.JobCost(5, 5, 5, 0.1, 1, start=4.0)
        assert all_known.seconds == 0


def test_under_a_network_it_vanishes_beside_the_trainings(ws):
    with ResultStore.for_workspace(ws) as store:
        assert spec(ws).cost(ws, store).start == 0
