"""Reach: the look-up in reverse, by hand."""

import json
import sys

import numpy as np
import pytest

from attribution import UserError, Workspace
from attribution import __main__ as cli
from attribution.explore import hubs, influence
from tests import tiny


def score(ws, column, image=7):
    """Lets trak-10 give one training image these scores, and nothing to others."""
    scores = np.zeros((tiny.VAL, tiny.TRAIN), np.float16)
    scores[:, image] = column
    np.save(ws.path / "rankings" / "trak-10" / "scores.npy", scores)
    return Workspace.open(ws.path)


def test_scores_are_sorted_over_targets(ws):
    ws = score(ws, [0, 3, -1, 0, 5, 1, -4, 0, 0, np.nan, 2, 0])
    result = influence.image_influence(ws, 7, "trak-10", n=3)
    assert result.helped.targets.tolist() == [4, 1, 10] and result.helped.scores.tolist() == [5, 3, 2]
    assert result.harmed.targets.tolist() == [6, 2] and result.harmed.scores.tolist() == [-4, -1]
    assert result.n_targets == 12 and result.helped.n_lists is None and result.helped.ranks.tolist() == [0, 0, 0]


def test_ranks_and_lists_come_from_what_is_kept(ws):
    for lists in hubs.compute(ws, ["trak-10"]):
        hubs.save(ws, lists, {})
    # image 7, a Box, is the third Box of all Boxes: 1, 4, 7; and of the last of the harmful images of the others
    result = influence.image_influence(ws, 7, "trak-10", k=3)
    assert result.helped.targets.tolist() == [1, 4, 7, 10] and result.helped.ranks.tolist() == [3, 3, 3, 3]
    assert result.helped.n_lists == 4
    # 1, 4, 7 stand in 4 lists, so do the first three Bars and Dots: none stands in more
    assert result.helped.hub_rank == 1
    assert result.harmed.n_lists == 0 and result.harmed.hub_rank == 1 + int(
        (hubs.load(ws, "trak-10").count_lists(3, "harmful") > 0).sum()
    )


def test_a_similarity_goes_by_rank_and_knows_no_harm(ws):
    assert influence.image_influence(ws, 7, "l2-moco").helped is None  # no lists yet
    for lists in hubs.compute(ws, ["l2-moco"]):
        hubs.save(ws, lists, {})
    result = influence.image_influence(ws, 7, "l2-moco")
    assert result.harmed is None and not result.signed and result.n_targets == 4 and result.helped.scores is None
    ranks = {target: ws.ranking("l2-moco").top(target, 60).ids.tolist().index(7) + 1 for target in (1, 4, 7, 10)}
    assert result.helped.targets.tolist() == sorted(ranks, key=lambda target: (ranks[target], target))
    assert result.helped.ranks.tolist() == sorted(ranks.values())


@pytest.mark.parametrize("name", ["trak-10", "signed-moco"])
def test_a_column_is_what_the_rows_say(ws, name):
    ranking = ws.ranking(name)
    rows = np.array([ranking.values(target, np.arange(tiny.TRAIN)) for target in range(tiny.VAL)])
    for image in (0, 3, 59):
        np.testing.assert_allclose(ranking.image_scores(image), rows[:, image], atol=1e-3)


def test_a_column_of_a_sparse_ranking_and_of_one_of_first_images(ws):
    folder = ws.path / "rankings" / "trak-10"
    (folder / "scores.npy").unlink()
    # target 0: images 2 and 5, target 1: none, target 2: image 5; the rest none
    for name, array in {
        "data": np.float16([1, -2, 3]),
        "columns": np.uint16([2, 5, 5]),
        "starts": np.array([0, 2, 2] + [3] * 10),
    }.items():
        np.save(folder / f"{name}.npy", array)
    assert Workspace.open(ws.path).ranking("trak-10").image_scores(5).tolist() == [-2, 0, 3] + [0] * 9
    for name in ("data", "columns", "starts"):
        (folder / f"{name}.npy").unlink()
    ids = np.full((tiny.VAL, 2, 2), -1, np.int32)
    ids[0], ids[3] = [[5, 1], [9, 8]], [[2, 3], [4, 5]]
    np.save(folder / "ids.npy", ids)
    assert Workspace.open(ws.path).ranking("trak-10").image_scores(5) is None
    np.save(folder / "values.npy", np.where(ids >= 0, ids * np.float32([[[1], [-1]]]), 0).astype(np.float32))
    column = Workspace.open(ws.path).ranking("trak-10").image_scores(5)
    assert column[[0, 3]].tolist() == [5, -5] and np.isnan(np.delete(column, [0, 3])).all()


def test_a_ranking_without_scores_goes_by_rank_at_both_ends(ws):
    folder = ws.path / "rankings" / "trak-10"
    (folder / "scores.npy").unlink()
    ids = np.full((tiny.VAL, 2, 2), -1, np.int32)
    ids[0], ids[3] = [[5, 1], [9, 8]], [[2, 5], [4, 1]]
    np.save(folder / "ids.npy", ids)
    ws = Workspace.open(ws.path)
    for lists in hubs.compute(ws, ["trak-10"]):
        hubs.save(ws, lists, {})
    result = influence.image_influence(ws, 5, "trak-10")
    assert result.helped.targets.tolist() == [0, 3] and result.helped.ranks.tolist() == [1, 2]
    assert result.harmed.targets.tolist() == [] and result.n_targets == 2
    assert influence.image_influence(ws, 8, "trak-10").harmed.ranks.tolist() == [2]


@pytest.mark.parametrize("image", [-1, 60, "shirt"])
def test_an_image_that_is_not_there(ws, image):
    with pytest.raises(UserError, match="0 to 59"):
        influence.image_influence(ws, image, "trak-10")


def test_from_the_command_line(ws, monkeypatch, capfd):
    for lists in hubs.compute(ws, ["trak-10"]):
        hubs.save(ws, lists, {})
    monkeypatch.setattr(
        sys,
        "argv",
        [
            "attribution",
            "reach",
            "--workspace",
            str(ws.path),
            "--image",
            "7",
            "--rankings",
            "trak-10,l2-moco",
            "--top",
            "2",
            "--json",
        ],
    )
    with pytest.raises(SystemExit) as end:
        cli.main()
    answer = json.loads(capfd.readouterr().out)
    assert not end.value.code and answer["label"] == "Box <b>"
    one = answer["rankings"]["trak-10"]
    assert [row["target"] for row in one["helped"]["targets"]] == [1, 4] and one["helped"]["lists"] == 4
    assert answer["rankings"]["l2-moco"] == {"signed": False, "possible": 4, "k": 20, "helped": None, "harmed": None}
    assert len(answer["duplicates"]["nearest"]) == 5
