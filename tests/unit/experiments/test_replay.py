"""A support search seen from outside, with a store that is filled by hand."""

import numpy as np

from attribution.experiments import prefixes
from attribution.experiments.estimate import DEFAULT_SECONDS, JobCost, default_workers
from attribution.experiments.prefixes import build_edit
from attribution.experiments.replay import SearchReplay, replay_search
from attribution.experiments.retrain import retrain_spec
from attribution.experiments.study import study_spec
from attribution.experiments.support import support_spec
from attribution.training import recipes
from attribution.training.edits import no_edit


def train(ws, store, edit, seed, predicted):
    store.put(
        recipes.get_recipe(ws.recipe).hash,
        edit,
        seed,
        predicted=np.full(ws.n_val, predicted),
        margins=np.full(ws.n_val, 0.5),
        seconds=2.0,
        device="cpu",
        library="x",
        threads=1,
    )


def play(ws, store, spec, flips_from):
    """Answers a search to its end: target 0, a Bar (0), is read as a Dot (2) without `flips_from` images or more."""
    while (played := replay_search(ws, store, spec)).answer is None:
        probe = played.probes[-1]
        edit = build_edit(ws, 0, "remove", prefixes.editable_prefix(ws, ws.ranking("trak-10"), 0, "remove", probe["k"]))
        for run in probe["runs"]:
            train(ws, store, edit, run["seed"], 2 if probe["k"] >= flips_from else 0)
    return played


def test_nothing_is_trained_yet(ws, store):
    spec = support_spec(ws, 0, "trak-10", "remove", k_max=8)
    played = replay_search(ws, store, spec)
    assert played.answer is None and played.newest is None and played.trained == 0
    assert [(probe["k"], [run["state"] for run in probe["runs"]]) for probe in played.probes] == [(8, ["queued"] * 3)]


def test_a_search_to_its_end_keeps_nothing_in_the_store(ws, store):
    spec = support_spec(ws, 0, "trak-10", "remove", k_max=8)
    played = play(ws, store, spec, flips_from=3)
    assert (played.answer["status"], played.answer["support"], played.answer["lo"]) == ("flipped", 3, 2)
    assert [(probe["k"], probe["confirm"]) for probe in played.probes] == [
        (8, False),
        (4, False),
        (2, False),
        (3, False),
        (3, True),
        (2, True),
    ]
    assert played.trained == played.answer["trainings"] == 18 and played.newest
    assert store.supports(recipes.get_recipe(ws.recipe).hash) == []
    assert spec.cost(ws, store) == JobCost(18, 18, 18, 2.0, default_workers())


def test_what_a_search_knows_so_far(ws, store):
    spec = support_spec(ws, 0, "trak-10", "remove", k_max=8)
    top = prefixes.editable_prefix(ws, ws.ranking("trak-10"), 0, "remove", 8)
    assert replay_search(ws, store, spec).bracket("default") == (0, None)
    for k, said, known in ((8, 2, (0, 8)), (4, 0, (4, 8)), (6, 2, (4, 6))):
        for seed in (0, 1, 2):
            train(ws, store, build_edit(ws, 0, "remove", top[:k]), seed, said)
        played = replay_search(ws, store, spec)
        assert played.bracket("default") == known and len(played.missing) == 3
    ended = play(ws, store, spec, flips_from=6)
    assert ended.bracket("default") == (5, 6) and ended.missing == set()


def test_of_an_adaptive_search_the_largest_k_alone_is_sure():
    def tried(*ks, **more):
        return SearchReplay([{"k": k, "confirm": False, "runs": []} for k in ks], **more).bracket("adaptive")

    assert tried() == tried(128) == (0, None) and tried(128, 45, 64) == (0, 128)
    assert tried(128, 45, answer={"support": 45, "lo": 38}) == (44, 45)
    assert tried(128, answer={"support": None, "lo": 128}) == (128, None)


def test_a_search_that_survived_its_largest_k(ws, store):
    spec = support_spec(ws, 0, "trak-10", "remove", k_max=8)
    assert play(ws, store, spec, flips_from=99).bracket("default") == (8, None)


def test_what_trains_now_has_its_epoch(ws, store):
    spec = support_spec(ws, 0, "trak-10", "remove", k_max=8)
    edit = build_edit(ws, 0, "remove", prefixes.editable_prefix(ws, ws.ranking("trak-10"), 0, "remove", 8))
    train(ws, store, edit, 0, 2)
    key = store.key(recipes.get_recipe(ws.recipe).hash, edit, 1)
    store.set_live_training(key, job=1, pid=1, epochs=6)
    store.set_live_epoch(key, 2, 8)
    runs = replay_search(ws, store, spec).probes[0]["runs"]
    assert [run["state"] for run in runs] == ["done", "running", "queued"] and runs[1]["epoch"] == 2


def test_cost_counts_each_training_once(ws, store):
    spec = retrain_spec(ws, 0, "trak-10", "remove", 4, seeds=[0, 1], draws=2)
    assert spec.cost(ws, store) == JobCost(8, 8, 0, DEFAULT_SECONDS, default_workers())
    train(ws, store, no_edit(), 1, 0)
    cost = spec.cost(ws, store)
    assert (cost.known, cost.each) == (1, 2.0)
    assert cost.seconds == -(-7 // cost.workers) * 2.0


def test_bounds(ws):
    for k_max, protocol, bounds in ((128, "default", (3, 50)), (128, "paper", (5, 40)), (1, "default", (3, 15))):
        assert support_spec(ws, 0, "trak-10", "remove", protocol, k_max).bounds() == bounds


def test_the_cost_of_a_study_is_judged_by_what_was_done_here(ws, store):
    spec = study_spec(ws, [0, 3], ["trak-10", "random", "l2-moco"], ["remove"], k_max=20)
    cost = spec.cost(ws, store)
    assert (cost.searches, cost.known, cost.measured) == (6, 2, 2), "the workspace brings two, of 5 trainings each"
    assert cost.trainings == 4 * 5 and cost.seconds == cost.trainings / cost.workers * cost.each
    answer = {"status": "censored", "support": None, "lo": 20, "hi": None, "trace": [], "trainings": 11}
    version = ws.ranking("l2-moco").version
    store.put_support(
        recipes.get_recipe(ws.recipe).hash, "l2-moco", 0, "remove", "default", 20, answer | {"version": version}
    )
    cost = spec.cost(ws, store)
    assert (cost.known, cost.trainings) == (3, 5 + 5 + 11)
    guess = study_spec(ws, [3], ["random"], ["mislabel"], k_max=20).cost(ws, store)
    assert (
        guess.trainings == sum(support_spec(ws, 3, "random", "mislabel", k_max=20).bounds()) / 2 and guess.measured == 0
    )
