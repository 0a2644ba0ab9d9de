"""Pruning on a simulated trainer: what is dropped, beside what, and what the curves say."""

import json

import numpy as np
import pytest

from attribution import UserError
from attribution.experiments import pruning
from attribution.experiments.pruning import pruning_spec
from attribution.training.edits import no_edit
from attribution.workspace import validation_split
from tests.unit.experiments.test_jobs import drive


def test_nothing_is_chosen_on_what_it_is_judged_by(ws):
    first, second = validation_split.validation_halves(ws)
    assert len(first) == len(second) == 6 and sorted([*first, *second]) == list(range(12))


def test_the_influence_of_a_signed_ranking_is_its_mean_absolute_score(ws):
    found = pruning.training_influence(ws, ws.ranking("trak-10"))
    scores = np.load(ws.path / "rankings" / "trak-10" / "scores.npy").astype(float)
    assert np.allclose(found, np.abs(scores[validation_split.validation_halves(ws)[0]]).mean(0))
    assert pruning_spec(ws, "trak-10", [10]).edits(ws)[0].indices == tuple(range(54, 60))


def test_what_is_not_scored_has_no_influence(ws):
    file = ws.path / "rankings" / "trak-10" / "scores.npy"
    scores = np.load(file)
    scores[:, :3] = np.nan
    np.save(file, scores)
    assert pruning_spec(ws, "trak-10", [5]).edits(ws)[0].indices == (0, 1, 2)


@pytest.mark.parametrize("name", ["l2-moco", "esvm-moco", "random"])
def test_the_influence_of_a_similarity_is_the_mean_place_among_its_class(ws, name):
    ranking = ws.ranking(name)
    found = pruning.training_influence(ws, ranking)
    places = np.zeros((60, 0)).tolist()
    for target in validation_split.validation_halves(ws)[0]:
        ids = ranking.top(int(target), 60).ids.tolist()
        for at, image in enumerate(ids):
            places[image].append(1 - at / (len(ids) - 1))
    assert np.allclose(found, [np.mean(one) if one else 0 for one in places])


def test_of_a_list_the_images_it_holds(ws):
    class Listed:
        signed, complete, targets = False, False, np.arange(12)

        def top(self, target, k):
            return type("Ranked", (), {"ids": np.array([5, 7, 9])})

    found = pruning.training_influence(ws, Listed())
    assert found[[5, 7, 9]].tolist() == [1, 0.5, 0] and found.sum() == 1.5


def test_ties_are_dropped_in_an_order_of_their_own_that_does_not_change(ws):
    file = ws.path / "rankings" / "trak-10" / "scores.npy"
    np.save(file, np.zeros((12, 60), np.float16))
    spec = pruning_spec(ws, "trak-10", [20, 50])
    one, two = spec.edits(ws)
    assert spec.edits(ws) == [one, two] and set(one.indices) < set(two.indices) and one.k == 12
    assert one.indices != tuple(range(12))


def test_every_share_stands_beside_random_images_of_its_classes(ws):
    spec = pruning_spec(ws, "trak-10", [50, 20, 20], range(3))
    assert spec["shares"] == [20, 50]
    wanted = list(spec.trainings(ws))
    assert len(wanted) + 1 == spec.total == 1 + 3 * 5 and [edit for edit, _ in wanted[:3]] == [no_edit()] * 3
    pruned, random = wanted[3:6], wanted[6:9]
    assert len({edit for edit, _ in pruned}) == 1 and len({edit for edit, _ in random}) == 3, "a draw a seed"
    assert [seed for _, seed in pruned] == [seed for _, seed in random] == [0, 1, 2]
    counts = {tuple(np.bincount(ws.train_labels[list(edit.indices)], minlength=3)) for edit, _ in (*pruned, *random)}
    assert len(counts) == 1 and sum(counts.pop()) == 12


def test_the_curves(ws, store):
    """Without the chosen 20 % all is read right, without the 50 % under seeds 0 and 1; without random ones none."""
    spec = pruning_spec(ws, "trak-10", [20, 50], range(3))
    chosen = spec.edits(ws)

    def right(edit, seed):
        return edit.k == 0 or edit == chosen[0] or edit == chosen[1] and seed < 2

    assert spec.answer(ws, store) is None
    drive(ws, store, spec, lambda edit, seed: ws.val_labels if right(edit, seed) else 9)
    found = json.loads(json.dumps(spec.answer(ws, store)))
    assert found["full"] == {"values": [1.0, 1.0, 1.0], "mean": 1.0, "ci": [1.0, 1.0]} and found["targets"] == 6
    small, large = found["shares"]
    assert (small["share"], small["k"], large["share"], large["k"]) == (20, 12, 50, 30)
    assert small["pruned"]["mean"] == 1 and small["random"]["mean"] == 0 and small["difference"]["mean"] == 1
    assert large["pruned"]["values"] == [1.0, 1.0, 0.0] == large["difference"]["values"]
    half = 4.302653 * np.std([1, 1, 0], ddof=1) / np.sqrt(3)  # t of 2 degrees of freedom at 97.5 %
    assert np.allclose(large["pruned"]["ci"], [2 / 3 - half, 2 / 3 + half], atol=1e-5)
    assert drive(ws, store, spec, lambda edit, seed: 9)[3:6] != [] and spec.answer(ws, store)["shares"] == [
        small,
        large,
    ], "what is known stays as it was"


def test_one_seed_has_no_interval(ws, store):
    spec = pruning_spec(ws, "l2-moco", [30], [0])
    drive(ws, store, spec)
    assert spec.answer(ws, store)["shares"][0]["pruned"]["ci"] is None


def test_another_version_of_the_ranking_another_answer(ws, store):
    spec = pruning_spec(ws, "trak-10", [30], [0])
    drive(ws, store, spec)
    about = ws.manifest["parts"]["rankings/trak-10"]
    ws.record_part("rankings/trak-10", about, ["rankings/trak-10/scores.npy"])
    assert spec.answer(ws, store) is None


@pytest.mark.parametrize(
    ("asked", "match"),
    [
        ({"ranking": "trak"}, "no ranking 'trak'"),
        ({"shares": []}, "at least one share"),
        ({"shares": [0]}, "a share of 0 %"),
        ({"shares": [20, 100]}, "a share of 100 %"),
        ({"seeds": []}, "one seed"),
        ({"recipe": "vgg"}, "no recipe 'vgg'"),
    ],
)
def test_what_is_refused(ws, asked, match):
    with pytest.raises(UserError, match=match):
        pruning_spec(ws, **{"ranking": "trak-10"} | asked)


def test_the_ends_of_a_list_do_not_say_what_is_between_them(ws, monkeypatch):
    monkeypatch.setattr(type(ws.ranking("trak-10")), "complete", property(lambda self: False))
    with pytest.raises(UserError, match="import it again with --dense"):
        pruning_spec(ws, "trak-10")
