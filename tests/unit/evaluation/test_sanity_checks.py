"""Untrained networks and planted duplicates, on cases worked out by hand."""

import json
import sys

import numpy as np
import pytest

from attribution import UserError, Workspace
from attribution import __main__ as cli
from attribution.builds import base_models
from attribution.evaluation import sanity_checks
from tests.unit.evaluation.test_candidate_sets import give_halves

PLANTED = [(0, 6, 0), (3, 9, 2), (1, 4, 1), (6, 0, 4), (9, 12, 8)]  # (target, image, copies)


def test_what_is_planted_helps_the_target_most_and_is_planted_once(ws):
    scores = np.random.default_rng(0).normal(size=(12, 60))
    planted = sanity_checks.draw_copies(ws, scores, 2)
    assert [count for *_, count in planted] == [*sanity_checks.COPY_COUNTS] * 2
    assert len({image for _, image, _ in planted}) == 10
    for target, image, _ in planted:
        pool = ws.train_labels == ws.val_labels[target]
        assert pool[image] and scores[target][image] == scores[target][pool].max()
    with pytest.raises(UserError, match="15 targets with different images"):
        sanity_checks.draw_copies(ws, scores, 3)


def test_the_copies_come_last_with_their_labels_and_features(ws):
    larger = sanity_checks.enlarged_workspace(ws, PLANTED, "moco")
    copies = [9] * 2 + [4] + [0] * 4 + [12] * 8
    assert larger.copy_of.tolist() == copies and larger.n_train == 75
    assert larger.train_labels[60:].tolist() == ws.train_labels[copies].tolist()
    np.testing.assert_array_equal(larger.train_images[60:], ws.train_images[copies])
    np.testing.assert_array_equal(larger.feature("moco").train[60:], ws.feature("moco").train[copies])
    np.testing.assert_array_equal(larger.train_images[:60], ws.train_images)


def test_dilution_by_hand(ws):
    larger = sanity_checks.enlarged_workspace(ws, PLANTED, "moco")
    then, now = np.full(60, 1.0), np.full(75, 0.1)
    then[[6, 9, 4]] = 2, 4, 8
    now[[6, 9, 60, 61, 4, 62]] = 1, 3, 3, 3, 0, 0
    found = sanity_checks.measure_dilution(larger, PLANTED, lambda target: then, lambda target: now)
    assert [found["0"][name]["mean"] for name in ("one", "sum", "places")] == [0.5, 0.5, 1]
    assert [found["2"][name]["mean"] for name in ("one", "sum", "places")] == [0.75, 2.25, 3]
    assert [found["1"][name]["mean"] for name in ("one", "sum", "places")] == [0, 0, 0]


def test_copies_of_an_l2_ranking_score_as_one_and_stand_together(ws):
    larger = sanity_checks.enlarged_workspace(ws, [(0, 6, 2)], "moco")
    before, after = ws.ranking("l2-moco").scores, sanity_checks.METHODS["l2"](larger, "moco").scores
    found = sanity_checks.measure_dilution(larger, [(0, 6, 2)], before, after)["2"]
    assert found["one"]["mean"] == pytest.approx(1) and found["sum"]["mean"] == pytest.approx(3)


def test_orders_that_are_one_and_orders_that_are_opposite(ws):
    give_halves(ws)
    up = np.tile(np.arange(60.0), (12, 1))
    found = sanity_checks.compare_untrained(
        ws, {"trained": up, "untrained": -up, "other": up + 1}, ["l2-moco"], resamples=0
    )
    assert found["targets"] == 12 and found["chance"] == 0.2  # 20 of 60, twice: 20 / (40 - 20) at best
    assert found["pairs"]["untrained"]["spearman"]["mean"] == -1 and found["pairs"]["untrained"]["jaccard"]["mean"] == 0
    assert found["pairs"]["unrelated"]["spearman"]["mean"] == -1
    for name in ("other", "l2-moco"):
        assert found["pairs"][name]["spearman"]["mean"] == pytest.approx(1)
        assert found["pairs"][name]["jaccard"]["mean"] == 1
    assert found["lds"]["untrained"]["lds"] == pytest.approx(-found["lds"]["trained"]["lds"]) and found["ceiling"]
    ws.manifest["parts"].pop("lds")
    assert sanity_checks.compare_untrained(ws, {"trained": up, "untrained": up}, [])["lds"] is None


def test_the_whole_from_the_command_line(ws, monkeypatch, capfd):
    from attribution.training import recipes
    from attribution.training.trainer import Trainer

    trainer = Trainer(ws, recipes.get_recipe("demo-cnn"))
    weights = np.stack([base_models.flatten_weights(trainer.run(seed=seed).network) for seed in (1, 2)])
    np.save(ws.path / "base" / "weights.npy", weights)
    ws.record_part("base", {"seeds": [1, 2]}, ["base/probabilities.npy", "base/weights.npy"])
    words = [
        "attribution",
        "evaluate",
        "sanity",
        "--workspace",
        str(ws.path),
        "--checkpoints",
        "1",
        "--dim",
        "16",
        "--targets",
        "1",
    ]
    monkeypatch.setattr(sys, "argv", [*words, "--json"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    answer = json.loads(capfd.readouterr().out)
    assert (
        not end.value.code and answer["copies"] == 15 and list(answer["duplicates"]) == ["TRAK", "esvm-moco", "l2-moco"]
    )
    assert set(answer["untrained"]["pairs"]) == {"untrained", "other", "unrelated", "esvm-moco", "l2-moco"}
    assert answer["untrained"]["pairs"]["esvm-moco"]["jaccard"]["mean"] == 1
    again = Workspace.open(ws.path)
    assert sanity_checks.load(again) == answer
    again.manifest["parts"]["base"]["digest"] = "another"
    assert sanity_checks.load(again) is None


def test_mistakes_are_told(ws):
    with pytest.raises(UserError, match="11 checkpoints"):
        ws.manifest["parts"]["base"] = {"seeds": list(range(10))}
        sanity_checks.compute(ws, 11)
    for each in (0, -2, 3):  # before anything is computed
        with pytest.raises(UserError, match=f"^{each} targets .* give 1 to 2$"):
            sanity_checks.compute(ws, targets_per_count=each)
    with pytest.raises(UserError, match="0 dimensions"):
        sanity_checks.compute(ws, dim=0, targets_per_count=1)
    ws.manifest["parts"].pop("features/moco")
    with pytest.raises(UserError, match="features train"):
        sanity_checks.compute(ws)


def test_a_class_without_training_images_gets_no_copies(ws, monkeypatch):
    labels = np.where(ws.train_labels == 1, 0, ws.train_labels)
    monkeypatch.setattr(Workspace, "train_labels", labels)
    planted = sanity_checks.draw_copies(ws, np.random.default_rng(0).normal(size=(12, 60)), 1)
    assert all(ws.val_labels[target] != 1 for target, *_ in planted)
