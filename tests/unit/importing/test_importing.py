"""Imports: what comes in is what was there, the check is on the door, and nothing is ever half there."""

import json
import os
import signal

import numpy as np
import pytest

from attribution import UserError, Workspace
from attribution.builds.halves import load_held_out_halves
from attribution.importing import importing
from attribution.importing.formats import ForeignRanking
from attribution.metrics.lds import lds
from tests import tiny


@pytest.fixture
def scores(ws):
    """float32 [12, 60], target-first, that prefer the target's class and have no ties."""
    rng = np.random.default_rng(3)
    return (rng.normal(size=(12, 60)) + 5 * (ws.train_labels == ws.val_labels[:, None])).astype(np.float32)


def incoming(scores, **changes):
    about = {
        "method": "Mine",
        "signed": True,
        "targets": np.arange(len(scores)),
        "read_scores": lambda start, stop: scores[start:stop].copy(),
    }
    return ForeignRanking(**about | changes)


@pytest.mark.parametrize("dense", [True, False])
def test_the_order_is_the_matrix_s(ws, scores, dense):
    about = importing.import_ranking(ws, incoming(scores), "mine", dense=dense, k=20)
    mine = Workspace.open(ws.path).ranking("mine")
    for target in range(12):
        assert mine.top(target, 20).ids.tolist() == np.argsort(-scores[target])[:20].tolist()
        assert mine.top(target, 20, end="harmful").ids.tolist() == np.argsort(scores[target])[:20].tolist()
        assert np.array_equal(mine.top(target, 20).scores, np.sort(scores[target])[::-1][:20])
    assert about["alignment"]["warning"] is None and mine.method == "Mine" and mine.complete is dense
    assert mine.description == ("mine · every score" if dense else "mine · first 20")


def test_the_first_k_among_one_class_are_what_the_list_holds_of_it(ws, scores):
    importing.import_ranking(ws, incoming(scores), "mine", dense=False, k=30)
    found = ws.ranking("mine").top(0, 10, "predicted").ids
    order = np.argsort(-scores[0])[:30]
    assert found.tolist() == [i for i in order if ws.train_labels[i] == ws.base.prediction[0]][:10]
    with pytest.raises(UserError, match="--dense"):
        ws.ranking("mine").scores(0)


@pytest.mark.parametrize("dense", [True, False])
def test_some_targets_and_some_training_images(ws, scores, dense):
    targets, train = np.array([7, 2, 5]), np.arange(59, 9, -1)
    part = incoming(scores[targets][:, train], targets=targets, train=train)
    importing.import_ranking(ws, part, "part", dense=dense, k=60)
    ranking = ws.ranking("part")
    assert ranking.targets.tolist() == [2, 5, 7] and len(ranking.top(0, 5).ids) == 0
    for target in targets:
        wanted = train[np.argsort(-scores[target][train])]
        assert ranking.top(int(target), 60).ids.tolist() == wanted.tolist()


@pytest.mark.parametrize("scale, shift", [(1, 0), (1, 5000), (1e-9, 0), (1e5, 0)])
def test_halves_are_kept_as_they_came(ws, scores, scale, shift):
    """Margins far from zero, losses of a millionth, and large ones are ranked by LDS as they are."""
    rng = np.random.default_rng(5)
    masks = np.stack([rng.permutation(60) < 30 for _ in range(40)])
    margins = (masks @ scores.T.astype(float)) * scale + shift
    importing.import_ranking(ws, incoming(scores), "mine")
    importing.import_halves(ws, masks, margins.astype(np.float32))
    masks, margins = load_held_out_halves(Workspace.open(ws.path))
    assert lds(masks, margins, ws.ranking("mine").all_scores(), resamples=0).mean > 0.999


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("scale, shift", [(1, 1e9), (1e-60, 0), (1e60, 0)])
def test_scores_that_float32_would_round_are_ranked_as_they_are(ws, scores, dense, scale, shift):
    wide = scores.astype(float) * scale + shift
    importing.import_ranking(ws, incoming(wide, precision=wide.dtype), "mine", dense=dense, k=20)
    mine = Workspace.open(ws.path).ranking("mine")
    for target in range(12):
        found = mine.top(target, 20)
        assert found.ids.tolist() == np.argsort(-wide[target], kind="stable")[:20].tolist()
        assert np.array_equal(found.scores, np.sort(wide[target])[::-1][:20])
    assert np.array_equal(mine.image_scores(int(found.ids[0]))[11], wide[11].max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_features_that_share_a_large_part(ws, dtype):
    """In float64 places a metre apart, four million metres away; in float32 half a metre is the least."""
    rng = np.random.default_rng(2)
    train, val = (
        (4.2e6 + rng.normal(size=(n, 3)) * (1e-3 if dtype is np.float64 else 100)).astype(dtype) for n in (60, 12)
    )
    importing.import_features(ws, train, val, "gps")
    ws = Workspace.open(ws.path)
    exact = train.astype(np.longdouble), val.astype(np.longdouble)
    for target in range(12):
        near = np.linalg.norm((exact[0] - exact[1][target]).astype(float), axis=1)
        assert ws.ranking("l2-gps").top(target, 9, "all").ids.tolist() == np.argsort(near, kind="stable")[:9].tolist()


def test_zeros_of_a_sparse_regression_are_not_ranked(ws, scores):
    sparse = np.where(np.abs(scores) > 4.5, scores, 0)
    for name, dense in (("sparse-whole", True), ("sparse-top", False)):
        importing.import_ranking(ws, incoming(sparse, zero_is_none=True), name, dense=dense, k=60)
        for target in range(12):
            found = ws.ranking(name).top(target, 60)
            assert len(found.ids) == (sparse[target] != 0).sum() and (found.scores != 0).all()


@pytest.mark.parametrize("kind", ["dense", "ends", "lists"])
def test_training_images_of_another_order_and_number(ws, scores, kind):
    order = np.random.default_rng(0).permutation(60)[:50]  # file's number -> ours
    theirs = scores[:, order]
    ranked = np.argsort(-theirs, axis=1)[:, :20]
    ranked[:, 15:] = -1
    lists = {"read_scores": None, "signed": False, "read_lists": lambda start, stop: (ranked[start:stop], None)}
    found = importing.renumbered(incoming(theirs, **(lists if kind == "lists" else {})), order)
    importing.import_ranking(ws, found, "mine", dense=kind == "dense", k=15)
    assert ws.ranking("mine").top(3, 15).ids.tolist() == order[np.argsort(-theirs[3])[:15]].tolist()


def test_numbers_of_a_part_are_counted_in_the_list_s_order(ws, scores):
    order, part = np.arange(59, -1, -1), np.array([4, 2, 40])
    found = importing.renumbered(incoming(scores[:, order][:, part], train=part), order)
    assert found.train.tolist() == [55, 57, 19] and importing.data_set_sizes(ws, order[:7]).n_train == 7
    assert importing.data_set_sizes(ws, order).train_labels.tolist() == ws.train_labels[::-1].tolist()


def test_lists(ws, scores):
    order = np.argsort(-scores, axis=1)[:, :15]
    order[4, 10:] = -1
    importing.import_ranking(
        ws, incoming(scores, signed=False, read_scores=None, read_lists=lambda a, b: (order[a:b], None)), "lists"
    )
    ranking = ws.ranking("lists")
    assert ranking.top(3, 15).ids.tolist() == order[3].tolist() and ranking.top(3, 15).scores is None
    assert ranking.top(4, 15).ids.tolist() == order[4, :10].tolist()
    with pytest.raises(UserError, match="has no harmful scores"):
        ranking.top(3, 5, end="harmful")


def test_signed_lists_have_a_harmful_end_below_zero(ws, scores):
    order = np.argsort(-scores, axis=1)
    values = np.take_along_axis(scores, order, 1)
    importing.import_ranking(
        ws, incoming(scores, read_scores=None, read_lists=lambda a, b: (order[a:b], values[a:b])), "lists"
    )
    found = ws.ranking("lists").top(0, 60, end="harmful")
    assert (found.scores < 0).all() and found.ids[0] == scores[0].argmin() and len(found.ids) == (scores[0] < 0).sum()
    found = ws.ranking("lists").top(0, 60)
    assert (found.scores >= 0).all() and len(found.ids) == (scores[0] >= 0).sum()


def test_the_check_is_on_the_door(ws, scores):
    with pytest.raises(UserError, match="sign looks turned round.*--force"):
        importing.import_ranking(ws, incoming(-scores), "turned")
    assert "turned" not in Workspace.open(ws.path).rankings() and not list(ws.path.glob("rankings/*turned*"))
    about = importing.import_ranking(ws, incoming(-scores), "turned", force=True)
    assert about["alignment"]["warning"] and "turned" in Workspace.open(ws.path).rankings()


@pytest.mark.parametrize("error", [UserError("not finite"), KeyboardInterrupt()])
def test_an_import_that_breaks_off_changes_nothing(ws, scores, error, monkeypatch):
    importing.import_ranking(ws, incoming(scores), "mine")
    before = ws.ranking("mine").top(0, 5).ids.tolist()
    monkeypatch.setattr(importing, "MAX_BLOCK_BYTES", 4 * 60)

    def rows(start, stop):
        if start >= 5:
            raise error
        return -scores[start:stop]

    with pytest.raises(type(error)):
        importing.import_ranking(ws, incoming(scores, read_scores=rows), "mine")
    again = Workspace.open(ws.path)
    assert again.ranking("mine").top(0, 5).ids.tolist() == before
    assert sorted(path.name for path in (ws.path / "rankings").iterdir()) == ["mine", "trak-10"]


def test_what_a_killed_import_left_is_cleared_away(ws, scores):
    left = ws.path / "rankings" / ".mine.999.part"
    left.mkdir()
    (left / "scores.npy").write_bytes(b"half")
    importing.import_ranking(ws, incoming(scores), "mine")
    assert not left.exists() and Workspace.open(ws.path).ranking("mine").targets.tolist() == list(range(12))


@pytest.mark.parametrize("name", ["random", "l2-moco", "../x", "A", "", ".x", "a" * 41])
def test_names_that_cannot_be_had(ws, scores, name):
    with pytest.raises(UserError, match="name"):
        importing.import_ranking(ws, incoming(scores), name)


def test_a_workspace_that_may_not_be_written_keeps_what_is_added_among_the_results(ws, scores, monkeypatch):
    """As the bundled demo: its own folder stays as it is."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    before = sorted(ws.path.rglob("*"))
    with pytest.raises(UserError, match="brings a part called trak-10"):
        importing.import_ranking(ws, incoming(scores), "trak-10")
    importing.import_ranking(ws, incoming(scores), "mine")
    importing.import_features(ws, np.eye(3)[ws.train_labels], np.eye(3)[ws.val_labels], "own")
    again = Workspace.open(ws.path)
    assert sorted(ws.path.rglob("*")) == before and "mine" in again.rankings() and "own" in again.features()
    assert again.ranking("mine").top(0, 1).ids[0] == scores[0].argmax()
    assert set(again.train_labels[again.ranking("l2-own").top(0, 10, "all").ids]) == {0}
    again.record_part("other", {})
    manifest = json.loads((ws.path / "workspace.json").read_text())
    assert "rankings/mine" not in manifest["parts"], "what was added stays apart"
    with pytest.raises(UserError, match="cannot be taken out"):
        again.remove_part("rankings/trak-10")
    again.remove_part("rankings/mine")
    assert "mine" not in Workspace.open(ws.path).rankings()


def test_what_a_workspace_brings_goes_before_what_was_added_to_another_of_its_data_set(
    ws, scores, tmp_path, monkeypatch
):
    other = tiny.write(tmp_path / "other")
    importing.import_ranking(other, incoming(scores, method="Its own"), "mine")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    importing.import_ranking(ws, incoming(scores, method="Added"), "mine")
    assert Workspace.open(ws.path).ranking("mine").method == "Added"
    again = Workspace.open(other.path)
    assert again.ranking("mine").method == "Its own" and not again.can_add("rankings/mine")


def test_features(ws):
    with pytest.raises(UserError, match="not finite"):
        importing.import_features(ws, np.full((60, 2), np.nan), np.zeros((12, 2)), "own")
    assert "own" not in ws.features() and not (ws.path / "features" / "own").exists()


def import_in_a_process(ws, stop: int, scores, dense: bool) -> int:
    """The exit code of a process that imports `scores` as "mine" and is killed as it reads target `stop`, or, at 12,
    when everything is written and not yet vouched for. A fork: a new Python would take seconds to start."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        importing.MAX_BLOCK_BYTES = 4 * 60  # one target at a time
        add_part = ws.add_part

        def die_at(target):
            if target == stop:
                os.kill(os.getpid(), signal.SIGKILL)

        def read_scores(start, end):
            die_at(start)
            return scores[start:end].copy()

        def add_unless_killed(*what):
            die_at(12)
            add_part(*what)

        ws.add_part = add_unless_killed
        importing.import_ranking(ws, incoming(scores, read_scores=read_scores), "mine", dense=dense)
        os._exit(0)
    finally:
        os._exit(1)


@pytest.mark.parametrize("dense", [True, False])
def test_killed_at_any_point_it_leaves_no_half_ranking_and_can_be_run_again(ws, scores, dense):
    for stop in (0, 7, 12):
        assert import_in_a_process(ws, stop, scores, dense) == -signal.SIGKILL
        assert "mine" not in Workspace.open(ws.path).rankings(), stop
    assert import_in_a_process(ws, 99, scores, dense) == 0
    assert Workspace.open(ws.path).ranking("mine").targets.tolist() == list(range(12))
    assert sorted(path.name for path in (ws.path / "rankings").iterdir()) == ["mine", "trak-10"]


def test_killed_while_it_replaces_another_it_leaves_nothing_broken(ws, scores):
    importing.import_ranking(ws, incoming(scores), "mine", dense=False, k=5)  # of another size than what follows
    assert import_in_a_process(ws, 12, scores, True) == -signal.SIGKILL
    assert "mine" not in Workspace.open(ws.path).rankings()
    assert import_in_a_process(ws, 99, scores, True) == 0
    assert len(Workspace.open(ws.path).ranking("mine").top(0, 60).ids) == 60


@pytest.mark.parametrize("k", [1, 5, 29, 31, 60])
def test_some_training_images_are_ranked_however_few_are_asked_for(ws, scores, k):
    train = np.arange(0, 60, 2)
    importing.import_ranking(ws, incoming(scores[:, train], train=train), "part", dense=True)
    wanted = train[np.argsort(-scores[0][train])][:k]
    assert ws.ranking("part").top(0, k).ids.tolist() == wanted.tolist()


@pytest.mark.parametrize("dense", [True, False])
def test_a_sparse_regression_has_helpful_images_at_one_end_and_harmful_ones_at_the_other(ws, dense):
    sparse = np.zeros((12, 60), np.float32)
    for target, label in enumerate(ws.val_labels):
        same, others = np.flatnonzero(ws.train_labels == label), np.flatnonzero(ws.train_labels != label)
        sparse[target, same[:5]], sparse[target, others[:4]] = [5, 4, 3, 2, 1], [-1, -2, -3, -4]
    importing.import_ranking(ws, incoming(sparse, zero_is_none=True), "dm", dense=dense)
    for k in (3, 20, 60):
        assert ws.ranking("dm").top(0, k).scores.tolist() == [5, 4, 3, 2, 1][:k]
        assert ws.ranking("dm").top(0, k, end="harmful").scores.tolist() == [-4, -3, -2, -1][:k]


def test_a_ranking_that_ranks_nothing_does_not_pass(ws):
    with pytest.raises(UserError, match="ranks no training image"):
        importing.import_ranking(ws, incoming(np.zeros((12, 60), np.float32), zero_is_none=True), "none", dense=True)


def test_two_at_once_keep_what_the_other_wrote(ws, scores):
    other = Workspace.open(ws.path)
    importing.import_ranking(other, incoming(scores), "second")
    importing.import_ranking(ws, incoming(scores), "first")
    assert {"first", "second"} <= set(Workspace.open(ws.path).rankings())


def test_features_that_would_hide_something(ws, scores):
    importing.import_ranking(ws, incoming(scores), "l2-own")
    for name, why in (("own", "would hide"), ("pixels", "own pixels")):
        with pytest.raises(UserError, match=why):
            importing.import_features(ws, np.eye(3)[ws.train_labels], np.eye(3)[ws.val_labels], name)


def test_an_import_under_way_is_not_cleared_away_by_another(ws, scores):
    with importing.staged_folder(ws.path / "rankings" / "a.b") as under_way:
        importing.import_ranking(ws, incoming(scores), "a")
        assert under_way.exists()
