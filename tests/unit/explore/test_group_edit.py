import json

import numpy as np
import pytest

from attribution import UserError
from attribution.experiments.prefixes import random_controls
from attribution.explore import group_edit
from attribution.explore.group_edit import first_images
from attribution.explore.groups import rank_difference, rank_group, read_group
from attribution.training.edits import relabel, remove


@pytest.fixture
def seen(ws):
    return ws.with_model("head-moco")


def margins(ws, edit=None) -> np.ndarray:
    head = ws.head("moco").head
    keep, labels = edit.apply(ws.train_labels) if edit else (None, None)
    return head.margins(head.refit(keep, labels), np.asarray(ws.feature("moco").val), ws.val_labels)


@pytest.mark.parametrize("to", [None, "Bar"])
def test_an_edit_is_measured_by_refits(seen, to):
    answer = group_edit.compute(seen, "class:Dot", "influence-moco", k=12, to=to, draws=3)
    members, rest = [2, 5, 8, 11], np.setdiff1d(np.arange(12), [2, 5, 8, 11])
    ids = rank_group(seen, seen.ranking("influence-moco"), np.array(members), "helpful").ids
    edit = remove(ids[:12]) if to is None else relabel(ids[seen.train_labels[ids] != 0][:12], 0)
    before, after = margins(seen), margins(seen, edit)
    controls = [margins(seen, control) for control in random_controls(seen, edit, 3)]
    change = answer["edit"]
    assert (change["kind"], change["label"], change["images"]) == (edit.kind, to, list(edit.indices))
    assert sum(change["classes"].values()) == change["k"] == edit.k
    judged = change["judged"]
    assert judged["margin"]["mean"] == pytest.approx((after - before)[members].mean(), abs=4e-3)
    by_random = np.mean(controls, 0) - before
    assert judged["margin_difference"]["mean"] == pytest.approx((after - before - by_random)[members].mean(), abs=4e-3)
    assert judged["after"] == (after[members] < 0).sum() and change["read"] == judged  # too few for halves
    assert change["rest"]["net"] == (after[rest] < 0).sum() - (before[rest] < 0).sum() and change["rest"]["n"] == 8
    assert json.loads(json.dumps(answer)) == answer


def test_a_larger_group_is_judged_by_the_other_half(seen, monkeypatch):
    monkeypatch.setattr("attribution.explore.groups.MIN_CHECKED", 10)
    answer = group_edit.compute(seen, "ids:0-11", "influence-moco", k=3, draws=1)
    read, judged = answer["read"], answer["judged"]
    assert answer["checked"] and sorted(read + judged) == list(range(12)) and answer["ranked"] == 6
    ids = rank_group(seen, seen.ranking("influence-moco"), np.array(read), "helpful").ids
    assert [row["image"] for row in answer["first"][:3]] == ids[:3].tolist()
    after = margins(seen, remove(ids[:3])) - margins(seen)
    assert answer["edit"]["judged"]["margin"]["mean"] == pytest.approx(after[judged].mean(), abs=4e-3)
    assert answer["edit"]["read"]["margin"]["mean"] == pytest.approx(after[read].mean(), abs=4e-3)
    assert answer["edit"]["rest"]["n"] == 0


def test_a_network_is_ranked_and_asks_for_trainings(ws):
    answer = group_edit.compute(ws, "wrong:Box <b>", "trak-10", top=2)
    assert answer["edit"] is None and answer["end"] == "harmful" and len(answer["first"]) == 2
    assert answer["errors"] == 1
    spec = group_edit.edit_spec(ws, read_group(ws, "wrong:Box <b>"), remove([3]))
    assert (spec.total, spec.draws, spec.group) == (31, 4, "wrong:Box <b>") and spec.read == spec.judged == [1]


def test_what_cannot_be_edited(ws, seen):
    with pytest.raises(UserError, match="give their number with --k"):
        group_edit.compute(seen, "class:Dot", "trak-10", to="Bar")
    with pytest.raises(UserError, match="no class 'Tree'"):
        group_edit.compute(seen, "class:Dot", "trak-10", k=1, to="Tree")
    with pytest.raises(UserError, match="removes every training image"):
        first_images(ws, np.arange(60), 60)
    with pytest.raises(UserError, match="labelled Bar already"):
        first_images(ws, np.flatnonzero(ws.train_labels == 0), 5, 0)


def test_two_models_are_edited_alike(seen):
    answer = group_edit.compute(seen, "class:Dot", "trak-10", k=5, draws=1, end="helpful", against="influence-moco")
    assert answer["against"] == "influence-moco" and answer["by"] == "difference"
    ids = rank_difference(
        seen, seen.ranking("trak-10"), seen.ranking("influence-moco"), np.array(answer["read"]), "helpful"
    ).ids
    other = answer["other"]
    assert other["recipe"] == "head-moco" and other["edit"]["images"] == sorted(ids[:5].tolist())
    assert other["edit"] == answer["edit"], "the head of that influence is the model looked at"
    listed = group_edit.compute(seen, "class:Dot", "influence-moco", against="trak-10")
    assert listed["edit"] is None and listed["other"] is None
