import numpy as np
import pytest

from attribution import UserError, Workspace
from attribution.explore.groups import Group, name_group, rank_difference, rank_group, read_group

BOTH = np.array([0, 4])


def test_groups_are_read_by_labels_and_predictions(ws):
    # target 1 is a Box that is predicted Dot; all others are right
    for text, members, end in (
        ("Box <b>->Dot", [1], "harmful"),
        ("1 → 2", [1], "harmful"),
        ("class: Box <b>", [1, 4, 7, 10], "helpful"),
        ("wrong:1", [1], "harmful"),
        ("false-positives:Dot", [1], "harmful"),
        ("Dot->Dot", [2, 5, 8, 11], "helpful"),
        ("ids:5, 3 8-9", [3, 5, 8, 9], "helpful"),
    ):
        group = read_group(ws, text)
        assert (group.name, group.members.tolist(), group.end) == (text, members, end)
    assert read_group(ws, "wrong:1").about == "labelled Box <b> and predicted otherwise"


def test_predictions_are_those_of_the_model_looked_at(ws):
    with pytest.raises(UserError, match="predicted Dot under head-moco; choose another group or --model"):
        read_group(ws.with_model("head-moco"), "Box <b>->Dot")


def test_what_names_no_group_is_one_sentence(ws):
    for text, why in (
        ("Coat->Dot", "no class 'Coat' in .*; it has Bar, Box <b>, Dot"),
        ("class:3", "no class '3'"),
        ("ids:3,12", "validation images are 0 to 11"),
        ("ids:", "no validation image is named"),
        ("Dot->Bar", "no validation image is labelled Dot and predicted Bar"),
        ("Dot", "write one like Coat->Shirt, class:Coat"),
    ):
        with pytest.raises(UserError, match=why):
            read_group(ws, text)


def test_halves_are_drawn_by_their_seed_and_share_no_member():
    group = Group("ids:", "", np.arange(30, 51), "helpful")
    (read, judged), again, other = group.halves(3), group.halves(3), group.halves(4)
    assert group.checked and (len(read), len(judged)) == (10, 11) and read.tolist() == again[0].tolist()
    assert np.union1d(read, judged).tolist() == group.members.tolist() and read.tolist() != other[0].tolist()
    few = Group("ids:", "", np.arange(19), "helpful")
    assert not few.checked and all(half is few.members for half in few.halves())


def test_scores_are_summed(ws):
    ranking = ws.ranking("influence-moco")
    total = ranking.scores(0).astype(float) + ranking.scores(4)
    helpful, harmful = (rank_group(ws, ranking, BOTH, end) for end in ("helpful", "harmful"))
    assert helpful.by == "sum" and helpful.ids.tolist() == [i for i in np.argsort(-total) if total[i] > 0]
    assert harmful.ids.tolist() == [i for i in np.argsort(total) if total[i] < 0] and not harmful.heuristic
    assert helpful.scores.tolist() == total[helpful.ids].tolist() and helpful.targets.tolist() == [0, 4]


def test_without_sign_the_class_mistaken_for_stands_for_harm(ws):
    ranking, rivals = ws.ranking("l2-moco"), ws.base.confused_class[BOTH]
    harmful, helpful = (rank_group(ws, ranking, BOTH, end) for end in ("harmful", "helpful"))
    assert harmful.heuristic and set(ws.train_labels[harmful.ids]) == set(rivals)
    assert not helpful.heuristic and set(ws.train_labels[helpful.ids]) == {0, 1}


def test_lists_go_by_the_mean_rank(ws):
    folder = ws.path / "rankings" / "first"
    folder.mkdir()
    ids = np.full((12, 1, 3), -1)
    ids[[0, 4], 0] = [[5, 7, 9], [7, 8, -1]]
    np.save(folder / "ids.npy", ids)
    ws.record_part("rankings/first", {"method": "x"})
    ws = Workspace.open(ws.path)
    ranked = rank_group(ws, ws.ranking("first"), np.array([0, 1, 4]), "helpful")
    # 7: second and first; 5: first and after the last of two; 8: after the last of three, and second; 9 the same
    assert ranked.by == "mean rank" and ranked.ids.tolist() == [7, 5, 8, 9] and ranked.targets.tolist() == [0, 4]
    assert ranked.scores.tolist() == [1.5, 2.0, 3.0, 3.0]
    with pytest.raises(UserError, match="first ranks none of these"):
        rank_group(ws, ws.ranking("first"), np.array([1, 2]), "helpful")
    with pytest.raises(UserError, match="say helpful or harmful"):
        rank_group(ws, ws.ranking("first"), BOTH, "both")


def test_a_group_gets_the_name_that_is_read_back(ws):
    for members, classes, name in (
        ([1], (1, 2), "Box <b>->Dot"),
        ([1, 4, 7, 10], (1, None), "class:Box <b>"),
        ([1], (1, None), "wrong:Box <b>"),
        ([1], (None, 2), "false-positives:Dot"),
        ([2, 5], (2, None), "ids:2,5"),  # a filter beside
        ([0, 3], (None, None), "ids:0,3"),
    ):
        assert name_group(ws, np.array(members), *classes) == name
        assert read_group(ws, name).members.tolist() == members


def test_groups_of_two_models(ws):
    # head-moco gets target 1 right, which the network takes for a Dot
    head = ws.with_model("head-moco").base.prediction
    assert head[1] == ws.val_labels[1] == 1
    differ = read_group(ws, "differ:head-moco")
    assert differ.members.tolist() == np.flatnonzero(head != ws.base.prediction).tolist()
    lost = read_group(ws, "lost-to:head-moco")
    assert (lost.members.tolist(), lost.end) == ([1], "harmful")
    assert name_group(ws, np.array([1]), other="lost-to:head-moco") == "lost-to:head-moco"
    assert name_group(ws, np.array([1, 2]), other="lost-to:head-moco") == "ids:1,2"
    with pytest.raises(UserError, match="no-such"):
        read_group(ws, "differ:no-such")


def test_two_rankings_differ_in_units_of_their_spread(ws):
    first, other, both = ws.ranking("trak-10"), ws.ranking("influence-moco"), np.array([0, 3])
    sums = [np.sum([ranking.scores(target) for target in (0, 3)], 0) for ranking in (first, other)]
    wanted = sums[0] / sums[0].std() - sums[1] / sums[1].std()
    ranked = rank_difference(ws, first, other, both, "helpful")
    assert ranked.by == "difference" and ranked.targets.tolist() == [0, 3]
    assert ranked.ids.tolist() == [i for i in np.argsort(-wanted, kind="stable").tolist() if wanted[i] > 0]
    assert np.allclose(ranked.scores, wanted[ranked.ids])
    harmful = rank_difference(ws, first, other, both, "harmful")
    assert (harmful.scores < 0).all() and harmful.ids[0] == wanted.argmin()
    with pytest.raises(UserError, match="l2-moco is none; choose one such as influence-moco"):
        rank_difference(ws, first, ws.ranking("l2-moco"), both, "helpful")
    with pytest.raises(UserError, match="score every image of this group alike"):
        rank_difference(ws, first, first, both, "helpful")
