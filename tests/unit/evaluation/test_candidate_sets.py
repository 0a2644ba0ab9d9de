"""Sets of candidates, on cases worked out by hand."""

import json
import sys

import numpy as np
import pytest

from attribution import UserError, Workspace
from attribution import __main__ as cli
from attribution.evaluation import candidate_sets
from attribution.files import write_json
from tests import tiny


def give_halves(ws, seed: int = 0) -> np.ndarray:
    """12 held-out halves of the tiny workspace, 2 seeds each; the margins rise with the images of class 0 in a half.
    Returns the masks."""
    rng = np.random.default_rng(seed)
    masks = np.stack(
        [np.isin(np.arange(tiny.TRAIN), rng.permutation(tiny.TRAIN)[: tiny.TRAIN // 2]) for _ in range(12)]
    )
    margins = np.repeat(masks[:, ws.train_labels == 0].sum(1)[:, None, None], 2, 1).repeat(tiny.VAL, 2) / 10
    (ws.path / "lds").mkdir(exist_ok=True)
    np.save(ws.path / "lds" / "masks.npy", np.packbits(masks, axis=1))
    np.save(ws.path / "lds" / "margins.npy", margins.astype(np.float16))
    ws.record_part(
        "lds",
        {"alpha": 0.5, "masks": 12, "seeds": [0, 1], "recipe": "demo-cnn", "hash": "x"},
        ["lds/masks.npy", "lds/margins.npy"],
    )
    return masks


@pytest.fixture(autouse=True)
def halves(ws):
    give_halves(ws)


def test_candidates_of_a_pair_are_two_classes(ws):
    ranking, labels = ws.ranking("trak-10"), ws.train_labels
    assert ws.base.confused_class[1] == 2  # every model reads target 1, a Box, as a Dot
    pair = ranking.candidates(1, "pair")
    assert pair.tolist() == np.flatnonzero(np.isin(labels, [1, 2])).tolist()
    assert set(ranking.candidates(1, "true")) < set(pair) < set(ranking.candidates(1, "all"))


def test_scores_outside_the_candidates_are_zero(ws):
    trak, l2, labels = ws.ranking("trak-10"), ws.ranking("l2-moco"), ws.train_labels
    dense = trak.scores(0, "true")
    assert not dense[labels != 0].any()
    assert dense[labels == 0].tolist() == trak.score_row(0)[labels == 0].tolist()
    assert trak.scores(0).tolist() == trak.scores(0, "all").tolist() == trak.score_row(0).tolist()
    assert l2.scores(0).tolist() == l2.scores(0, "true").tolist()  # as published
    every = l2.scores(0, "all")
    assert every.min() == 0 and np.count_nonzero(every) == tiny.TRAIN - 1  # from the least similar candidate


def test_exemplar_svm_on_many_targets_is_the_one_on_each(ws):
    ranking = ws.ranking("esvm-moco")
    for which in candidate_sets.CANDIDATE_SETS:
        together = np.array(list(ranking.all_scores(which)))
        one_by_one = np.array([ranking.scores(target, which) for target in range(tiny.VAL)])
        np.testing.assert_allclose(together, one_by_one, atol=2e-2 * np.abs(one_by_one).max())


def test_what_margins_count_is_found_by_the_candidates_that_matter(ws):
    """Margins are the number of class-0 images in a half: scores of 1 for the true class predict them for the targets
    of class 0 exactly, and scores of 1 for all images predict nothing."""
    np.save(ws.path / "rankings" / "trak-10" / "scores.npy", np.ones((tiny.VAL, tiny.TRAIN), np.float16))
    answer = candidate_sets.compute(ws, ["trak-10"], k=5, resamples=0)
    sets = answer["rankings"]["trak-10"]["sets"]
    assert answer["rankings"]["trak-10"]["published"] == "all" and answer["masks"] == 12 and answer["seeds"] == 2
    assert sets["all"]["lds"] == 0 and sets["all"]["n_constant"] == tiny.VAL
    assert sets["true"]["n_targets"] == tiny.VAL and sets["true"]["same_class"]["mean"] == 1
    counts = np.unpackbits(np.load(ws.path / "lds" / "masks.npy"), axis=1, count=tiny.TRAIN)
    from scipy.stats import spearmanr

    inside = [counts[:, ws.train_labels == label].sum(1) for label in range(3)]
    expected = np.mean([spearmanr(inside[label], inside[0]).statistic for label in ws.val_labels])
    assert sets["true"]["lds"] == pytest.approx(expected)


def test_the_share_of_the_target_s_class_by_hand(ws):
    shares = {
        which: candidate_sets.same_class_share(ws.ranking("l2-moco"), 30, which)[0]
        for which in candidate_sets.CANDIDATE_SETS
    }
    members = int((ws.train_labels == 0).sum())  # 19: one of 20 carries a planted label
    assert shares["true"] == 1
    assert shares["pair"] == pytest.approx(members / 30) and shares["all"] == pytest.approx(members / 30)


def test_mistakes_are_told(ws):
    with pytest.raises(UserError, match="no ranking 'none'"):
        candidate_sets.compute(ws, ["none"])
    with pytest.raises(UserError, match="k = 0"):
        candidate_sets.compute(ws, ["trak-10"], k=0)
    ws.manifest["parts"].pop("lds")
    with pytest.raises(UserError, match="halves train"):
        candidate_sets.compute(ws, ["trak-10"])


def test_what_is_kept_holds_while_its_ground_does(ws):
    answer = candidate_sets.compute(ws, candidate_sets.default_names(ws), k=5, resamples=20)
    assert list(answer["rankings"]) == ["esvm-moco", "trak-10", "random"]
    assert candidate_sets.load(ws) is None
    candidate_sets.save(ws, answer, {"command": "x"})
    assert candidate_sets.load(ws)["rankings"].keys() == answer["rankings"].keys()
    digest = ws.manifest["parts"]["rankings/trak-10"].get("digest")
    ws.manifest["parts"]["rankings/trak-10"]["digest"] = "another"
    assert candidate_sets.load(ws) is None
    ws.manifest["parts"]["rankings/trak-10"]["digest"] = digest
    assert candidate_sets.load(ws)
    give_halves(ws, seed=1)
    assert candidate_sets.load(ws) is None


def test_a_kept_file_that_is_no_json_is_told(ws):
    candidate_sets.save(ws, candidate_sets.compute(ws, ["trak-10"], k=5, resamples=0), {})
    (ws.path / candidate_sets.PART / candidate_sets.STORED.file).write_text("{")
    with pytest.raises(UserError, match="measure again"):
        candidate_sets.load(ws)
    write_json(ws.path / candidate_sets.PART / candidate_sets.STORED.file, {"k": 1})
    assert candidate_sets.load(ws) == {"k": 1}


def test_from_the_command_line(ws, monkeypatch, capfd):
    monkeypatch.setattr(
        sys,
        "argv",
        [
            "attribution",
            "evaluate",
            "conditioning",
            "--workspace",
            str(ws.path),
            "--rankings",
            "trak-10",
            "--k",
            "5",
            "--json",
        ],
    )
    with pytest.raises(SystemExit) as end:
        cli.main()
    answer = json.loads(capfd.readouterr().out)
    assert not end.value.code and list(answer["rankings"]["trak-10"]["sets"]) == list(candidate_sets.CANDIDATE_SETS)
    assert answer.pop("supports") == {}, "its study has trak-10 as published alone"
    assert candidate_sets.load(Workspace.open(ws.path)) == answer


def test_nothing_to_compare_and_a_set_of_a_set_are_refused(ws):
    with pytest.raises(UserError, match="no ranking was named"):
        candidate_sets.compute(ws, [])
    with pytest.raises(UserError, match="says its candidates already"):
        candidate_sets.compute(ws, ["trak-10@true"])
    with pytest.raises(UserError, match="no ranking 'trak-10@true@all'"):
        ws.ranking("trak-10@true@all")
