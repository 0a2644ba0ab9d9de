"""Was the audit worth it: what each arm changes, what is refused, and how it is asked, stopped and answered."""

import itertools
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from attribution import UserError, Workspace
from attribution.audit import gain as worth
from attribution.experiments.paired_arms import load_latest_answer
from attribution.experiments.registry import LONG_VERBS
from attribution.importing.truth import import_truth
from attribution.runner.runner import Runner
from attribution.training import recipes
from attribution.training.edits import Edit, correct, no_edit, relabel, remove
from attribution.workspace import validation_split
from tests.unit.experiments.test_jobs import drive
from tests.unit.runner.test_runner import Pretender, steps

NUMBERS = itertools.count(1)  # of the log's entries


def decided(action, label=None, conflict=()):
    return SimpleNamespace(id=next(NUMBERS), queue=1, action=action, label=label, conflict=conflict)


#: what stands of an audit: image 3 gets its label back, 7 goes, and nothing else is changed
STANDING = {
    3: decided("relabel", 0),
    7: decided("remove"),
    8: decided("keep"),
    9: decided("unsure"),
    10: decided("relabel", 0, conflict=("another",)),
    11: decided("remove", conflict=("another",)),
    **{image: decided("keep") for image in range(20, 44)},
}


@pytest.fixture
def unplanted(ws):
    """The same without a record of what was planted, as any data set but the demo is."""
    (ws.path / "truth.parquet").unlink()
    manifest = json.loads((ws.path / "workspace.json").read_text())
    manifest["dataset"] |= {"planted": 0}
    (ws.path / "workspace.json").write_text(json.dumps(manifest))
    return Workspace.open(ws.path)


def edits(spec, arm):
    return [Edit.from_json(one) for one in spec["arms"][arm]]


def test_the_arms(ws):
    spec = worth.gain_spec(ws, STANDING)
    assert spec["seeds"] == list(range(20)) and spec["recipe"] == "demo-cnn" and spec["verb"] == "worth"
    assert edits(spec, "none") == [no_edit()] and edits(spec, "corrected") == [correct({3: 0}, [7])]
    tally = {name: spec[name] for name in ("decided", "relabelled", "removed", "kept", "unsure", "conflicts")}
    assert tally == {"decided": 30, "relabelled": 1, "removed": 1, "kept": 25, "unsure": 1, "conflicts": 2}
    assert len(list(spec.trainings(ws))) + 1 == spec.total == 61


def test_each_seed_reinspects_as_many_random_images_and_rights_the_planted_errors_among_them(ws):
    spec = worth.gain_spec(ws, STANDING, seeds=20)
    random = edits(spec, "random")
    drawn = [np.random.default_rng([worth.REINSPECT_SEED, seed]).permutation(60)[:30] for seed in range(20)]
    assert random == [relabel([3], [0]) if 3 in some else no_edit() for some in drawn] and spec["errors"] == "planted"
    assert 0 < sum(edit.k for edit in random) < 20, "the draws differ"


def test_the_random_arm_finds_planted_errors_that_the_audit_missed(ws):
    standing = {image: decided("keep") for image in range(59)} | {59: decided("remove")}
    assert edits(worth.gain_spec(ws, standing), "random") == [relabel([3], [0])] * 20, "it looks at all there are"


def test_a_larger_draw_holds_the_smaller_one(ws):
    few, many = (edits(worth.gain_spec(ws, dict(list(STANDING.items())[:n])), "random") for n in (12, 30))
    assert all(set(one.indices) <= set(other.indices) for one, other in zip(few, many)) and few != many


def test_without_recorded_errors_only_those_the_audit_corrected_are_known(unplanted):
    spec = worth.gain_spec(unplanted, STANDING)
    assert spec["errors"] == "audit"
    drawn = [np.random.default_rng([worth.REINSPECT_SEED, seed]).permutation(60)[:30].tolist() for seed in range(20)]
    wanted = [correct({3: 0} if 3 in some else {}, [7] if 7 in some else []) for some in drawn]
    assert edits(spec, "random") == wanted
    assert {edit.kind for edit in wanted} == {"none", "relabel", "remove", "correct"}


def test_imported_true_labels_tell_the_random_arm_what_is_wrong(unplanted):
    labels = np.array(unplanted.train_labels)
    labels[[3, 20]] = (labels[[3, 20]] + 1) % 3
    import_truth(unplanted, labels, "labels.npy", {"command": "x", "made": "2026-11-30"})
    spec = worth.gain_spec(Workspace.open(unplanted.path), STANDING)
    assert spec["errors"] == "imported"
    drawn = [np.random.default_rng([worth.REINSPECT_SEED, seed]).permutation(60)[:30].tolist() for seed in range(20)]
    assert edits(spec, "random") == [correct({i: labels[i] for i in (3, 20) if i in some}, []) for some in drawn]


def test_what_stands_already_is_no_correction(ws):
    assert worth.audit_edit(ws, {4: decided("relabel", 1), 5: decided("remove")}) == remove([5])
    with pytest.raises(UserError, match="no label has been corrected yet"):
        worth.gain_spec(ws, {4: decided("relabel", 1), 8: decided("keep")})


@pytest.mark.parametrize(
    ("standing", "more", "match"),
    [
        ({}, {}, "no label has been corrected yet: nothing is relabelled or removed"),
        ({3: decided("unsure"), 4: decided("remove", conflict=("x",))}, {}, "no label has been corrected yet"),
        ({image: decided("remove") for image in range(60)}, {}, "removes every training image"),
        ({3: decided("remove")}, {"seeds": 1}, "1 seeds have no spread"),
        ({3: decided("remove")}, {"recipe": "vgg"}, "no recipe 'vgg'"),
    ],
)
def test_what_is_refused(ws, standing, more, match):
    with pytest.raises(UserError, match=match) as error:
        worth.gain_spec(ws, standing, **more)
    assert len(str(error.value).splitlines()) == 1


def test_no_validation_image_to_measure_on(ws, monkeypatch):
    monkeypatch.setattr(ws, "n_val", 0)
    for uses_val in (False, True):
        with pytest.raises(UserError, match="too few validation images"):
            worth.gain_spec(ws, STANDING, uses_val=uses_val)


def test_a_class_may_be_removed_as_a_whole(ws):
    spec = worth.gain_spec(ws, {image: decided("remove") for image in range(0, 60, 3)}, 2)
    assert edits(spec, "corrected")[0].k == 20


def improved(ws):
    """What models say where the planted error costs a seed the validation images 0 and 1, or up to 3."""

    def says(edit, seed):
        _, labels = edit.apply(ws.train_labels)
        wrong = np.arange(12) < (2 + seed % 3 if labels[3] != 0 else 0)
        return np.where(wrong, (ws.val_labels + 1) % 3, ws.val_labels)

    return says


def test_a_planted_error_put_right_raises_what_is_measured(ws, store):
    spec = worth.gain_spec(ws, STANDING, seeds=6)
    assert spec.answer(ws, store) is None and load_latest_answer(ws, store) is None
    drive(ws, store, spec, improved(ws))
    found = json.loads(json.dumps(spec.answer(ws, store)))
    assert found == json.loads(json.dumps(load_latest_answer(ws, store)))
    assert (found["recipe"], found["recipe_hash"]) == ("demo-cnn", recipes.get_recipe("demo-cnn").hash)
    assert found["seeds"] == list(range(6)) and found["n"] == 12 and found["decided"] == 30
    assert found["accuracy"]["corrected"]["values"] == [1] * 6
    assert np.allclose(found["accuracy"]["none"]["values"], [10 / 12, 9 / 12, 8 / 12] * 2)
    gain = found["differences"]["corrected-none"]
    assert np.isclose(gain["mean"], 3 / 12) and gain["ci"][0] > 0 and gain["p"] < 0.01
    came_upon = np.array([edit.k for edit in edits(spec, "random")])
    assert found["edited"]["random"] == came_upon.tolist() and 0 < came_upon.sum() < 6
    assert np.allclose(found["differences"]["random-none"]["values"], np.where(came_upon, gain["values"], 0)), (
        "of the seeds that came upon it"
    )
    # 0 and 1 are wrong in all six, 2 in four, 3 in two of them
    assert [one["target"] for one in found["targets"]["corrected"]["repaired"]] == [0, 1, 2]
    assert found["targets"]["corrected"]["broken"] == []


def test_where_the_first_half_chose_the_second_judges(ws, store):
    both = [worth.gain_spec(ws, STANDING, 3, uses_val) for uses_val in (False, True)]
    drive(ws, store, both[0], improved(ws))
    assert both[1].answer(ws, store) is None, "another question"
    count = store.count()
    drive(ws, store, both[1], improved(ws))
    assert store.count() == count, "of the same trainings"
    whole, half = (spec.answer(ws, store) for spec in both)
    assert (whole["n"], half["n"], half["uses_val"]) == (12, 6, True)
    second = validation_split.validation_halves(ws)[1]
    assert np.allclose(half["accuracy"]["none"]["values"], [np.mean(second >= 2 + seed) for seed in range(3)])
    assert {one["target"] for one in half["targets"]["corrected"]["repaired"]} <= set(second.tolist())


def test_targets_that_the_audit_began_with_do_not_judge_it(ws, store):
    second = validation_split.validation_halves(ws)[1].tolist()
    spec = worth.gain_spec(ws, STANDING, 3, True, without=second[:2])
    drive(ws, store, spec, improved(ws))
    found = spec.answer(ws, store)
    assert found["n"] == 4 and found["without"] == second[:2]
    assert worth.gain_spec(ws, STANDING, 3, True).answer(ws, store) is None, "another question"
    with pytest.raises(UserError, match="too few validation images"):
        worth.gain_spec(ws, STANDING, 3, True, without=second)


def test_a_further_decision_is_another_state(ws, store):
    before = worth.gain_spec(ws, STANDING, 3)
    drive(ws, store, before, improved(ws))
    after = worth.gain_spec(ws, STANDING | {50: decided("remove")}, 3)
    assert after.answer(ws, store) is None and load_latest_answer(ws, store)["decided"] == 30


def test_what_is_trained_is_not_trained_again_and_what_is_cancelled_is_kept(ws, store):
    spec = worth.gain_spec(ws, STANDING, 4)
    runner = Runner(store, Pretender(slots=3, every=False))
    number = store.add_job(spec, spec.describe())
    runner.step(0)
    first = list(runner.executor.busy.values())
    assert {task.seed for task in first} <= {0, 1} and {task.edit.kind for task in first} >= {"none", "correct"}
    for task in first:
        runner.executor.finish(task)
    runner.step(0)
    store.cancel_job(number)
    steps(runner, 3)
    assert store.job(number).state == "cancelled" and spec.answer(ws, store) is None
    wanted = {store.key(recipes.get_recipe("demo-cnn").hash, edit, seed) for edit, seed in spec.trainings(ws)}
    kept = sum(store.get(key) is not None for key in wanted)
    cost = spec.cost(ws, store)
    assert kept == 3 == cost.known and cost.min_trainings == cost.max_trainings == len(wanted)
    runner.executor.every = True
    again = store.add_job(spec, spec.describe())
    steps(runner)
    assert (store.job(again).state, store.job(again).done) == ("done", 13)
    assert store.count() == len(wanted) and spec.answer(ws, store)["n"] == 12
    started = [task.key for task in runner.executor.started]
    assert all(started.count(task.key) == 1 for task in first)
    assert spec.cost(ws, store).seconds == 0
    assert store.jobs_of_verb("worth", 1)[0].id == again and "worth" in LONG_VERBS


def test_nothing_on_the_way_to_a_training_reads_what_was_planted(ws, store, monkeypatch):
    spec = worth.gain_spec(ws, STANDING, 2)
    monkeypatch.setattr(Workspace, "truth", lambda self: pytest.fail("it was read"))
    drive(ws, store, spec, improved(ws))
    assert spec.answer(ws, store)


def test_any_table_of_truth_is_enough(ws):
    """The recorded labels are taken where they are planted alone."""
    table = pd.read_parquet(ws.path / "truth.parquet")
    table.loc[5, "original"] = 0  # not planted: the given label stands
    table.to_parquet(ws.path / "truth.parquet")
    assert {edit.indices for edit in edits(worth.gain_spec(ws, STANDING), "random")} == {(), (3,)}
