"""Hubs, on lists worked out by hand."""

import json
import sys

import numpy as np
import pytest

from attribution import UserError, Workspace
from attribution import __main__ as cli
from attribution.explore import hubs
from tests import tiny


@pytest.fixture
def few():
    """Five training images; targets 0 to 2 are ranked, 3 is not: 4 stands first everywhere, 0 nowhere."""
    ids = np.full((2, 4, hubs.LIST_DEPTH), -1, np.int8)
    for target, order in enumerate([[4, 1, 2], [4, 2], [4, 3, 1]]):
        ids[0, target, : len(order)] = order
    ids[1, 0, :2] = 0, 1
    return hubs.TopLists("x", ids, 3, 5)


def test_counts_and_places_by_hand(few):
    assert few.count_lists(1).tolist() == [0, 0, 0, 0, 3]
    assert few.count_lists(2).tolist() == [0, 1, 1, 1, 3]
    assert few.count_lists(3).tolist() == [0, 2, 2, 1, 3]
    assert few.count_lists(3, "harmful").tolist() == [1, 1, 0, 0, 0]
    targets, ranks = few.lists_with_image(1)
    assert (targets.tolist(), ranks.tolist()) == ([0, 2], [2, 3])
    targets, ranks = few.lists_with_image(2)
    assert (targets.tolist(), ranks.tolist()) == ([1, 0], [2, 3])  # lowest rank first


def test_summary_by_hand(few):
    summary = hubs.summarise(few, 2, max_hubs=2)
    assert (summary["targets"], summary["k"], summary["mean"], summary["never"]) == (3, 2, 1.2, 0.2)
    assert summary["hubs"] == [{"image": 4, "lists": 3}, {"image": 1, "lists": 1}]
    off = np.array([0, 1, 1, 1, 3]) - 1.2
    assert summary["skewness"] == pytest.approx((off**3).mean() / (off**2).mean() ** 1.5)
    assert hubs.summarise(few, 1, "harmful")["hubs"] == [{"image": 0, "lists": 1}]


def test_lists_are_those_of_the_rankings(ws):
    trak, l2 = hubs.compute(ws, ["trak-10", "l2-moco"])
    assert trak.signed and not l2.signed and trak.targets == 12
    for lists, end, at in ((trak, "helpful", 0), (trak, "harmful", 1), (l2, "helpful", 0)):
        for target in range(tiny.VAL):
            top = ws.ranking(lists.ranking).top(target, hubs.LIST_DEPTH, end=end).ids
            stored = lists.ids[at, target]
            assert stored[: len(top)].tolist() == top.tolist() and (stored[len(top) :] == -1).all()
    # l2 ranks the target's class alone: 19 Bars, 20 Boxes and 21 Dots for 4 targets each
    assert (
        l2.count_lists(hubs.LIST_DEPTH).tolist() == [4] * 60 and hubs.summarise(l2, hubs.LIST_DEPTH)["skewness"] is None
    )


def test_a_ranking_of_some_targets(ws):
    np.save(ws.path / "rankings" / "trak-10" / "targets.npy", np.array([2, 5]))
    (lists,) = hubs.compute(ws, ["trak-10"])
    assert lists.targets == 2 and lists.count_lists(1).sum() == 2
    assert (lists.ids[:, [0, 1, 3]] == -1).all()


def test_what_is_kept_holds_while_the_ranking_does(ws):
    (lists,) = hubs.compute(ws, ["trak-10"])
    assert hubs.load(ws, "trak-10") is None
    hubs.save(ws, lists, {"command": "x"})
    again = hubs.load(Workspace.open(ws.path), "trak-10")
    assert (again.ids == lists.ids).all() and again.targets == 12 and again.n_train == 60
    ws.manifest["parts"]["rankings/trak-10"]["digest"] = "another"
    assert hubs.load(ws, "trak-10") is None


def test_mistakes_are_told(ws, few):
    with pytest.raises(UserError, match="no ranking 'none'"):
        hubs.compute(ws, ["none"])
    with pytest.raises(UserError, match="k = 51 is more"):
        few.count_lists(51)
    with pytest.raises(UserError, match="k = 0"):
        few.count_lists(0)


def test_from_the_command_line(ws, monkeypatch, capfd):
    monkeypatch.setattr(
        sys,
        "argv",
        [
            "attribution",
            "evaluate",
            "hubs",
            "--workspace",
            str(ws.path),
            "--rankings",
            "trak-10,l2-moco",
            "--k",
            "5",
            "--json",
        ],
    )
    with pytest.raises(SystemExit) as end:
        cli.main()
    answer = json.loads(capfd.readouterr().out)
    assert not end.value.code and answer["k"] == 5 and answer["n_train"] == 60
    assert list(answer["rankings"]["trak-10"]) == ["helpful", "harmful"]
    lists = hubs.load(Workspace.open(ws.path), "l2-moco")
    assert answer["rankings"]["l2-moco"]["helpful"] == hubs.summarise(lists, 5)


@pytest.mark.parametrize("name", ["trak-10@true", "trak-2.compute"])
def test_lists_of_a_ranking_that_is_not_listed_are_not_kept(ws, monkeypatch, capfd, name):
    if name.endswith("compute"):
        ws.manifest["parts"]["rankings/trak-10"]["variant"] = True
        (ws.path / "rankings" / "trak-10").rename(ws.path / "rankings" / name)
        ws.manifest["parts"][f"rankings/{name}"] = ws.manifest["parts"].pop("rankings/trak-10")
        (ws.path / "workspace.json").write_text(json.dumps(ws.manifest))
    monkeypatch.setattr(
        sys, "argv", ["attribution", "evaluate", "hubs", "--workspace", str(ws.path), "--rankings", name, "--json"]
    )
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code and list(json.loads(capfd.readouterr().out)["rankings"]) == [name]
    again = Workspace.open(ws.path)  # a part of that name would close it for good
    assert not [part for part in again.manifest["parts"] if part.startswith("hubs/")]
